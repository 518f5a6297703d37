"""Say what a message's header breaks of the rules: RFC 5322, 2047, 2919, 2369, 8058 and what providers ask for.

Each function takes a ``Reading`` and gives one sentence for each thing that is wrong. Not here: the rules' ids and
hints, and the rules for bodies (``conformance``, ``body_rules``).
"""

import email.policy
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime

from newsletter.reading import Reading

ONCE = (
    *("from", "to", "date", "subject", "message-id", "mime-version"),
    *("content-type", "list-id", "list-unsubscribe", "feedback-id"),
)
"""Fields that every message has exactly once; List-Unsubscribe-Post has a rule of its own."""
AT_MOST_ONCE = ("reply-to", "sender", "list-unsubscribe-post", "content-transfer-encoding", "cc", "bcc", "return-path")
LINE_MAX, WORD_MAX, WORD_LINE_MAX = 998, 75, 76
ONE_CLICK = "List-Unsubscribe=One-Click"

_WORD = re.compile(r"=\?[^?]*\?[bBqQ]\?.*?\?=", re.DOTALL)
_IN_NAMES = frozenset(("from", "to", "reply-to", "sender", "cc"))
_UNSTRUCTURED = frozenset(("subject", "comments"))
_IN_STRUCTURE = re.compile(r'<[^<>]*=\?[^<>]*>|"[^"]*=\?[^"]*\?="?')
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_LIST_ID = re.compile(r'(?:(?:"[^"<>]*"|[A-Za-z0-9 ._-]+) ?)?<[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+>')
_URIS = re.compile(r"<[^<>\s]+>(?:,\s*<[^<>\s]+>)*")
_WEB = re.compile(r"https://|http://(?:127\.\d+\.\d+\.\d+|(?:[\w-]+\.)*localhost|\[::1\])(?=[:/])", re.IGNORECASE)
"""A URI for one-click: https, or http to this very machine, where things are tried out."""
_FEEDBACK_ID = re.compile(r"[A-Za-z0-9._-]*(?::[A-Za-z0-9._-]*){0,2}:[A-Za-z0-9._-]{5,15}")


def line_ends(reading: Reading) -> Iterator[str]:
    """Demand CRLF at the end of every line, the last one too (RFC 5321 section 2.3.8)."""
    content = reading.content
    # Counting is ten times as quick as looking at each line's end, and nearly every message is right.
    is_right = content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
    lone = None if is_right else re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    if lone:
        line = reading.content.count(b"\n", 0, lone.start()) + 1
        yield f"line {line} holds a CR or LF that is not part of a CRLF"
    if not reading.content.endswith(b"\r\n"):
        yield "the last line has no CRLF"


def line_length(reading: Reading) -> Iterator[str]:
    """Refuse a line of more than 998 octets (RFC 5322 section 2.1.1)."""
    lines = reading.content.split(b"\r\n")
    for number, line in enumerate(lines, 1) if max(map(len, lines)) > LINE_MAX else ():
        if len(line) > LINE_MAX:
            yield f"line {number} has {len(line)} octets, {LINE_MAX} are allowed"


def seven_bit(reading: Reading) -> Iterator[str]:
    """Refuse octets other than 1 to 127."""
    is_right = reading.content.isascii() and b"\0" not in reading.content
    found = None if is_right else re.search(rb"[\x00\x80-\xff]", reading.content)
    if found:
        line = reading.content.count(b"\n", 0, found.start()) + 1
        yield f"line {line} holds the octet 0x{found[0][0]:02X}"


def header_syntax(reading: Reading) -> Iterator[str]:
    """Demand that every header line is a field or continues one (RFC 5322 section 2.2)."""
    for line in reading.bad_lines:
        yield f"{line[:60]!r} is no header field"
    for name, value in reading.fields:
        if re.search(rb"\r?\n[ \t]*(?:\r?\n|$)", value):
            yield f"{name}: a folded line holds nothing but white space"


def field_counts(reading: Reading) -> Iterator[str]:
    """Demand each field of ``ONCE`` once, and no other twice that may stand once (RFC 5322 section 3.6)."""
    names = [name for name, _ in reading.fields]
    for name in ONCE:
        if names.count(name) != 1:
            yield f"{names.count(name)} fields {name}, there must be exactly one"
    for name in AT_MOST_ONCE:
        if names.count(name) > 1:
            yield f"{names.count(name)} fields {name}, there may be one"


def encoded_words(reading: Reading) -> Iterator[str]:
    """Demand encoded-words of 75 characters at most that decode by themselves and stand where they may (RFC 2047)."""
    for name, value in reading.fields:
        text = value.decode("ascii", "replace")
        words = _WORD.findall(text)
        if not words:
            continue
        if name not in _IN_NAMES | _UNSTRUCTURED:
            yield f"{name}: {words[0]} stands in a structured field"
        elif name in _IN_NAMES and _IN_STRUCTURE.search(text):
            yield f"{name}: an encoded-word stands in an address or between quotes"
        for word in words:
            if len(word) > WORD_MAX:
                yield f"{name}: an encoded-word of {len(word)} characters, {WORD_MAX} are allowed"
            elif _undone(word) is None:
                yield f"{name}: {word} does not decode by itself"
        lines = f"{name}: {text}".split("\r\n")
        if any(len(line) > WORD_LINE_MAX and _WORD.search(line) for line in lines):
            yield f"{name}: a line with an encoded-word is longer than {WORD_LINE_MAX}"


def injection(reading: Reading) -> Iterator[str]:
    """Refuse control characters, as they stand and once encoded-words are decoded."""
    for name in dict.fromkeys(name for name, _ in reading.fields):
        for value in reading.values(name):
            decoded = "".join(_undone(piece) or "" if _WORD.fullmatch(piece) else piece for piece in _pieces(value))
            if _CONTROL.search(decoded):
                yield f"{name}: a control character or line break is hidden in {value[:60]!r}"


