"""Lay out an edition's body as pieces of bytes: MIME structure, encoded parts, and holes where values go.

multipart/alternative, text then HTML, both UTF-8 in quoted-printable; with resources the HTML stands in a
multipart/related beside its inline images (RFC 2387). Boundaries come from the edition's digest, so that equal editions
have equal bytes. Not here: the message's own header, and the values (``message``).
"""

import base64
import re
import urllib.parse
from dataclasses import dataclass

from newsletter.errors import InputError
from newsletter.headers import clean_line
from newsletter.model import Edition, Part, Resource, Slot
from newsletter.quoted import encode_static

_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_MEDIA_TYPE = re.compile(r"[a-z0-9]+/[a-z0-9.+-]+")
_CID = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_FILENAME = re.compile(r"[A-Za-z0-9 ._+-]{1,60}")


TOKEN_SLOT, PREFERENCES_SLOT = Slot("\0token"), Slot("\0preferences")
"""The places of the unsubscribe token and of that for preferences in a part; no merge field has such a name."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Say which pieces of a message a slot's value becomes, and whether it is escaped for HTML there."""

    slot: Slot
    in_html: bool
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """Hold a body as pieces, empty where a hole is; indexes count from where the body starts in the message."""

    pieces: tuple[bytes, ...]
    token_indexes: tuple[int, ...]
    preferences_indexes: tuple[int, ...]
    fills: tuple[Fill, ...]


def content_type(edition: Edition) -> bytes:
    """Return the message's own MIME fields, with the blank line that ends the header."""
    return b"MIME-Version: 1.0\r\n" + _multipart("alternative", _boundary(edition, "alt"))


def _boundary(edition: Edition, name: str) -> str:
    """Return a boundary with ``=_``, which neither quoted-printable nor base64 can hold (RFC 2045 section 6.7)."""
    return f"=_{edition.digest[:32]}.{name}"


def _multipart(subtype: str, boundary: str, parameters: str = "") -> bytes:
    return f'Content-Type: multipart/{subtype};{parameters}\r\n boundary="{boundary}"\r\n\r\n'.encode("ascii")


def lay_out_body(edition: Edition, first_index: int = 0) -> Body:
    """Return the body of ``edition``; its first piece has the index ``first_index`` in the message.

    Raises InputError for a character that no mail may hold and for a resource that cannot stand in mail.
    """
    outer, inner = (_boundary(edition, name) for name in ("alt", "rel"))
    pieces: list[bytes | Slot] = [
        _delimiter(outer),
        *_text_part(edition.text, "plain"),
        _delimiter(outer, after_part=True),
    ]
    if edition.resources:
        pieces += [_multipart("related", inner, ' type="text/html";'), _delimiter(inner)]
    html_at = len(pieces)
    pieces += _text_part(edition.html, "html")
    for resource in edition.resources:
        pieces += [_delimiter(inner, after_part=True), _inline_image(resource)]
    if edition.resources:
        pieces.append(f"\r\n--{inner}--\r\n".encode("ascii"))
    pieces.append(f"\r\n--{outer}--\r\n".encode("ascii"))

    tokens = (TOKEN_SLOT, PREFERENCES_SLOT)
    indexes: dict[tuple[Slot, bool], list[int]] = {}
    for index, piece in enumerate(pieces):
        if isinstance(piece, Slot):
            indexes.setdefault((piece, index > html_at and piece not in tokens), []).append(first_index + index)
    return Body(
        pieces=tuple(b"" if isinstance(piece, Slot) else piece for piece in pieces),
        token_indexes=tuple(indexes.pop((TOKEN_SLOT, False), ())),
        preferences_indexes=tuple(indexes.pop((PREFERENCES_SLOT, False), ())),
        fills=tuple(Fill(slot, in_html, tuple(found)) for (slot, in_html), found in indexes.items()),
    )


def _delimiter(boundary: str, *, after_part: bool = False) -> bytes:
    """Return a delimiter line; the line break before it is its own (RFC 2046 section 5.1.1)."""
    return ("\r\n" * after_part + f"--{boundary}\r\n").encode("ascii")


def _text_part(part: Part, subtype: str) -> list[bytes | Slot]:
    """Return a text part with its header as pieces and slots; it ends in a line break, added where it is missing."""
    pieces: list[bytes | Slot] = [
        b"Content-Type: text/%b; charset=utf-8\r\n" % subtype.encode("ascii"),
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    ]
    whole = _joined(part)
    for piece, following in zip(whole, (*whole[1:], ""), strict=True):
        if isinstance(piece, str):
            _check_static(piece, subtype)
            pieces.append(encode_static(piece, before_slot=isinstance(following, Slot)))
        else:
            pieces.append(piece)
    return pieces


def _joined(part: Part) -> Part:
    """Return the part with neighbouring static strings joined, as blocks must be, and with a line break at its end."""
    joined: list[str | Slot] = []
    for piece in (*part, "" if part and isinstance(part[-1], str) and part[-1].endswith(("\n", "\r")) else "\n"):
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece:
            joined.append(piece)
    return tuple(joined)


def _check_static(text: str, subtype: str) -> None:
    found = _NO_TEXT.search(text)
    if found:
        raise InputError(
            f"the {subtype} part holds the character U+{ord(found[0]):04X} at {found.start()}, which no mail may hold; "
            "remove it from the issue or the template"
        )


def _inline_image(resource: Resource) -> bytes:
    """Return an image as a body part that the HTML shows by its Content-ID (RFC 2392)."""
    if not _MEDIA_TYPE.fullmatch(resource.media_type) or not _CID.fullmatch(resource.cid):
        raise InputError(
            f"{resource.filename!a}: {resource.media_type!a} or Content-ID {resource.cid!a} cannot stand in mail; "
            "a type is like image/png, a Content-ID like logo@example.org"
        )
    encoded = base64.encodebytes(resource.content).replace(b"\n", b"\r\n")
    header = (
        f"Content-Type: {resource.media_type}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{resource.cid}>\r\n"
        f"Content-Disposition: inline;\r\n {_filename(resource.filename)}\r\n\r\n"
    )
    return header.encode("ascii") + encoded


def _filename(name: str) -> str:
    """Return the filename parameter, in UTF-8 by RFC 2231 where it is not plain; the end of a long name is kept."""
    if _FILENAME.fullmatch(name):
        return f'filename="{name}"'
    return f"filename*=utf-8''{urllib.parse.quote(clean_line(name)[-60:], safe='')}"
