"""Publish the archive: which issues it shows, and the files of its static site, below ``archive/``.

::

    index.html  search.html  style.css  search.js  search-index.js  atom.xml  rss.xml  sitemap.xml
    SLUG/index.html  SLUG/images/…

An issue is published once its time has come and an editor approved it. Shown is what was approved: where the file was
changed since, the text that the store kept. Nothing is mailed here; the dress of a page is ``webpage``'s.
"""

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from newsletter.catalogs import load_catalog
from newsletter.config import CONFIG_NAME, Project, find_issue, is_reserved_slug, list_slugs
from newsletter.errors import ConfigError, InputError, NewsletterError
from newsletter.frontmatter import without_approval
from newsletter.identity import identity_of
from newsletter.issue import decode_issue, parse_issue
from newsletter.message import browser_url
from newsletter.model import Article, Group, Issue, RichText
from newsletter.render import ResolvedImage
from newsletter.sources import LoadedIssue, LocalImage, load_images, load_issue
from newsletter.store import Store
from newsletter.syndication import FeedEntry, FeedHead, atom_feed, rss_feed, sitemap
from newsletter.templating import shipped_templates
from newsletter.webpage import IssuePage, PageLink, PageRenderer, description_of, shown, words_of

FOLDER = "archive"
"""Where the archive lies below the site's address; every mail links there, for good."""
FEED_ENTRIES = 20
"""Issues that a feed holds, the newest ones."""
_MANIFEST = ".newsletter-site.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Hold one issue that the archive shows, and since when."""

    loaded: LoadedIssue
    published_at: dt.datetime
    is_draft: bool = False

    @property
    def issue(self) -> Issue:
        """Return the issue as it is shown."""
        return self.loaded.issue


