"""Read JSON Feed (jsonfeed.org, versions 1 and 1.1) into raw values; a feed that breaks off gives its whole items."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newsletter.errors import FeedError
from newsletter.feedtext import ENTRY_MAX, FeedText

_ITEMS = re.compile(r'"items"\s*:\s*\[')


@dataclass(frozen=True, slots=True)
class RawFeed:
    """Hold what a JSON Feed says of itself, and its items under the names that ``feedparse`` knows."""

    title: str
    site: str
    language: str
    items: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]


def is_json_feed(text: str) -> bool:
    """Tell whether JSON is meant for a feed."""
    return "jsonfeed.org/version/" in text[:20_000].replace("\\/", "/") or '"items"' in text


def read_json_feed(feed: FeedText) -> RawFeed:
    """Return the feed; raise FeedError where it is no JSON, or has no items."""
    warnings = list(feed.warnings)
    decoder = json.JSONDecoder(strict=False)
    text = feed.text.lstrip("\ufeff\x00 \t\r\n")
    try:
        head, end = decoder.raw_decode(text)
        if text[end:].strip():
            warnings.append("is not well-formed: something stands behind its end")
    except (ValueError, RecursionError) as error:
        head = {"items": _whole_items(decoder, text), **_head_of(decoder, text)}
        warnings.append(f"is not well-formed: {error}" if isinstance(error, ValueError) else "is nested too deeply")
    if not isinstance(head, dict) or not isinstance(head.get("items"), list):
        raise FeedError("is JSON, but has no list of items")
    items: list[Mapping[str, Any]] = []
    for item in head["items"]:
        if not isinstance(item, dict):
            warnings.append("an entry was left out: it is no object")
        elif sum(len(value) for value in item.values() if isinstance(value, str)) > ENTRY_MAX:
            warnings.append(f"an entry was left out: it has more than {ENTRY_MAX:,} characters")
        else:
            items.append(_raw(item))
    return RawFeed(
        _text(head, "title"), _text(head, "home_page_url"), _text(head, "language"), tuple(items), tuple(warnings[:20])
    )


def _head_of(decoder: json.JSONDecoder, text: str) -> dict[str, Any]:
    """Return what a broken feed says of itself before its items."""
    found = {}
    for key in ("title", "home_page_url", "language"):
        match = re.search(rf'"{key}"\s*:\s*(?=")', text.partition('"items"')[0][:20_000])
        if match:
            try:
                found[key] = decoder.raw_decode(text, match.end())[0]
            except ValueError:
                continue
    return found


def _whole_items(decoder: json.JSONDecoder, text: str) -> list[Any]:
    """Return the items of a feed that breaks off, or breaks, up to where it does."""
    found = _ITEMS.search(text)
    items: list[Any] = []
    position = found.end() if found else len(text)
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        try:
            item, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        items.append(item)
    if not items:
        raise FeedError("is broken JSON, with no whole item")
    return items


def _raw(item: Mapping[str, Any]) -> dict[str, Any]:
    authors = item.get("authors") if isinstance(item.get("authors"), list) else [item.get("author")]
    names = [_text(author, "name") for author in authors or () if isinstance(author, dict)]
    tags = item.get("tags")
    number = item.get("id")
    return {
        "guid": str(number) if isinstance(number, (str, int, float)) else "",
        "link": _text(item, "url") or _text(item, "external_url"),
        "title": _text(item, "title"),
        "html": [_text(item, "summary"), _text(item, "content_html"), _escaped(_text(item, "content_text"))],
        "author": ", ".join(filter(None, names)),
        "source": "",
        "image": _text(item, "image") or _text(item, "banner_image"),
        "language": _text(item, "language"),
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "published": _instant(_text(item, "date_published") or _text(item, "date_modified")),
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _instant(text: str) -> dt.datetime | None:
    """Return an instant of RFC 3339; one without an offset is taken for UTC."""
    try:
        instant = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""
