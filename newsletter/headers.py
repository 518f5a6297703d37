"""Write header fields, 7-bit and folded, as RFC 5322 and RFC 2047 have them; and clean the text that goes into them.

The standard library's serialiser is not used, because it folds a long List-Unsubscribe into encoded-words, which takes
the one-click button away. Here encoded-words stand in display names and unstructured text only, never longer than 75
characters, never cutting a character, and everything else is written as it is or refused.

An address whose local part is not ASCII never stands in a header: its To field is an empty group (RFC 6857 section
3.1.1), so that the message stays 7-bit while the envelope names the address. Not here: which fields a message has.
"""

import base64
import re
from email.errors import HeaderParseError
from email.header import decode_header

from newsletter.addresses import Mailbox, needs_smtputf8
from newsletter.errors import InputError

LINE_IDEAL, LINE_MAX = 78, 998
"""Characters of a line, CRLF not counted, that should not and must not be passed (RFC 5322 section 2.1.1)."""
WORD_MAX, WORD_LINE_MAX = 75, 76
"""Characters of an encoded-word, and of a line that holds one (RFC 2047 section 2)."""
NAME_MAX = 250
"""Characters of a display name; a longer one is cut, because relays refuse headers of many kilobytes."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ATOMS = re.compile(f"{_ATOM}(?: {_ATOM})*")
_FOLD_POINT = re.compile(r"(?<=[^ ]) (?=[^ ])")
_WORD = re.compile(r"=\?[^?]*\?[bBqQ]\?.*?\?=", re.DOTALL)
_LINE_END = re.compile(rb"[\r\n\0]")
_STRUCTURED = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = tuple("_" if byte == 0x20 else chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in range(256))
_WORD_ROOM = WORD_MAX - len("=?utf-8?q??=")
_DECODING_ROUNDS = 4
_FOLD = "\r\n "


def clean_line(text: str) -> str:
    """Return foreign text as one line that any place may hold, without white space around it.

    Control characters and line breaks become a space, what is no character becomes U+FFFD, and marks that turn the
    direction of what follows are dropped.
    """
    if not text.isprintable():
        text = _UNPRINTABLE.sub(" ", text)
        text = _NO_CHARACTER.sub("\ufffd", text)
        text = _DIRECTION.sub("", text)
    return text.strip()


def clean_header_text(text: str) -> str:
    """Return foreign text as ``clean_line`` does, and break up encoded-words that hide a control character."""
    text = clean_line(text)
    return text.replace("=?", "= ?") if "=?" in text and _hides_control(text) else text


def refuse_injection(text: str, name: str) -> None:
    """Raise InputError where ``text``, read plainly or with RFC 2047 undone, holds a control character or line break.

    ``name`` is what the message calls the text: "the subject".
    """
    if _CONTROL.search(text) or _hides_control(text):
        raise InputError(
            f"{name} holds a line break or control character, perhaps inside an encoded-word (=?…?=), and could forge "
            f"a header: {text[:100]!a}; write it as plain text on one line"
        )


def _hides_control(text: str) -> bool:
    """Tell whether undoing RFC 2047, more than once if need be, brings out a control character."""
    for _ in range(_DECODING_ROUNDS):
        if "=?" not in text:
            return False
        # Word by word: one that cannot be decoded must not hide the next.
        decoded = _WORD.sub(lambda match: _undone(match[0]), text)
        if _CONTROL.search(decoded):
            return True
        if decoded == text:
            return False
        text = decoded
    return True


def _undone(word: str) -> str:
    """Return the text of one encoded-word, itself where it cannot be decoded."""
    try:
        pieces = decode_header(word)
    except HeaderParseError:
        return word
    return "".join(piece if isinstance(piece, str) else _decoded(piece, charset) for piece, charset in pieces)


def _decoded(octets: bytes, charset: str | None) -> str:
    """Return what the most careless reader might make of the octets of an encoded-word."""
    if _LINE_END.search(octets):
        charset = None
    try:
        return octets.decode(charset or "latin-1", "replace")
    except (LookupError, ValueError):
        return octets.decode("latin-1")


def structured_header(name: str, value: str) -> bytes:
    """Return a field whose value is ASCII with a syntax of its own, on one line, never encoded.

    Raises InputError for what does not fit a line or is not printable ASCII.
    """
    line = f"{name}: {value}"
    if not _STRUCTURED.fullmatch(line) or len(line) > LINE_MAX:
        raise InputError(f"{name}: {value[:100]!a} must be printable ASCII on one line of at most {LINE_MAX}")
    return line.encode("ascii") + b"\r\n"


def uris_header(name: str, uris: tuple[str, ...]) -> bytes:
    """Return a field of URIs in angle brackets (RFC 2369), one a line, never encoded and never broken inside.

    Raises InputError for a URI that is not printable ASCII, holds a bracket or a comma, or does not fit a line.
    """
    for uri in uris:
        if not uri.isascii() or not uri.isprintable() or len(name) + len(uri) > LINE_MAX - 5 or set(' <>,"') & set(uri):
            raise InputError(f"{name}: {uri[:100]!a} is no URI that a header may hold")
    return f"{name}: {f',{_FOLD}'.join(f'<{uri}>' for uri in uris)}\r\n".encode("ascii")


def text_header(name: str, text: str) -> bytes:
    """Return a field of unstructured text, as encoded-words where it is not plain ASCII; ``text`` is one clean line."""
    room = LINE_IDEAL - len(name) - 2
    if text.isascii() and "=?" not in text:
        lines = _folded(_FOLD_POINT.split(text), room)
        if max(map(len, lines)) < LINE_MAX - len(name) - 2:
            return f"{name}: {_FOLD.join(lines)}".rstrip().encode("ascii") + b"\r\n"
    words = encoded_words(text, WORD_LINE_MAX - len(name) - 2)
    return f"{name}: {_FOLD.join(words)}\r\n".encode("ascii")


def _folded(words: list[str], room: int) -> list[str]:
    """Join words by spaces into lines: the first of ``room`` characters, the others of one less than the ideal."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= (room if len(lines) == 1 else LINE_IDEAL - 1):
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def mailbox_header(name: str, mailbox: Mailbox) -> bytes:
    """Return a field of one mailbox: From, Reply-To, To; its name is one clean line, cut at ``NAME_MAX`` characters.

    An address beyond ASCII is left out: the field is an empty group of the mailbox's name.
    """
    phrase = _phrase(name, mailbox.name[:NAME_MAX].strip())
    ending = ":;" if needs_smtputf8(mailbox.address) else f"<{mailbox.address}>"
    if not phrase:
        alone = "undisclosed-recipients:;" if ending == ":;" else mailbox.address
        return f"{name}: {alone}\r\n".encode("ascii")
    last_line = len(f"{name}: {phrase}".rpartition("\n")[2])
    limit = WORD_LINE_MAX if "=?" in phrase else LINE_IDEAL
    gap = " " if last_line + 1 + len(ending) <= limit else _FOLD
    return f"{name}: {phrase}{gap}{ending}\r\n".encode("ascii")


