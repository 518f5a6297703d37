"""Render the archive's pages: an issue to read in a browser or in a feed reader, the list of all, the search.

The words are the mail's; their dress is the web's own (``templates/web/archive/``). Content travels through Jinja as
opaque tokens, as it does in a mail. A page knows no recipient: a merge field shows its default. Which issues are
published, and where a page lies, is ``archive``'s; nothing is read here but templates.
"""

import datetime as dt
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

from newsletter.catalogs import Catalog, load_catalog
from newsletter.cleanhtml import ATTRIBUTE, IMG_TAG
from newsletter.config import Project
from newsletter.errors import Place, Problem, TemplateError
from newsletter.model import MARKER, Article, Group, Image, Issue, RichText, Slot, marker_number
from newsletter.render import ResolvedImage, article_tags, order_headings, resolve_image, theme_values
from newsletter.templating import Templates, content_token, shipped_templates, slot_token

_FOLDER = "web/archive"
_DESCRIPTION_LIMIT = 200
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLink:
    """Name an issue's page in a list or beside another page; ``path`` starts at the archive's folder."""

    path: str
    subject: str
    date: dt.date
    number: str = ""
    preheader: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePage:
    """Hold what the page of one issue shows beside the issue.

    ``url`` is its address for good; ``images`` maps a source as written to its path from the page, with its size in
    pixels where it is known. ``corrected_at`` is the instant of the latest correction.
    """

    issue: Issue
    url: str
    images: Mapping[str, ResolvedImage]
    published_at: dt.datetime
    corrected_at: dt.datetime | None = None
    is_draft: bool = False


class PageRenderer:
    """Render pages of one project; keeps compiled templates and catalogs between pages."""

    def __init__(self, project: Project, base_url: str, subscribe_url: str = "") -> None:
        """Use the project's templates where it has some; ``base_url`` is the archive's address, with a final slash."""
        self._config = project.config
        self._base_url = base_url
        self._subscribe_url = subscribe_url
        self._templates = Templates(
            (project.templates_dir, shipped_templates()),
            project.root,
            {
                "article": lambda item: isinstance(item, Article),
                "group": lambda item: isinstance(item, Group),
                "rich_text": lambda item: isinstance(item, RichText),
            },
        )
        self._catalogs: dict[str, Catalog] = {}

    def issue_page(self, page: IssuePage, *, older: PageLink | None = None, newer: PageLink | None = None) -> str:
        """Return the page of an issue as HTML, with links to its neighbours."""
        context = {
            **self._frame(page.issue.lang, title=f"{shown(page.issue, page.issue.subject)} · {self._title}"),
            **self._content(page, page.images),
            "root": "../",
            "here": "",
            "canonical": page.url,
            "draft": page.is_draft,
            "description": description_of(page.issue),
            "share_image": self._share_image(page),
            "published": page.published_at.isoformat(),
            "corrected": page.corrected_at.isoformat() if page.corrected_at else "",
            "older": older,
            "newer": newer,
        }
        return order_headings(self._render("issue.html.j2", context, page.issue, page.images))

    def feed_content(self, page: IssuePage) -> str:
        """Return an issue as HTML for feed readers: no frame, no classes, absolute addresses."""
        images = {
            src: ResolvedImage(absolute(image.url, page.url), image.width, image.height)
            for src, image in page.images.items()
        }
        context = {**self._frame(page.issue.lang), **self._content(page, images)}
        return self._render("feed.html.j2", context, page.issue, images).strip()

    def index_page(self, links: Sequence[PageLink]) -> str:
        """Return the list of all issues, in the order of ``links``, the newest first."""
        title = f"{self._words('').text('All issues')} · {self._title}"
        years = [(str(year), list(group)) for year, group in itertools.groupby(links, lambda link: link.date.year)]
        return self._plain_page("index.html.j2", "index", self._base_url, title=title, years=years)

    def search_page(self) -> str:
        """Return the page whose script searches ``search-index.js``."""
        title = f"{self._words('').text('Search')} · {self._title}"
        return self._plain_page("search.html.j2", "search", f"{self._base_url}search.html", title=title)

    def stylesheet(self) -> str:
        """Return the style sheet of all pages."""
        return self._templates.render(f"{_FOLDER}/style.css", self._frame(""), "n0", ()).text

    @property
    def _title(self) -> str:
        return self._config.newsletter.title

    def _words(self, lang: str) -> Catalog:
        tag = lang or self._config.newsletter.language
        if tag not in self._catalogs:
            self._catalogs[tag] = load_catalog(tag)
        return self._catalogs[tag]

    def _frame(self, lang: str, title: str = "") -> dict[str, Any]:
        """Return the names that every template of the archive knows; docs/archive.md describes them."""
        settings, catalog = self._config.newsletter, self._words(lang)
        return {
            "newsletter": {name: getattr(settings, name) for name in ("title", "tagline", "postal_address", "url")},
            "theme": theme_values(self._config.theme, catalog.tag, catalog.direction),
            "lang": catalog.tag,
            "dir": catalog.direction,
            "title": title,
            "subscribe_url": self._subscribe_url,
            "t": catalog.text,
            "date": catalog.date,
        }

    def _content(self, page: IssuePage, images: Mapping[str, ResolvedImage]) -> dict[str, Any]:
        catalog = self._words(page.issue.lang)
        numbers = {id(article): number for number, article in enumerate(page.issue.articles, 1)}
        return {
            "issue": page.issue,
            "tags": lambda article: article_tags(article, catalog),
            "image": lambda image: _shown_image(image, images),
            "anchor": lambda article: numbers[id(article)],
        }

    def _share_image(self, page: IssuePage) -> dict[str, str]:
        """Return what social networks show of an issue: its first picture, with an absolute address."""
        for article in page.issue.articles:
            if article.image:
                image = resolve_image(article.image.src, article.image.place, page.images)
                return {"url": absolute(image.url, page.url), "alt": article.image.alt}
        return {}

    def _plain_page(self, name: str, here: str, canonical: str, title: str, **context: object) -> str:
        values = {**self._frame("", title), "root": "", "here": here, "canonical": canonical, **context}
        return self._templates.render(f"{_FOLDER}/{name}", values, "n0", ()).text

    def _render(
        self, name: str, context: Mapping[str, object], issue: Issue, images: Mapping[str, ResolvedImage]
    ) -> str:
        """Render a template and put the content in for its tokens, merge fields as their defaults."""
        nonce = "n" + hashlib.sha256(repr(issue).encode("utf-8", "backslashreplace")).hexdigest()[:20]
        rendering = self._templates.render(f"{_FOLDER}/{name}", context, nonce, issue.slots)

        def content(found: re.Match[str]) -> str:
            return _content_html(rendering.contents[int(found[1])], issue.slots, images)

        def value(found: re.Match[str]) -> str:
            return escape(issue.slots[int(found[1])].default)

        html = re.sub(content_token(nonce, 0).replace("c0x", "c([0-9]+)x"), content, rendering.text)
        html = re.sub(slot_token(nonce, 0).replace("s0x", "s([0-9]+)x"), value, html)
        if nonce in html:
            problem = Problem("the text holds this page's own token", Place(issue.file), "change a word of it")
            raise TemplateError([problem])
        return html


