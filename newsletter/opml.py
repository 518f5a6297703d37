"""Read and write lists of feeds as OPML (opml.org, versions 1 and 2), as every reader of feeds exports them.

Foreign files are parsed by lxml without entities, document types from elsewhere, or network; an outline that is no feed
is a folder, whose name is a tag of the feeds in it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from newsletter.errors import InputError
from newsletter.feed import Feed, NewFeed
from newsletter.plainwords import plain_words

_SIZE_MAX = 10_000_000
_DEPTH_MAX = 20
_NAME_MAX = 120


def read_opml(content: bytes, file: str) -> tuple[NewFeed, ...]:
    """Return the feeds of a list, each once, in its order; raise InputError where it is none."""
    from lxml import etree

    if len(content) > _SIZE_MAX:
        raise InputError(f"{file}: has more than {_SIZE_MAX // 1_000_000} MB; a list of feeds is smaller")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"{file}: is no OPML: {error}; export your feeds as OPML") from None
    feeds: dict[str, NewFeed] = {}
    for feed in _feeds(root, ()) if root is not None else ():
        feeds.setdefault(feed.url, feed)
    if not feeds:
        raise InputError(f'{file}: names no feed; an OPML file has <outline xmlUrl="https://…">')
    return tuple(feeds.values())


def _feeds(element: Any, tags: tuple[str, ...], depth: int = 0) -> Iterator[NewFeed]:
    for child in element:
        if not isinstance(child.tag, str) or depth > _DEPTH_MAX:
            continue
        if child.tag.lower() != "outline":
            yield from _feeds(child, tags, depth + 1)
            continue
        named = {name.lower(): value for name, value in child.attrib.items()}
        name = plain_words(named.get("text") or named.get("title") or "", _NAME_MAX)
        url = named.get("xmlurl", "").strip()
        if url:
            own = [plain_words(tag.strip("/"), 60) for tag in named.get("category", "").split(",")]
            yield NewFeed(
                url=url,
                title=name,
                site=named.get("htmlurl", "").strip(),
                weight=_weight(named.get("newsletterweight", "")),
                tags=tuple(dict.fromkeys(tag for tag in (*tags, *own) if tag)),
            )
        yield from _feeds(child, (*tags, name) if name and not url else tags, depth + 1)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 100 else 1.0


def write_opml(feeds: Iterable[Feed], title: str) -> bytes:
    """Return feeds as OPML 2.0 in UTF-8; weights other than 1 travel in an attribute of our own."""
    from lxml import etree

    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = _xml(title)
    body = etree.SubElement(root, "body")
    for feed in feeds:
        attributes = {"type": "rss", "text": _xml(feed.name), "title": _xml(feed.name), "xmlUrl": _xml(feed.url)}
        if feed.site:
            attributes["htmlUrl"] = _xml(feed.site)
        if feed.tags:
            attributes["category"] = _xml(",".join(tag.replace(",", " ") for tag in feed.tags))
        if feed.weight != 1:
            attributes["newsletterWeight"] = f"{feed.weight:g}"
        etree.SubElement(body, "outline", attributes)
    written: bytes = etree.tostring(root, pretty_print=True, xml_declaration=True, encoding="utf-8")
    return written


def _xml(text: str) -> str:
    """Return text without what XML cannot hold."""
    return plain_words(text.replace("&", "&amp;").replace("<", "&lt;"), 4000)