@dataclass(frozen=True, slots=True)
class Selection:
    """Hold what is published, the newest first, and in ``notes`` what is not, or is shown otherwise, and why."""

    issues: tuple[Published, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenSite:
    """Count the files of a site that was written: those that are there, were written, and went."""

    files: int
    written: int
    removed: int


# ---------------------------------------------------------------------------------------------------------------------
# What is published
# ---------------------------------------------------------------------------------------------------------------------


def select_published(project: Project, store: Store | None, now: dt.datetime, *, drafts: bool = False) -> Selection:
    """Return the issues whose time has come, as they were approved; with ``drafts`` all others as well, marked.

    An issue's time is the start of its send, else ``send_at``, else the beginning of its day. A file that cannot be
    read is told in the notes and left out: one broken issue takes no other down.
    """
    found: list[Published] = []
    notes: list[str] = []
    for slug in list_slugs(project):
        if is_reserved_slug(slug):
            continue
        try:
            published, note = _look_at(project, store, find_issue(project, slug), now)
        except NewsletterError as error:
            notes.append(f"left out: {error}")
            continue
        notes += [note] if note else []
        if published and (drafts or not published.is_draft):
            found.append(published)
    found.sort(key=lambda one: (one.issue.date, one.published_at, one.issue.slug), reverse=True)
    return Selection(tuple(found), tuple(notes))


def _look_at(project: Project, store: Store | None, path: Path, now: dt.datetime) -> tuple[Published | None, str]:
    loaded, note = load_issue(project, path), ""
    send = store.sends.find_send(path.stem) if store else None
    began = send.started_at if send else None
    approval = store.issues.latest_approval(path.stem) if store else None
    is_changed = approval and without_approval(approval.text) != without_approval(loaded.text)
    is_approved = loaded.issue.approved is not None
    if approval and is_changed and (began or is_approved):
        note = f"{loaded.issue.file}: changed since {approval.by} approved it; the archive shows what was approved"
        loaded = replace(loaded, issue=_approved_issue(project, path, approval.text), text=approval.text)
    issue = loaded.issue
    published_at = began or issue.send_at or dt.datetime.combine(issue.date, dt.time(), project.zone)
    is_draft = not (began or (is_approved and published_at <= now))
    return Published(loaded=loaded, published_at=published_at.astimezone(project.zone), is_draft=is_draft), note


def _approved_issue(project: Project, path: Path, text: str) -> Issue:
    file = f"{project.issues_dir.name}/{path.name}"
    text = decode_issue(text.encode(), file)
    return parse_issue(text, slug=path.stem, file=file, sections=project.config.sections, zone=project.zone)


# ---------------------------------------------------------------------------------------------------------------------
# The files of the site
# ---------------------------------------------------------------------------------------------------------------------


def site_files(project: Project, issues: Sequence[Published], now: dt.datetime) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file of the archive; paths start at the site's root.

    Raises ConfigError where the newsletter has no site, TemplateError and IssueError for pages that cannot be made.
    """
    site = _Site(project, issues, now)
    yield from site.issue_files()
    yield from site.common_files()


class _Site:
    """Make the files of one archive."""

    def __init__(self, project: Project, issues: Sequence[Published], now: dt.datetime) -> None:
        self._project = project
        self._issues = issues
        self._now = now
        self._identity = identity_of(project.config.newsletter)
        if not self._identity.url:
            raise ConfigError(
                f"{project.root / CONFIG_NAME}: [newsletter] url: is empty; the archive needs the address of the site, "
                "write 'https://news.example.org'"
            )
        self._base_url = f"{self._identity.url}/{FOLDER}/"
        takes_subscribers = project.config.newsletter.unsubscribe == "web"
        subscribe_url = f"{self._identity.url}/subscribe" if takes_subscribers else ""
        self._renderer = PageRenderer(project, self._base_url, subscribe_url)
        self._links = [_link_to(published.issue) for published in issues]
        self._pages: list[IssuePage] = []

    def issue_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the page of each issue, with its pictures."""
        for number, published in enumerate(self._issues):
            images = load_images(self._project, published.loaded)
            page = self._page(published, images)
            self._pages.append(page)
            folder = f"{FOLDER}/{published.issue.slug}"
            older = self._links[number + 1] if number + 1 < len(self._links) else None
            newer = self._links[number - 1] if number else None
            yield f"{folder}/index.html", self._renderer.issue_page(page, older=older, newer=newer).encode()
            for image in {image.published_name: image for image in images}.values():
                yield f"{folder}/{unquote(image.published_name)}", image.content

    def common_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield what stands beside the issues; call it after ``issue_files``."""
        texts = {
            "index.html": self._renderer.index_page(self._links),
            "search.html": self._renderer.search_page(),
            "style.css": self._renderer.stylesheet(),
            "search.js": _shipped_text(self._project, "web/archive/search.js"),
            "search-index.js": self._search_index(),
            **self._feeds(),
        }
        for name, text in texts.items():
            yield f"{FOLDER}/{name}", text.encode()

    def _page(self, published: Published, images: Sequence[LocalImage]) -> IssuePage:
        issue = published.issue
        days = [correction.on for correction in issue.corrections]
        corrected_at = dt.datetime.combine(max(days), dt.time(), self._project.zone) if days else None
        return IssuePage(
            issue=issue,
            url=browser_url(self._identity, issue.slug),
            images={image.src: ResolvedImage(image.published_name, image.width, image.height) for image in images},
            published_at=published.published_at,
            corrected_at=max(corrected_at, published.published_at) if corrected_at else None,
            is_draft=published.is_draft,
        )

    def _feeds(self) -> dict[str, str]:
        newsletter = self._project.config.newsletter
        public = [page for page in self._pages if not page.is_draft]
        head = FeedHead(
            title=newsletter.title,
            description=newsletter.tagline,
            url=self._base_url,
            atom_url=f"{self._base_url}atom.xml",
            rss_url=f"{self._base_url}rss.xml",
            language=newsletter.language,
            author=newsletter.title,
            updated_at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        )
        entries = [self._entry(page) for page in public[:FEED_ENTRIES]]
        changes = [(page.url, page.corrected_at or page.published_at) for page in public]
        latest = max((changed for _, changed in changes), default=self._now)
        return {
            "atom.xml": atom_feed(head, entries),
            "rss.xml": rss_feed(head, entries),
            "sitemap.xml": sitemap([(self._base_url, latest), *changes]),
        }

    def _entry(self, page: IssuePage) -> FeedEntry:
        issue = page.issue
        return FeedEntry(
            url=page.url,
            title=shown(issue, issue.subject),
            summary=description_of(issue),
            content=self._renderer.feed_content(page),
            published_at=page.published_at,
            updated_at=page.corrected_at or page.published_at,
            author=issue.author or self._project.config.newsletter.title,
            language=issue.lang,
        )

    def _search_index(self) -> str:
        """Return a script that holds the words of every issue and article, for ``search.js``; no page depends on it."""
        catalog = load_catalog(self._project.config.newsletter.language)
        entries: list[dict[str, str]] = []
        for page in self._pages:
            entries += _search_entries(page.issue, catalog.date(page.issue.date))
        content = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
        return f"const ARCHIVE = {content};\n"


def _link_to(issue: Issue) -> PageLink:
    return PageLink(
        path=f"{quote(issue.slug)}/index.html",
        subject=shown(issue, issue.subject),
        date=issue.date,
        number=issue.number,
        preheader=shown(issue, issue.preheader),
        lang=issue.lang,
    )


def _search_entries(issue: Issue, day: str) -> Iterator[dict[str, str]]:
    """Yield an entry for the issue itself and one for each article: address, title, text, day, language."""
    page, subject = f"{quote(issue.slug)}/index.html", shown(issue, issue.subject)
    texts = [issue.editorial, *(_prose(item) for section in issue.sections for item in (section.title, *section.items))]
    words = " ".join(words_of(issue, text.html) for text in texts if text)
    yield {"u": page, "t": subject, "x": f"{shown(issue, issue.preheader)} {words}".strip(), "d": day, "l": issue.lang}
    for number, article in enumerate(issue.articles, 1):
        parts = [text.html for text in (article.summary, article.byline) if text]
        text = " ".join([*(words_of(issue, part) for part in parts), article.source]).strip()
        title = words_of(issue, article.headline.html)
        yield {"u": f"{page}#a{number}", "t": title, "x": text, "d": f"{day} · {subject}", "l": issue.lang}


def _prose(item: Article | Group | RichText) -> RichText | None:
    return item.title if isinstance(item, Group) else item if isinstance(item, RichText) else None


def _shipped_text(project: Project, name: str) -> str:
    """Return a file of the theme as it is, the project's own where there is one."""
    own = project.templates_dir / name
    path = own if own.is_file() else shipped_templates() / name
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def write_site(
    project: Project, store: Store | None, out: Path, now: dt.datetime, *, drafts: bool = False
) -> tuple[WrittenSite, Selection]:
    """Write the archive below ``out``; only what changed is written, each file whole or not at all.

    What an earlier call wrote and nothing needs any more is removed; whatever else lies in ``out`` is left alone.
    Raises InputError where a file cannot be written, and what ``site_files`` raises.
    """
    selection = select_published(project, store, now, drafts=drafts)
    former, present, written = _read_manifest(out), set[str](), 0
    for name, content in site_files(project, selection.issues, now):
        present.add(name)
        written += _write(out / name, content)
    removed = sum(_remove(out, name) for name in sorted(former - present))
    _write(out / _MANIFEST, json.dumps({"files": sorted(present)}, indent=1).encode())
    return WrittenSite(len(present), written, removed), selection


def _read_manifest(out: Path) -> set[str]:
    """Return what an earlier call wrote; a name that leads out of the archive is none of ours."""
    try:
        names = json.loads((out / _MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {name for name in names if isinstance(name, str) and _is_inside(PurePosixPath(name))}


def _is_inside(path: PurePosixPath) -> bool:
    return path.parts[:1] == (FOLDER,) and ".." not in path.parts


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it holds ``content`` already; tell whether it was written."""
    try:
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; name another folder with --out") from None
    return True


def _remove(out: Path, name: str) -> bool:
    """Remove a file, and the folders of its issue that are empty then; tell whether it was there."""
    path = out / name
    try:
        path.unlink()
    except OSError:
        return False
    with contextlib.suppress(OSError):  # not empty
        for folder in path.parents[: len(PurePosixPath(name).parts) - 1]:
            folder.rmdir()
    return True
