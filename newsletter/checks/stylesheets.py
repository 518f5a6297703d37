"""Take style sheets and style attributes apart: rules with the media they are for, declarations, at-rules.

Nothing is fetched and nothing is judged. Not here: which elements a rule is for, and what wins (``cascade``).
"""

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_DECLARATIONS = re.compile(r"""(?:[^;"'(]|"[^"]*"|'[^']*'|\((?:[^()"']|"[^"]*"|'[^']*'|\([^()]*\))*\)|["'(])+""")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_IMPORTANT = re.compile(r"\s*!\s*important\s*$", re.IGNORECASE)
_RULES_MAX = 3000
"""Rules and at-rules of one sheet that are looked at."""
_NESTING_MAX = 8
"""At-rules inside of at-rules that are looked into."""


class Declaration(NamedTuple):
    """Hold one declaration: the property in lower case, its value as written, and whether it is important."""

    name: str
    value: str
    important: bool


class StyleRule(NamedTuple):
    """Hold one rule: its selectors as written, its declarations, and the conditions around it, outermost first.

    A condition is like ``@media (max-width: 599px)``.
    """

    selector: str
    declarations: tuple[Declaration, ...]
    conditions: tuple[str, ...]


class StyleSheet(NamedTuple):
    """Hold the rules of a style sheet in order, and every at-rule in it, like ``@font-face`` or ``@media print``."""

    rules: tuple[StyleRule, ...]
    at_rules: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def parse_declarations(style: str) -> tuple[Declaration, ...]:
    """Return the declarations of a style attribute, or of the block of a rule, in order."""
    if "/*" in style:
        style = _COMMENT.sub(" ", style)
    found = []
    for text in _DECLARATIONS.findall(style):
        name, colon, value = text.partition(":")
        if colon and value.strip():
            plain = _IMPORTANT.sub("", value) if "!" in value else value
            found.append(Declaration(name.strip().lower(), plain.strip(), plain != value))
    return tuple(found)


@functools.lru_cache(maxsize=64)
def parse_sheet(css: str, media: str = "") -> StyleSheet:
    """Return the rules and at-rules of ``css``; ``media`` is what its ``<style>`` says it is for. Never raises."""
    import tinycss2

    rules: list[StyleRule] = []
    at_rules: list[str] = []
    around = (f"@media {media}",) if media and media.strip().lower() not in ("all", "screen") else ()
    try:
        nodes = tinycss2.parse_stylesheet(css.replace("<!--", "").replace("-->", ""), skip_comments=True)
        for found in itertools.islice(_walk(nodes, around), _RULES_MAX):
            (rules if isinstance(found, StyleRule) else at_rules).append(found)  # type: ignore[arg-type]
    except RecursionError:
        # Brackets in brackets, a thousand deep; what came before them counts.
        pass
    return StyleSheet(tuple(rules), (*around, *at_rules))


def _walk(nodes: list[Any], around: tuple[str, ...]) -> Iterator[StyleRule | str]:
    """Yield the rules of ``nodes`` with their conditions, and each at-rule as text."""
    import tinycss2

    for node in nodes:
        if node.type == "qualified-rule":
            selector = tinycss2.serialize(node.prelude).strip()
            yield StyleRule(selector, parse_declarations(tinycss2.serialize(node.content)), around)
        elif node.type == "at-rule":
            name = node.lower_at_keyword
            condition = f"@{name} {tinycss2.serialize(node.prelude).strip()}".strip()
            yield condition
            if name in ("media", "supports", "layer", "container") and node.content and len(around) < _NESTING_MAX:
                yield from _walk(tinycss2.parse_rule_list(node.content, skip_comments=True), (*around, condition))
