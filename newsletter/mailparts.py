"""Take any mail apart, however broken: its fields, and its parts in order, decoded to text.

Written for mail from strangers: it never raises, reads the first ``READ_MAX`` bytes, follows ``DEPTH_MAX`` levels of
parts, ``PARTS_MAX`` in all, and its time is in proportion to the size. The email package of the standard library is
not used for that, since its cost grows with the square of nested parts and it may end in a RecursionError.

An attached message (message/rfc822, text/rfc822-headers) is one part, not taken apart. Not here: what a mail means
(``dsn``); the mails that we send ourselves, which are read strictly (``reading``).
"""

import binascii
import contextlib
import email.errors
import email.header
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

READ_MAX = 512 * 1024
"""Bytes that are looked at; what a bounce says stands before the message that it returns."""
DEPTH_MAX = 6
PARTS_MAX = 64
_FIELDS_MAX = 500
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_-]{2,30})""", re.IGNORECASE)
_KNOWN_CHARSET = re.compile(
    r"(utf-?8|us-ascii|ascii|iso-?8859-?\d+|latin-?1|windows-?125\d|cp-?\d+|koi8-[ru]|iso-2022-(jp|kr)|shift[_-]jis"
    r"|sjis|euc-(jp|kr)|gb2312|gbk|gb18030|big5)"
)
"""Charsets that are decoded; Python knows others under such names that are no texts, or take long."""
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[a-z/!?][^<>]*>", re.IGNORECASE)
_HIDDEN = re.compile(r"<(style|script|head)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fields:
    """Hold the fields of a header in order, names in lower case, values unfolded."""

    items: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> list[str]:
        """Return the values of every field of that name, in order."""
        return [value for known, value in self.items if known == name]

    def value(self, name: str) -> str:
        """Return the value of the first field of that name, ``""`` where there is none."""
        return next((value for known, value in self.items if known == name), "")


@dataclass(frozen=True, slots=True)
class Part:
    """Hold one part: its media type in lower case, its fields, and its text, whose lines end in a line feed."""

    media_type: str
    fields: Fields
    text: str

    @property
    def is_message(self) -> bool:
        """Tell whether the part is another message, or the header of one: what a bounce returns."""
        return self.media_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")


@dataclass(frozen=True)
class Mail:
    """Hold a mail that was taken apart."""

    media_type: str
    fields: Fields
    parts: tuple[Part, ...]

    @cached_property
    def subject(self) -> str:
        """Return the subject with its encoded-words decoded (RFC 2047), on one line."""
        return decode_words(self.fields.value("subject"))

    @cached_property
    def sender(self) -> str:
        """Return the field From, decoded, in lower case."""
        return decode_words(self.fields.value("from")).lower()

    @cached_property
    def text(self) -> str:
        """Return the texts of all parts that are no other messages; plain text before HTML that says the same."""
        plain = [part.text for part in self.parts if not part.is_message and part.media_type != "text/html"]
        rich = [strip_html(part.text) for part in self.parts if part.media_type == "text/html"]
        return "\n\n".join(plain if any(text.strip() for text in plain) else rich)

    @cached_property
    def digest(self) -> bytes:
        """Return 32 bytes that name this mail on whatever way it is read: trace fields on top do not count."""
        told = [self.fields.value(name) for name in ("message-id", "date", "from", "to", "subject")]
        texts = [part.text for part in self.parts]
        return hashlib.sha256("\0".join([*told, *texts]).encode("utf-8", "surrogatepass")).digest()

    @cached_property
    def returned(self) -> str:
        """Return the text of the messages inside this one."""
        return "\n\n".join(part.text for part in self.parts if part.is_message)


def read_mail(content: bytes) -> Mail:
    """Take the bytes of a mail apart; never raises, whatever they are."""
    content = content[:READ_MAX].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    fields, body = _split(content)
    budget = [PARTS_MAX]
    media_type = _media_type(fields)
    return Mail(media_type, fields, tuple(_parts(fields, body, 0, budget)))


def read_fields(text: str) -> Fields:
    """Return the fields of a header in ``text``, up to its first empty line; lines that are none are passed over."""
    items = []
    for line in re.split(r"\n(?![ \t])", text.split("\n\n", 1)[0])[:_FIELDS_MAX]:
        match = _FIELD.fullmatch(line.rstrip())
        if match:
            items.append((match[1].lower(), " ".join(match[2].split())))
    return Fields(tuple(items))


def decode_words(value: str) -> str:
    """Return a header value with its encoded-words decoded, on one line; as it stands where that fails."""
    value = value[:2000]
    if "=?" in value:
        with contextlib.suppress(ValueError, LookupError, email.errors.MessageError):
            value = str(email.header.make_header(email.header.decode_header(value)))
    return " ".join(value.split())


def strip_html(text: str) -> str:
    """Return what an HTML text says, tags and hidden parts removed."""
    pieces, start = [], 0
    while match := _HIDDEN.search(text, start):
        pieces.append(text[start : match.start()])
        end = re.compile(f"</{match[1]}", re.IGNORECASE).search(text, match.end())
        start = end.start() if end else len(text)
    text = _BREAK.sub("\n", "".join(pieces) + text[start:])
    return html.unescape(_TAG.sub("", text))


def _split(content: bytes) -> tuple[Fields, bytes]:
    """Return the header's fields and the body; a line of an mbox before the header is no field."""
    if content.startswith(b"\n"):
        return Fields(), content[1:]
    head, _, body = content.partition(b"\n\n")
    return read_fields(head.decode("utf-8", "replace")), body


