"""Clean HTML: keep the tags that mail knows and every word, and read what is left; nh3 is the last step.

Before nh3, tags are put in order: those that mail does not keep go, or become ``div`` where the words of two blocks
would run together; what is no whole tag becomes text; depth and cost are bounded. Markdown is the business of
``markup``.
"""

import html as entities
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from newsletter.errors import IssueError, Place, Problem
from newsletter.model import MARKER, clean_characters, marker_number

if TYPE_CHECKING:
    import nh3

DEPTH_LIMIT = 100
"""HTML elements inside one another that one fragment may have; the mail's tools lose content at about 255."""
REOPENED_LIMIT = 100_000
"""Elements that an HTML parser may have to open again because ``<b>`` and the like were left open before a block."""

ALLOWED_TAGS = frozenset(
    "p a em strong code pre ul ol li blockquote br hr h3 h4 h5 h6 s u sub sup b i del ins mark small kbd abbr"
    " dl dt dd table thead tbody tr th td img div".split()
)
_ALLOWED_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    "abbr": {"title"},
    "*": set(),
}
_URL_SCHEMES = {"http", "https", "mailto"}
_RENAMED_TAGS = {
    "h1": "h3",
    "h2": "h3",
    "tfoot": "tbody",
    **dict.fromkeys(
        "address article aside canvas caption center details dialog dir fieldset figcaption figure footer form header"
        " hgroup iframe legend main menu nav noembed noframes noscript object optgroup option plaintext search section"
        " select summary template textarea title video xmp".split(),
        "div",
    ),
}
_KNOWN_TAGS = ALLOWED_TAGS.union(
    _RENAMED_TAGS,
    "acronym applet area audio base basefont bdi bdo bgsound big blink body button cite col colgroup data datalist dfn"
    " embed font frame frameset head html input label link map marquee math meta meter nobr output param picture"
    " progress q rb rp rt rtc ruby samp script slot source span strike style svg time track tt var wbr".split(),
)
"""Every element of HTML, old and new; what else stands in angle brackets was hardly meant for a tag."""

_VALUE = r"""(?:"(?:[^"<]|<(?![A-Za-z/!]))*+"|'(?:[^'<]|<(?![A-Za-z/!]))*+'|[^\s"'>][^\s>]*+|(?=>))"""
_ATTRIBUTES = rf"(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+{_VALUE}|(?!\s*+=)))*+"
_TAG = re.compile(rf"<(?P<closing>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<attributes>{_ATTRIBUTES})>")
"""Match a tag as the HTML standard reads it (section 13.2.5); a quoted value may hold nothing that looks like a tag."""
_MARKUP = re.compile(
    rf"<!--(?:-?>|.*?--!?>)|<(?P<raw>(?i:script|style))(?=[\s/>]){_ATTRIBUTES}>.*?</(?i:(?P=raw))(?=[\s/>])[^>]*+>"
    rf"|(?P<tag>{_TAG.pattern})|<(?!!--|!\[CDATA\[)[!?][^>]*+>|</[^A-Za-z>][^>]*+>|</>|(?P<sign><)",
    re.DOTALL,
)
_HIDING = re.compile(r"<!--|<(?:script|style)(?=[\s/>])", re.IGNORECASE)
_VOID_TAGS = frozenset(("br", "hr", "img"))
_TABLE_TAGS = frozenset("table thead tbody tr td th".split())
_BLOCK_TAGS = _TABLE_TAGS | frozenset("p div pre ul ol li blockquote hr h3 h4 h5 h6 dl dt dd".split())
_FORMATTING_TAGS = frozenset("a b code em i s small strong u".split())
"""Elements that HTML opens again behind a block that they were left open in (HTML standard, section 13.2.4.3)."""
_CLOSED_BY = {
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "tr": ("td", "th", "tr"),
    "thead": ("td", "th", "tr", "thead", "tbody"),
    "tbody": ("td", "th", "tr", "thead", "tbody"),
}
"""Innermost open elements that HTML closes by itself where an element begins; any block closes a ``p`` as well."""
_NUMERIC_REFERENCE = re.compile(r"&#(?:[xX]0*([0-9a-fA-F]+)|0*([0-9]+));?")

