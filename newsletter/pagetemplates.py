"""Open the Jinja templates of web pages and single mails: sandboxed, strict, everything escaped.

A project's own file wins over the shipped one of the same name. No string can become markup: there is no ``safe``.
Issues have templates of another kind (``templating``), since MJML stands between them and HTML.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from newsletter.config import ThemeSection
from newsletter.templating import kept_code, shipped_templates

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_LIGHT, _DARK = "#ffffff", "#111214"
_SERIF = "Georgia, 'Times New Roman', 'Songti SC', 'Noto Serif CJK SC', 'Microsoft YaHei', serif"
_SANS = "'Segoe UI', -apple-system, Roboto, 'Helvetica Neue', Arial, 'PingFang SC', 'Microsoft YaHei', sans-serif"


def open_templates(own: Path) -> "ImmutableSandboxedEnvironment":
    """Return the environment that looks into ``own``, the project's folder, and then into the shipped templates."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([own, shipped_templates()]),
        # A style sheet holds checked colours and fonts, whose quotes must stay quotes; all else is markup.
        autoescape=lambda name: not (name or "").endswith(".css.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=kept_code("pages"),
    )
    del environment.filters["safe"]
    return environment


def palette(theme: ThemeSection) -> dict[str, Any]:
    """Return the settings of ``[theme]`` with whole font stacks: the configured fonts first, then the usual ones."""
    return {
        **msgspec.structs.asdict(theme),
        "font": ", ".join(filter(None, (theme.font, _SERIF))),
        "heading_font": ", ".join(filter(None, (theme.heading_font, _SERIF))),
        "meta_font": _SANS,
        "on_accent": readable_on(theme.accent),
        "on_accent_dark": readable_on(theme.accent_dark),
    }


def readable_on(colour: str) -> str:
    """Return the colour of text, near white or near black, that reads better on ``#rrggbb`` (WCAG 2.2 contrast)."""
    return max(_LIGHT, _DARK, key=lambda text: _contrast(text, colour))


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, 0 for black and 1 for white."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
