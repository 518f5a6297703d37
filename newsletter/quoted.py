"""Encode text as quoted-printable (RFC 2045 section 6.7) in blocks that can be joined: each starts at column 0.

A body with merge fields is split at its slots. Each static part becomes one block, once; each value becomes a block of
its own, ended by a soft line break. Any sequence of blocks is valid quoted-printable and decodes to the joined text, so
putting values in costs one join of bytes, and no value can be torn by a line break that was set without it.

Beyond the standard: a dot and a ``From `` at the start of a line are encoded, so that no relay needs to stuff or escape
them and DKIM sees the bytes that are sent; tabs are encoded; no line ends in a space; ``=_`` never occurs, which makes
it a safe start of a MIME boundary. Not here: escaping a value for HTML, cleaning it, and the MIME structure.
"""

import re

LINE_MAX = 76
"""Columns of an encoded line, the ``=`` of a soft break included, CRLF not (RFC 2045 section 6.7, rule 5)."""
_SOFT_BREAK = b"=\r\n"
_QUOTED = tuple(
    chr(byte) if (0x20 <= byte <= 0x7E and byte != 0x3D) else f"={byte:02X}" for byte in range(256)
)  # fmt: skip
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def encode_static(text: str, *, before_slot: bool = False) -> bytes:
    """Return static text as one block; line breaks of any kind become CRLF.

    Its last line stands as it is, or ends in a soft break where a slot follows (``before_slot``).
    """
    *lines, last = _LINE_BREAK.split(text)
    encoded = [_encode_line(line) for line in lines]
    return b"\r\n".join([*encoded, encode_value(last) if before_slot else _encode_line(last)])


def encode_value(text: str) -> bytes:
    """Return a value, one line of text, as a block that ends in a soft break; nothing for an empty value."""
    if not text:
        return b""
    # Most values are short and plain; three tests of the whole string cost far less than quoting it byte by byte.
    if len(text) < LINE_MAX and text.isascii() and text.isprintable() and "=" not in text and not _guard(text, 0):
        return text.encode("ascii") + _SOFT_BREAK
    quoted = _quote(text)
    if len(quoted) < LINE_MAX and not _guard(quoted, 0):
        return quoted.encode("ascii") + _SOFT_BREAK
    return "=\r\n".join(_fold(quoted, LINE_MAX - 1)).encode("ascii") + _SOFT_BREAK


def _encode_line(line: str) -> bytes:
    quoted = _quote(line)
    if quoted.endswith(" "):
        quoted = quoted[:-1] + "=20"
    return "=\r\n".join(_fold(quoted, LINE_MAX)).encode("ascii")


def _quote(text: str) -> str:
    return "".join(map(_QUOTED.__getitem__, text.encode("utf-8")))


def _guard(quoted: str, start: int) -> str:
    """Return what must replace the character at ``start`` where a line begins there, ``""`` where it may stand."""
    if quoted.startswith(".", start):
        return "=2E"
    return "=46" if quoted.startswith("From ", start) else ""


def _fold(quoted: str, last_room: int) -> list[str]:
    """Cut quoted text into lines, without their ``=``; the last has ``last_room`` columns at most."""
    lines = []
    start, length = 0, len(quoted)
    while True:
        guard = _guard(quoted, start)
        begin = start + bool(guard)
        if length - begin <= last_room - len(guard):
            lines.append(guard + quoted[begin:])
            return lines
        end = begin + LINE_MAX - 1 - len(guard)
        # Every "=" starts a triplet: one in the last two columns would be cut in half.
        cut = quoted.rfind("=", end - 2, end)
        end = end if cut < 0 else cut
        lines.append(guard + quoted[begin:end])
        start = end
