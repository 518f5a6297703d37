"""Fill an issue: complete its bare addresses, and let its ``select:`` rules choose stories for its sections.

Use case: works on values, writes nothing and prints nothing; ``issuefile`` writes. What is filled in is frozen into the
text for the editor to change: a section that holds articles is never filled again, and an address with a headline is
never completed again, so that a second run adds nothing.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from newsletter.abstracts import lead_of
from newsletter.errors import InputError
from newsletter.issueedit import Draft, complete_link, insert_article
from newsletter.issuelines import IssueText
from newsletter.pagefacts import PageFacts
from newsletter.pastarticles import Memory, Told
from newsletter.selecting import Rule, read_rules, select_stories
from newsletter.stories import Entry, Story

ReadPage = Callable[[str], tuple[str, PageFacts]]
"""Fetch a page and read it: the address that it was found at after all redirects, and what it says."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Give what articles are made of.

    ``find_entry`` looks an address up in the pool; ``read_page`` asks the page itself, or is None where nothing may be
    fetched; ``summarize`` makes a draft summary of a text, or is None; ``memory`` knows the other issues.
    """

    find_entry: Callable[[str], Entry | None]
    memory: Memory
    read_page: ReadPage | None = None
    summarize: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Filled:
    """Hold the issue as filled, what was done (a line each), what could not be done, and sections that found nothing.

    ``missing`` are headings whose rule found no story and has no ``skip_if_empty``.
    """

    page: IssueText
    done: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass
class _Work:
    page: IssueText
    done: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def fill_issue(page: IssueText, stories: Sequence[Story], sources: Sources, now: dt.datetime) -> Filled:
    """Return the issue with its bare addresses completed, and its empty sections filled by their rules.

    Raises IssueError for rules that cannot be read.
    """
    rules = read_rules(page.issue.select, page.grammar.file)
    work = _Work(page)
    _complete_links(work, sources)
    missing = _select(work, rules, stories, sources, now)
    return Filled(work.page, tuple(work.done), tuple(work.troubles), missing)


def _complete_links(work: _Work, sources: Sources) -> None:
    for index, article in enumerate(work.page.issue.articles):
        if not article.bare:
            continue
        try:
            draft = draft_of(article.url, sources)
            work.page = complete_link(work.page, index, draft)
        except InputError as error:
            work.troubles.append(f"{article.place}: {error}")
            continue
        work.done.append(f"completed: {draft.headline}")
        seen = find_seen(draft, article.url, sources.memory)
        if seen and article.follow_up != seen:
            way = f"take it out, or write {{follow-up={seen}}}"
            work.troubles.append(f"{article.place}: {draft.headline!r} was in {seen}; {way}")


def _select(
    work: _Work, rules: dict[str, Rule], stories: Sequence[Story], sources: Sources, now: dt.datetime
) -> tuple[str, ...]:
    empty = {heading: rule for heading, rule in rules.items() if not _holds_articles(work.page, heading)}
    chosen = select_stories(empty, stories, now, [article.url for article in work.page.issue.articles])
    for heading, found in chosen.items():
        for story in found:
            try:
                draft = draft_of_story(story, sources)
                work.page = insert_article(work.page, draft, heading)
            except InputError as error:
                work.troubles.append(f"{heading}: {story.best.url}: {error}")
                continue
            work.done.append(f"{heading}: {draft.headline}")
    return tuple(
        heading for heading, rule in empty.items() if not rule.skip_if_empty and not _holds_articles(work.page, heading)
    )


def _holds_articles(page: IssueText, heading: str) -> bool:
    number = page.find_section(heading)
    return number is not None and bool(page.articles_of(number))


# ---------------------------------------------------------------------------------------------------------------------
# Drafts
# ---------------------------------------------------------------------------------------------------------------------


def draft_of(url: str, sources: Sources) -> Draft:
    """Return what can be known of the article at ``url``: from the pool, else from its page.

    Raises InputError where neither has it.
    """
    entry = sources.find_entry(url)
    if entry is not None:
        return _draft_of_entry(entry, sources)
    if sources.read_page is None:
        raise InputError(f"{url}: not in the pool, and nothing may be fetched; write the article by hand")
    found_at, facts = sources.read_page(url)
    entry = sources.find_entry(found_at)
    if entry is not None:
        return _draft_of_entry(entry, sources)
    summary = _summary(facts.text, facts.description, sources)
    return Draft(headline=facts.headline, url=found_at, source=facts.site, summary=summary, date=facts.date)


def draft_of_story(story: Story, sources: Sources, follow_up: str = "") -> Draft:
    """Return a story's best entry as an article; another entry's summary stands in where the best has none."""
    best = story.best
    summary = best.summary or next((entry.summary for entry in story.entries if entry.summary), "")
    return Draft(
        headline=best.title,
        url=best.url,
        source=best.source,
        summary=_summary(summary, "", sources),
        follow_up=follow_up,
    )


def _draft_of_entry(entry: Entry, sources: Sources) -> Draft:
    summary = _summary(entry.summary, "", sources)
    return Draft(headline=entry.title, url=entry.url, source=entry.source, summary=summary)


def _summary(text: str, description: str, sources: Sources) -> str:
    """Return a summary by the editor's program, else the first sentences; the publisher's own where they are good."""
    if sources.summarize is not None and (text or description):
        return sources.summarize(text or description)
    return lead_of(text or description)


def find_seen(draft: Draft, url: str, memory: Memory) -> str:
    """Return the slug of the latest issue that had an article, ``""`` where none had.

    It is known by its address, by ``url``, which led there, by its headline and by its summary.
    """
    return memory.find(Told(page, draft.headline, draft.summary) for page in dict.fromkeys((url, draft.url)))
