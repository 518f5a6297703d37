"""Read a feed: RSS 0.9 to 2.0, RDF and Atom by feedparser, JSON Feed by ``jsonfeed``; bytes in, plain values out.

Ill-formed feeds give what can be had, with warnings. Foreign bytes are read in a child process (``feedchild``) that
ends where they cost too much; nothing else calls ``parse_feed`` on them.
"""

import calendar
import datetime as dt
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from newsletter.errors import FeedError
from newsletter.feed import NewEntry, ParsedFeed
from newsletter.feedtext import FeedText, decode_feed, safe_xml
from newsletter.jsonfeed import is_json_feed, read_json_feed
from newsletter.plainwords import cut_words, plain_words
from newsletter.weburls import canonical_url, url_key

TITLE_MAX, SUMMARY_MAX, NAME_MAX = 400, 2000, 120
ENTRIES_MAX = 2000
_TAGS_MAX = 20
_UNPACKED_MAX = 5_000_000
_GUID_MAX = 400
_EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
_FIRST_IMAGE = re.compile(r"<img\b[^<>]{0,2000}?\bsrc\s*=\s*[\"']?([^\"'\s<>]{1,2000})", re.IGNORECASE)
_PIXEL = re.compile(
    r"/(?:pixel|spacer|blank|1x1|beacon|track)|feedburner|feedsportal|doubleclick|wp\.com/b\.gif", re.IGNORECASE
)
_ADDRESS = re.compile(r"<?[\w.+-]+@[\w.-]+>?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def parse_feed(content: bytes, content_type: str = "", url: str = "") -> ParsedFeed:
    """Return what ``content`` holds; ``url`` is where it came from, to which relative addresses belong.

    Raises FeedError for what is no feed, or holds nothing that can be read.
    """
    feed = decode_feed(_unpacked(content), content_type)
    start = feed.text.lstrip("\ufeff\x00 \t\r\n")[:500]
    if not start:
        raise FeedError("is empty")
    parsed = _read_json(feed, url) if start.startswith(("{", "[")) else _read_xml(feed, url)
    entries, count = _without_repeats(parsed.entries), len(parsed.entries)
    warnings = parsed.warnings
    if count > ENTRIES_MAX:
        warnings = (*warnings, f"{count:,} entries; the first {ENTRIES_MAX:,} are read")
    return ParsedFeed(
        kind=parsed.kind,
        title=plain_words(parsed.title, NAME_MAX),
        site=canonical_url(urljoin(url, parsed.site)),
        language=language_tag(parsed.language),
        entries=entries[:ENTRIES_MAX],
        warnings=warnings,
    )


def _unpacked(content: bytes) -> bytes:
    """Return a feed that was stored compressed, as some servers send it unasked, as it was before."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _UNPACKED_MAX)
    except zlib.error:
        raise FeedError("is compressed, and broken") from None


def _read_json(feed: FeedText, url: str) -> ParsedFeed:
    if not is_json_feed(feed.text):
        raise FeedError("is JSON, but no JSON Feed; name the address of a feed")
    raw = read_json_feed(feed)
    entries = tuple(entry for item in raw.items if (entry := new_entry(item, url)))
    return ParsedFeed(
        kind="json", title=raw.title, site=raw.site, language=raw.language, entries=entries, warnings=raw.warnings
    )


def _read_xml(feed: FeedText, url: str) -> ParsedFeed:
    import feedparser

    if re.match(r"\s*(?:<!DOCTYPE\s+html|<html\b)", feed.text[:500], re.IGNORECASE):
        raise FeedError("is a web page, no feed; 'newsletter feeds add' finds the feed of a site by its address")
    safe = safe_xml(feed)
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    stream = io.BytesIO(safe.text.encode("utf-8", "replace"))
    found = feedparser.parse(stream, response_headers=headers, resolve_relative_uris=False, sanitize_html=False)
    if not found.version and not found.entries:
        raise FeedError("is no feed: neither RSS, Atom, RDF nor JSON Feed")
    warnings = list(safe.warnings)
    if found.bozo:
        warnings.append(f"is not well-formed: {plain_words(str(found.get('bozo_exception', '')), 200)}")
    head = found.feed
    entries = []
    for item in found.entries:
        try:
            entry = new_entry(_raw(item), url)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
            warnings.append(f"an entry was left out: {plain_words(str(error), 100)}")
            continue
        if entry:
            entries.append(entry)
    return ParsedFeed(
        kind=found.version or "unknown",
        title=_text(head.get("title")),
        site=_text(head.get("link")),
        language=_text(head.get("language")),
        entries=tuple(entries),
        warnings=tuple(warnings[:20]),
    )


# ---------------------------------------------------------------------------------------------------------------------
# One entry
# ---------------------------------------------------------------------------------------------------------------------


def _raw(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what feedparser made of an entry under the names that ``new_entry`` knows."""
    contents = [_text(content.get("value")) for content in item.get("content") or ()]
    summary = _text(item.get("summary"))
    detail = item.get("title_detail") or {}
    source = item.get("source") or {}
    author = item.get("author_detail") or {}
    return {
        "guid": _text(item.get("id")),
        "link": _text(item.get("feedburner_origlink")) or _text(item.get("link")),
        "title": _text(item.get("title")),
        "html": [summary, *contents],
        "author": _text(author.get("name")) or _text(item.get("author")),
        "source": _text(source.get("title")) if isinstance(source, Mapping) else "",
        "image": _image_of(item),
        "language": _text(item.get("language") or detail.get("language")),
        "tags": [_text(tag.get("label") or tag.get("term")) for tag in item.get("tags") or ()],
        "published": next(
            filter(None, (_instant(item.get(f"{key}_parsed")) for key in ("published", "updated", "created"))), None
        ),
    }


def new_entry(raw: Mapping[str, Any], base: str) -> NewEntry | None:
    """Return an entry in plain values, None where it has neither an address nor words."""
    url = canonical_url(urljoin(base, raw["link"])) if raw["link"] else ""
    texts = [words for html in raw["html"] if (words := plain_words(html, SUMMARY_MAX))]
    summary = texts[0] if texts else ""
    title = plain_words(raw["title"], TITLE_MAX) or cut_words(summary, 100)
    if not title and not url:
        return None
    image = raw["image"] or _first_image(raw["html"])
    return NewEntry(
        guid=_guid(raw["guid"], url, title),
        url=url,
        title=title or url,
        published_at=raw["published"],
        summary="" if summary == title else summary,
        author=plain_words(_ADDRESS.sub("", raw["author"]), NAME_MAX).strip(" ()<>"),
        source=plain_words(raw["source"], NAME_MAX),
        image=canonical_url(urljoin(url or base, entity_free(image))) if image else "",
        language=language_tag(raw["language"]),
        tags=tuple(dict.fromkeys(words for tag in raw["tags"][:_TAGS_MAX] if (words := plain_words(tag, 60)))),
    )


def _guid(given: str, url: str, title: str) -> str:
    """Return what tells an entry from its feed's others: its id, else its page, else its words."""
    guid = " ".join(given.split()) or url_key(url) or title
    return guid if len(guid) <= _GUID_MAX else f"sha256:{hashlib.sha256(guid.encode('utf-8', 'replace')).hexdigest()}"


def _without_repeats(entries: tuple[NewEntry, ...]) -> tuple[NewEntry, ...]:
    kept: dict[str, NewEntry] = {}
    for entry in entries:
        kept.setdefault(entry.guid, entry)
    return tuple(kept.values())


def _image_of(item: Mapping[str, Any]) -> str:
    """Return the address of the picture that an entry names beside its text."""
    for address in _named_images(item):
        if address and not address.startswith("data:"):
            return address
    return ""


def _named_images(item: Mapping[str, Any]) -> Iterator[str]:
    for media in item.get("media_content") or ():
        kind, path = _text(media.get("type")), _text(media.get("url"))
        is_named = media.get("medium") == "image" or kind.startswith("image/")
        if is_named or (not kind and re.search(r"\.(?:jpe?g|png|gif|webp)(?:\?|$)", path, re.IGNORECASE)):
            yield path
    for media in item.get("media_thumbnail") or ():
        yield _text(media.get("url"))
    for media in item.get("enclosures") or ():
        if _text(media.get("type")).startswith("image/"):
            yield _text(media.get("href"))
    image = item.get("image")
    yield _text(image.get("href")) if isinstance(image, Mapping) else ""


def _first_image(texts: list[str]) -> str:
    for html in texts:
        for found in _FIRST_IMAGE.finditer(html[:200_000]):
            if not _PIXEL.search(found[1]) and not found[1].startswith("data:"):
                return found[1]
    return ""


def entity_free(address: str) -> str:
    """Return an address out of HTML as it is meant."""
    return address.replace("&amp;", "&").replace("&#38;", "&").strip()


def _instant(parsed: Any) -> dt.datetime | None:
    """Return the instant of feedparser's nine numbers, None where no feed can be so old."""
    if not parsed:
        return None
    try:
        instant = dt.datetime.fromtimestamp(calendar.timegm(parsed), dt.UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    return instant if instant >= _EARLIEST else None


def language_tag(text: str) -> str:
    """Return the language tag (RFC 5646) that ``text`` is, ``""`` for none."""
    found = _LANGUAGE.fullmatch(text.strip()[:40])
    return found[0].replace("_", "-") if found else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
