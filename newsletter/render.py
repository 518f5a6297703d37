"""Render an Issue to the HTML part of its edition: templates, MJML, content, inlined CSS, in this order.

Content never passes through Jinja, MJML or a style sheet: it travels as opaque tokens and is put in where they came
out. The text part is made elsewhere, from the same Issue. Nothing is read but templates, nothing is fetched.
"""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Any

import msgspec

from newsletter.catalogs import Catalog, load_catalog
from newsletter.cleanhtml import ATTRIBUTE, IMG_TAG
from newsletter.config import Project, ThemeSection
from newsletter.errors import ConfigError, IssueError, Place, Problem, TemplateError
from newsletter.inliner import Inliner, inline_css, inliner_named
from newsletter.mjml import check_mjml, compile_mjml
from newsletter.model import Article, Group, Image, Issue, Part, RichText, Slot, marker, part_of
from newsletter.templating import (
    Rendering,
    Templates,
    content_token,
    replace_markers,
    shipped_templates,
    slot_token,
)

UNSUBSCRIBE_URL = Slot("unsubscribe_url")
PREFERENCES_URL = Slot("preferences_url")
BROWSER_URL = Slot("browser_url")
COLUMN = 536
"""CSS pixels that the theme's text column is wide; no image of the content is shown wider."""

_MAIN, _INLINE_CSS = "email/issue.mjml.j2", "email/inline.css"
_SERIF = "Georgia, 'Times New Roman', {fallback}, serif"
_SANS = "'Segoe UI', -apple-system, Roboto, 'Helvetica Neue', Arial, {fallback}, sans-serif"
_SCRIPTS = {
    # Fonts for scripts that the first fonts of a stack lack. Windows' serif for Chinese is no good in bold.
    ("ltr", _SERIF): "'Songti SC', 'Noto Serif CJK SC', 'Microsoft YaHei'",
    ("rtl", _SERIF): "'Noto Naskh Arabic', 'Geeza Pro'",
    ("ltr", _SANS): "'PingFang SC', 'Microsoft YaHei'",
    ("rtl", _SANS): "'Geeza Pro', Tahoma",
}
_NO_ITALIC = ("zh", "ja", "ko", "th", "hi", "yue")
_FIRST_BLOCK = re.compile(r"<(p|ul|ol|dl|h[3-6]|blockquote|pre|table)(?=[ >])")
_FIRST_INSIDE = re.compile(
    r"(<(?:li|dd|td|th|blockquote)(?: class=\"f\")?>\s*)<(p|ul|ol|dl|h[3-6]|blockquote|pre|table)(?=[ >])"
)
_ALIGNED_CELL = re.compile(r'<t[dh](?: colspan="[0-9]*"| rowspan="[0-9]*")* align="(left|center|right)"')
_WHOLE_QUOTE = re.compile(r"<blockquote>(?:(?!<blockquote).)*</blockquote>", re.DOTALL)
"""Match a text that is one quote, as editors write summaries; the theme does not set it as a quote in a text."""
_INLINE_IMAGE_MAX = 160
"""CSS pixels up to which an image of the content stays in its line, like a badge or an icon."""
_REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """Say what the mail uses for an image: a URL (``https:`` or ``cid:``), and its own size in pixels where known."""

    url: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class RenderedHtml:
    """Hold the HTML part with its slots, the MJML it came from (its content as tokens), and seconds for each stage."""

    html: Part
    mjml: str
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Compile:
    """Hold what all stages of one compile share."""

    issue: Issue
    images: Mapping[str, ResolvedImage]
    nonce: str
    slots: tuple[Slot, ...]


@dataclass(slots=True)
class _Clock:
    """Add up the seconds of each stage."""

    timings: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """End the stage ``name``, which began where the last one ended."""
        now = time.perf_counter()
        self.timings[name] = now - self._since
        self._since = now


def render_html(
    issue: Issue, project: Project, *, images: Mapping[str, ResolvedImage], inliner: Inliner | None = None
) -> RenderedHtml:
    """Render ``issue`` once; see ``Renderer.render``. For several issues of a project, keep a Renderer."""
    return Renderer(project, inliner).render(issue, images)


