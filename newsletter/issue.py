"""Read an issue file into a frozen ``Issue``: pure, from text to value, each mistake with file, line and column.

The format is described in ``docs/editing.md``. ``#`` and ``##`` open sections, what stands before the first is the
editorial. An article is a ``###`` heading that is one link, or a top-level list item that begins with one; any other
content is kept as rich text in its place, never dropped. How these look is decided by the theme, not here.
"""

import datetime as dt
import re
from dataclasses import replace
from zoneinfo import ZoneInfo

from newsletter import frontmatter
from newsletter.articles import SectionReader, heading_key
from newsletter.config import SectionsSection
from newsletter.errors import IssueError, Place, Problem
from newsletter.frontmatter import Entry, FrontMatter, collect
from newsletter.markup import (
    FieldSource,
    clean_characters,
    fields_used,
    has_field_in_tag,
    holds_field,
    image_sources,
    mark_fields,
    parse_field,
)
from newsletter.model import LEAD, Article, Group, Image, Issue, RichText, Slot

SIZE_LIMIT = 1_000_000
"""Bytes that an issue file may have; the largest real one seen has 37,000."""
SUBJECT_LIMIT = 400
"""Characters that subject and preheader may have each."""
_UNUSED = Slot("")


def decode_issue(content: bytes, file: str) -> str:
    r"""Return the text of an issue file, with ``\n`` line ends and without what no mail may hold.

    Raises IssueError with line and column for a file over ``SIZE_LIMIT`` bytes, one that is not UTF-8, or a NUL.
    """
    if len(content) > SIZE_LIMIT:
        message = f"the file has {len(content):,} bytes; an issue may have {SIZE_LIMIT:,}"
        raise IssueError([Problem(message, Place(file), "is this the right file?")])
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IssueError([Problem("the file is UTF-16", Place(file), "save it as UTF-8")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x} is no UTF-8 here"
        raise IssueError([Problem(found, _place_of(content, error.start, file), "save the file as UTF-8")]) from None
    if "\0" in text:
        place = _place_of(content, content.index(b"\0"), file)
        raise IssueError([Problem("a NUL character", place, "delete it; is this a text file?")])
    return clean_characters(text.replace("\r\n", "\n").replace("\r", "\n"))


def _place_of(content: bytes, offset: int, file: str) -> Place:
    before = content[:offset]
    start = before.rfind(b"\n") + 1
    return Place(file, before.count(b"\n") + 1, len(before[start:].decode("utf-8", "replace")) + 1)


def parse_issue(text: str, *, slug: str, file: str, sections: SectionsSection, zone: ZoneInfo) -> Issue:
    """Read ``text`` (as ``decode_issue`` returns it) into an Issue; ``zone`` is the newsletter's.

    Raises IssueError with every Problem of the front matter, or of the body.
    """
    front = frontmatter.read_front_matter(text, file)
    head = _read_head(front, slug, file, zone)
    source = mark_fields(front.body, file, front.body_line)
    reader = SectionReader(source, file, front.body_line, sections)
    editorial, found = reader.read()
    issue = replace(head, editorial=editorial, sections=found)
    return _with_fields(_with_images(issue), source.fields)


def read_head(text: str, *, slug: str, file: str, zone: ZoneInfo) -> Issue:
    """Read only the front matter: what cron needs to know of an issue."""
    return _read_head(frontmatter.read_front_matter(text, file), slug, file, zone)


def issue_warnings(issue: Issue, sections: SectionsSection) -> tuple[Problem, ...]:
    """Return what is odd about an issue and yet no error."""
    place = Place(issue.file)
    found = []
    leads = [section for section in issue.sections if section.kind == LEAD]
    if not issue.articles:
        found.append(Problem("the issue has no articles", place))
    elif not leads:
        found.append(Problem(f"no lead section: no heading reads {sections.lead!r}", place))
    if not issue.preheader:
        found.append(Problem("no preheader: mail clients will show the first words instead", place, "add 'preheader:'"))
    for lead in leads:
        if 0 < sections.lead_max < len(lead.articles):
            message = f"the lead section has {len(lead.articles)} articles; [sections] lead_max is {sections.lead_max}"
            found.append(Problem(message, lead.place))
    if any(slot.field == "name" and not slot.default for slot in issue.slots):
        found.append(Problem("{{ name }} shows nothing where no name is known", place, 'add | default("reader")'))
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# Front matter
# ---------------------------------------------------------------------------------------------------------------------


def _read_head(front: FrontMatter, slug: str, file: str, zone: ZoneInfo) -> Issue:
    problems: list[Problem] = []
    entries = {key: entry for key, entry in front.entries.items() if entry.value != ""}

    def text(key: str) -> str:
        return collect(problems, lambda: frontmatter.as_text(entries[key])) or "" if key in entries else ""

    def names(key: str) -> tuple[str, ...]:
        return collect(problems, lambda: frontmatter.as_names(entries[key])) or () if key in entries else ()

    day = collect(problems, lambda: _day(entries, slug, file))
    send_at = (
        collect(problems, lambda: frontmatter.as_instant(entries["send_at"], zone)) if "send_at" in entries else None
    )
    issue = Issue(
        slug=slug,
        file=file,
        subject=text("subject"),
        date=day or dt.date.min,
        number=text("number"),
        preheader=text("preheader"),
        author=text("author"),
        lang=collect(problems, lambda: frontmatter.as_language(entries["lang"])) or "" if "lang" in entries else "",
        send_at=send_at,
        not_after=collect(problems, lambda: frontmatter.as_deadline(entries["not_after"], zone, send_at))
        if "not_after" in entries
        else None,
        audience=text("audience"),
        topics=names("topics"),
        waive=names("waive"),
        select=collect(problems, lambda: frontmatter.as_rules(entries["select"])) or {} if "select" in entries else {},
        approved=collect(problems, lambda: frontmatter.as_approval(entries["approved"]))
        if "approved" in entries
        else None,
    )
    problems.extend(_length_problems(issue, entries, file))
    if problems:
        raise IssueError(sorted(problems, key=lambda problem: problem.place.line if problem.place else 0))
    return issue


def _day(entries: dict[str, Entry], slug: str, file: str) -> dt.date:
    if "date" in entries:
        return frontmatter.as_date(entries["date"])
    try:
        return dt.date.fromisoformat(slug[:10])
    except ValueError:
        raise IssueError([Problem("'date' is missing", Place(file), "add a line like 'date: 2026-11-25'")]) from None


def _length_problems(issue: Issue, entries: dict[str, Entry], file: str) -> list[Problem]:
    problems = []
    if "subject" not in entries:
        problems.append(Problem("'subject' is missing", Place(file), "add a line 'subject: …' to the front matter"))
    for key, value in (("subject", issue.subject), ("preheader", issue.preheader)):
        if len(value) > SUBJECT_LIMIT:
            message = f"{key} has {len(value)} characters; {SUBJECT_LIMIT} may stand"
            problems.append(Problem(message, entries[key].place, "shorten it"))
    return problems


# ---------------------------------------------------------------------------------------------------------------------
# Images and merge fields of the whole issue
# ---------------------------------------------------------------------------------------------------------------------


def rich_texts(issue: Issue) -> tuple[RichText, ...]:
    """Return every piece of rich text in the issue, in reading order."""
    found: list[RichText | None] = [issue.editorial]
    for section in issue.sections:
        found.append(section.title)
        for item in section.items:
            found.extend(_texts_of(item))
    return tuple(text for text in found if text)


def _texts_of(item: Article | Group | RichText) -> tuple[RichText | None, ...]:
    if isinstance(item, Article):
        return (item.headline, item.byline, item.summary)
    return (item.title,) if isinstance(item, Group) else (item,)


def is_local_image(src: str) -> bool:
    """Tell whether ``src`` names a file beside the issue, and not something on the network."""
    return bool(src) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//|#", src)


def _with_images(issue: Issue) -> Issue:
    images = [article.image for article in issue.articles if article.image]
    for text in rich_texts(issue):
        images.extend(Image(src, alt, text.place) for src, alt in image_sources(text.html))
    local = {image.src: image for image in reversed(images) if is_local_image(image.src)}
    return replace(issue, images=tuple(sorted(local.values(), key=lambda image: (image.place.line, image.src))))


def _with_fields(issue: Issue, fields: tuple[FieldSource, ...]) -> Issue:
    """Resolve the merge fields that reach the mail; those in code or comments never do."""
    subject = mark_fields(issue.subject, issue.file, 1, len(fields))
    preheader = mark_fields(issue.preheader, issue.file, 1, len(fields) + len(subject.fields))
    every = (*fields, *subject.fields, *preheader.fields)
    marked = replace(issue, subject=_unescape(subject.text), preheader=_unescape(preheader.text))
    problems = [*_misplaced(marked)]
    slots = [_UNUSED] * len(every)
    used = [number for text in rich_texts(marked) for number in fields_used(text.html)]
    for number in (*used, *fields_used(marked.subject), *fields_used(marked.preheader)):
        slots[number] = collect(problems, lambda: parse_field(every[number])) or _UNUSED  # noqa: B023
    if problems:
        raise IssueError(list(dict.fromkeys(problems)))
    return replace(marked, slots=tuple(slots))


def _unescape(text: str) -> str:
    return text.replace("\\{{", "{{")


def _misplaced(issue: Issue) -> list[Problem]:
    """Find merge fields where no value of a recipient may go."""
    places = [text.place for text in rich_texts(issue) if has_field_in_tag(text.html)]
    for article in issue.articles:
        alt = article.image.alt if article.image else ""
        if any(holds_field(text) for text in (article.url, article.source, alt)):
            places.append(article.place)
    groups = (item for section in issue.sections for item in section.items if isinstance(item, Group))
    places.extend(group.place for group in groups if holds_field(group.url))
    message = "a merge field stands in a link's target or title, or in an image's description"
    return [Problem(message, place, "merge fields may stand in text only") for place in places]


__all__ = [
    "decode_issue",
    "heading_key",
    "is_local_image",
    "issue_warnings",
    "parse_issue",
    "read_head",
    "rich_texts",
]
