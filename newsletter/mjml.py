"""Check MJML before the compiler sees it, guard its attribute values, and compile it to HTML.

mjml-python validates nothing, prints attribute values with another language's escapes, and dies of deep nesting: all
three are met here. This module does not know Jinja or the issue; whoever calls tells it where an offset comes from.
"""

import difflib
import html.entities
import re
from collections.abc import Callable, Iterator
from typing import Any

from newsletter.errors import Place, Problem, TemplateError

DEPTH_MAX = 100
"""Levels of nested tags that are compiled; mjml-python dies of a segmentation fault at about 9,000."""

# ---------------------------------------------------------------------------------------------------------------------
# The components, as in mjml 4.18 (mjml-preset-core and the components' allowedAttributes).
# Derived from MJML, Copyright (c) 2016 Mailjet SAS, MIT License, https://mjml.io
# ---------------------------------------------------------------------------------------------------------------------

_PADDING = "padding padding-bottom padding-left padding-right padding-top "
_BORDER = "border border-bottom border-left border-right border-top "
_INNER_BORDER = "inner-border inner-border-bottom inner-border-left inner-border-right inner-border-top "
_FONT = "font-family font-size font-style font-weight "
_LINK = "href name rel target "
_BACKGROUND = (
    "background-color background-position background-position-x background-position-y background-repeat "
    "background-size background-url "
)
_BLOCK = "container-background-color " + _PADDING
_ICON = "icon-align icon-height icon-position icon-unwrapped-alt icon-unwrapped-url icon-width icon-wrapped-alt "
_SECTION = _BACKGROUND + _BORDER + _PADDING + "border-radius direction full-width text-align text-padding "
_BAR_ICON = "ico-align ico-close ico-color ico-font-family ico-font-size ico-line-height ico-open ico-padding "
_BAR_ICON += "ico-padding-bottom ico-padding-left ico-padding-right ico-padding-top ico-text-decoration "

_ATTRIBUTES = {
    "mjml": "dir lang owa",
    "mj-head": "",
    "mj-attributes": "",
    "mj-breakpoint": "width",
    "mj-font": "href name",
    "mj-preview": "",
    "mj-style": "inline",
    "mj-title": "",
    "mj-body": "background-color width",
    "mj-wrapper": _SECTION + "gap",
    "mj-section": _SECTION,
    "mj-group": "background-color direction vertical-align width",
    "mj-column": "background-color border-radius direction inner-background-color inner-border-radius vertical-align "
    "width " + _BORDER + _INNER_BORDER + _PADDING,
    "mj-hero": "background-color background-height background-position background-url background-width border-radius "
    "height inner-background-color inner-padding inner-padding-bottom inner-padding-left inner-padding-right "
    "inner-padding-top mode vertical-align " + _BLOCK,
    "mj-text": "align background-color color height letter-spacing line-height text-decoration text-transform "
    "vertical-align " + _FONT + _BLOCK,
    "mj-table": "align border cellpadding cellspacing color font-family font-size font-weight line-height role "
    "table-layout vertical-align width " + _BLOCK,
    "mj-raw": "",
    "mj-image": "align alt border-radius fluid-on-mobile font-size height max-height sizes src srcset title usemap "
    "width " + _BORDER + _LINK + _BLOCK,
    "mj-button": "align background-color border-radius color height inner-padding letter-spacing line-height "
    "text-align text-decoration text-transform title vertical-align width " + _BORDER + _FONT + _LINK + _BLOCK,
    "mj-divider": "align border-color border-style border-width width " + _BLOCK,
    "mj-spacer": "height " + _BORDER + _BLOCK,
    "mj-social": "align border-radius color icon-height icon-padding icon-size inner-padding line-height mode "
    "table-layout text-decoration text-padding vertical-align " + _FONT + _BLOCK,
    "mj-social-element": "align alt background-color border-radius color icon-height icon-padding icon-position "
    "icon-size line-height sizes src srcset text-decoration text-padding title vertical-align "
    + _FONT + _LINK + _PADDING,
    "mj-navbar": "align base-url hamburger ico-text-transform " + _BAR_ICON + _PADDING,
    "mj-navbar-link": "color letter-spacing line-height text-decoration text-transform " + _FONT + _LINK + _PADDING,
    "mj-accordion": "border font-family icon-wrapped-url " + _ICON + _BLOCK,
    "mj-accordion-element": "background-color border font-family icon-wrapped-url " + _ICON,
    "mj-accordion-title": "background-color color font-family font-size font-weight " + _PADDING,
    "mj-accordion-text": "background-color color font-family font-size font-weight letter-spacing line-height "
    + _PADDING,
    "mj-carousel": "align border-radius icon-width left-icon right-icon tb-border tb-border-radius "
    "tb-hover-border-color tb-selected-border-color tb-width thumbnails " + _BLOCK,
    "mj-carousel-image": "alt border-radius href rel src target tb-border tb-border-radius thumbnails-src title",
}  # fmt: skip
"""The attributes each component takes, beside ``css-class`` and ``mj-class``."""

