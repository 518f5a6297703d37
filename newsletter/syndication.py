"""Write Atom (RFC 4287), RSS 2.0 and sitemaps (sitemaps.org) as the W3C's feed validator wants them; pure.

Feeds carry whole issues: HTML with absolute addresses only. Every instant is given, so equal entries are equal bytes.
"""

import datetime as dt
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feedgenerator import SyndicationFeed

_CONTENT_NAMESPACE = "http://purl.org/rss/1.0/modules/content/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """Hold one entry of a feed: ``url`` is its page and its identity for good; instants are aware."""

    url: str
    title: str
    summary: str
    content: str
    published_at: dt.datetime
    updated_at: dt.datetime
    author: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHead:
    """Hold what stands over a feed's entries.

    ``url`` is the page that it tells of, ``atom_url`` and ``rss_url`` its own; ``updated_at`` counts without an entry.
    """

    title: str
    description: str
    url: str
    atom_url: str
    rss_url: str
    language: str
    author: str
    updated_at: dt.datetime


def atom_feed(head: FeedHead, entries: Sequence[FeedEntry]) -> str:
    """Return an Atom feed, in the order of ``entries``."""
    from feedgenerator import Atom1Feed

    class Atom(Atom1Feed):  # type: ignore[misc]
        def latest_post_date(self) -> dt.datetime:
            return _latest(head, entries)

        def item_attributes(self, item: dict[str, Any]) -> dict[str, str]:
            return {"xml:lang": item["language"]} if item["language"] else {}

    return _written(Atom(**_head_values(head, head.atom_url)), entries)


def rss_feed(head: FeedHead, entries: Sequence[FeedEntry]) -> str:
    """Return an RSS 2.0 feed with the whole text in ``content:encoded``, in the order of ``entries``."""
    from feedgenerator import Rss201rev2Feed

    class Rss(Rss201rev2Feed):  # type: ignore[misc]
        def latest_post_date(self) -> dt.datetime:
            return _latest(head, entries)

        def rss_attributes(self) -> dict[str, str]:
            return {**super().rss_attributes(), "xmlns:content": _CONTENT_NAMESPACE}

        def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
            super().add_item_elements(handler, item)
            handler.addQuickElement("content:encoded", item["content"])

    return _written(Rss(**_head_values(head, head.rss_url)), entries)


def _head_values(head: FeedHead, feed_url: str) -> dict[str, str]:
    return {
        "title": head.title,
        "link": head.url,
        "description": head.description or head.title,
        "language": head.language,
        "author_name": head.author,
        "feed_url": feed_url,
        "feed_guid": head.url,
    }


def _written(feed: "SyndicationFeed", entries: Iterable[FeedEntry]) -> str:
    for entry in entries:
        feed.add_item(
            title=entry.title,
            link=entry.url,
            description=escape(entry.summary, quote=False),  # both formats take it for HTML
            content=entry.content,
            author_name=entry.author or None,
            pubdate=entry.published_at,
            updateddate=entry.updated_at,
            unique_id=entry.url,
            unique_id_is_permalink=True,
            language=entry.language,
        )
    out = io.StringIO()
    feed.write(out, "utf-8")
    return out.getvalue() + "\n"


def _latest(head: FeedHead, entries: Iterable[FeedEntry]) -> dt.datetime:
    return max((entry.updated_at for entry in entries), default=head.updated_at)


def sitemap(pages: Iterable[tuple[str, dt.datetime]]) -> str:
    """Return a sitemap of addresses, each with the aware instant of its last change."""
    rows = "".join(
        f"<url><loc>{escape(url)}</loc><lastmod>{changed.isoformat(timespec='seconds')}</lastmod></url>\n"
        for url, changed in pages
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{rows}</urlset>\n"