def shown(issue: Issue, text: str) -> str:
    """Return ``text`` of an issue as everybody sees it: merge fields as their defaults."""
    return MARKER.sub(lambda found: issue.slots[marker_number(found[1])].default, text)


def words_of(issue: Issue, html: str) -> str:
    """Return the words of clean HTML of an issue, without tags, in one line."""
    return " ".join(unescape(_TAGS.sub(" ", shown(issue, html))).split())


def description_of(issue: Issue) -> str:
    """Return a line about an issue, for search engines and networks: its preheader, else how its editorial begins."""
    found = shown(issue, issue.preheader) or words_of(issue, issue.editorial.html if issue.editorial else "")
    return found if len(found) <= _DESCRIPTION_LIMIT else f"{found[:_DESCRIPTION_LIMIT].rpartition(' ')[0]}…"


def absolute(path: str, page_url: str) -> str:
    """Return the absolute address of what lies at ``path`` below the page at ``page_url``."""
    return f"https:{path}" if path.startswith("//") else path if ":" in path else f"{page_url}/{path}"


def _shown_image(image: Image, images: Mapping[str, ResolvedImage]) -> dict[str, Any]:
    """Return url, alt, width and height (0 where it is not known) of an article's picture."""
    resolved = resolve_image(image.src, image.place, images)
    known = resolved.width and resolved.height
    width, height = (resolved.width, resolved.height) if known else (0, 0)
    return {"url": resolved.url, "alt": image.alt, "width": width, "height": height}


def _content_html(text: RichText, slots: Sequence[Slot], images: Mapping[str, ResolvedImage]) -> str:
    """Return clean HTML as a page shows it: pictures resolved, merge fields as their defaults."""

    def image(tag: re.Match[str]) -> str:
        values = {name: unescape(value) for name, value in ATTRIBUTE.findall(tag[1])}
        values["src"] = resolve_image(values.get("src", ""), text.place, images).url
        written = "".join(f' {name}="{escape(value)}"' for name, value in {"alt": "", **values}.items())
        return f'<img{written} loading="lazy">'

    html = IMG_TAG.sub(image, text.html)
    return MARKER.sub(lambda found: escape(slots[marker_number(found[1])].default), html)
