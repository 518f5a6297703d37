"""Move the theme's own CSS into style attributes, behind one small interface with two implementations.

The style sheets that MJML wrote, and those with media queries, stay as they are. Nothing is fetched, from a network or
a disk. An inliner that loses visible text is an error, never a shorter mail; links come out as they went in.
"""

import html as html_entities
import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, Protocol

from newsletter.errors import ConfigError, Problem, TemplateError

DOCTYPE = "<!doctype html>"
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>\s*", re.IGNORECASE)
_STYLE_TAG = re.compile(r"<style\b", re.IGNORECASE)
_INVISIBLE = re.compile(
    r"""<!--.*?-->|<(head|style|script)\b.*?</\1\s*>|<!?/?[a-z](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""",
    re.DOTALL | re.IGNORECASE,
)
_FOREIGN_VALUE = re.compile(r"""( (?:href|src|background|alt|title|aria-label)=)("[^"]*"|'[^']*')""")
_PLAIN_VALUE = re.compile(r"\"(?:[\w@/:=?;#%,+\-.!~*'()]|&amp;)*+\"", re.ASCII)
"""Match an attribute's value, in its quotes, that no serialiser writes in another way."""
_STYLE_VALUE = re.compile(r"""(?<= style=)("[^"]*"|'[^']*')""")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DECLARATION = re.compile(r"""([\w-]+)\s*:\s*((?:[^;"'(]|"[^"]*"|'[^']*'|\([^)]*\))+)""")
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")


class Inliner(Protocol):
    """Write the declarations of plain CSS rules into the style attributes of the elements that they match."""

    def inline(self, html: str, css: str) -> str:
        """Return ``html`` (a whole document) with ``css`` inlined; what stands in a style attribute already wins."""
        ...


class PremailerInliner:
    """Inline with premailer, set so that MJML's output stays whole. Keeps the rules of the style sheets it has read."""

    def __init__(self) -> None:
        self._rules: dict[str, list[tuple[frozenset[str], _Rule]]] = {}

    def inline(self, html: str, css: str) -> str:
        """Return ``html`` with ``css`` inlined; see ``Inliner``."""
        inliner = _load_premailer().Premailer(
            _STYLE_TAG.sub('<style data-premailer="ignore"', html),
            css_text=css,
            keep_style_tags=False,
            strip_important=False,
            disable_leftover_css=True,
            disable_validation=True,
            # align and the like are MJML's; a width taken from the CSS would overwrite an image's own.
            disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
            remove_classes=False,
            include_star_selectors=False,
            exclude_pseudoclasses=True,
            align_floating_images=False,
            allow_network=False,
            allow_loading_external_files=False,
            base_url=None,
            method="html",
        )
        if css not in self._rules:
            self._rules[css] = [(_named_in(rule[1]), rule) for rule in _read_rules(css)]
        # premailer keeps 128 selectors and declarations in one cache: with rules that match nothing, it would thrash.
        present = _names_in(html)
        matching = [rule for names, rule in self._rules[css] if names <= present]
        # Its own reader takes 60 ms, and fetches an @import from network and disk though allow_network is False.
        inliner._parse_style_rules = lambda _css, _index: (matching, [])  # noqa: SLF001
        # All attributes that it would make of styles are disabled; it would still take every style apart for them.
        inliner._style_to_basic_html_attributes = lambda *_arguments, **_named: None  # noqa: SLF001
        return _STYLE_VALUE.sub(_squeezed, str(inliner.transform(pretty_print=False)))


def _load_premailer() -> Any:
    """Return premailer, loaded without requests and cssutils, which take longer to load than the rest of the compiler.

    With the one it would fetch, which it must not. Of the other it uses here only what takes declarations apart, and
    that cssutils does by parsing them in full and writing them anew.
    """
    stand_ins = {"requests": ModuleType("requests"), "cssutils": ModuleType("cssutils")}
    stand_ins["cssutils"].parseStyle = _read_declarations  # type: ignore[attr-defined]
    absent = {} if "premailer" in sys.modules else {n: m for n, m in stand_ins.items() if n not in sys.modules}
    sys.modules.update(absent)
    try:
        import premailer
    finally:
        for name in absent:
            del sys.modules[name]
    return premailer


def _read_declarations(css: str, validate: bool = False) -> Iterator[SimpleNamespace]:
    """Yield the declarations of a rule or a style attribute in the form of cssutils, each value as it was written."""
    if rest := _DECLARATION.sub("", css).strip("; \t\r\n"):
        raise ValueError(f"{rest[:40]!r} is no declaration")
    for name, value in _DECLARATION.findall(css):
        yield SimpleNamespace(name=name.lower(), propertyValue=SimpleNamespace(cssText=value.strip()), priority="")


def _squeezed(style: re.Match[str]) -> str:
    """Return a style attribute without premailer's spaces: Gmail clips a long mail."""
    return style[0].replace("; ", ";").replace(": ", ":").replace(", ", ",")


_Rule = tuple[tuple[int, ...], str, str]
"""A rule as premailer keeps it: specificity, selector, declarations."""


def _named_in(selector: str) -> frozenset[str]:
    """Return the classes (with their dot) and tags that an element or its ancestors must have for ``selector``."""
    bare = re.sub(r"\[[^\]]*\]|#[\w-]+", "", selector)
    return frozenset(re.findall(r"\.[\w-]+|(?<![\w.-])[a-z][a-z0-9]*", bare))


