"""Say what a message's parts break of the rules: MIME structure, encoding, size, what must be shown and what must not.

Each function takes a ``Reading`` and gives one sentence for each thing that is wrong. Not here: the rules' ids and
hints, and the rules for the header (``conformance``, ``header_rules``).
"""

import re
from collections.abc import Iterator

from newsletter.reading import Reading, TextPart

HTML_MAX = 102 * 1024
"""Octets of the decoded HTML part; Gmail clips what is longer, and the unsubscribe link with it."""
QUOTED_LINE_MAX = 76

_NOT_QUOTED = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)")
_RISKY_LINE = re.compile(rb"(?:^|\n)(\.|From )")
_UNRESOLVED = re.compile(
    r"\{\{-?\s*[A-Za-z_][\w.]*\s*(?:\|[^{}]*)?-?\}\}|\{%-?\s*[a-z]+\b[^%{}]*%\}|\*\|[A-Z][A-Z0-9_:]*\|\*"
)
_MARKERS = re.compile("[\ufdd0-\ufdef]")


def structure(reading: Reading) -> Iterator[str]:
    """Demand multipart/alternative: text/plain, then text/html or a multipart/related that begins with it."""
    yield from reading.defects


def encoding(reading: Reading) -> Iterator[str]:
    """Demand UTF-8 in quoted-printable (RFC 2045 section 6.7) that no relay has a reason to change, in both parts."""
    for part in _parts(reading):
        name = part.media_type
        if part.charset != "utf-8":
            yield f"{name}: charset is {part.charset or 'missing'}, not utf-8"
        if part.transfer_encoding != "quoted-printable":
            yield f"{name}: the transfer encoding is {part.transfer_encoding}, not quoted-printable"
            continue
        lines = part.encoded.replace(b"\r\n", b"\n")
        if max(map(len, lines.split(b"\n"))) > QUOTED_LINE_MAX:
            yield f"{name}: a quoted-printable line is longer than {QUOTED_LINE_MAX}"
        if b" \n" in lines or b"\t\n" in lines or lines.endswith((b" ", b"\t")):
            yield f"{name}: a line ends in a space"
        if _NOT_QUOTED.search(part.encoded):
            yield f"{name}: an '=' is not followed by two hexadecimal digits or a line break"
        if _RISKY_LINE.search(part.encoded):
            yield f"{name}: a line begins with '.' or 'From ', which relays change"
        if "\ufffd" in part.text and b"\xef\xbf\xbd" not in part.octets:
            yield f"{name}: the decoded text is not UTF-8"


def html_size(reading: Reading) -> Iterator[str]:
    """Refuse an HTML part so long that Gmail clips it."""
    if reading.html and len(reading.html.octets) > HTML_MAX:
        yield f"text/html: {len(reading.html.octets):,} octets, {HTML_MAX:,} are allowed"


def unsubscribe_link(reading: Reading) -> Iterator[str]:
    """Demand a way out in both parts: a URI of List-Unsubscribe, or another link that says so."""
    uris = reading.unsubscribe_uris
    if reading.html and not any(
        link.text.strip() and (link.href in uris or "unsubscribe" in link.href.lower())
        for link in reading.hypertext.links
    ):
        yield "text/html: no visible link to unsubscribe"
    if reading.text and not any(uri in reading.text.text for uri in [*uris, "/unsubscribe"]):
        yield "text/plain: no link to unsubscribe"


def postal_address(reading: Reading, wanted: str) -> Iterator[str]:
    """Demand the postal address in both parts, however they break its lines."""
    for part, text in (
        (reading.html, reading.hypertext.text),
        (reading.text, reading.text.text if reading.text else ""),
    ):
        if part and wanted and _letters(wanted) not in _letters(text):
            yield f"{part.media_type}: the postal address is not shown"


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def active_content(reading: Reading) -> Iterator[str]:
    """Refuse what would run or ask for input in the HTML part."""
    for found in dict.fromkeys(reading.hypertext.active):
        yield f"text/html: {found}"


def unresolved_fields(reading: Reading) -> Iterator[str]:
    """Refuse merge fields that were left unfilled, but for what is shown as code."""
    in_code = {_squeezed(found) for found in _UNRESOLVED.findall(reading.hypertext.code)}
    places = {
        "text/html": [reading.hypertext.text, *reading.hypertext.urls],
        "text/plain": [reading.text.text if reading.text else ""],
        "subject": [reading.value("subject")],
    }
    for name, texts in places.items():
        found = {match for text in texts for match in map(_squeezed, _UNRESOLVED.findall(text)) if match not in in_code}
        for match in sorted(found):
            yield f"{name}: {match[:60]} was not filled"
        if any(_MARKERS.search(text) for text in texts):
            yield f"{name}: the marker of a merge field was not filled"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def hidden_content(reading: Reading) -> Iterator[str]:
    """Refuse hidden text, but for one preheader before all that is visible."""
    texts = [hidden for hidden in reading.hypertext.hidden if hidden.text.strip()]
    for index, hidden in enumerate(texts):
        if index or hidden.after_visible:
            yield f"text/html: hidden text {_squeezed(hidden.text)[:60]!r}"


def inline_images(reading: Reading) -> Iterator[str]:
    """Demand that each image the HTML part names by Content-ID is in the message once, and none for nothing."""
    wanted = {url[4:] for url in reading.hypertext.urls if url.lower().startswith("cid:")}
    for cid in sorted(wanted - set(reading.content_ids)):
        yield f"text/html: the image cid:{cid[:60]} is not in the message"
    for cid in sorted(set(reading.content_ids) - wanted):
        yield f"the image <{cid[:60]}> is in the message, but the HTML part does not show it"
    if len(set(reading.content_ids)) != len(reading.content_ids):
        yield "two images have the same Content-ID"


def _parts(reading: Reading) -> list[TextPart]:
    return [part for part in (reading.text, reading.html) if part]