_BLOCKS = "mj-accordion mj-button mj-carousel mj-divider mj-image mj-navbar mj-raw mj-social mj-spacer mj-table mj-text"
_CHILDREN = {
    "mjml": "mj-head mj-body",
    "mj-head": "mj-attributes mj-breakpoint mj-font mj-preview mj-raw mj-style mj-title",
    # MJML lets mj-raw stand in more places; mjml-python loses it there, or puts it into an Outlook comment.
    "mj-body": "mj-hero mj-raw mj-section mj-wrapper",
    "mj-wrapper": "mj-hero mj-section",
    "mj-section": "mj-column mj-group mj-raw",
    "mj-group": "mj-column mj-raw",
    "mj-column": _BLOCKS,
    "mj-hero": _BLOCKS,
    "mj-social": "mj-social-element",
    "mj-navbar": "mj-navbar-link",
    "mj-accordion": "mj-accordion-element",
    "mj-accordion-element": "mj-accordion-title mj-accordion-text",
    "mj-carousel": "mj-carousel-image",
}
"""The components each component may hold; those without an entry hold HTML, or nothing."""

_HTML_HOLDERS = frozenset(
    "mj-preview mj-style mj-title mj-text mj-table mj-raw mj-button mj-social-element mj-navbar-link "
    "mj-accordion-title mj-accordion-text".split()
)
_REFUSED = {
    "mj-include": 'no file is included by MJML; write {% include "email/NAME.mjml.j2" %}',
    "mj-html-attributes": "the compiler does not know it; write the attributes in mj-raw or mj-table",
    "mj-selector": "the compiler does not know it; write the attributes in mj-raw or mj-table",
    "mj-html-attribute": "the compiler does not know it; write the attributes in mj-raw or mj-table",
}
_ROOT = "mjml"

# ---------------------------------------------------------------------------------------------------------------------

_MARKUP = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!.*?>"
    r"""|</(?P<closed>[^\s>]*+)[^>]*+>|<(?P<opened>[A-Za-z_][^\s<>"'/]*+)(?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""",
    re.DOTALL,
)
_TAG_TO_GUARD = re.compile(
    r"""<!--.*?-->|<(?:mj-|[A-Za-z_](?=[\n !-%(-;=-\[\]-~]*+[^<]))(?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""", re.DOTALL
)
"""Match a component, any tag that may have a character to guard (no raw ``<`` stands in an attribute), or a comment."""
_ATTRIBUTE = re.compile(r"""(?P<name>\s[^\s=<>"'/]+\s*=\s*)(?P<quoted>"[^"]*"|'[^']*')""")
_NOT_PLAIN = re.compile(r"[^ !#-%(-;=?-\[\]-~]")  # outside printable ASCII, or one of " & ' < > \\
_ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_BARE_ZERO = re.compile(r"(?<![\w.])0(?![\w.%])")

PlaceAt = Callable[[int], Place]
_Mistake = tuple[int, str, str]
"""An offset of the source, what stands there, and what may."""


