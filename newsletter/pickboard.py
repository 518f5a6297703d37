"""Know what the picking screen shows, and what each key does; the terminal itself is the command line's.

Two views, the stories and the issue, each a list with a cursor; one line says what happened. Lines are cut by the
columns that their characters fill, so that Chinese titles line up and nothing wraps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from newsletter.articles import heading_key
from newsletter.errors import NewsletterError
from newsletter.model import QUOTE, TEXT
from newsletter.picking import Picking, add_story, place_of

if TYPE_CHECKING:
    from newsletter.filling import Sources
    from newsletter.stories import Story

Line = tuple[str, str]
"""A style (title, cursor, faint, good, odd, or none) and a line of text."""
DETAILS = 6
"""Lines that tell more of what the cursor is on."""
SECTIONS_MAX = 9
_KEYS = (
    ("up down", "choose; also j and k, page up and page down"),
    ("1 … 9", "send the story, or move the article, to that section"),
    ("n", "to a new section, whose heading you type"),
    ("tab", "stories or issue"),
    ("[ ]", "article up or down by one; the first one leads"),
    ("e", "edit the article in $EDITOR"),
    ("x", "take the article out"),
    ("u", "undo the last step"),
    ("/", "show only what has these words"),
    ("? q", "this help; end"),
)


@dataclass
class Board:
    """Hold the screen's state: stories or issue, where the cursors are, what was typed, what is told."""

    picking: Picking
    stories: "Sequence[Story]"
    sources: "Sources"
    edit: Callable[[str], str] | None = None
    on_issue: bool = False
    is_help: bool = False
    is_over: bool = False
    message: str = ""
    filter: str = ""
    typing: str = ""
    typed: str = ""
    _cursors: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> "Sequence[Story]":
        """Return the stories that the filter lets through."""
        words = self.filter.casefold().split()
        if not words:
            return self.stories
        return [story for story in self.stories if all(word in _words(story) for word in words)]

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the headings that take articles: the lead's, those of newsletter.toml, of the rules, of the issue."""
        page = self.picking.page
        settings = page.grammar.sections
        texts = {heading_key(heading) for heading, kind in settings.kinds.items() if kind in (TEXT, QUOTE)}
        known: dict[str, str] = {heading_key(settings.lead): settings.lead}
        for section in page.issue.sections:
            if section.kind not in (TEXT, QUOTE) or (not section.items and heading_key(section.name) not in texts):
                known.setdefault(heading_key(section.name), section.name)
        for heading in (*page.issue.select, *settings.kinds):
            if heading_key(heading) not in texts:
                known.setdefault(heading_key(heading), heading)
        return tuple(name for key, name in known.items() if key)[:SECTIONS_MAX]

    @property
    def cursor(self) -> int:
        """Return what the cursor is on, in the list that is shown."""
        return max(min(self._cursors[self.on_issue], self._count() - 1), 0)

    def _count(self) -> int:
        return len(self.picking.page.issue.articles) if self.on_issue else len(self.shown)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Do what a key stands for; whatever cannot be done is told in ``message``."""
        if self.typing:
            self._type(key)
            return
        self.message = ""
        if self.is_help and key != "q":
            self.is_help = False
            return
        try:
            if self.picking.refresh():
                self.message = "the file was changed by somebody else; it was read again"
            self._act(key)
        except NewsletterError as error:
            self.message = str(error).splitlines()[0]

    def watch(self) -> None:
        """Read the file again where somebody else changed it."""
        try:
            if self.picking.refresh():
                self.message = "the file was changed by somebody else; it was read again"
        except NewsletterError as error:
            self.message = str(error).splitlines()[0]

    def _act(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10, "home": -(10**6), "end": 10**6}
        if key in steps:
            self._cursors[self.on_issue] = max(min(self.cursor + steps[key], self._count() - 1), 0)
        elif key.isdigit() and 0 < int(key) <= len(self.sections):
            self._send(self.sections[int(key) - 1])
        elif key in ("n", "/"):
            self.typing, self.typed = {"n": "new section", "/": "show"}[key], ""
        else:
            actions: dict[str, Callable[[], None]] = {
                "tab": self._turn,
                "[": lambda: self._shift(-1),
                "]": lambda: self._shift(1),
                "e": self._edit,
                "x": self._remove,
                "u": self._undo,
                "?": self._help,
                "q": self._end,
            }
            actions.get(key, lambda: None)()

    def _type(self, key: str) -> None:
        if key == "enter":
            what, text = self.typing, " ".join(self.typed.split())
            self.typing = ""
            if what == "show":
                self.filter = text
                self._cursors[False] = 0
            elif text:
                try:
                    self._send(text)
                except NewsletterError as error:
                    self.message = str(error).splitlines()[0]
        elif key == "escape":
            self.typing = ""
        elif key == "backspace":
            self.typed = self.typed[:-1]
        elif len(key) == 1 and key.isprintable():
            self.typed += key

    def _send(self, section: str) -> None:
        if self.on_issue:
            if self._count():
                self.picking.move(self.cursor, section)
                self.message = f"moved to {section}"
            return
        if not self.shown:
            return
        story = self.shown[self.cursor]
        here = place_of(self.picking.page, tuple(entry.url for entry in story.entries))
        if here is None:
            add_story(self.picking, story, self.sources, section)
            self.message = f"added to {section}" + (f" as a follow-up of {story.seen_in}" if story.seen_in else "")
        else:
            self.picking.move(here, section)
            self.message = f"moved to {section}"

    def _article(self) -> int | None:
        """Return the number of the article that the cursor is on, or of the one that its story became."""
        if self.on_issue:
            return self.cursor if self._count() else None
        if not self.shown:
            return None
        return place_of(self.picking.page, tuple(entry.url for entry in self.shown[self.cursor].entries))

    def _shift(self, by: int) -> None:
        index = self._article()
        if index is None:
            self.message = "not in the issue yet: a digit sends it to a section"
            return
        page = self.picking.page
        located = page.articles[index]
        siblings = page.articles_of(located.section)
        position = siblings.index(located)
        if 0 <= position + by < len(siblings):
            self.picking.move(index, page.issue.sections[located.section].name, position + by + 1)
            self._cursors[True] = index + by

    def _edit(self) -> None:
        index = self._article()
        if index is None:
            self.message = "not in the issue yet: a digit sends it to a section"
        elif self.edit is not None:
            self.message = "edited" if self.picking.rewrite(index, self.edit) else "left as it was"

    def _remove(self) -> None:
        index = self._article()
        if index is None:
            self.message = "not in the issue"
        else:
            self.picking.remove(index)
            self.message = "taken out; u brings it back"

    def _undo(self) -> None:
        self.picking.undo()
        self.message = "taken back"

    def _turn(self) -> None:
        self.on_issue = not self.on_issue

    def _help(self) -> None:
        self.is_help = True

    def _end(self) -> None:
        self.is_over = True

    # -- what is shown ------------------------------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the whole screen: at the most ``height`` lines that fill at the most ``width`` columns each."""
        if self.is_help:
            body = [("", f" {keys:<10} {what}") for keys, what in _KEYS]
            return [(style, fit(text, width)) for style, text in [("title", " keys"), *body]][:height]
        foot = list(self._foot(width))
        details = list(self._details())[: DETAILS if height > 16 else 2 if height > 9 else 0]
        room = max(height - len(foot) - len(details) - 1, 1)
        rows, position = self._rows()
        first = max(min(position - room // 2, len(rows) - room), 0)
        body = rows[first : first + room]
        body += [("", "")] * (room - len(body))
        lines = [("title", self._title()), *body, *details, *foot]
        return [(style, _bar(style, fit(text, width), width)) for style, text in lines][:height]

    def _title(self) -> str:
        issue = self.picking.page.issue
        if self.on_issue:
            return f" {issue.slug}  {issue.subject}"
        only = f" with '{self.filter}'" if self.filter else ""
        return f" {issue.slug}  {len(self.shown)} stories{only}"

    def _rows(self) -> tuple[list[Line], int]:
        """Return the lines of the list, and which of them has the cursor."""
        if not self.on_issue:
            rows = [self._story_row(n, story) for n, story in enumerate(self.shown)]
            return rows or [
                ("faint", " no stories; 'newsletter fetch' asks the feeds, / and enter shows all")
            ], self.cursor
        rows, position, number = [], 0, 0
        page = self.picking.page
        for section in page.issue.sections:
            rows.append(("good", f" {section.name or '(no heading)'}"))
            for rank, article in enumerate(section.articles, 1):
                is_here = number == self.cursor
                position = len(rows) if is_here else position
                words = plain_words(article.headline.html)
                rows.append(("cursor" if is_here else "", f" {'›' if is_here else ' '}{rank:>3}. {words}"))
                number += 1
        return rows or [("faint", " no articles yet; tab shows the stories")], position

    def _story_row(self, number: int, story: "Story") -> Line:
        is_here = number == self.cursor
        urls = tuple(entry.url for entry in story.entries)
        is_in = place_of(self.picking.page, urls) is not None
        mark = "✓" if is_in else "-" if story.seen_in else " "
        style = "cursor" if is_here else "good" if is_in else "faint" if story.seen_in else ""
        count = len(story.sources)
        return (
            style,
            f" {'›' if is_here else ' '}{mark}{story.points:>6.1f} {count:>3}  {story.best.title or story.best.url}",
        )

    def _details(self) -> Iterator[Line]:
        yield "faint", "─" * 400
        if self.on_issue:
            articles = self.picking.page.issue.articles
            if articles:
                article = articles[self.cursor]
                yield "", f" {article.source or '(no source)'} · {article.url}"
                yield "faint", f" {plain_words(article.summary.html) if article.summary else '(no summary)'}"
            return
        if self.shown:
            story = self.shown[self.cursor]
            yield "", f" {'; '.join(f'{reason.words} ({reason.points:+.1f})' for reason in story.reasons)}"
            yield "", f" {story.best.summary or '(no summary)'}"
            yield "faint", f" {story.best.source} · {story.best.published_at:%Y-%m-%d %H:%M} · {story.best.url}"
            others = [f"{entry.source}: {entry.title}" for entry in story.entries[1:]]
            yield "faint", f" also {'; '.join(others)}" if others else ""

    def _foot(self, width: int) -> Iterator[Line]:
        yield "odd", f" {self.typing}: {self.typed}▏" if self.typing else f" {self.message}"
        line = ""
        for number, name in enumerate(self.sections, 1):
            piece = f" {number} {name} "
            if line and columns(line + piece) > width:
                yield "title", line
                line = ""
            line += piece
        yield "title", line
        here = "[ ] rank  e edit  x out" if self.on_issue else "1-9 send  e edit  / find"
        yield "title", f" {here}  tab {'stories' if self.on_issue else 'issue'}  u undo  ? keys  q end"


def _words(story: "Story") -> str:
    return "\n".join(f"{entry.title} {entry.summary} {entry.source}" for entry in story.entries).casefold()


def _bar(style: str, text: str, width: int) -> str:
    """Return a line of the frame as wide as the terminal, any other as it is."""
    return text + " " * (width - columns(text)) if style == "title" else text


def plain_words(html: str) -> str:
    """Return the words of clean HTML on one line."""
    import re
    from html import unescape

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def columns(text: str) -> int:
    """Return how many columns of a terminal a text fills."""
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def fit(text: str, width: int) -> str:
    """Return ``text`` cut to ``width`` columns, with ``…`` where something is missing; controls become spaces."""
    from wcwidth import wcwidth

    plain = "".join(character if character.isprintable() else " " for character in text)
    used, kept = 0, ""
    for character in plain:
        used += max(wcwidth(character), 0)
        if used > width:
            while kept and columns(kept) > width - 1:
                kept = kept[:-1]
            return kept if text.startswith("─") else f"{kept}…"
        kept += character
    return kept
