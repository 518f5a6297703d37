"""Put one article after the other into an issue, each step written to the file at once, and take steps back.

Use case: the file is the truth. Where somebody else writes it meanwhile, the next step sees theirs, and what was done
before can no longer be taken back. Screens and prompts are the command line's.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from newsletter.config import Project
from newsletter.errors import InputError, NotAllowedError
from newsletter.filling import Sources, draft_of, draft_of_story, find_seen
from newsletter.issueedit import Draft, insert_article, move_article, remove_article, rewrite_article
from newsletter.issuefile import IssueFile, has_changed, open_issue, save_issue
from newsletter.issuelines import IssueText
from newsletter.stories import Story
from newsletter.weburls import url_key


class Picking:
    """Hold one issue's file while articles are put into it."""

    def __init__(self, project: Project, path: Path) -> None:
        self._project, self._path = project, path
        self._file: IssueFile = open_issue(project, path)
        self._undone: list[str] = []

    @property
    def page(self) -> IssueText:
        """Return the issue as it stands."""
        return self._file.page

    @property
    def can_undo(self) -> bool:
        """Tell whether there is a step that can be taken back."""
        return bool(self._undone)

    def refresh(self) -> bool:
        """Read the file again where somebody else changed it; tell whether that was so.

        Raises IssueError where it cannot be read any more as an issue.
        """
        if not has_changed(self._file):
            return False
        self._file = open_issue(self._project, self._path)
        self._undone.clear()
        return True

    def add(self, draft: Draft, section: str, rank: int | None = None) -> None:
        """Put an article into a section, as number ``rank`` or as the last; raise InputError where it is there."""
        here = place_of(self.page, (draft.url,))
        if here is not None:
            raise InputError(f"{draft.url}: stands in this issue already, as {self._name(here)!r}")
        self._write(insert_article(self.page, draft, section, rank))

    def move(self, index: int, section: str, rank: int | None = None) -> None:
        """Move an article, by its number in reading order, into a section."""
        self._write(move_article(self.page, index, section, rank))

    def remove(self, index: int) -> None:
        """Take an article out."""
        self._write(remove_article(self.page, index))

    def rewrite(self, index: int, edit: Callable[[str], str]) -> bool:
        """Let ``edit`` change the Markdown of an article; tell whether it did."""
        written = self.page.written(index)
        changed = edit(written)
        if changed.strip() == written.strip():
            return False
        self._write(rewrite_article(self.page, index, changed))
        return True

    def undo(self) -> None:
        """Take the last step back; raise InputError where there is none, or the file was changed by somebody else."""
        if not self._undone:
            raise InputError("nothing to take back")
        before = dataclasses.replace(self._file, path=self._file.path)
        self._file = save_issue(before, _as_read(before.page, self._undone[-1]))
        self._undone.pop()

    def _write(self, page: IssueText) -> None:
        before = self._file.page.text
        self._file = save_issue(self._file, page)
        self._undone.append(before)

    def _name(self, index: int) -> str:
        return self.page.written(index).splitlines()[0][:80]


def _as_read(page: IssueText, text: str) -> IssueText:
    from newsletter.issuelines import read_issue_text

    return read_issue_text(text, page.grammar)


def place_of(page: IssueText, urls: tuple[str, ...]) -> int | None:
    """Return the number of the article that has one of these pages, or None."""
    keys = {url_key(url) for url in urls} - {""}
    found = (n for n, article in enumerate(page.issue.articles) if url_key(article.url) in keys)
    return next(found, None)


def add_url(picking: Picking, given: Draft, sources: Sources, *, section: str, rank: int | None = None) -> Draft:
    """Put the article that ``given`` has the address of into a section; return it as it was added.

    What the editor did not say of it, the pool or the page is asked for, unless there is a headline. Raises
    NotAllowedError where a past issue had it, unless the draft follows that one up.
    """
    url = given.url
    known = given if given.headline else draft_of(url, sources)
    found = dataclasses.replace(
        known,
        headline=given.headline or known.headline,
        source=given.source or known.source,
        summary=given.summary or known.summary,
        follow_up=given.follow_up,
    )
    seen = find_seen(found, url, sources.memory)
    if seen and given.follow_up != seen:
        raise NotAllowedError(f"{found.headline!r} was in {seen}; --follow-up {seen} adds it as what came of that")
    picking.add(found, section, rank)
    return found


def add_story(picking: Picking, story: Story, sources: Sources, section: str, rank: int | None = None) -> Draft:
    """Put a story of the pool into a section; one that a past issue had follows that one up."""
    draft = draft_of_story(story, sources, story.seen_in)
    picking.add(draft, section, rank)
    return draft
