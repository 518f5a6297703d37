"""Find which features of HTML and CSS a compiled mail uses, by the names that caniemail.com has for them.

What stands in conditional comments is for Outlook alone and does not count. Not here: who understands a feature
(``clientsupport``), and what a finding is (``clients``).
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.checks.cascade import MODES, modes_of
from newsletter.checks.clientsupport import known_features
from newsletter.checks.stylesheets import Declaration, StyleRule, StyleSheet, parse_declarations

_PROPERTY_OF = {
    "left": "left-right-top-bottom",
    "right": "left-right-top-bottom",
    "top": "left-right-top-bottom",
    "bottom": "left-right-top-bottom",
    "columns": "column-count",
    "column-width": "column-count",
    "column-gap": "gap",
    "row-gap": "gap",
    "grid": "grid-template",
    "flex-flow": "flex-direction",
    "place-items": "align-items",
    "overflow-x": "overflow",
    "overflow-y": "overflow",
    "mask": "mask-image",
    "margin-inline": "margin-inline-block",
    "margin-block": "margin-inline-block",
    "padding-inline": "padding-inline-block",
    "padding-block": "padding-inline-block",
}
"""What caniemail calls a property that it has under another's name."""
_LONGHANDS = re.compile(r"(animation|border|font|grid-template|margin|padding|transform|transition|outline)-")
_VALUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (f"css-{slug}", re.compile(pattern, re.IGNORECASE))
    for slug, pattern in (
        ("linear-gradient", r"\blinear-gradient\("),
        ("radial-gradient", r"\bradial-gradient\("),
        ("conic-gradient", r"\bconic-gradient\("),
        ("unit-calc", r"\bcalc\("),
        ("function-clamp", r"\bclamp\("),
        ("function-max", r"\bmax\("),
        ("function-min", r"\bmin\("),
        ("function-light-dark", r"\blight-dark\("),
        ("variables", r"\bvar\("),
        ("rgba", r"\brgba\("),
        ("modern-color", r"\b(?:rgba?|hsla?)\([^,)]*/|\b(?:lab|lch|oklab|oklch|hwb|color-mix|color)\("),
        ("sytem-ui", r"\bsystem-ui\b"),
        *((f"unit-{unit}", rf"(?<![\w#.-])-?[\d.]+{unit}\b") for unit in ("rem", "vh", "vw", "vmin", "vmax", "ch")),
    )
)
_VALUE_MAX = 500
"""Characters of a value that are searched for features."""
_DISPLAYS = {"flex": "flex", "inline-flex": "flex", "grid": "grid", "inline-grid": "grid", "none": "none"}
_PSEUDO = re.compile(r"(::?)([a-z-]+)")
_AT_MEDIA = ("prefers-color-scheme", "prefers-reduced-motion", "orientation", "hover", "device-pixel-ratio")
_SEMANTICS = frozenset(
    "article aside details figcaption figure footer header main mark nav section summary time".split()
)
_HEADINGS, _LISTS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6")), frozenset(("ul", "ol", "dl"))
_PLAIN_TAGS = frozenset("html head body div span p table img strong style title meta".split())


@dataclass(frozen=True, slots=True)
class Use:
    """Hold that a mail uses a feature: how often, and what to look for in the theme's sources, as a pattern.

    ``needed`` says that it is used in the open: under no media query, and without another declaration before it that
    clients without the feature keep to.
    """

    slug: str
    count: int
    pattern: str
    needed: bool


class _Uses(dict[str, Use]):
    """Gather uses by feature."""

    def note(self, slug: str, pattern: str, *, count: int = 1, needed: bool = True) -> None:
        if slug in known_features():
            old = self.get(slug)
            first = old.pattern if old and (old.needed or not needed) else pattern
            self[slug] = Use(slug, count + (old.count if old else 0), first, needed or bool(old and old.needed))


def used_features(root: Any, sheets: Sequence[StyleSheet]) -> tuple[Use, ...]:
    """Return the features that a mail uses: in ``root``, an lxml tree, and in the style sheets that stand in it."""
    uses = _Uses()
    styles: dict[str, int] = {}
    for element in root.iter("*"):
        style = element.get("style")
        if style:
            styles[style] = styles.get(style, 0) + 1
        for slug, pattern in _markup_features(element):
            uses.note(slug, pattern)
    for style, count in styles.items():
        for slug, pattern, needed in _block_features(parse_declarations(style)):
            uses.note(slug, pattern, count=count, needed=needed)
    for sheet in sheets:
        for at_rule in sheet.at_rules:
            for slug in _at_rule_features(at_rule):
                uses.note(slug, re.escape(at_rule.split(maxsplit=1)[0]))
        for rule in sheet.rules:
            _note_rule(uses, rule)
    return tuple(uses.values())