def check_mjml(source: str, place_at: PlaceAt, forbidden: str = "") -> None:
    """Raise TemplateError unless ``source`` is well-formed MJML with known tags, nesting and attributes.

    ``place_at`` maps an offset of ``source`` to its template; ``forbidden`` is text that no attribute may hold.
    """
    _check_well_formed(source, place_at)
    problems = [Problem(message, place_at(offset), hint) for offset, message, hint in _mistakes(source, forbidden)]
    if problems:
        raise TemplateError(problems)


_PREHEADER = "display:none;font-size:1px;color:#ffffff;"
"""What MJML writes first into the style of the preheader."""


def compile_mjml(source: str) -> str:
    """Return the HTML of ``source``, which ``check_mjml`` accepted; attribute values come out as they went in."""
    from mjml import mjml2html

    try:
        # No fonts (the default adds an import of web fonts to every mail), and no loader: nothing is included.
        compiled = str(mjml2html(guard_attributes(source), fonts={}))
    except ValueError as error:
        raise TemplateError([Problem(f"the MJML compiler refuses the theme: {error}")]) from error
    # The preheader is hidden in five ways besides. SpamAssassin gives 0.7 points for white on white.
    return compiled.replace(_PREHEADER, _PREHEADER.replace("color:#ffffff;", ""), 1)


