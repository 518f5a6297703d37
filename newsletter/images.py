"""Tell from an image's bytes what it is, how large it is, and whether all of it is there; pure, and decodes no pixel.

PNG, JPEG, GIF and WebP, by their own headers. Not here: finding the file, and how large it is shown.
"""

import struct
import zlib
from dataclasses import dataclass

SIDE_LIMIT = 10_000
"""Pixels that a side may have: more is a bomb for whoever decodes it."""
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header (ITU-T T.81, table B.1); those left out define tables."""
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment behind them."""
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class ImageKind:
    """Say what an image is: its media type, and width and height in pixels."""

    media_type: str
    width: int
    height: int


def read_image(content: bytes) -> ImageKind:
    """Return what the image in ``content`` is.

    Raises ValueError that says in a few words what is wrong: of a kind that mail clients do not show, cut off, damaged,
    or larger than ``SIDE_LIMIT``.
    """
    try:
        kind = _read(content)
    except (struct.error, IndexError):
        raise ValueError("is cut off") from None
    if kind.width < 1 or kind.height < 1:
        raise ValueError("has no size")
    if max(kind.width, kind.height) > SIDE_LIMIT:
        raise ValueError(f"is {kind.width} by {kind.height} pixels large; {SIDE_LIMIT:,} a side may be")
    return kind


def _read(content: bytes) -> ImageKind:
    if content.startswith(_PNG):
        return _read_png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(content)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return _read_gif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _read_webp(content)
    raise ValueError("is no image that mail clients show")


def _read_png(content: bytes) -> ImageKind:
    """Walk the chunks to the last one, each with its checksum (PNG, third edition, section 5.3)."""
    width, height = struct.unpack_from(">II", content, 16)
    position = len(_PNG)
    while True:
        length, name = struct.unpack_from(">I4s", content, position)
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(content[position + 4 : position + 8 + length]) != checksum:
            raise ValueError("is damaged")
        if name == b"IEND":
            return ImageKind("image/png", width, height)
        position += 12 + length


def _read_jpeg(content: bytes) -> ImageKind:
    """Walk the segments to the first scan; what follows it must end with the marker of the end."""
    position, size = 2, (0, 0)
    while True:
        if content[position] != 0xFF:
            raise ValueError("is damaged")
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _JPEG_BARE:
            position += 2
            continue
        if marker == _JPEG_SCAN:
            break
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", content, position + 5)
            size = (width, height)
        (length,) = struct.unpack_from(">H", content, position + 2)
        position += 2 + length
    if _JPEG_END not in content[position:]:
        raise ValueError("is cut off")
    return ImageKind("image/jpeg", *size)


def _read_gif(content: bytes) -> ImageKind:
    width, height = struct.unpack_from("<HH", content, 6)
    if b"\x3b" not in content[-16:]:  # the trailer; some programs write a few bytes behind it
        raise ValueError("is cut off")
    return ImageKind("image/gif", width, height)


def _read_webp(content: bytes) -> ImageKind:
    """Read the size from the first chunk (RFC 9649): lossy, lossless, or extended."""
    (length,) = struct.unpack_from("<I", content, 4)
    if len(content) < length + 8:
        raise ValueError("is cut off")
    form = content[12:16]
    if form == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    elif form == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif form == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
    else:
        raise ValueError("is damaged")
    return ImageKind("image/webp", width, height)
