"""Insert, move, remove and change articles in the text of an issue, as its editor would have done by hand; pure.

Only the lines of the article itself change, and blank lines beside them; all else stays byte by byte. Each edit is read
back: where Markdown would understand anything else in the issue otherwise than before, it is refused, and the text
stays. What is brought in from outside is escaped (``markup.escape_markdown``), so that it can be nothing but text.
"""

import datetime as dt
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.articles import heading_key
from newsletter.errors import InputError, IssueError
from newsletter.issuelines import (
    Content,
    IssueText,
    Located,
    SectionContent,
    content_of,
    contents_of,
    indent_of,
    read_issue_text,
)
from newsletter.markup import escape_markdown
from newsletter.model import BRIEF, TEXT
from newsletter.weburls import canonical_url

_ITEM = re.compile(r"( {0,3})([-+*]|\d{1,9}[.)])( +)")
_HEADING = re.compile(r" {0,3}###[ \t]+")
_CLOSING = re.compile(r"[ \t]+#+[ \t]*$")
_BRACES = re.compile(r"\{(?=\{)")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Hold an article that comes from outside: plain texts, and an address of the web; all but these may be ``""``.

    ``follow_up`` is the slug of the past issue whose story it goes on with.
    """

    headline: str
    url: str
    source: str = ""
    summary: str = ""
    date: dt.date | None = None
    follow_up: str = ""


# ---------------------------------------------------------------------------------------------------------------------
# Markdown of one article
# ---------------------------------------------------------------------------------------------------------------------


def link_of(draft: Draft) -> str:
    """Return ``[Headline](address "Source")`` with its attributes; raise InputError for no address of the web."""
    url = canonical_url(draft.url)
    if not url:
        raise InputError(f"{draft.url[:200]!r} is no address of the web; write one with https://")
    for sign in "()<>\\":
        url = url.replace(sign, f"%{ord(sign):02X}")
    url = re.sub(r"&(#?\w+);", r"&\1%3B", url)
    source = escape_markdown(_plain(draft.source)).replace('"', '\\"')
    headline = escape_markdown(_plain(draft.headline)) or escape_markdown(url.split("/")[2])
    attributes = [f"date={draft.date.isoformat()}"] if draft.date else []
    attributes += [f"follow-up={draft.follow_up}"] if draft.follow_up else []
    return (
        f"[{headline}]({url}"
        + (f' "{source}")' if source else ")")
        + (f" {{{' '.join(attributes)}}}" if attributes else "")
    )


def _plain(text: str) -> str:
    """Return foreign text without what turns the order of a line, and without two braces in a row.

    Escaped braces would be shown as they are, and a mail that shows ``{{ … }}`` is taken for one whose fields were not
    filled; a stranger's headline must not hold an issue back.
    """
    return _BRACES.sub("{ ", _BIDI.sub("", text))


def _summary_lines(summary: str, prefix: str) -> list[str]:
    text = escape_markdown(_plain(summary))
    return [f"{prefix}{text}"] if text else []


# ---------------------------------------------------------------------------------------------------------------------
# Edits
# ---------------------------------------------------------------------------------------------------------------------


def insert_article(page: IssueText, draft: Draft, section: str, rank: int | None = None) -> IssueText:
    """Return the issue with ``draft`` in the section of this heading, as its article number ``rank``, else as the last.

    A section that is not there is made. Raises InputError where no article can stand there.
    """
    link = link_of(draft)
    prepared, number = _with_section(page, section)
    spot = _spot(prepared, number, rank)
    written = (
        [f"- {link}", *_summary_lines(draft.summary, "  > ")]
        if spot.is_item
        else [f"### {link}", *_summary_lines(draft.summary, "")]
    )
    text = _joined(prepared, spot, written)
    return _checked(page, text, _Change(added=number, position=spot.position, is_new=prepared is not page))


def move_article(page: IssueText, index: int, section: str, rank: int | None = None) -> IssueText:
    """Return the issue with its article ``index``, in reading order, at a place in a section, as for a new one.

    Raises InputError where the article cannot stand there without being changed.
    """
    located = page.articles[index]
    written = page.written(index).splitlines()
    left = _read(page, _without(page, located))
    prepared, number = _with_section(left, section)
    spot = _spot(prepared, number, rank)
    marker = _ITEM.match(written[0])
    if spot.is_item and not (marker and marker[0].strip() in "-+*"):
        written = _as_item(written)
    elif not spot.is_item:
        written = _as_heading(written)
    content = content_of(located.article, page.issue.slots)
    change = _Change(removed=index, added=number, position=spot.position, content=content, is_new=prepared is not left)
    return _checked(page, _joined(prepared, spot, written), change)


def remove_article(page: IssueText, index: int) -> IssueText:
    """Return the issue without its article ``index``, in reading order; its section stays."""
    return _checked(page, _without(page, page.articles[index]), _Change(removed=index))


def rewrite_article(page: IssueText, index: int, markdown: str) -> IssueText:
    """Return the issue with the article ``index`` as its editor wrote it anew; ``IssueText.written`` gives what it was.

    Raises InputError where ``markdown`` is not exactly one article, or would change what stands around it.
    """
    located = page.articles[index]
    lines = markdown.strip("\r\n").splitlines() or [""]
    if located.indent:
        first = page.lines[located.start][: located.indent]
        found = _ITEM.match(lines[0])
        head = lines[0][found.end() :] if found else lines[0]
        lines = [f"{first}{head}", *(f"{' ' * located.indent}{line}" if line.strip() else "" for line in lines[1:])]
    section, position = located.section, page.articles_of(located.section).index(located)
    text = _replaced(page, located, lines)
    return _checked(page, text, _Change(removed=index, added=section, position=position))


def set_summary(page: IssueText, index: int, summary: str) -> IssueText:
    """Return the issue with this plain text as the summary of its article ``index``; picture and headline stay."""
    lines = page.written(index).splitlines()
    image = page.articles[index].article.image
    kept = 1
    if image is not None:
        kept += image.place.line - 1 - page.articles[index].start
    quote = "> " if page.articles[index].indent and image is None else ""
    blank = [""] if page.articles[index].indent and image is not None else []
    return rewrite_article(page, index, "\n".join([*lines[:kept], *blank, *_summary_lines(summary, quote)]))


def complete_link(page: IssueText, index: int, draft: Draft) -> IssueText:
    """Return the issue with the bare address that is its article ``index`` made an article; what stands there stays."""
    located = page.articles[index]
    if not located.article.bare:
        raise InputError(f"{located.article.place}: has a headline already")
    lines = page.written(index).splitlines()
    before, _, after = re.split(r"(https?://[^\s<>]+)", lines[0], maxsplit=1, flags=re.IGNORECASE)
    lines[0] = f"{before}{link_of(draft)}{after}"
    if located.article.summary is None:
        lines[1:] = [*_summary_lines(draft.summary, "> "), *lines[1:]]
    return rewrite_article(page, index, "\n".join(lines))


# ---------------------------------------------------------------------------------------------------------------------
# Places
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """Say where an article goes: before ``line``, as number ``position`` of its section, counted from 0."""

    line: int
    position: int
    is_item: bool
    marker: str = "- "
    beside_item: bool = False
    is_loose: bool = False


def _with_section(page: IssueText, heading: str) -> tuple[IssueText, int]:
    """Return the issue with a section of this heading, made where there is none, and the section's number."""
    found = page.find_section(heading)
    if found is not None:
        return page, found
    if not heading_key(heading):
        raise InputError("a section needs a heading; name it with --section")
    if any(not section.name for section in page.issue.sections):
        raise InputError(
            f"{page.grammar.file}: its articles stand under no heading; write one above them, like '## News'"
        )
    sections = page.issue.sections
    before = _section_after(page, heading)
    line = page.section_lines(before)[0] if before < len(sections) else len(page.lines)
    made = _read(page, _spliced(page, line, [f"## {escape_markdown(heading)}"]))
    number = made.find_section(heading)
    if number is None:
        raise InputError(f"{heading!r} cannot be the heading of a section; write plain words")
    return made, number