def _names_in(html: str) -> set[str]:
    classes = {f".{name}" for found in set(re.findall(r' class="([^"]*)"', html)) for name in found.split()}
    return classes | set(re.findall(r"<([a-z][a-z0-9]*)", html))


def _read_rules(css: str) -> list[_Rule]:
    """Return the rules of plain CSS, as ``check_inline_css`` accepts it, with premailer's measure of specificity."""
    rules: list[_Rule] = []
    for selectors, declarations in _RULE.findall(_COMMENT.sub("", css)):
        bulk = ";".join(filter(None, (declaration.strip() for declaration in declarations.split(";"))))
        for selector in filter(None, (selector.strip() for selector in selectors.split(","))):
            tags = len(re.findall(r"(?:^|[\s>+~])[a-zA-Z]", selector))
            specificity = (0, selector.count("#"), selector.count("."), tags, 0, len(rules))
            rules.append((specificity, selector, bulk))
    return rules


class CssInlineInliner:
    """Inline with css-inline (the ``fast`` extra): the same result in about a third of the time."""

    def inline(self, html: str, css: str) -> str:
        """Return ``html`` with ``css`` inlined; see ``Inliner``."""
        try:
            import css_inline
        except ImportError:
            raise ConfigError(
                "[theme] inliner: css-inline is not installed; install newsletter[fast], or write 'premailer'"
            ) from None
        inliner = css_inline.CSSInliner(
            inline_style_tags=False,
            keep_style_tags=True,
            load_remote_stylesheets=False,
            base_url=None,
            extra_css=css,
            minify_css=True,
        )
        return inliner.inline(html)


def inliner_named(name: Literal["premailer", "css-inline"]) -> Inliner:
    """Return the inliner that ``[theme] inliner`` names."""
    return PremailerInliner() if name == "premailer" else CssInlineInliner()


def inline_css(inliner: Inliner, html: str, css: str) -> str:
    """Return ``html`` with ``css`` inlined and its doctype kept.

    Raises TemplateError for CSS that cannot be inlined, and when the inliner fails or loses visible text.
    """
    check_inline_css(css)
    values: list[str] = []
    guarded = _hide_values(html, values)
    try:
        inlined = inliner.inline(guarded, css)
    except (ValueError, IndexError, TypeError, AttributeError) as error:  # what premailer lets through
        problem = Problem(f"the inliner cannot read a style of the theme: {error}", None, "check the style attributes")
        raise TemplateError([problem]) from error
    before, after = visible_words(guarded), visible_words(inlined)
    if before != after:
        raise TemplateError([_lost(before, after)])
    shown = _show_values(inlined, html, values)
    doctype = _DOCTYPE.match(shown)
    return DOCTYPE + shown[doctype.end() if doctype else 0 :]


def check_inline_css(css: str) -> None:
    """Raise TemplateError for what no style attribute can hold: at-rules, pseudo-classes, ``!important``."""
    bare = _COMMENT.sub("", css)
    problems = [f"{found[0]} cannot be inlined" for found in re.finditer(r"@[\w-]*", bare)]
    problems += [f"{rule[1].strip()!r} cannot be inlined" for rule in _RULE.finditer(bare) if ":" in rule[1]]
    problems += ["!important in a tag would win over dark mode and phones"] if "!important" in bare else []
    rest = "" if problems else _RULE.sub("", bare).strip()
    problems += [f"{rest[:40]!r} cannot be read as CSS"] if rest else []
    if problems:
        hint = "rules for screens, hover and dark mode stand in email/screen.css; nothing is imported"
        raise TemplateError([Problem(f"email/inline.css: {problem}", None, hint) for problem in problems])


def visible_words(html: str) -> list[str]:
    """Return the words that ``html`` shows, in order; comments, tags and the head hold none."""
    return html_entities.unescape(_INVISIBLE.sub(" ", html)).split()


def _lost(before: list[str], after: list[str]) -> Problem:
    at = next((n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(after))
    context = " ".join(before[max(at - 3, 0) : at + 5])
    return Problem(
        f"the inliner changes the text at {context!r}", None, "nest tags less deeply, or write inliner = 'css-inline'"
    )


def _hide_values(html: str, values: list[str]) -> str:
    """Put numbered words for links and descriptions, which must come out as they went in.

    libxml2 percent-encodes what stands in an address, and leaves ``<`` and ``>`` in a description as they are.
    """
    word = _unused_word(html)

    def hide(found: re.Match[str]) -> str:
        if _PLAIN_VALUE.fullmatch(found[2]):
            return found[0]
        values.append(html_entities.unescape(found[2][1:-1]))
        return f'{found[1]}"{word}{len(values) - 1}x"'

    return _FOREIGN_VALUE.sub(hide, html)


def _show_values(inlined: str, html: str, values: list[str]) -> str:
    def show(found: re.Match[str]) -> str:
        return f'"{html_entities.escape(values[int(found[1])])}"'

    return re.sub(f'"{_unused_word(html)}([0-9]+)x"', show, inlined)


def _unused_word(html: str) -> str:
    """Return a word that ``html`` does not hold, the same each time."""
    word = "value"
    while word in html:
        word += "s"
    return word