class Renderer:
    """Render issues of one project; keeps compiled templates, style sheets and catalogs between issues."""

    def __init__(self, project: Project, inliner: Inliner | None = None) -> None:
        """Use the project's templates where it has some, the shipped ones elsewhere, and the configured inliner."""
        self._config = project.config
        self._inliner = inliner or inliner_named(project.config.theme.inliner)
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

    def render(self, issue: Issue, images: Mapping[str, ResolvedImage]) -> RenderedHtml:
        """Return the HTML part of ``issue``; the same input gives the same bytes.

        ``images`` maps an image's src, as written, to what the mail uses; absolute URLs may be missing from it. Slots
        are the issue's own, ``UNSUBSCRIBE_URL``, ``PREFERENCES_URL`` where the newsletter has pages for it, and
        ``BROWSER_URL`` where it has a site; whoever fills them escapes each value for HTML, both kinds of quotes
        included. Raises TemplateError with file and line for a mistake in a template, IssueError for an image without
        an entry.
        """
        clock = _Clock()
        slots = (*issue.slots, UNSUBSCRIBE_URL, PREFERENCES_URL, BROWSER_URL)
        compile_ = _Compile(issue, images, _nonce(issue), slots)
        context = self._context(compile_)
        rendering = self._templates.render(_MAIN, context, compile_.nonce, slots)
        css = self._templates.render(_INLINE_CSS, context, compile_.nonce, slots).text
        clock.stage("templates")
        check_mjml(rendering.text, rendering.place_at, content_token(compile_.nonce, 0)[:-2])
        clock.stage("check")
        html = compile_mjml(rendering.text)
        clock.stage("mjml")
        filled = _fill(html, rendering, compile_)
        clock.stage("content")
        inlined = inline_css(self._inliner, filled, css)
        clock.stage("inline")
        part = _finish(inlined, compile_)
        clock.stage("finish")
        return RenderedHtml(part, rendering.text, clock.timings)

    def _context(self, compile_: _Compile) -> dict[str, Any]:
        """Return the names that templates know; docs/theming.md describes them."""
        settings, theme = self._config.newsletter, self._config.theme
        lang = compile_.issue.lang or settings.language
        catalog = self._catalogs[lang] = self._catalogs.get(lang) or load_catalog(lang)
        direction = catalog.direction
        start, end = ("left", "right") if direction == "ltr" else ("right", "left")
        return {
            "issue": compile_.issue,
            "newsletter": {name: getattr(settings, name) for name in ("title", "tagline", "postal_address", "url")},
            "theme": theme_values(theme, lang, direction),
            "lang": lang,
            "dir": direction,
            "opposite": "rtl" if direction == "ltr" else "ltr",
            "start": start,
            "end": end,
            "column": COLUMN,
            "unsubscribe_url": UNSUBSCRIBE_URL,
            "preferences_url": PREFERENCES_URL if settings.unsubscribe == "web" else "",
            "browser_url": BROWSER_URL if settings.url else "",
            "logo": _logo(theme, settings.title, compile_.images),
            "t": catalog.text,
            "date": catalog.date,
            "tags": lambda article: article_tags(article, catalog),
            "image": lambda image, width: _shown_image(image, width, compile_.images),
        }


# ---------------------------------------------------------------------------------------------------------------------
# What templates are given
# ---------------------------------------------------------------------------------------------------------------------


def _nonce(issue: Issue) -> str:
    """Return letters and digits that no text of the issue holds: a digest of all of it."""
    text = repr(issue)
    nonce = "n" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:20]
    if nonce in text:
        raise IssueError([Problem("the text holds this compile's own token", Place(issue.file), "change a word of it")])
    return nonce


def theme_values(theme: ThemeSection, lang: str, direction: str) -> dict[str, Any]:
    """Return the settings of ``[theme]`` with whole font stacks: the configured fonts first, then the usual ones."""
    sans = _SANS.format(fallback=_SCRIPTS[direction, _SANS])
    serif = _SERIF.format(fallback=_SCRIPTS[direction, _SERIF])
    return {
        **msgspec.structs.asdict(theme),
        "font": ", ".join(filter(None, (theme.font, serif))),
        "heading_font": ", ".join(filter(None, (theme.heading_font, serif))),
        "meta_font": sans,
        # Scripts without an italic would be slanted by the mail client, which is hard to read.
        "italic": "normal" if direction == "rtl" or lang.lower().startswith(_NO_ITALIC) else "italic",
    }