def _section_after(page: IssueText, heading: str) -> int:
    """Return the number of the section before which a new one goes.

    The lead comes first, then the headings in the order of ``[sections.kinds]``; others go before the texts at the end.
    """
    settings, sections = page.grammar.sections, page.issue.sections
    order = [heading_key(settings.lead), *map(heading_key, settings.kinds)]
    keys = [heading_key(section.name) for section in sections]
    key = heading_key(heading)
    if key == order[0]:
        return 0
    if key in order:
        later = order[order.index(key) + 1 :]
        return next((number for number, known in enumerate(keys) if known in later), len(sections))
    end = len(sections)
    while end and sections[end - 1].kind == TEXT and keys[end - 1] in order:
        end -= 1
    return end


def _spot(page: IssueText, number: int, rank: int | None) -> _Spot:
    """Return where an article of the section goes, and in which of the two forms: that of its neighbour."""
    known = page.articles_of(number)
    kind = page.issue.sections[number].kind
    if not known:
        start, end = page.section_lines(number)
        while end > start + 1 and not page.lines[end - 1].strip():
            end -= 1
        return _Spot(end, 0, is_item=kind == BRIEF or _configured(page, number) == BRIEF)
    position = len(known) if rank is None else min(max(rank, 1) - 1, len(known))
    at_end = position == len(known)
    neighbour = known[-1] if at_end else known[position]
    found = _ITEM.match(page.lines[neighbour.start]) if neighbour.indent else None
    line = neighbour.end if at_end else neighbour.start
    if not found:
        return _Spot(line, position, is_item=False)
    return _Spot(line, position, is_item=True, marker=found[0], beside_item=True, is_loose=_is_loose(page, known))


