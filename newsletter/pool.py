"""Read the pool for an editor: its entries as ranked stories, against all that past issues had.

Use case: nothing is fetched, nothing is written, nothing is printed. ``load_stories`` is what ``newsletter stories``,
``pick`` and ``fill`` are made of; how stories are grouped and ranked is ``stories``'.
"""

import datetime as dt
import re
from collections.abc import Iterator

from newsletter.amounts import parse_duration
from newsletter.config import Project, list_slugs
from newsletter.feedsettings import RankingSection
from newsletter.store import Store
from newsletter.stories import PastArticle, Ranking, Story, group_entries, rank_stories

_ISSUE_MAX = 4_000_000
_LINK = re.compile(
    r"\[((?:[^\[\]\\]|\\.|\[[^\[\]]*\])+)\]\(\s*<?(https?://[^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+[\"'][^)]*)?\s*\)"
)
"""Match a link of Markdown: its words, and its address with the parentheses that it holds in pairs."""
_BARE = re.compile(r"^\s*(?:[-*+]|\d+[.)]|#{3,6})\s+<?(https?://[^\s<>]+)", re.MULTILINE)
"""Match an article that is a bare address so far."""


def load_stories(
    project: Project, store: Store, since: dt.datetime, now: dt.datetime, *, without: str = ""
) -> tuple[Story, ...]:
    """Return the stories whose entries were published from ``since`` to ``now``, ranked, each with its reasons.

    ``Story.seen_in`` names the issue that had a story; the issue ``without`` is not looked at, say because it is the
    one at hand.
    """
    stories = group_entries(store.feeds.load_entries(since, now))
    return rank_stories(stories, ranking_of(project.config.ranking), now, past_articles(project, without=without))


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
    for words, url in _LINK.findall(text):
        yield PastArticle(slug=slug, url=url, title=re.sub(r"[*_`\\]+", "", words).strip())
    for url in _BARE.findall(text):
        yield PastArticle(slug=slug, url=url, title="")