def _note_rule(uses: _Uses, rule: StyleRule) -> None:
    is_open = modes_of(rule.conditions) == MODES
    for slug, pattern in _selector_features(rule.selector):
        uses.note(slug, pattern, needed=is_open)
    for slug, pattern, needed in _block_features(rule.declarations):
        uses.note(slug, pattern, needed=needed and is_open)


# ---------------------------------------------------------------------------------------------------------------------
# CSS
# ---------------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _block_features(declarations: tuple[Declaration, ...]) -> tuple[tuple[str, str, bool], ...]:
    """Return (feature, pattern, needed) for the declarations of one block, in which a later one may have a fallback."""
    seen: set[str] = set()
    found = []
    for declaration in declarations:
        stem = declaration.name.partition("-")[0]
        has_fallback = declaration.name in seen or (stem in seen and stem in ("background", "font"))
        seen.update((declaration.name, stem))
        found += [(slug, pattern, not has_fallback) for slug, pattern in _declaration_features(declaration)]
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _declaration_features(declaration: Declaration) -> tuple[tuple[str, str], ...]:
    name, value = declaration.name, declaration.value[:_VALUE_MAX]
    found = []
    if name == "display":
        kind = _DISPLAYS.get(value.lower())
        found.append((f"css-display-{kind}" if kind else "css-display", rf"display\s*:\s*{re.escape(value)}"))
    else:
        found.append((_property_feature(name), rf"(?<![\w-]){re.escape(name)}\s*:"))
    for slug, pattern in _VALUES:
        if match := pattern.search(value):
            found.append((slug, rf"{re.escape(name)}\s*:[^;]*{re.escape(match[0])}"))
    return tuple(found)


def _property_feature(name: str) -> str:
    """Return what caniemail calls a property; of a longhand that it does not have, the shorthand."""
    slug = f"css-{_PROPERTY_OF.get(name, name)}"
    shorthand = _LONGHANDS.match(name)
    return f"css-{shorthand[1]}" if slug not in known_features() and shorthand else slug


def _at_rule_features(at_rule: str) -> Iterator[str]:
    name = at_rule.split(maxsplit=1)[0].lstrip("@")
    yield f"css-at-{name}"
    if name == "media":
        yield from (f"css-at-media-{query}" for query in _AT_MEDIA if query in at_rule.lower())


@functools.lru_cache(maxsize=1024)
def _selector_features(selector: str) -> tuple[tuple[str, str], ...]:
    found = [
        (f"css-pseudo-{'element' if colons == '::' or name in ('before', 'after') else 'class'}-{name}", f":{name}")
        for colons, name in _PSEUDO.findall(selector)
    ]
    found += [
        (f"css-selector-{name}", re.escape(sign))
        for name, sign in (("attribute", "["), ("adjacent-sibling", "+"), ("general-sibling", "~"), ("child", ">"))
        if sign in selector
    ]
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# HTML
# ---------------------------------------------------------------------------------------------------------------------

_ATTRIBUTES = frozenset(
    "background loading popover required srcset target aria-describedby aria-hidden aria-labelledby aria-live".split()
)
_ATTRIBUTE_OF = {"loading": "loading-attribute"}


def _markup_features(element: Any) -> Iterator[tuple[str, str]]:
    tag = element.tag
    if tag not in _PLAIN_TAGS:
        yield f"html-{_tag_feature(element, tag)}", rf"<{tag}\b"
    for name in element.attrib:
        if name in _ATTRIBUTES:
            yield f"html-{_ATTRIBUTE_OF.get(name, name)}", rf"\b{name}="
    if tag == "a" and element.get("href", "").startswith("#") and len(element.get("href")) > 1:
        yield "html-anchor-links", r'href="#'


def _tag_feature(element: Any, tag: str) -> str:
    if tag in ("input", "button"):
        return f"{tag}-{element.get('type', 'text' if tag == 'input' else 'submit').lower()}"
    if tag in _SEMANTICS:
        return "semantics"
    if tag == "link":
        return "link" if "stylesheet" in element.get("rel", "").lower() else ""
    if tag in ("map", "area"):
        return "image-maps"
    return "lists" if tag in _LISTS else "h1-h6" if tag in _HEADINGS else str(tag)