def article_tags(article: Article, catalog: Catalog) -> tuple[str, ...]:
    """Return an article's labels as written, and its kind in the catalog's words unless a label says it already."""
    named = {label.casefold() for label in article.labels}
    kind = article.kind if article.kind not in ("", "article", "brief") and article.kind not in named else ""
    return (*([catalog.kind(kind)] if kind else []), *article.labels)


def _logo(theme: ThemeSection, title: str, images: Mapping[str, ResolvedImage]) -> dict[str, Any] | None:
    if not theme.logo:
        return None
    if theme.logo not in images and not _REMOTE.match(theme.logo):
        raise ConfigError(f"[theme] logo: {theme.logo!r} was not found; write a path beside newsletter.toml, or a URL")
    return _shown_image(Image(theme.logo, title, Place("newsletter.toml")), theme.logo_width, images)


def _shown_image(image: Image, width: int, images: Mapping[str, ResolvedImage]) -> dict[str, Any]:
    """Return url, alt, width and height (0 where it is not known) of ``image``, at most ``width`` CSS pixels wide."""
    resolved = resolve_image(image.src, image.place, images)
    shown = min(width, resolved.width or width)
    height = round(resolved.height * shown / resolved.width) if resolved.width and resolved.height else 0
    return {"url": resolved.url, "alt": image.alt, "width": shown, "height": height}


def resolve_image(src: str, place: Place, images: Mapping[str, ResolvedImage]) -> ResolvedImage:
    """Return what is used for the image written as ``src``; raise IssueError for a local one that has no entry."""
    found = images.get(src)
    if found is None and not _REMOTE.match(src):
        problem = Problem(f"image {src!r} was not found", place, "write a path beside the issue, or an https URL")
        raise IssueError([problem])
    return found or ResolvedImage(src)


# ---------------------------------------------------------------------------------------------------------------------
# Content
# ---------------------------------------------------------------------------------------------------------------------


def _fill(html: str, rendering: Rendering, compile_: _Compile) -> str:
    """Put the content in for its tokens, each of which must stand in the text of ``html`` as often as in the source."""
    token = re.compile(content_token(compile_.nonce, 0).replace("c0x", "c([0-9]+)x"))
    expected = Counter(token.findall(rendering.text))
    if expected != (shown := Counter(token.findall(_COMMENT.sub("", html.partition("</head>")[2])))):
        number = next(n for n in expected if expected[n] != shown[n])
        place = rendering.place_at(rendering.text.index(content_token(compile_.nonce, int(number))))
        problem = Problem("content is printed where it is not shown as text", place, "print it in mj-text or mj-raw")
        raise TemplateError([problem])
    return token.sub(lambda found: _content_html(rendering.contents[int(found[1])], compile_), html)


def _content_html(text: RichText, compile_: _Compile) -> str:
    """Return clean HTML as the mail shows it: images resolved, fields as tokens, the first block of each box marked."""

    def image(tag: re.Match[str]) -> str:
        return _image_tag(tag[1], text.place, compile_.images)

    html = IMG_TAG.sub(image, replace_markers(text.html, compile_.nonce, len(compile_.slots)))
    first = _FIRST_BLOCK.match(html)
    marked = f'<{first[1]} class="f"{html[first.end() :]}' if first else html
    marked = _FIRST_INSIDE.sub(r'\1<\2 class="f"', marked)
    marked = _ALIGNED_CELL.sub(r'\g<0> style="text-align:\1"', marked)
    return marked.replace('class="f"', 'class="f w"', 1) if _WHOLE_QUOTE.fullmatch(html) else marked


def _image_tag(attributes: str, place: Place, images: Mapping[str, ResolvedImage]) -> str:
    """Return an image of the content with the URL the mail uses, an alt text and a width that fits the column."""
    values = {name: unescape(value) for name, value in ATTRIBUTE.findall(attributes)}
    resolved = resolve_image(values.get("src", ""), place, images)
    asked = int(values["width"]) if values.get("width", "").isdecimal() else None
    width = min(asked or resolved.width or COLUMN, COLUMN)
    # Outlook takes the width from the attribute; it would show an image of unknown size as large as it is.
    kept = {"src": resolved.url, "alt": values.get("alt", ""), "title": values.get("title", ""), "width": str(width)}
    written = "".join(f' {name}="{escape(value)}"' for name, value in kept.items() if value or name == "alt")
    known = asked or resolved.width
    return f'<img class="{"ic" if known and known <= _INLINE_IMAGE_MAX else "im"}"{written} />'


