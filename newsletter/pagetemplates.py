"""Open the Jinja templates of web pages and single mails: sandboxed, strict, everything escaped.

A project's own file wins over the shipped one of the same name. No string can become markup: there is no ``safe``.
Issues have templates of another kind (``templating``), since MJML stands between them and HTML.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from newsletter.config import ThemeSection
from newsletter.templating import shipped_templates

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

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
    }