def _configured(page: IssueText, number: int) -> str:
    kinds = {heading_key(heading): kind for heading, kind in page.grammar.sections.kinds.items()}
    return kinds.get(heading_key(page.issue.sections[number].name), "")


def _is_loose(page: IssueText, articles: Sequence[Located]) -> bool:
    """Tell whether blank lines part the items of a list."""
    items = [located for located in articles if located.indent]
    return any(
        not page.lines[later.start - 1].strip() for one, later in itertools.pairwise(items) if one.end < later.start
    )


# ---------------------------------------------------------------------------------------------------------------------
# Lines
# ---------------------------------------------------------------------------------------------------------------------


def _as_heading(written: Sequence[str]) -> list[str]:
    """Return the lines of an article that stands alone as a heading."""
    item = _ITEM.match(written[0])
    return [f"### {written[0][item.end() :]}", *written[1:]] if item else list(written)


def _as_item(written: Sequence[str]) -> list[str]:
    """Return the lines of an article that stands alone as a list's item."""
    found, body = _ITEM.match(written[0]) or _HEADING.match(written[0]), list(written[1:])
    head = written[0][found.end() :] if found else written[0]
    if not _ITEM.match(written[0]):
        head = _CLOSING.sub("", head)
        if body and body[0].strip():
            body = ["", *body]  # else a line below the link would be read together with it
    return [f"- {head}", *(f"  {line}" if line.strip() else "" for line in body)]


def _joined(page: IssueText, spot: _Spot, written: Sequence[str]) -> str:
    """Return the text with an article's lines at a place; one of a list gets the marker of its neighbour."""
    if not spot.is_item:
        return _spliced(page, spot.line, written)
    indent = " " * len(spot.marker)
    lines = [spot.marker + written[0][2:]]
    lines += [f"{indent}{line[2:]}" if line.strip() else "" for line in written[1:]]
    if not spot.beside_item:
        return _spliced(page, spot.line, lines)
    at_end = spot.line > 0 and spot.position > 0 and bool(page.lines[spot.line - 1].strip())
    if spot.is_loose:
        lines = ["", *lines] if at_end else [*lines, ""]
    return _inserted(page, spot.line, lines)


def _spliced(page: IssueText, line: int, written: Sequence[str]) -> str:
    """Return the text with lines before ``line``, parted from what is above and below by a blank line each."""
    lines = list(written)
    if line > 0 and page.lines[line - 1].strip():
        lines = ["", *lines]
    if line < len(page.lines) and page.lines[line].strip():
        lines = [*lines, ""]
    return _inserted(page, line, lines)


def _inserted(page: IssueText, line: int, written: Sequence[str]) -> str:
    above, below = page.lines[:line], page.lines[line:]
    if above and not above[-1].endswith(("\n", "\r")):
        above[-1] += page.line_end
    return "".join([*above, *(f"{one}{page.line_end}" for one in written), *below])