# ---------------------------------------------------------------------------------------------------------------------
# The finished document
# ---------------------------------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot);)(?:#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);")
"""Match a character reference that need not be one: a mail is UTF-8, and the character itself is shorter."""
_HEADING = re.compile(r"<(/?)h([1-6])(?=[ >])")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_UNTOUCHED = re.compile(r"<!--.*?-->|<(?:head|script)\b.*?</(?:head|script)\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"""<([a-z][a-z0-9]*+)((?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s=/"']+)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""")
_FORBIDDEN_TAG = re.compile(r"<(script|form|iframe|object|embed|applet|input|button|textarea|select|base|svg|math)\b")
_EVENT = re.compile(r" on[a-z]+ *=")
_TARGETS = ("href", "src", "srcset", "background", "action", "poster")
_TARGET = re.compile(rf""" (?:{"|".join(_TARGETS)}) ?= ?["']?\s*([A-Za-z]*):""")
_SCHEME = re.compile(r"""["']?\s*([A-Za-z]*):""")
_SCHEMES = frozenset({"http", "https", "mailto", "cid", "tel", "sms", ""})


def _finish(inlined: str, compile_: _Compile) -> Part:
    """Clean the inlined document, prove what must hold of every mail, and split it at its slots."""
    html = order_headings(_REFERENCE.sub(_character, inlined))
    problems = [Problem(message, None, "correct the theme's templates") for message in _broken(html)]
    token = re.compile(slot_token(compile_.nonce, 0).replace("s0x", "s([0-9]+)x"))
    marked = token.sub(lambda found: marker(int(found[1])), html)
    if compile_.nonce in marked:
        problems.append(Problem("a token of the content is left in the HTML", None, "this is a bug; please report it"))
    if problems:
        raise TemplateError(problems)
    return part_of(marked, compile_.slots)


def _character(reference: re.Match[str]) -> str:
    return escape(unescape(reference[0]))


def order_headings(html: str) -> str:
    """Renumber headings so that none skips a level; what an editor nested deeper stays deeper."""
    open_levels: list[int] = []

    def renumber(found: re.Match[str]) -> str:
        if found[1]:
            return f"</h{len(open_levels)}"
        while open_levels and open_levels[-1] >= int(found[2]):
            open_levels.pop()
        open_levels.append(int(found[2]))
        return f"<h{len(open_levels)}"

    return _HEADING.sub(renumber, html)


def _broken(html: str) -> Iterator[str]:
    """Yield each rule that the finished document breaks."""
    root = re.match(r"<!doctype html><html\b[^>]*>", html)
    if not (root and re.search(r'\slang="[^"]', root[0]) and re.search(r'\sdir="(?:ltr|rtl)"', root[0])):
        yield '<mjml> has no lang or dir; write <mjml lang="{{ lang }}" dir="{{ dir }}">'
    # The body's tags are in lower case, with one space before each attribute; the head and comments are as they were.
    yield from _active(html)
    yield from _active(" ".join(" ".join(_UNTOUCHED.findall(html)).lower().split()))


def _active(html: str) -> Iterator[str]:
    """Yield what would act, or ask, in a mail client; in ``html`` of lower-case tags."""
    for tag in dict.fromkeys(_FORBIDDEN_TAG.findall(html)):
        yield f"<{tag}> cannot stand in a mail"
    # The tags are taken apart only where the text holds something like an event attribute or a strange address.
    if _EVENT.search(html) or not {found.lower() for found in _TARGET.findall(html)} <= _SCHEMES:
        for tag in _TAG.finditer(html):
            yield from _active_attributes(tag[1], _ATTRIBUTE.findall(tag[2]))


def _active_attributes(tag: str, attributes: list[tuple[str, str]]) -> Iterator[str]:
    for name, value in attributes:
        scheme = _SCHEME.match(value) if name in _TARGETS else None
        if name.startswith("on"):
            yield f"<{tag}> has an event attribute, which cannot stand in a mail"
        elif scheme and scheme[1].lower() not in _SCHEMES:
            yield f"<{tag}> has an address with {scheme[1]}:, which cannot stand in a mail; http, https and mailto can"
