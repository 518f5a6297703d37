"""Read an issue file into a frozen ``Issue``: pure, from text to value, each mistake with file, line and column.

The format is described in ``docs/editing.md``. ``#`` and ``##`` open sections, what stands before the first is the
editorial. An article is a ``###`` heading that is one link, or a top-level list item that begins with one; any other
content is kept as rich text in its place, never dropped. How these look is decided by the theme, not here.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from newsletter import frontmatter
from newsletter.articles import SectionReader, heading_key
from newsletter.attributes import ATTRIBUTES
from newsletter.audience import parse_audience
from newsletter.cleanhtml import (
    fields_in_tags,
    fields_in_url,
    fields_used,
    image_sources,
    prose_of,
)
from newsletter.config import SectionsSection
from newsletter.errors import InputError, IssueError, Place, Problem
from newsletter.frontmatter import Entry, FrontMatter, collect
from newsletter.markup import FieldSource, Source, mark_fields, parse_field
from newsletter.model import Article, Group, Image, Issue, RichText, Slot, clean_characters

SIZE_LIMIT = 500_000
"""Bytes that an issue file may have; the largest real one seen has 37,000."""
SUBJECT_LIMIT = 400
"""Characters that subject and preheader may have each."""
UNKNOWN_TAG, BRACES, BROKEN_LINK = "text.unknown-tag", "text.braces", "text.broken-link"
"""The ids of the checks under which what the parser noticed is told."""
_UNUSED = Slot("")
_BROKEN_FIELD = re.compile(r"\{\{\s*[A-Za-z_][^{}\n]*\n[^{}\n]*\}\}")
_BRACES = re.compile(r"\{\s*([A-Za-z][A-Za-z-]{1,12})\s*[=:][^{}]*\}")
_CURLY_LINK = re.compile(r"\[[^\[\]]{1,200}\]\([^\s()]{1,500}\s+[“”„‟«»‘’][^()]{0,200}\)")


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
        found = f"byte 0x{content[error.start]:02x} is not UTF-8"
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
    reader = SectionReader(source, sections)
    editorial, found = reader.read()
    head, head_fields = _mark_head(head, front, Source(text, (), file), len(source.fields))
    fields = [*source.fields, *head_fields]
    issue = replace(head, editorial=editorial, sections=found)
    images = _all_images(issue, source)
    problems = [*_misplaced(issue, fields), *_broken_fields(issue, source), *_broken_images(images)]
    warnings = (*_tag_warnings(reader.unknown_tags), *_text_warnings(issue, source))
    return replace(_with_slots(issue, fields, problems), images=_local_images(images), warnings=warnings)


def read_head(text: str, *, slug: str, file: str, zone: ZoneInfo) -> Issue:
    """Read only the front matter: what cron needs to know of an issue."""
    return _read_head(frontmatter.read_front_matter(text, file), slug, file, zone)


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
        if "not_after" in entries and (send_at or "send_at" not in entries)
        else None,
        audience=text("audience"),
        topics=names("topics"),
        waive=collect(problems, lambda: frontmatter.as_waivers(entries["waive"])) or {} if "waive" in entries else {},
        select=collect(problems, lambda: frontmatter.as_rules(entries["select"])) or {} if "select" in entries else {},
        corrections=collect(problems, lambda: frontmatter.as_corrections(entries["corrections"])) or ()
        if "corrections" in entries
        else (),
        approved=collect(problems, lambda: frontmatter.as_approval(entries["approved"]))
        if "approved" in entries
        else None,
    )
    if issue.audience:
        collect(problems, lambda: parse_audience(issue.audience, entries["audience"].place))
    problems.extend(_text_problems(issue, front, file))
    if problems:
        raise IssueError(_sorted(problems))
    return issue


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    places = {problem: problem.place or Place("") for problem in problems}
    return sorted(places, key=lambda problem: (places[problem].line, places[problem].column))


def _day(entries: dict[str, Entry], slug: str, file: str) -> dt.date:
    if "date" in entries:
        return frontmatter.as_date(entries["date"])
    try:
        return dt.date.fromisoformat(slug[:10])
    except ValueError:
        raise IssueError([Problem("'date' is missing", Place(file), "add a line like 'date: 2026-11-25'")]) from None


def _text_problems(issue: Issue, front: FrontMatter, file: str) -> Iterator[Problem]:
    """Find what is wrong with subject, preheader and author beyond their types."""
    subject = front.entries.get("subject")
    if subject is None:
        yield Problem("'subject' is missing", Place(file), "add a line 'subject: …' to the front matter")
    elif subject.value == "":
        yield Problem("'subject' is empty", subject.place, "write what the mail is about")
    elif hides_line_break(issue.subject):
        message = "subject: an encoded-word (=?…?=) hides a line break or control character, and could forge a header"
        yield Problem(message, subject.place, "write it as plain text")
    for key, value in (("subject", issue.subject), ("preheader", issue.preheader)):
        if len(value) > SUBJECT_LIMIT:
            message = f"{key} has {len(value)} characters; {SUBJECT_LIMIT} may stand"
            yield Problem(message, front.entries[key].place, "shorten it")
    for key, value in (("author", issue.author), ("number", issue.number)):
        if "{{" in value:
            hint = "merge fields may stand in the text, the subject and the preheader"
            yield Problem(f"{key}: a merge field cannot stand here", front.entries[key].place, hint)


def hides_line_break(text: str) -> bool:
    """Tell whether undoing RFC 2047 in ``text`` brings out what could forge a header."""
    if "=?" not in text:
        return False
    from newsletter.headers import refuse_injection

    try:
        refuse_injection(text, "the subject")
    except InputError:
        return True
    return False


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


def _all_images(issue: Issue, source: Source) -> list[Image]:
    images = [article.image for article in issue.articles if article.image]
    for text in rich_texts(issue):
        found = image_sources(text.html)
        places = _places([(src,) if src else (f"![{alt}]", "<img") for src, alt in found], text, source)
        images.extend(Image(src, alt, place) for (src, alt), place in zip(found, places, strict=True))
    return sorted(images, key=lambda image: (image.place.line, image.place.column))


def _places(wanted: Sequence[tuple[str, ...]], text: RichText, source: Source) -> Iterator[Place]:
    """Yield where one of the words of each of ``wanted`` stands in ``text``, one behind the other."""
    near = text.place
    for words in wanted:
        place = next(filter(None, (source.find(word, near) for word in words)), None)
        near = replace(place, column=place.column + 1) if place else near
        yield place or text.place


def _local_images(images: Sequence[Image]) -> tuple[Image, ...]:
    """Return the images beside the issue, each as it stands first."""
    local = {image.src: image for image in reversed(images) if is_local_image(image.src)}
    return tuple(image for image in images if local.get(image.src) is image)


def _mark_head(issue: Issue, front: FrontMatter, whole: Source, first: int) -> tuple[Issue, list[FieldSource]]:
    """Return the issue with markers in subject and preheader, numbered from ``first``, and their fields."""
    subject = mark_fields(issue.subject, whole.file, offset=first)
    preheader = mark_fields(issue.preheader, whole.file, offset=first + len(subject.fields))
    fields = [
        replace(field, place=whole.place_of(field.text, front.entries[key].place))
        for key, marked in (("subject", subject), ("preheader", preheader))
        for field in marked.fields
    ]
    return replace(issue, subject=_unescape(subject.text), preheader=_unescape(preheader.text)), fields


def _with_slots(issue: Issue, fields: Sequence[FieldSource], problems: list[Problem]) -> Issue:
    """Resolve the merge fields that reach the mail; those in code or comments never do.

    Raises IssueError with ``problems`` and those of the fields.
    """
    slots = [_UNUSED] * len(fields)
    texts = (*(text.html for text in rich_texts(issue)), issue.subject, issue.preheader)
    for number in (number for text in texts for number in fields_used(text)):
        slots[number] = collect(problems, lambda: parse_field(fields[number])) or _UNUSED  # noqa: B023
    if problems:
        raise IssueError(_sorted(problems))
    return replace(issue, slots=tuple(slots))


def _unescape(text: str) -> str:
    return text.replace("\\{{", "{{")


def _misplaced(issue: Issue, fields: Sequence[FieldSource]) -> Iterator[Problem]:
    """Find merge fields where no value of a recipient may go."""
    numbers = [number for text in rich_texts(issue) for number in fields_in_tags(text.html)]
    for article in issue.articles:
        image = (article.image.src, article.image.alt) if article.image else ()
        numbers.extend(number for text in (article.url, article.source, *image) for number in fields_in_url(text))
    groups = (item for section in issue.sections for item in section.items if isinstance(item, Group))
    numbers.extend(number for group in groups for number in fields_in_url(group.url))
    message = "a merge field stands in a link's target or title, or in an image's description"
    for number in numbers:
        if number < len(fields):  # an address may hold an encoded character that only looks like a marker
            yield Problem(message, fields[number].place, "merge fields may stand in text only")


def _broken_fields(issue: Issue, source: Source) -> Iterator[Problem]:
    """Find merge fields that were broken into two lines, as some editors do by themselves."""
    for text in rich_texts(issue):
        for found in _BROKEN_FIELD.finditer(prose_of(text.html)):
            place = source.place_of(found[0].split("\n")[0].rstrip(), text.place)
            yield Problem("a merge field is broken into two lines", place, "write it on one line")


def _broken_images(images: Sequence[Image]) -> Iterator[Problem]:
    """Find images whose address nh3 dropped, or that never had one."""
    hint = "write a path beside the issue, or an address with https://"
    for image in images:
        if not image.src:
            yield Problem("an image has no address that mail can have", image.place, hint)


# ---------------------------------------------------------------------------------------------------------------------
# Warnings
# ---------------------------------------------------------------------------------------------------------------------


def _tag_warnings(tags: Sequence[tuple[str, Place]]) -> Iterator[Problem]:
    for tag, place in tags:
        yield Problem(f"{tag[:40]} is not a tag that HTML knows, and does not show", place, rule=UNKNOWN_TAG)


def _text_warnings(issue: Issue, source: Source) -> Iterator[Problem]:
    """Say what in the text will hardly look as it was meant to."""
    for text in rich_texts(issue):
        yield from _link_warnings(text, source)
        yield from _brace_warnings(text, source)


def _link_warnings(text: RichText, source: Source) -> Iterator[Problem]:
    for found in _CURLY_LINK.finditer(prose_of(text.html)):
        place = source.place_of(found[0].split("](")[0], text.place)
        yield Problem("a link with curly quotes stays text", place, rule=BROKEN_LINK)


def _brace_warnings(text: RichText, source: Source) -> Iterator[Problem]:
    """Find braces that stay text and look like attributes: misspelt, or not at the end of a heading or item."""
    for found in _BRACES.finditer(prose_of(text.html)):
        close = get_close_matches(found[1].lower(), ATTRIBUTES, n=1, cutoff=0.7)
        if close:
            place = source.place_of(found[0].split("\n")[0], text.place)
            hint = f"did you mean '{close[0]}='? attributes stand at the end of a heading or an item's first paragraph"
            yield Problem(f"{found[0][:60]} stays text", place, hint, BRACES)


__all__ = [
    "decode_issue",
    "heading_key",
    "is_local_image",
    "parse_issue",
    "read_head",
    "rich_texts",
]
