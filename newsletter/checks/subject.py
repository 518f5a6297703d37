"""Hold what checks look at: an issue with its source, its mail, its images, past issues; and find places in it.

Everything is given; what is made from it (links, pieces of prose, the tree of the HTML) is made once, when the first
check asks. What was seen in the compiled mail is led back here to the line of the issue or of the template.
"""

import datetime as dt
import html as entities
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from newsletter.checks.cascade import Shown, shown_texts
from newsletter.checks.clientfeatures import Use, used_features
from newsletter.checks.finding import Need
from newsletter.checks.stylesheets import StyleSheet, parse_sheet
from newsletter.checks.verdicts import SpamVerdict
from newsletter.cleanhtml import ATTRIBUTE, IMG_TAG, link_texts, prose_of
from newsletter.config import Config
from newsletter.errors import Place
from newsletter.model import MARKER, Article, Edition, Group, Issue, RichText, Section
from newsletter.pastarticles import PastArticle
from newsletter.reading import Reading, read_message

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_HTML_MAX = 2_000_000
"""Characters of HTML that are looked at; nobody has written a mail of a tenth of it that was meant."""
_CROWDED_TAG = re.compile(r"<\w[^\s<>]*+(?:\s++[^\s<>]++){1000}")
"""Match a tag with so many words in it that the parser, which compares each attribute with all others, would dwell."""
_NEAR = 40_000
"""Characters of the source in which words are looked for from where they must stand."""
_FRONT_KEY = re.compile(r"^([a-z_]+) *:[ \t]*", re.MULTILINE)
_MARKUP_BETWEEN = r"[\s>*_`~\\\[\]]+"


@dataclass(frozen=True, slots=True)
class Link:
    """Hold a link of the issue: its target, ``None`` where none may stand, the words that are shown, and its place.

    ``article`` is set where it is the article's own link, not one in its text.
    """

    target: str | None
    words: str
    place: Place
    article: Article | None = None
    has_image: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold an image of the issue, as written; ``width`` is the attribute of an ``<img>``, 0 without one."""

    src: str
    alt: str
    place: Place
    width: int = 0
    headline: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Say what an image's file is: media type, bytes, and pixels; ``url`` is its address in the mail."""

    media_type: str
    size: int
    width: int
    height: int
    url: str = ""


