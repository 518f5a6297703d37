"""Move the theme's own CSS into style attributes, behind one small interface with two implementations.

An inliner sees the mail's skeleton alone, one element of each kind; what it writes there is put into the mail, of which
nothing else changes. Nothing is fetched, from a network or a disk. An inliner that loses an element is an error.
"""

import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, Protocol

from newsletter.errors import ConfigError, Problem, TemplateError
from newsletter.skeleton import Skeleton

_STYLE_VALUE = re.compile(r"""(?<= style=)("[^"]*"|'[^']*')""")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DECLARATION = re.compile(r"""([\w-]+)\s*:\s*((?:[^;"'(]|"[^"]*"|'[^']*'|\([^)]*\))+)""")
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_BY_ATTRIBUTE = re.compile(r"#[\w-]|\[[^\]]*\]")
_BY_SIBLING = re.compile(r"[+~]")


class Inliner(Protocol):
    """Write the declarations of plain CSS rules into the style attributes of the elements that they match."""

    def inline(self, html: str, css: str) -> str:
        """Return ``html`` with ``css`` inlined; what stands in a style attribute already wins.

        ``html`` has elements with their attributes and no text; ``check_inline_css`` accepted ``css``.
        """
        ...


class PremailerInliner:
    """Inline with premailer. Keeps the rules of the style sheets it has read."""

    def __init__(self) -> None:
        self._rules: dict[str, list[tuple[frozenset[str], _Rule]]] = {}

    def inline(self, html: str, css: str) -> str:
        """Return ``html`` with ``css`` inlined; see ``Inliner``."""
        inliner = _load_premailer().Premailer(
            html,
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
    """Inline with css-inline (the ``fast`` extra): the same result, sooner."""

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
    """Return ``html`` with ``css`` inlined; nothing changes but style attributes and how tags are written.

    Raises TemplateError for CSS that cannot be inlined, and when the inliner fails or loses an element.
    """
    check_inline_css(css)
    selectors = _RULE.sub(r"\1", _COMMENT.sub("", css))
    skeleton = Skeleton(html, with_attributes=_BY_ATTRIBUTE.search(selectors) is not None)
    try:
        inlined = inliner.inline(skeleton.html, css)
    except (ValueError, IndexError, TypeError, AttributeError, SyntaxError) as error:  # what premailer lets through
        hint = "check email/inline.css and the style attributes"
        problem = Problem(f"the inliner cannot read a style of the theme: {error}", None, hint)
        raise TemplateError([problem]) from error
    try:
        return skeleton.fill(inlined)
    except ValueError as error:
        hint = "nest tags less deeply, or write inliner = 'css-inline'"
        raise TemplateError([Problem(f"{error} while CSS is inlined", None, hint)]) from None


def check_inline_css(css: str) -> None:
    """Raise TemplateError for what cannot be inlined: at-rules, pseudo-classes, siblings, ``!important``."""
    bare = _COMMENT.sub("", css)
    problems = [f"{found[0]} cannot be inlined" for found in re.finditer(r"@[\w-]*", bare)]
    selectors = [selector.strip() for selector, _ in _RULE.findall(bare)]
    # A rule by siblings would give two elements of one kind different styles.
    unfit = [each for each in selectors if ":" in each or _BY_SIBLING.search(_BY_ATTRIBUTE.sub("", each))]
    problems += [f"{selector!r} cannot be inlined" for selector in unfit]
    problems += ["!important in a tag would win over dark mode and phones"] if "!important" in bare else []
    rest = "" if problems else _RULE.sub("", bare).strip()
    problems += [f"{rest[:40]!r} cannot be read as CSS"] if rest else []
    if problems:
        hint = "rules for screens, hover, dark mode and siblings stand in email/screen.css; nothing is imported"
        raise TemplateError([Problem(f"email/inline.css: {problem}", None, hint) for problem in problems])
