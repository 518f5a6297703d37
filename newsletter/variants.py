"""Cut an issue to the topics that a subscriber chose: which sections they get, and what such a variant is called.

The editorial, the lead section and every section without topics go to everybody; a section with topics goes to who
chose one of them, and to who chose none at all. A *variant* is one such cut, named by all the topics that are in it:
``beauty``, ``beauty,retail``; ``""`` is the whole issue, and ``-`` has none of the sections with topics. Pure.
"""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from newsletter.errors import InputError
from newsletter.model import LEAD, Article, Group, Issue, Section
from newsletter.topics import read_topics, topic_names

WHOLE, NO_TOPICS = "", "-"
VARIANTS_MAX = 64
"""Variants of one issue that a send may have; each is compiled, and checked by somebody."""


@dataclass(frozen=True, slots=True)
class TopicalSections:
    """Hold the topics of each section that has any, in the order of the issue."""

    topics: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.topics)

    @property
    def known(self) -> tuple[str, ...]:
        """Return every topic of the issue, in the order of the alphabet."""
        return tuple(sorted({topic for topics in self.topics for topic in topics}))

    def variant_of(self, chosen: Iterable[str]) -> str:
        """Return the name of the variant for who chose these topics; choosing none is choosing all."""
        wanted = frozenset(chosen)
        if not wanted or not self.topics:
            return WHOLE
        inside = [not wanted.isdisjoint(topics) for topics in self.topics]
        if all(inside):
            return WHOLE
        # All topics whose every section is inside: two sets of topics that ask for the same sections get one name.
        outside = {topic for topics, is_in in zip(self.topics, inside, strict=True) if not is_in for topic in topics}
        return ",".join(topic for topic in self.known if topic not in outside) or NO_TOPICS

    def variant_called(self, text: str) -> str:
        """Return the name of the variant for topics as an editor writes them, ``beauty, retail``.

        Raises InputError for a topic that no section of the issue has.
        """
        if text.strip() == NO_TOPICS:
            return NO_TOPICS if self.topics else WHOLE
        chosen = read_topics(text)
        unknown = [topic for topic in chosen if topic not in self.known]
        if unknown:
            known = ", ".join(self.known) or "none"
            raise InputError(f"no section has the topic '{unknown[0]}'; topics of the issue: {known}")
        return self.variant_of(chosen)


NO_SECTIONS = TopicalSections()
"""What an issue has whose sections name no topics."""


def variant_words(variant: str) -> str:
    """Return what a variant is called in a report."""
    if variant == WHOLE:
        return "the whole issue"
    return "no section with topics" if variant == NO_TOPICS else f"the sections on {variant.replace(',', ', ')}"


def topical_sections(issue: Issue) -> TopicalSections:
    """Return the topics of the issue's sections; those of the lead do not count, it goes to everybody."""
    found = (_topics(section) for section in issue.sections)
    return TopicalSections(tuple(topics for topics in found if topics))


def cut_issue(issue: Issue, variant: str) -> Issue:
    """Return the issue with the sections of a variant, and the images that are left in it."""
    if variant == WHOLE:
        return issue
    chosen = frozenset() if variant == NO_TOPICS else frozenset(variant.split(","))
    kept = tuple(section for section in issue.sections if not _topics(section) or chosen & set(_topics(section)))
    cut = replace(issue, sections=kept)
    shown = "\n".join(_html(cut))
    sources = {article.image.src for article in cut.articles if article.image}
    images = tuple(image for image in issue.images if image.src in sources or html.escape(image.src) in shown)
    return replace(cut, images=images)


def _topics(section: Section) -> tuple[str, ...]:
    return () if section.kind == LEAD else topic_names(section.topics)


def _html(issue: Issue) -> Iterator[str]:
    """Yield every piece of rich text of an issue."""
    if issue.editorial:
        yield issue.editorial.html
    for section in issue.sections:
        yield section.title.html
        for item in section.items:
            if isinstance(item, Article):
                yield from (text.html for text in (item.headline, item.byline, item.summary) if text)
            else:
                yield item.title.html if isinstance(item, Group) else item.html