@dataclass(frozen=True, slots=True)
class Prose:
    """Hold a piece of the issue's text without markup and code: where it stands, and in what.

    ``part`` is ``subject``, ``preheader``, ``editorial``, ``title``, ``headline``, ``byline``, ``summary``, ``text`` or
    ``alt``.
    """

    part: str
    text: str
    place: Place
    article: Article | None = None


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """Say what a link answered: its status, 0 where there was no answer, why not, and where it led at last.

    ``https`` tells of an ``http:`` link whether the same works with ``https:``.
    """

    status: int
    words: str = ""
    url: str = ""
    https: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Hold all that checks look at; ``limits`` are the numbers of all checks, by name.

    ``html`` and ``text`` are the parts as a sample recipient gets them, ``message`` the bytes, ``taken_apart`` what is
    in them, where they were read already. ``templates`` are the texts of the theme by the path that messages name.
    ``answers`` are given where links were asked. ``today`` is the day of the check.
    """

    config: Config
    today: dt.date
    issue: Issue | None = None
    source: str = ""
    html: str = ""
    text: str = ""
    message: bytes = b""
    taken_apart: Reading | None = None
    edition: Edition | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    past: Sequence[PastArticle] = ()
    answers: Mapping[str, LinkAnswer] | None = None
    spam_verdicts: Sequence[SpamVerdict] = ()
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def has(self) -> frozenset[Need]:
        """Return which needs are met."""
        found = {
            Need.ISSUE: self.issue is not None,
            Need.MAIL: bool(self.message),
            Need.HTML: bool(self.html),
            Need.ONLINE: self.answers is not None,
            Need.SPAM: bool(self.spam_verdicts),
        }
        return frozenset(need for need, is_met in found.items() if is_met)

    @property
    def written(self) -> Issue:
        """Return the issue; only checks that need one may ask."""
        assert self.issue is not None
        return self.issue

    @property
    def language(self) -> str:
        """Return the language of the issue."""
        return (self.issue.lang if self.issue else "") or self.config.newsletter.language

    @property
    def zone(self) -> ZoneInfo:
        """Return the newsletter's time zone."""
        return ZoneInfo(self.config.newsletter.time_zone)

    @property
    def sent_on(self) -> dt.date:
        """Return the day on which the issue goes out: that of ``send_at``, else its date."""
        issue = self.written
        return issue.send_at.astimezone(self.zone).date() if issue.send_at else issue.date

    # -----------------------------------------------------------------------------------------------------------------
    # The mail
    # -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def tree(self) -> "HtmlElement":
        """Return the HTML part as a tree, parsed once for all checks; an empty page where there is nothing in it."""
        from lxml import etree, html

        parser = html.HTMLParser(encoding="utf-8")
        crowded = _CROWDED_TAG.search(self.html, 0, _HTML_MAX)
        text = self.html[: crowded.start() if crowded else _HTML_MAX]
        try:
            return html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
        except etree.ParserError:
            return html.document_fromstring(b"<p></p>", parser=parser)

    @cached_property
    def sheets(self) -> tuple[StyleSheet, ...]:
        """Return the style sheets that stand in the HTML part, in order."""
        return tuple(parse_sheet(style.text or "", style.get("media", "")) for style in self.tree.iter("style"))

    @cached_property
    def shown(self) -> tuple[Shown, ...]:
        """Return the texts that the HTML part shows, with how they look in light and in dark mode, and on a phone."""
        return tuple(shown_texts(self.tree, [rule for sheet in self.sheets for rule in sheet.rules]))

    @cached_property
    def features(self) -> tuple[Use, ...]:
        """Return the features of HTML and CSS that the HTML part uses."""
        return used_features(self.tree, self.sheets)

    @cached_property
    def reading(self) -> Reading:
        """Return the message taken apart; one saved with the line ends of this machine as if it had those of mail."""
        content = self.message
        return self.taken_apart or read_message(content if b"\r\n" in content else content.replace(b"\n", b"\r\n"))

    # -----------------------------------------------------------------------------------------------------------------
    # The issue
    # -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Return every link of the issue, in the order of their places."""
        return tuple(sorted(self._links(), key=lambda link: (link.place.line, link.place.column)))

    @cached_property
    def pictures(self) -> tuple[Picture, ...]:
        """Return every image of the issue, in the order of their places."""
        return tuple(sorted(self._pictures(), key=lambda image: (image.place.line, image.place.column)))

    @cached_property
    def prose(self) -> tuple[Prose, ...]:
        """Return every piece of the issue's text, in reading order; merge fields are left out."""
        return tuple(Prose(one.part, MARKER.sub("", one.text), one.place, one.article) for one in self._prose())

    def headline_at(self, place: Place | None) -> str:
        """Return the headline of the article that stands at ``place``, ``""`` elsewhere."""
        article = self.article_at(place)
        return plain(article.headline) if article else ""

    def article_at(self, place: Place | None) -> Article | None:
        """Return the article that stands at ``place``, None elsewhere."""
        if self.issue is None or place is None or place.file != self.issue.file:
            return None
        found: Article | None = None
        for line, item in self._starts:
            if line > place.line:
                break
            found = item
        return found

    @cached_property
    def _starts(self) -> list[tuple[int, Article | None]]:
        starts: list[tuple[int, Article | None]] = []
        for section in self.written.sections:
            starts.append((section.place.line, None))
            starts.extend((item.place.line, item if isinstance(item, Article) else None) for item in section.items)
        return starts

    def section_at(self, place: Place | None) -> Section | None:
        """Return the section in which ``place`` lies, None outside of any."""
        if self.issue is None or place is None or place.file != self.issue.file:
            return None
        before = [section for section in self.issue.sections if section.place.line <= place.line]
        return before[-1] if before else None

    # -----------------------------------------------------------------------------------------------------------------
    # Places
    # -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.source))]

    def find(self, words: str, near: Place | None = None) -> Place | None:
        """Return where ``words`` stand first in the issue file from ``near`` on, or None; markup may part them."""
        start = 0
        if near is not None and near.line <= len(self._line_starts):
            start = self._line_starts[near.line - 1] + near.column - 1
        end = start + _NEAR if near else len(self.source)
        at = self.source.find(words, start, end) if words else -1
        if at < 0 and " " in words.strip():
            pieces = [re.escape(word) for word in words.split()[:12]]
            found = re.compile(_MARKUP_BETWEEN.join(pieces)).search(self.source, start, end)
            at = found.start() if found else -1
        if at < 0:
            return None
        line = self.source.count("\n", 0, at) + 1
        file = self.issue.file if self.issue else ""
        return Place(file, line, at - self._line_starts[line - 1] + 1)

    def place_of(self, words: str, near: Place) -> Place:
        """Return where ``words`` stand first from ``near`` on; ``near`` where they do not stand so."""
        return self.find(words, near) or near

    def place_of_key(self, key: str) -> Place:
        """Return where the value of a key of the front matter stands; its beginning where the key is not there."""
        end = self.source.find("\n---", 3)
        for found in _FRONT_KEY.finditer(self.source, 0, max(end, 0)):
            if found[1] == key:
                line = self.source.count("\n", 0, found.start()) + 1
                return Place(self.written.file, line, found.end() - found.start() + 1)
        return Place(self.written.file)

    def place_of_target(self, url: str) -> Place | None:
        """Return where the issue has a link or an image with this address, None where no one wrote it there."""
        return self._targets.get(_bare(url))

    def picture_of(self, url: str) -> Picture | None:
        """Return the image of the issue that has this address in the mail, None for one of the theme."""
        return self._shown_pictures.get(url)

    @cached_property
    def _shown_pictures(self) -> dict[str, Picture]:
        shown: dict[str, Picture] = {}
        for picture in self.pictures if self.issue else ():
            facts = self.images.get(picture.src)
            shown.setdefault(facts.url if facts else picture.src, picture)
        return shown

    @cached_property
    def _targets(self) -> dict[str, Place]:
        places: dict[str, Place] = {}
        if self.issue is not None:
            for link in self.links:
                places.setdefault(_bare(link.target or ""), link.place)
            for picture in self.pictures:
                places.setdefault(_bare(picture.src), picture.place)
        return places

    def place_in_templates(self, words: str) -> Place | None:
        """Return where ``words`` stand first in a template of the theme, None where in none."""
        for file, text in self.templates.items():
            at = text.find(words) if words else -1
            if at >= 0:
                return Place(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        return None

    # -----------------------------------------------------------------------------------------------------------------
    # Taking apart
    # -----------------------------------------------------------------------------------------------------------------

    def _links(self) -> Iterator[Link]:
        for _, text, _ in self._pieces():
            near = text.place
            for target, words, has_image in link_texts(text.html):
                place = self._place_of_url(target or "", near) or self.find(words, near)
                near = _behind(place) if place else near
                yield Link(target, MARKER.sub("", words), place or text.place, has_image=has_image)
        for section in self.written.sections:
            for item in section.items:
                if isinstance(item, Article):
                    place = self._place_of_url(item.url, item.place) or item.place
                    yield Link(item.url, plain(item.headline), place, item)
                elif isinstance(item, Group) and item.url:
                    place = self._place_of_url(item.url, item.place) or item.place
                    yield Link(item.url, plain(item.title), place)

    def _place_of_url(self, url: str, near: Place) -> Place | None:
        written = dict.fromkeys((url, unquote(url), entities.escape(url), url.removeprefix("mailto:")))
        return next(filter(None, (self.find(form, near) for form in written if form)), None)

    def _pictures(self) -> Iterator[Picture]:
        for one in self.written.articles:
            if image := one.image:
                yield Picture(image.src, image.alt, image.place, 0, plain(one.headline))
        for _, text, article in self._pieces():
            near = text.place
            for tag in IMG_TAG.finditer(text.html):
                values = {name: entities.unescape(value) for name, value in ATTRIBUTE.findall(tag[1])}
                src, alt, width = values.get("src", ""), values.get("alt", ""), values.get("width", "")
                place = self._place_of_url(src, near) or self.find("<img", near)
                near = _behind(place) if place else near
                headline = plain(article.headline) if article else ""
                yield Picture(src, alt, place or text.place, int(width) if width.isdecimal() else 0, headline)

    def _pieces(self) -> Iterator[tuple[str, RichText, Article | None]]:
        """Yield each rich text of the issue, in reading order: what part it is, and of which article."""
        issue = self.written
        if issue.editorial:
            yield "editorial", issue.editorial, None
        for section in issue.sections:
            if section.title:
                yield "title", section.title, None
            for item in section.items:
                if isinstance(item, Article):
                    texts = (("headline", item.headline), ("byline", item.byline), ("summary", item.summary))
                    yield from ((part, text, item) for part, text in texts if text)
                elif isinstance(item, Group):
                    yield "title", item.title, None
                else:
                    yield "text", item, None

    def _prose(self) -> Iterator[Prose]:
        issue = self.written
        yield Prose("subject", issue.subject, self.place_of_key("subject"))
        yield Prose("preheader", issue.preheader, self.place_of_key("preheader"))
        for part, text, article in self._pieces():
            yield Prose(part, prose_of(text.html).strip(), text.place, article)
        for picture in self.pictures:
            yield Prose("alt", picture.alt, picture.place)


def plain(text: RichText) -> str:
    """Return rich text as one line of words, merge fields left out."""
    return " ".join(MARKER.sub("", entities.unescape(re.sub(r"<[^>]*>", "", text.html))).split())


def width(text: str) -> int:
    """Return the columns that a line takes: what is wide in East Asia counts two (UAX #11)."""
    if text.isascii():
        return len(text)
    counted = (character for character in text if not unicodedata.combining(character))
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in counted)


def _behind(place: Place) -> Place:
    return Place(place.file, place.line, place.column + 1)


def _bare(url: str) -> str:
    return unquote(url.strip())