def guard_attributes(source: str) -> str:
    """Write each attribute's non-plain characters as numeric references, and ``0`` in a padding as ``0px``.

    mjml-python prints attribute values with Rust's debug escapes, which numeric references survive, and does not
    subtract the rest of a padding that holds a unit-less zero, so that Outlook's widths would be wrong.
    """

    def guarded(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith("<!") else _ATTRIBUTE.sub(_guarded, found[0])

    return _TAG_TO_GUARD.sub(guarded, source)


def _guarded(found: re.Match[str]) -> str:
    value = html.unescape(found["quoted"][1:-1])
    if "padding" in found["name"] and "cellpadding" not in found["name"]:
        value = _BARE_ZERO.sub("0px", value)
    return found["name"] + '"' + _NOT_PLAIN.sub(lambda character: f"&#{ord(character[0])};", value) + '"'


def _mask_entities(source: str) -> str:
    """Return ``source`` with each of HTML's named entities as letters: XML knows five only, MJML passes them all on."""

    def masked(found: re.Match[str]) -> str:
        known = found[1] not in _XML_ENTITIES and found[1] + ";" in html.entities.html5
        return "x" * len(found[0]) if known else found[0]

    return _ENTITY.sub(masked, source)


def _check_well_formed(source: str, place_at: PlaceAt) -> None:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, encoding="utf-8")
    try:
        etree.fromstring(_mask_entities(source).encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        message = re.sub(r", line \d+, column \d+.*$", "", str(error.msg))
        opened = re.search(r" line (\d+)(?= and|$)", message)
        if opened:
            where = place_at(_offset(source, int(opened[1]), 0))
            message = message.replace(opened[0], f" (opened in {where.file}:{where.line})")
        place = place_at(_offset(source, line, column))
        raise TemplateError([Problem(f"not well-formed: {message}", place, _syntax_hint(message))]) from None


def _syntax_hint(message: str) -> str:
    if "mismatch" in message or "Premature end" in message:
        return "close every tag, and write <br /> and <img … /> with a slash"
    if "Excessive depth" in message:
        return f"nest at most {DEPTH_MAX} tags"
    return "write & as &amp; and < as &lt;"


def _offset(source: str, line: int, column: int) -> int:
    lines = source.split("\n")
    return sum(len(text) + 1 for text in lines[: line - 1]) + max(min(column - 1, len(lines[line - 1]) - 1), 0)


def _mistakes(source: str, forbidden: str) -> Iterator[_Mistake]:
    """Yield every mistake of well-formed ``source``, in order, walking its tags with a stack of those that are open."""
    stack: list[str] = []
    end = 0
    for found in _MARKUP.finditer(source):
        offset, tag = found.start(), found["opened"]
        holder = stack[-1] if stack else ""
        if holder in _ATTRIBUTES and holder not in _HTML_HOLDERS and (lost := source[end:offset].strip()):
            hint = "put it into <mj-text> or <mj-raw>"
            yield source.index(lost, end), f"text directly in <{holder}> would be lost", hint
        end = found.end()
        if found["closed"]:
            stack.pop()
        elif tag is None:
            yield from _foreign_markup(found[0], offset)
        else:
            # Most tags are HTML within a component, which says nothing of them.
            if tag.startswith("mj") or holder in _ATTRIBUTES or not holder or forbidden in found[0]:
                yield from _tag_mistakes(found[0], tag, stack, offset, forbidden)
            if len(stack) >= DEPTH_MAX:
                yield offset, f"<{tag}> stands {len(stack) + 1} tags deep", f"nest at most {DEPTH_MAX} tags"
                return
            if not found[0].endswith("/>"):
                stack.append(tag)


def _foreign_markup(markup: str, offset: int) -> Iterator[_Mistake]:
    if not markup.startswith("<!--"):
        yield offset, f"{markup[:12]!r} cannot stand in MJML", "write escaped text instead"


def _tag_mistakes(markup: str, tag: str, stack: list[str], offset: int, forbidden: str) -> Iterator[_Mistake]:
    holder = stack[-1] if stack else ""
    if forbidden and forbidden in markup:
        hint = "print plain text there, like article.url or section.name"
        yield offset, f"rich text in an attribute of <{tag}>", hint
    if holder in _HTML_HOLDERS or (holder and holder not in _ATTRIBUTES):
        if tag in _ATTRIBUTES or tag in _REFUSED:
            yield offset, f"<{tag}> cannot stand in <{holder}>, which holds HTML", _parents_hint(tag)
        return
    names = [found["name"].strip(" \t\r\n=") for found in _ATTRIBUTE.finditer(markup)]
    if tag in _REFUSED:
        found: Iterator[tuple[str, str]] = iter([(f"<{tag}> cannot be used", _REFUSED[tag])])
    elif holder == "mj-attributes":
        found = _default_mistakes(tag, names, closed=markup.endswith("/>"))
    else:
        found = _component_mistakes(tag, names, holder)
    for message, hint in found:
        yield offset, message, hint


def _component_mistakes(tag: str, names: list[str], holder: str) -> Iterator[tuple[str, str]]:
    if tag not in _ATTRIBUTES:
        yield f"<{tag}> is no MJML tag", _guess(tag, _ATTRIBUTES) or f"in <{holder}> may stand: {_CHILDREN.get(holder)}"
        return
    if not holder and tag != _ROOT:
        yield f"<{tag}> cannot be the outermost tag", "write <mjml> around the whole"
    elif holder and tag not in _CHILDREN.get(holder, "").split():
        yield f"<{tag}> cannot stand in <{holder}>", _parents_hint(tag)
    yield from _attribute_mistakes(tag, names)
    if tag == "mj-style" and "inline" in names:
        yield "mj-style cannot be inlined here", "put the rules into email/inline.css"


def _default_mistakes(tag: str, names: list[str], *, closed: bool) -> Iterator[tuple[str, str]]:
    if tag not in _ATTRIBUTES and tag not in ("mj-all", "mj-class"):
        hint = _guess(tag, _ATTRIBUTES) or "in <mj-attributes> stand mj-all, mj-class, or a tag"
        yield f"<{tag}> is no MJML tag", hint
    elif tag in _ATTRIBUTES:
        yield from _attribute_mistakes(tag, names)
    if not closed:
        yield f"<{tag}> in <mj-attributes> cannot hold other tags", f"close it at once: <{tag} … />"


def _attribute_mistakes(tag: str, names: list[str]) -> Iterator[tuple[str, str]]:
    known = {*_ATTRIBUTES[tag].split(), "css-class", "mj-class"}
    for name in names:
        if name not in known:
            hint = _guess(name, known) or f"it takes: {', '.join(sorted(known))}"
            yield f"<{tag}> has no attribute '{name}'", hint


def _parents_hint(tag: str) -> str:
    if tag in _REFUSED:
        return _REFUSED[tag]
    parents = [parent for parent, children in _CHILDREN.items() if tag in children.split()]
    return f"it stands in {', '.join(parents)}"


def _guess(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else ""
