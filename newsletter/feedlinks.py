"""Find the feeds that a web page names (``<link rel="alternate">``), and where feeds commonly stand; pure."""

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")
_JSON = "application/json"
COMMON_PATHS = ("feed", "rss", "feed.xml", "rss.xml", "atom.xml", "index.xml", "feed.json")
"""Where a site's feed stands often, from its start."""
_LOOKED_AT = 500_000


@dataclass(frozen=True, slots=True)
class FeedLink:
    """Name a feed that a page links to."""

    url: str
    title: str


def find_feed_links(html: str, url: str) -> tuple[FeedLink, ...]:
    """Return the feeds that the page at ``url`` names in its head, each once, those of comments last."""
    reader = _Links(url)
    reader.feed(html[:_LOOKED_AT])
    found = {link.url: link for link in reader.links}
    return tuple(sorted(found.values(), key=lambda link: "comment" in f"{link.url} {link.title}".lower()))


def common_places(url: str) -> tuple[str, ...]:
    """Return addresses at which the feed of the site of ``url`` may stand."""
    parts = urlsplit(url)
    start = f"{parts.scheme}://{parts.netloc}/"
    return tuple(urljoin(start, path) for path in COMMON_PATHS)


class _Links(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.links: list[FeedLink] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take up what a tag names."""
        named = {name: value or "" for name, value in attrs}
        if tag == "base" and named.get("href"):
            self._base = urljoin(self._base, named["href"])
        if tag != "link" or "alternate" not in named.get("rel", "").lower().split():
            return
        kind = named.get("type", "").split(";")[0].strip().lower()
        if named.get("href") and (kind in _TYPES or (kind == _JSON and "feed" in named["href"])):
            self.links.append(FeedLink(urljoin(self._base, named["href"].strip()), named.get("title", "")))