def _pieces(value: str) -> list[str]:
    """Return the encoded-words of ``value`` and the text between them."""
    return re.split(f"({_WORD.pattern})", value)


def _undone(word: str) -> str | None:
    """Return the text of one encoded-word, None where it cannot be decoded."""
    try:
        return "".join(
            piece.decode(charset or "ascii") if isinstance(piece, bytes) else piece
            for piece, charset in decode_header(word)
        )
    except (HeaderParseError, LookupError, ValueError):
        return None


def addresses(reading: Reading, name: str) -> list[str] | None:
    """Return the addresses of the fields called ``name``, None where the standard library cannot read them."""
    found = []
    for value in reading.values(name):
        try:
            header = email.policy.default.header_factory(name, value)
            found += [address.addr_spec for address in header.addresses]
            if header.defects:
                return None
        except Exception:  # the library's parser fails in many ways on odd input
            return None
    return found


def sender(reading: Reading, domain: str) -> Iterator[str]:
    """Demand one mailbox in From, at our own domain where it is known."""
    found = addresses(reading, "from")
    if found is None or len(found) != 1 or "@" not in found[0]:
        yield f"from: {reading.value('from')[:80]!r} is not one mailbox"
    elif domain and found[0].rpartition("@")[2].lower() != domain.lower():
        yield f"from: {found[0]} is not at {domain}"


def recipient(reading: Reading) -> Iterator[str]:
    """Demand one mailbox in To, or an empty group where the address cannot stand in a header."""
    value = reading.value("to")
    found = addresses(reading, "to")
    if value and (found is None or len(found) > 1 or (not found and not value.endswith(":;"))):
        yield f"to: {value[:80]!r} is not one mailbox"


def date(reading: Reading) -> Iterator[str]:
    """Demand a date of RFC 5322 section 3.3."""
    value = reading.value("date")
    try:
        if value and parsedate_to_datetime(value).tzinfo is None:
            yield f"date: {value!r} has no zone"
    except (ValueError, TypeError, OverflowError):
        yield f"date: {value[:60]!r} is no date"


def subject(reading: Reading) -> Iterator[str]:
    """Demand a subject that says something."""
    if not reading.value("subject") and reading.values("subject"):
        yield "subject is empty"


def message_id(reading: Reading) -> Iterator[str]:
    """Demand a Message-ID in the form of RFC 5322 section 3.6.4 that gives no address away."""
    value = reading.value("message-id")
    if value and not _MESSAGE_ID.fullmatch(value):
        yield f"message-id: {value[:80]!r} is not of the form <left@domain>"
    for address in addresses(reading, "to") or ():
        local = address.rpartition("@")[0].lower()
        left = value.lower().partition("@")[0].strip("<")
        # At a word's start only: a digest that happens to end in "a" gives nothing of a@example.org away.
        whole = re.search(rf"(?<![a-z0-9]){re.escape(address.lower())}", value.lower())
        if address and (whole or left.startswith((f"{local}=", f"{local}."))):
            yield f"message-id: it holds the address {address}"


def mime_version(reading: Reading) -> Iterator[str]:
    """Demand MIME-Version 1.0 (RFC 2045 section 4)."""
    if reading.value("mime-version") not in ("", "1.0"):
        yield f"mime-version: {reading.value('mime-version')[:20]!r} is not 1.0"


def list_id(reading: Reading) -> Iterator[str]:
    """Demand a List-Id in the form of RFC 2919."""
    value = reading.value("list-id")
    if value and not _LIST_ID.fullmatch(value):
        yield f'list-id: {value[:80]!r} is not of the form "Name" <label.example.org>'


def list_unsubscribe(reading: Reading) -> Iterator[str]:
    """Demand one https URI and one mailto, in this order, or the mailto alone (RFC 2369, RFC 8058)."""
    value = reading.value("list-unsubscribe")
    if not value:
        return
    if not _URIS.fullmatch(value):
        yield f"list-unsubscribe: {value[:80]!r} is no list of URIs in angle brackets"
        return
    kinds = ["https" if _WEB.match(uri) else uri.partition(":")[0].lower() for uri in reading.unsubscribe_uris]
    if kinds not in (["https", "mailto"], ["mailto"]):
        yield f"list-unsubscribe: {', '.join(kinds)} instead of https, mailto or mailto alone"


def one_click(reading: Reading) -> Iterator[str]:
    """Demand List-Unsubscribe-Post where there is an https URI, and only there (RFC 8058 section 3.1)."""
    values = reading.values("list-unsubscribe-post")
    has_web = any(_WEB.match(uri) for uri in reading.unsubscribe_uris)
    if has_web and values != [ONE_CLICK]:
        yield f"list-unsubscribe-post: {values} instead of one {ONE_CLICK!r}"
    if not has_web and values:
        yield "list-unsubscribe-post stands without an https URI in List-Unsubscribe"


def feedback_id(reading: Reading) -> Iterator[str]:
    """Demand two to four fields in Feedback-ID, the last of 5 to 15 characters (Gmail's feedback loop)."""
    value = reading.value("feedback-id")
    if value and not _FEEDBACK_ID.fullmatch(value):
        yield f"feedback-id: {value[:80]!r} is not of the form issue:language:kind:sender"


def auto_submitted(reading: Reading) -> Iterator[str]:
    """Refuse Auto-Submitted on an issue: people asked for it (RFC 3834 section 5)."""
    if reading.values("auto-submitted"):
        yield f"auto-submitted: {reading.value('auto-submitted')[:40]!r} on an issue"