def _without(page: IssueText, located: Located) -> str:
    """Return the text without an article's lines, and without one of the blank lines that parted it."""
    start, end = located.start, located.end
    blank_above = start > 0 and not page.lines[start - 1].strip()
    blank_below = end < len(page.lines) and not page.lines[end].strip()
    if blank_above and blank_below:
        end += 1
    elif blank_above and end == len(page.lines):
        start -= 1
    return "".join([*page.lines[:start], *page.lines[end:]])


def _replaced(page: IssueText, located: Located, written: Sequence[str]) -> str:
    above, below = page.lines[: located.start], page.lines[located.end :]
    last = page.lines[located.end - 1]
    ends = [page.line_end] * (len(written) - 1) + [last[len(last.rstrip("\r\n")) :]]
    return "".join([*above, *(f"{line}{end}" for line, end in zip(written, ends, strict=True)), *below])


def _renumbered(before: IssueText, after: IssueText) -> str:
    """Return the text after an edit in which the lists that were numbered on still are."""
    lines = list(after.lines)
    was, now = _numbered_lists(before), _numbered_lists(after)
    if len(was) != len(now):
        return after.text
    for (_, numbers), (items, _) in zip(was, now, strict=True):
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            for number, item in enumerate(items, numbers[0]):
                _number(lines, item, number)
    return "".join(lines)


def _numbered_lists(page: IssueText) -> list[tuple[tuple[tuple[int, int, int], ...], list[int]]]:
    found = []
    for items in page.lists:
        markers = [match[2] for start, _, _ in items if (match := _ITEM.match(page.lines[start]))]
        if len(markers) == len(items) and all(marker[:-1].isdigit() for marker in markers):
            found.append((items, [int(marker[:-1]) for marker in markers]))
    return found


def _number(lines: list[str], item: tuple[int, int, int], number: int) -> None:
    """Give a list's item a number; where that is longer or shorter, the lines below move along."""
    start, end, indent = item
    old = re.match(r" *(\d+)", lines[start])
    if old is None or int(old[1]) == number:
        return
    lines[start] = f"{lines[start][: old.start(1)]}{number}{lines[start][old.end(1) :]}"
    longer = len(str(number)) - len(old[1])
    for line in range(start + 1, end):
        if indent_of(lines[line], indent) == indent:
            lines[line] = " " * longer + lines[line] if longer > 0 else lines[line][-longer:]


# ---------------------------------------------------------------------------------------------------------------------
# Reading back
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """Say what an edit is meant to change: the article that goes, and the place and content of the one that comes."""

    removed: int | None = None
    added: int | None = None
    position: int = 0
    content: Content | None = None
    is_new: bool = False


def _read(page: IssueText, text: str) -> IssueText:
    try:
        return read_issue_text(text, page.grammar)
    except IssueError as error:
        raise InputError(f"{error}; nothing was changed") from None


def _checked(before: IssueText, text: str, change: _Change) -> IssueText:
    """Return the changed issue; raise InputError where anything else in it would be understood otherwise."""
    after = _read(before, text)
    after = _read(before, _renumbered(before, after))
    wanted, found = _sections(before), _sections(after)
    if change.removed is not None:
        located = before.articles[change.removed]
        del wanted[located.section][1][before.articles_of(located.section).index(located)]
    added = None
    if change.added is not None and change.added < len(found):
        articles = found[change.added][1]
        added = articles.pop(change.position)[1] if change.position < len(articles) else None
        if change.is_new and not articles:
            del found[change.added]
    is_missing = change.added is not None and (added is None or (change.content or added) != added)
    if is_missing or wanted != found or contents_of(before.issue)[0] != contents_of(after.issue)[0]:
        raise InputError(
            f"{before.grammar.file}: this would change what stands around it, or no article can stand there; "
            "nothing was changed, do it by hand"
        )
    return after


def _sections(page: IssueText) -> list[tuple[tuple[object, ...], list[tuple[object, Content]]]]:
    def one(section: SectionContent) -> tuple[tuple[object, ...], list[tuple[object, Content]]]:
        return (section.heading, section.others), list(section.articles)

    return [one(section) for section in contents_of(page.issue)[1]]