def _phrase(field: str, name: str) -> str:
    """Return a display name as atoms, a quoted string, or folded encoded-words, whichever is the plainest that fits."""
    if name.isascii() and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        plain = name if not name or _ATOMS.fullmatch(name) else f'"{escaped}"'
        if len(field) + 2 + len(plain) <= LINE_IDEAL:
            return plain
    return _FOLD.join(encoded_words(name, WORD_LINE_MAX - len(field) - 2))


def encoded_words(text: str, first_room: int) -> list[str]:
    """Return ``text`` as encoded-words in UTF-8 (RFC 2047), each on a line of its own when joined by a fold.

    The first has at most ``first_room`` characters (25 or more), the others 75. Of Q and B the shorter is taken. The
    characters of Q are those that a phrase may hold (section 5, rule 3), so that the words fit everywhere.
    """
    utf8 = text.encode("utf-8")
    quoted = "".join(map(_Q.__getitem__, utf8))
    as_q = len(quoted) <= (len(utf8) + 2) // 3 * 4
    room = min(first_room, WORD_MAX) - (WORD_MAX - _WORD_ROOM)
    if as_q and len(quoted) <= room:
        return [f"=?utf-8?q?{quoted}?="]
    if not as_q and (len(utf8) + 2) // 3 * 4 <= room:
        return [_encoded_word(text, as_q)]
    words, chunk, used = [], "", 0
    for character in text:
        octets = character.encode("utf-8")
        cost = sum(len(_Q[byte]) for byte in octets) if as_q else len(octets)
        if used + cost > (room if as_q else room // 4 * 3):
            words.append(_encoded_word(chunk, as_q))
            chunk, used, room = "", 0, _WORD_ROOM
        chunk += character
        used += cost
    return [*words, _encoded_word(chunk, as_q)]


def _encoded_word(text: str, as_q: bool) -> str:
    utf8 = text.encode("utf-8")
    if as_q:
        return f"=?utf-8?q?{''.join(_Q[byte] for byte in utf8)}?="
    return f"=?utf-8?b?{base64.b64encode(utf8).decode('ascii')}?="
