"""Read the pool for an editor: its entries as ranked stories, against all that past issues had.

Use case: nothing is fetched, nothing is written, nothing is printed. ``load_stories`` is what ``newsletter stories``,
``pick`` and ``fill`` are made of; how stories are grouped and ranked is ``stories``'.
"""

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from newsletter.amounts import parse_duration
from newsletter.config import Project, list_slugs
from newsletter.feedsettings import RankingSection
from newsletter.pastarticles import Memory, PastArticle
from newsletter.stories import Ranking, Story, group_entries, rank_stories

if TYPE_CHECKING:
    from newsletter.store import Store  # the checks read past issues, and open none

_ISSUE_MAX = 4_000_000
_LINK = re.compile(
    r"\[((?:[^\[\]\\]|\\.|\[[^\[\]]*\])+)\]\(\s*<?(https?://[^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+[\"'][^)]*)?\s*\)"
)
"""Match a link of Markdown: its words, and its address with the parentheses that it holds in pairs."""
_BARE = re.compile(r"^\s*(?:[-*+]|\d+[.)]|#{3,6})\s+<?(https?://[^\s<>]+)", re.MULTILINE)
"""Match an article that is a bare address so far."""
_START = re.compile(r"^(?:#{1,6}|[-*+]|\d+[.)])[ \t]", re.MULTILINE)
"""Match where a heading or a top-level item begins, which may be an article."""
_ASIDE = re.compile(r"!\[[^\]]*\]\([^)]*\)|\{[\w-]+=[^}\n]*\}")
"""Match an image, and the attributes of an article."""
_MARKS = re.compile(r"[*_`\\]+|^[ \t]*>[ \t]?", re.MULTILINE)
_TEXT_MAX = 2000


def load_stories(
    project: Project, store: "Store", since: dt.datetime, now: dt.datetime, *, memory: Memory
) -> tuple[Story, ...]:
    """Return the stories whose entries were published from ``since`` to ``now``, ranked, each with its reasons.

    ``Story.seen_in`` names the issue that had a story, as far as ``memory`` knows.
    """
    stories = group_entries(store.feeds.load_entries(since, now))
    return rank_stories(stories, ranking_of(project.config.ranking), now, memory)


def load_memory(project: Project, store: "Store", *, without: str = "") -> Memory:
    """Return what all issues told but ``without``, which is the one at hand, and where addresses led."""
    return Memory(past_articles(project, without=without), store.feeds.load_redirects())


def ranking_of(section: RankingSection) -> Ranking:
    """Return the weights that ``[ranking]`` gives."""
    half_life = parse_duration(section.half_life)
    assert half_life is not None  # settings have refused anything else
    return Ranking(
        sources=section.sources,
        recency=section.recency,
        source_weight=section.source_weight,
        topic=section.topic,
        seen=section.seen,
        half_life=half_life,
        topics=section.topics,
    )


def past_articles(project: Project, *, without: str = "") -> tuple[PastArticle, ...]:
    """Return every link of every issue but ``without``, drafts as well, with the words that it stands on.

    The first link of a heading or of an item has the text that follows as its own.

    Read as text: it must cost little for 500 issues, and an issue that does not compile yet had its articles too. A
    file that cannot be read has none.
    """
    return tuple(article for slug in list_slugs(project) if slug != without for article in _articles(project, slug))


def _articles(project: Project, slug: str) -> Iterator[PastArticle]:
    try:
        with (project.issues_dir / f"{slug}.md").open("rb") as file:
            text = file.read(_ISSUE_MAX).decode("utf-8-sig", "replace")
    except OSError:
        return
    starts = [0, *(found.start() for found in _START.finditer(text)), len(text)]
    for start, end in itertools.pairwise(starts):
        yield from _articles_of(slug, text[start:end])


def _articles_of(slug: str, block: str) -> Iterator[PastArticle]:
    """Yield the links of a heading or an item and what follows it; what follows is the text of the first."""
    links = list(_LINK.finditer(block))
    for number, link in enumerate(links):
        text = "" if number or "\n" in block[: link.start()].strip() else _plain(block[link.end() :])
        yield PastArticle(slug=slug, url=link[2], title=_plain(link[1]), text=text)
    for url in _BARE.findall(block):
        yield PastArticle(slug=slug, url=url, title="")


def _plain(markdown: str) -> str:
    """Return the words of a piece of Markdown, as far as they count for likeness."""
    words = _MARKS.sub("", _LINK.sub(r"\1", _ASIDE.sub("", markdown[:_TEXT_MAX])))
    return " ".join(words.split())
