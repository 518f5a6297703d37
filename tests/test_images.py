"""An image's kind and size are read from its own bytes, and one that is cut off, damaged or no image is told."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.images import SIDE_LIMIT, ImageKind, read_image

SAMPLES = sorted((Path(__file__).parents[1] / "issues/images").glob("*.png"))


def make_png(width: int = 3, height: int = 2) -> bytes:
    """Return a grey PNG of that size."""
    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    framed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def make_jpeg(width: int = 3, height: int = 2, frame: int = 0xC0) -> bytes:
    """Return the skeleton of a JPEG: application data, a fill byte, tables, a frame header, a scan, the end."""
    application = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    tables = b"\xff\xff\xc4" + struct.pack(">H", 4) + b"\0\0"
    header = bytes((0xFF, frame)) + struct.pack(">HBHHB", 8, 8, height, width, 0)
    scan = b"\xff\xda" + struct.pack(">H", 2) + b"\x12\x34\xff\x00\x56"
    return b"\xff\xd8" + application + tables + header + scan + b"\xff\xd9"


def make_gif(width: int = 3, height: int = 2) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"\x2c" + bytes(20) + b"\x3b"


def make_webp(form: bytes, payload: bytes) -> bytes:
    chunk = form + struct.pack("<I", len(payload)) + payload
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


LOSSY = make_webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 3 | 0x4000, 2) + bytes(4))
LOSSLESS = make_webp(b"VP8L", b"\x2f" + struct.pack("<I", 2 | 1 << 14) + bytes(4))
EXTENDED = make_webp(b"VP8X", bytes(4) + (2).to_bytes(3, "little") + (1).to_bytes(3, "little"))
IMAGES = {
    "png": (make_png(), "image/png"),
    "jpeg": (make_jpeg(), "image/jpeg"),
    "progressive": (make_jpeg(frame=0xC2), "image/jpeg"),
    "gif": (make_gif(), "image/gif"),
    "lossy": (LOSSY, "image/webp"),
    "lossless": (LOSSLESS, "image/webp"),
    "extended": (EXTENDED, "image/webp"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_kind_and_size_are_read(name):
    content, media_type = IMAGES[name]
    assert read_image(content) == ImageKind(media_type, 3, 2)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_images_are_whole(path):
    assert read_image(path.read_bytes()) == ImageKind("image/png", 1200, 675)


@pytest.mark.parametrize("name", IMAGES)
def test_cut_off_image_is_told(name):
    content, _ = IMAGES[name]
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"^(is cut off|is no image that mail clients show|is damaged)$"):
            read_image(content[:length])


def test_damaged_png_is_told():
    content = bytearray(make_png())
    content[45] ^= 1
    with pytest.raises(ValueError, match="is damaged"):
        read_image(bytes(content))


@pytest.mark.parametrize("content", [make_png(0, 2), make_gif(3, 0)])
def test_image_without_a_size_is_told(content):
    with pytest.raises(ValueError, match="has no size"):
        read_image(content)


def test_image_of_too_many_pixels_is_told():
    with pytest.raises(ValueError, match=f"{SIDE_LIMIT + 1} by 1 pixels"):
        read_image(make_gif(SIDE_LIMIT + 1, 1))


@pytest.mark.parametrize(
    "content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"BM" + bytes(60)]
)
def test_other_files_are_no_image(content):
    with pytest.raises(ValueError, match="no image that mail clients show"):
        read_image(content)


@given(st.sampled_from([content for content, _ in IMAGES.values()]), st.data())
def test_no_bytes_do_harm(content, data):
    spoiled = bytearray(content)
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        spoiled[position] = data.draw(st.integers(0, 255))
    try:
        kind = read_image(bytes(spoiled))
    except ValueError:
        return
    assert 0 < kind.width <= SIDE_LIMIT