_CODE = re.compile(r"<(pre|code)>.*?</\1>", re.DOTALL)
"""Match code in clean HTML; neither tag keeps an attribute."""
_BLOCK_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_BLOCK_TAGS))})\b[^>]*>")
_ANY_TAG = re.compile("<[^>]*>")
_LINK_TAG = re.compile(r'<a((?: [a-z]+="[^"]*")*)>')
_WHOLE_LINK = re.compile(rf"{_LINK_TAG.pattern}(.*?)</a>", re.DOTALL)
IMG_TAG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
"""Match an image in clean HTML; nh3 always quotes with ``"`` and escapes that quote inside values."""
ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
"""Match one attribute in clean HTML: its name and its escaped value."""


def build_cleaner() -> "nh3.Cleaner":
    """Return the cleaner that is the last step on every fragment; it may be reused."""
    import nh3

    return nh3.Cleaner(
        tags=set(ALLOWED_TAGS),
        attributes=_ALLOWED_ATTRIBUTES,
        url_schemes=_URL_SCHEMES,
        clean_content_tags={"script", "style"},
        strip_comments=True,
        link_rel=None,
    )


def clean_html(cleaner: "nh3.Cleaner", html: str, place: Place) -> str:
    """Return ``html`` with nothing in it but the allowed tags; raise IssueError where it nests too deeply."""
    # In this order: what stood on both sides of a tag that goes may be a reference together.
    tidy = _NUMERIC_REFERENCE.sub(_checked, _MARKUP.sub(_tidied, html))
    _refuse_deep(tidy, place)
    cleaned = cleaner.clean(tidy).strip()
    _refuse_deep(cleaned, place)
    return cleaned


def _tidied(found: re.Match[str]) -> str:
    """Return what stands for one piece of markup: a tag that is allowed, or nothing; a sign alone is text."""
    if found["sign"]:
        return "&lt;"
    if not found["tag"]:
        return ""
    written = found["name"].lower()
    name = _RENAMED_TAGS.get(written, written)
    if name not in ALLOWED_TAGS:
        return ""
    # What stands between cells by mistake is put together in front of the table.
    return f"{' ' if name in _TABLE_TAGS else ''}<{found['closing']}{name}{found['attributes']}>"


def _checked(reference: re.Match[str]) -> str:
    """Return a numeric reference, or U+FFFD where it stands for what ``clean_characters`` keeps out, like markers."""
    character = "" if len(reference[1] or reference[2]) > 8 else entities.unescape(reference[0])
    return reference[0] if character and clean_characters(character) == character else "\ufffd"


def _refuse_deep(html: str, place: Place) -> None:
    """Raise IssueError where ``html`` nests too deeply, or leaves so much open that its tree would be huge.

    Follows the HTML standard's tree construction closely enough never to find less depth than there is.
    """
    stack: list[str] = []
    formatting = reopened = 0
    for closing, name, _ in _TAG.findall(html):
        if name in _FORMATTING_TAGS:
            formatting = max(formatting - 1, 0) if closing else formatting + 1
        if closing:
            _close(stack, name)
        elif name not in _VOID_TAGS:
            reopened += formatting
            _open(stack, name)
        if len(stack) > DEPTH_LIMIT or reopened > REOPENED_LIMIT:
            message = f"HTML tags or emphasis are nested more than {DEPTH_LIMIT} deep"
            raise IssueError([Problem(message, place, "close the tags that are left open")])


def _open(stack: list[str], name: str) -> None:
    if name in _BLOCK_TAGS and stack[-1:] == ["p"]:
        stack.pop()
    while stack and stack[-1] in _CLOSED_BY.get(name, ()):
        stack.pop()
    stack.append(name)


