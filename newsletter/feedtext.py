"""Turn the bytes of a feed into text that an XML parser can be trusted with; pure, and linear in the length.

Encodings are read as declared, or as the bytes show. Document types go, with every entity they declare, so none can
be expanded; references to characters that HTML knows and XML does not are put in as characters. Entries that are too
long or nest too deeply are cut out before any parser sees them: a bad one costs itself alone.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.entities import html5

from newsletter.errors import FeedError

ENTRY_MAX = 200_000
"""Characters that one entry may have."""
DEPTH_MAX = 100
"""Elements inside one another that one entry may have, HTML in it aside."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ((b"\x00<\x00", "utf-16-be"), (b"<\x00", "utf-16-le"), (b"\x00{", "utf-16-be"), (b"{\x00", "utf-16-le"))
_AS_BROWSERS_DO = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
"""Encodings that are declared where a larger one is meant (https://encoding.spec.whatwg.org/#names-and-labels)."""
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})[\"']")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,400}\?>")
_DOCTYPE = re.compile(r"<!DOCTYPE", re.IGNORECASE)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&(?:#[xX]([0-9a-fA-F]{1,8})|#([0-9]{1,8})|([A-Za-z][A-Za-z0-9]{1,31}));")
_XML_NAMES = frozenset(("amp", "lt", "gt", "quot", "apos"))
_LONE_SIGN = re.compile(r"<(?![A-Za-z_/!?:])")
_BARE_AND = re.compile(r"&(?![#A-Za-z])")
_ENTRY = re.compile(r"<(/?)(?:[A-Za-z0-9_.-]{1,40}:)?(item|entry)(?=[\s/>])", re.IGNORECASE)
_TAG = re.compile(r"<(/?)[A-Za-z_][^<>]*?(/?)>")


@dataclass(frozen=True, slots=True)
class FeedText:
    """Hold the text of a feed, and what was odd about its bytes."""

    text: str
    warnings: tuple[str, ...] = ()


def decode_feed(content: bytes, content_type: str = "") -> FeedText:
    """Return the text of a feed: by its byte order mark, else as UTF-8 where it is that, else as declared.

    ``content_type`` is the header of that name. Nothing is refused: what does not fit is replaced, and told.
    """
    for mark, encoding in (*_BOMS, *_WIDE):
        if content.startswith(mark):
            return _decoded(content, encoding)
    header = _CHARSET.search(content_type)
    within = _DECLARED.match(content[:1000])
    declared = [name for name in (header and header[1], within and within[1].decode()) if name]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if not text.isascii() or not declared:
            return FeedText(text)
    known = [encoding for name in declared if (encoding := _known(name)) and encoding != "utf-8"]
    for encoding in known:
        try:
            return FeedText(content.decode(encoding))
        except UnicodeDecodeError:
            continue
    if "utf-8" in map(_known, declared):
        return _decoded(content, "utf-8")
    return _decoded(content, known[0] if known else "cp1252", "its encoding is not declared")


def _known(name: str) -> str:
    """Return the codec that a name of an encoding stands for, ``""`` for none of text."""
    try:
        found = codecs.lookup(name).name
        "".encode(found)
    except (LookupError, ValueError, TypeError):
        return ""
    return _AS_BROWSERS_DO.get(found, found)


def _decoded(content: bytes, encoding: str, warning: str = "") -> FeedText:
    try:
        return FeedText(content.decode(encoding).removeprefix("\ufeff"), (warning,) if warning else ())
    except UnicodeDecodeError as error:
        told = f"not {encoding} at byte {error.start}; what does not fit was replaced"
        return FeedText(content.decode(encoding, "replace").removeprefix("\ufeff"), (told,))


# ---------------------------------------------------------------------------------------------------------------------
# What parsers may see
# ---------------------------------------------------------------------------------------------------------------------


def safe_xml(feed: FeedText) -> FeedText:
    """Return XML without declaration, document type and entities, and without entries that are out of bounds.

    Raises FeedError where what stands outside the entries is out of bounds itself.
    """
    warnings = list(feed.warnings)
    text = _without_doctype(_DECLARATION.sub("", feed.text.lstrip("\ufeff\x00 \t\r\n"), count=1))
    text = _REFERENCE.sub(_plain_reference, _FORBIDDEN.sub("", text))
    text = _BARE_AND.sub("&amp;", _LONE_SIGN.sub("&lt;", text))
    kept: list[str] = []
    for is_entry, piece in _pieces(text):
        trouble = _trouble_in(piece)
        if trouble and not is_entry:
            raise FeedError(f"its head {trouble}")
        if trouble:
            warnings.append(f"an entry was left out: it {trouble}")
        else:
            kept.append(piece)
    return FeedText("".join(kept), tuple(warnings[:20]))


def _without_doctype(text: str) -> str:
    found = _DOCTYPE.search(text, 0, 20_000)
    if not found:
        return text
    end, subset = text.find(">", found.end()), text.find("[", found.end())
    if -1 < subset < end:
        closing = text.find("]", subset)
        end = text.find(">", closing) if closing > -1 else -1
    return text[: found.start()] + (text[end + 1 :] if end > -1 else "")


def _plain_reference(found: re.Match[str]) -> str:
    """Return a reference that XML knows, the character it stands for, or its letters where nothing is known of it."""
    digits, decimal, name = found.groups()
    if name:
        if name in _XML_NAMES:
            return found[0]
        return html5.get(f"{name};", f"&amp;{name};")
    code = int(digits, 16) if digits else int(decimal)
    if code > 0x10FFFF or _FORBIDDEN.match(chr(code)):
        return "\ufffd"
    return found[0]


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the pieces of a feed in order, and for each whether it is an entry."""
    start, opened = 0, -1
    for found in _ENTRY.finditer(text):
        if not found[1]:
            if opened > -1:  # the one before was never closed
                yield True, text[opened : found.start()]
            elif found.start() > start:
                yield False, text[start : found.start()]
            opened = found.start()
        elif opened > -1:
            end = text.find(">", found.end()) + 1 or len(text)
            yield True, text[opened:end]
            start, opened = end, -1
    rest = opened if opened > -1 else start
    if rest < len(text):
        yield opened > -1, text[rest:]


def _trouble_in(piece: str) -> str:
    if len(piece) > ENTRY_MAX:
        return f"has {len(piece):,} characters; {ENTRY_MAX:,} are read"
    depth = deepest = 0
    for found in _TAG.finditer(_without_cdata(piece)):
        depth += 0 if found[2] else -1 if found[1] else 1
        deepest = max(deepest, depth)
    return f"nests {deepest} elements; {DEPTH_MAX} are read" if deepest > DEPTH_MAX else ""


def _without_cdata(piece: str) -> str:
    pieces = piece.split("<![CDATA[")
    return pieces[0] + "".join(rest.partition("]]>")[2] for rest in pieces[1:])