def _media_type(fields: Fields) -> str:
    found = re.match(r"\s*([a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60})", fields.value("content-type").lower())
    return found[1] if found else "text/plain"


def _parts(fields: Fields, body: bytes, depth: int, budget: list[int]) -> Iterator[Part]:
    """Yield the parts of a body in order, those of nested multiparts in their place."""
    media_type = _media_type(fields)
    pieces = _pieces(fields, body) if media_type.startswith("multipart/") and depth < DEPTH_MAX else []
    if not pieces:
        budget[0] -= 1
        kind = "text/plain" if media_type.startswith("multipart/") else media_type
        yield Part(kind, fields, _text(fields, body))
        return
    for number, piece in enumerate(pieces):
        if budget[0] <= 0:
            return
        if number == 0:  # what stands before the first boundary
            if piece.strip():
                yield Part("text/plain", Fields(), piece.decode("utf-8", "replace"))
            continue
        inner, content = _split(piece)
        yield from _parts(inner, content, depth + 1, budget)


def _pieces(fields: Fields, body: bytes) -> list[bytes]:
    """Return what stands before, and between, the boundaries of a multipart; nothing where there is no boundary."""
    found = _BOUNDARY.search(fields.value("content-type"))
    if not found:
        return []
    mark = re.escape((found[1] or found[2]).rstrip().encode("utf-8"))
    close = re.search(rb"^--%b--[ \t]*$" % mark, body, re.MULTILINE)
    inside = body[: close.start()] if close else body
    pieces = re.split(rb"^--%b[ \t]*(?:\n|\Z)" % mark, inside, maxsplit=PARTS_MAX, flags=re.MULTILINE)
    return pieces if len(pieces) > 1 else []


def _text(fields: Fields, body: bytes) -> str:
    coding = fields.value("content-transfer-encoding").strip().lower()
    try:
        if coding == "base64":
            body = binascii.a2b_base64(body)
        elif coding == "quoted-printable":
            body = binascii.a2b_qp(body)
    except binascii.Error:
        pass  # shown as it stands: the words of the report may be readable
    found = _CHARSET.search(fields.value("content-type"))
    charset = found[1].lower() if found else ""
    if not _KNOWN_CHARSET.fullmatch(charset):
        charset = "utf-8"
    try:
        text = body.decode(charset, "replace")
    except (LookupError, UnicodeError):
        text = body.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