def _close(stack: list[str], name: str) -> None:
    """Take ``name`` and all inside it off the stack, unless the element that is to be closed lies beyond a barrier."""
    barriers = _BLOCK_TAGS if name not in _BLOCK_TAGS else frozenset() if name in _TABLE_TAGS else _TABLE_TAGS
    for index in reversed(range(len(stack))):
        if stack[index] == name:
            del stack[index:]
            return
        if stack[index] in barriers:
            return


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def is_visible(html: str) -> bool:
    """Tell whether clean HTML holds more than empty elements: words, an image, a rule, a link."""
    return bool(_ANY_TAG.sub("", html).strip() or re.search(r"<(?:img|hr|a)\b", html))


def unknown_tags(html: str) -> list[str]:
    """Return each opening tag in raw HTML that HTML does not know, such as ``<T>``: nothing shows in its place."""
    return [tag[0] for tag in _TAG.finditer(html) if not tag[1] and tag[2].lower() not in _KNOWN_TAGS]


def unclosed_markup(html: str) -> str:
    """Return the start of a comment, script or style sheet in raw HTML that nothing closes, or ``""``."""
    for found in _MARKUP.finditer(html):
        start = _HIDING.match(html, found.start()) if found["tag"] or found["sign"] else None
        if start:
            return start[0]
    return ""


def fields_used(html: str) -> list[int]:
    """Return the numbers of the merge fields whose markers stand in ``html``, in order."""
    return [marker_number(match[1]) for match in MARKER.finditer(html)]


def fields_in_tags(html: str) -> list[int]:
    """Return the numbers of merge fields that stand in an attribute of clean HTML, where no value may ever go."""
    return [number for tag in _TAG.finditer(html) for number in fields_in_url(entities.unescape(tag[3]))]


def fields_in_url(url: str) -> list[int]:
    """Return the numbers of merge fields that stand in ``url``, also where it was percent-encoded."""
    return fields_used(unquote(url))


def restore_code(html: str, written: Sequence[str]) -> str:
    """Return clean HTML in whose code each marker ``n`` is ``written[n]`` again: there a field is not filled."""

    def restored(match: re.Match[str]) -> str:
        return entities.escape(written[marker_number(match[1])], quote=False)

    return _CODE.sub(lambda code: MARKER.sub(restored, code[0]), html)


def prose_of(html: str) -> str:
    """Return the text of clean HTML without its tags and its code; an empty line parts its blocks."""
    blocks = _BLOCK_TAG.sub("\n\n", _CODE.sub(" ", html))
    return entities.unescape(_ANY_TAG.sub("", blocks))


def image_sources(html: str) -> list[tuple[str, str]]:
    """Return (src, alt) of each image in clean HTML, unescaped, in order; ``""`` for what is missing."""
    found = []
    for tag in IMG_TAG.finditer(html):
        attributes = {name: entities.unescape(value) for name, value in ATTRIBUTE.findall(tag[1])}
        found.append((attributes.get("src", ""), attributes.get("alt", "")))
    return found


def link_targets(html: str) -> list[str | None]:
    """Return the target of each link in clean HTML, unescaped, in order; None for one that was dropped."""
    found: list[str | None] = []
    for tag in _LINK_TAG.finditer(html):
        attributes = dict(ATTRIBUTE.findall(tag[1]))
        found.append(entities.unescape(attributes["href"]) if "href" in attributes else None)
    return found


def link_texts(html: str) -> list[tuple[str | None, str, bool]]:
    """Return each link in clean HTML, in order: its target, its words, and whether an image is in it.

    The description of an image stands among the words for it.
    """
    found: list[tuple[str | None, str, bool]] = []
    for tag in _WHOLE_LINK.finditer(html):
        attributes = dict(ATTRIBUTE.findall(tag[1]))
        shown = IMG_TAG.sub(lambda image: dict(ATTRIBUTE.findall(image[1])).get("alt", ""), tag[2])
        target = entities.unescape(attributes["href"]) if "href" in attributes else None
        words = " ".join(entities.unescape(_ANY_TAG.sub("", shown)).split())
        found.append((target, words, shown != tag[2]))
    return found
