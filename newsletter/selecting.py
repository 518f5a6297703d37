"""Choose the stories of an issue that fills itself, by the rules of its ``select:``; pure.

Where the stories come from, and how they are ranked, is the pool's; writing them into the file is ``filling``'s.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.amounts import parse_duration
from newsletter.errors import IssueError, Place, Problem
from newsletter.stories import Entry, Story
from newsletter.weburls import url_key

SINCE = dt.timedelta(days=7)
"""How far back a rule without ``since`` looks."""
LIMIT = 10
"""Stories that a rule without ``top`` and ``limit`` takes."""
_LIMIT_MAX = 100
_YES, _NO = ("true", "yes"), ("false", "no", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Say which stories a section takes: of the last ``since`` the first ``limit`` that all the rest is true of.

    ``feeds`` are names as ``feed_names`` gives them, ``tags`` those of entries or topics of ``[ranking]``; where there
    are none, any will do. A section for which nothing is found is left out if ``skip_if_empty``, else it is told.
    """

    limit: int = LIMIT
    since: dt.timedelta = SINCE
    min_sources: int = 1
    feeds: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    skip_if_empty: bool = False


def read_rules(select: Mapping[str, Mapping[str, object]], file: str) -> dict[str, Rule]:
    """Return the rules of an issue's ``select:`` by heading; raise IssueError with every value that cannot be read."""
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for heading, written in select.items():
        try:
            rules[heading] = _rule(written)
        except ValueError as error:
            problems.append(Problem(f"select: {heading}: {error}", Place(file)))
    if problems:
        raise IssueError(problems)
    return rules


def _rule(written: Mapping[str, object]) -> Rule:
    counts = [_count(key, written[key]) for key in ("top", "limit") if key in written]
    since = parse_duration(str(written.get("since", "7 days")))
    if since is None or not since:
        raise ValueError(f"since: {written['since']!r} is no duration; write one like '7 days'")
    skip = str(written.get("skip_if_empty", "")).lower()
    if skip not in (*_YES, *_NO):
        raise ValueError(f"skip_if_empty: {skip!r} is neither true nor false")
    return Rule(
        limit=min(counts, default=LIMIT),
        since=since,
        min_sources=_count("min_sources", written.get("min_sources", "1")),
        feeds=_names("feeds", written.get("feeds", [])),
        tags=_names("tags", written.get("tags", [])),
        skip_if_empty=skip in _YES,
    )


def _count(key: str, value: object) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", str(value)) or not 1 <= int(str(value)) <= _LIMIT_MAX:
        raise ValueError(f"{key}: {value!r} does not fit; write 1 to {_LIMIT_MAX}")
    return int(str(value))


def _names(key: str, value: object) -> frozenset[str]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key}: write a list of names, like [jing-daily, technode]")
    return frozenset(name.strip().casefold() for name in names if name.strip())


def select_stories(
    rules: Mapping[str, Rule], stories: Sequence[Story], now: dt.datetime, taken: Iterable[str] = ()
) -> dict[str, list[Story]]:
    """Return the stories for each heading, in the order of ``stories``; each story stands in one section at most.

    The headings choose in their order. Left out are stories that a past issue had, and those whose pages stand in
    ``taken``, the addresses that the issue has already.
    """
    used = {url_key(url) for url in taken}
    chosen: dict[str, list[Story]] = {}
    for heading, rule in rules.items():
        found = chosen.setdefault(heading, [])
        for story in stories:
            keys = {url_key(entry.url) for entry in story.entries}
            if len(found) < rule.limit and not keys & used and not story.seen_in and matches(rule, story, now):
                found.append(story)
                used |= keys
    return chosen


def matches(rule: Rule, story: Story, now: dt.datetime) -> bool:
    """Tell whether a story is what a rule asks for."""
    if len(story.sources) < rule.min_sources:
        return False
    if max(entry.published_at for entry in story.entries) < now - rule.since:
        return False
    if rule.feeds and not any(rule.feeds & feed_names(entry) for entry in story.entries):
        return False
    tags = {tag.casefold() for entry in story.entries for tag in entry.tags} | {t.casefold() for t in story.topics}
    return not rule.tags or bool(rule.tags & tags)


def feed_names(entry: Entry) -> frozenset[str]:
    """Return what a rule may call an entry's feed: its source (``jing-daily``), its host, or its whole address."""
    host = (urlsplit(entry.feed).hostname or "").removeprefix("www.")
    labels = host.split(".")
    short = labels[-2] if len(labels) > 1 else host
    source = re.sub(r"[^\w]+", "-", entry.source.casefold()).strip("-")
    names = {entry.feed.casefold(), host, short, source, entry.source.casefold()}
    return frozenset(name for name in names if name)
