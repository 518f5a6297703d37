"""Take the bytes of a message apart for the rules: header fields as they stand, the two parts decoded, and defects.

Reads with the standard library's parser and quoted-printable decoder, and shares no code with the modules that write a
message, so that a mistake there cannot hide itself here. Not here: the rules (``header_rules``, ``body_rules``).
"""

import email
import email.message
import quopri
import re
from dataclasses import dataclass
from functools import cached_property

from newsletter.hypertext import Hypertext, read_hypertext

_FIELD = re.compile(rb"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)


@dataclass(frozen=True)
class TextPart:
    """Hold one text part: its media type, charset and transfer encoding in lower case, and its bytes as they stand."""

    media_type: str
    charset: str
    transfer_encoding: str
    encoded: bytes

    @cached_property
    def octets(self) -> bytes:
        """Return the decoded bytes."""
        return quopri.decodestring(self.encoded) if self.transfer_encoding == "quoted-printable" else self.encoded

    @cached_property
    def text(self) -> str:
        """Return the decoded text; what is not UTF-8 becomes U+FFFD."""
        return self.octets.decode("utf-8", "replace")


@dataclass(frozen=True)
class Reading:
    """Hold a message for the rules: ``fields`` are (name in lower case, value with its folds) in order.

    ``defects`` say what is wrong with the MIME structure; a part is None where it is missing from its place.
    ``content_ids`` are those of the images beside the HTML part.
    """

    content: bytes
    fields: tuple[tuple[str, bytes], ...]
    bad_lines: tuple[bytes, ...]
    defects: tuple[str, ...]
    text: TextPart | None
    html: TextPart | None
    content_ids: tuple[str, ...]

    def values(self, name: str) -> list[str]:
        """Return the values of the fields called ``name``, unfolded (RFC 5322 section 2.2.3), not decoded."""
        return [
            re.sub(rb"\r?\n(?=[ \t])", b"", value).decode("ascii", "replace").strip()
            for found, value in self.fields
            if found == name
        ]

    def value(self, name: str) -> str:
        """Return the value of the first field called ``name``, unfolded, ``""`` where there is none."""
        return next(iter(self.values(name)), "")

    @property
    def unsubscribe_uris(self) -> list[str]:
        """Return the URIs of List-Unsubscribe, in order."""
        return re.findall(r"<([^<>]*)>", self.value("list-unsubscribe"))

    @cached_property
    def hypertext(self) -> Hypertext:
        """Return the HTML part as it is read; an empty one where it is missing."""
        return read_hypertext(self.html.text if self.html else "")


def read_message(content: bytes) -> Reading:
    """Take ``content`` apart; never raises, whatever it is."""
    head = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]
    fields, bad_lines = _fields(head)
    # The parser takes a lone CR for a line break, so header and structure can only be trusted together with line-ends.
    message = email.message_from_bytes(content)
    structure = _structure(message)
    return Reading(content, fields, bad_lines, *structure)


def any_html(content: bytes) -> str:
    """Return the first text/html part of a message, wherever it stands, decoded as well as can be; "" without one."""
    for part in email.message_from_bytes(content).walk():
        if part.get_content_type() == "text/html" and isinstance(payload := part.get_payload(decode=True), bytes):
            try:
                return payload.decode(str(part.get_content_charset("utf-8")), "replace")
            except LookupError:
                return payload.decode("utf-8", "replace")
    return ""


def _fields(head: bytes) -> tuple[tuple[tuple[str, bytes], ...], tuple[bytes, ...]]:
    """Return the fields of a header, and the lines that are none."""
    fields: list[tuple[str, bytes]] = []
    bad_lines: list[bytes] = []
    for line in re.split(rb"\r?\n(?![ \t])", head):
        match = _FIELD.fullmatch(line)
        if match:
            fields.append((match[1].decode("ascii").lower(), match[2]))
        else:
            bad_lines.append(line)
    return tuple(fields), tuple(bad_lines)


def _structure(
    message: "email.message.Message[str, str]",
) -> tuple[tuple[str, ...], TextPart | None, TextPart | None, tuple[str, ...]]:
    """Return the defects of the structure, the two parts, and the Content-IDs beside the HTML part."""
    defects = [
        f"{type(defect).__name__} in {part.get_content_type()}" for part in message.walk() for defect in part.defects
    ]
    if message.get_content_type() != "multipart/alternative":
        defects.append(f"the message is {message.get_content_type()}, not multipart/alternative")
    children = _children(message)
    if len(children) != 2:
        defects.append(f"{len(children)} alternatives instead of 2")
    images: list[email.message.Message[str, str]] = []
    found: list[TextPart | None] = []
    for child, wanted in zip([*children, None, None][:2], ("text/plain", "text/html"), strict=True):
        part = child
        if part is not None and wanted == "text/html" and part.get_content_type() == "multipart/related":
            part, *images = [*_children(part)] or [part]
        if part is None or part.get_content_type() != wanted:
            defects.append(f"{wanted} is not in its place")
            found.append(None)
        else:
            found.append(_text_part(part))
    content_ids = tuple(str(image.get("Content-ID", "")).strip(" <>") for image in images)
    return tuple(defects), found[0], found[1], content_ids


def _children(message: "email.message.Message[str, str]") -> "list[email.message.Message[str, str]]":
    payload = message.get_payload()
    return [child for child in payload if isinstance(child, email.message.Message)] if isinstance(payload, list) else []


def _text_part(part: "email.message.Message[str, str]") -> TextPart:
    payload = part.get_payload()
    return TextPart(
        media_type=part.get_content_type(),
        charset=str(part.get_content_charset() or ""),
        transfer_encoding=str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower(),
        encoded=str(payload).encode("utf-8", "surrogateescape") if isinstance(payload, str) else b"",
    )
