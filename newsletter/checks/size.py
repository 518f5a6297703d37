"""Check what the mail weighs: its HTML against Gmail's clip, the message, its images; and what each article costs.

The HTML is weighed as the reader with the longest values gets it. Not here: the weight of one image (``images``).
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from newsletter.body_rules import HTML_MAX
from newsletter.checks.finding import Check, Found, Need, Severity, quoted
from newsletter.checks.subject import Subject, plain
from newsletter.errors import Place
from newsletter.message import LINK_FIELDS
from newsletter.model import Article, Slot

_KB = 1024
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Say what an article, or a section with all that is in it, costs in bytes of HTML.

    ``words`` are the headline or the title, ``share`` is the part of the whole HTML, from 0 to 1.
    """

    words: str
    place: Place
    size: int
    share: float


def worst_html_size(subject: Subject) -> int:
    """Return the bytes of the HTML part as the reader with the longest values gets it.

    Each value may have ``field_bytes``, a limit of ``size.gmail-clip``, beyond what the sample has in its place. Links
    are as long for everybody. A foreign message is taken as it is.
    """
    pieces = subject.edition.html if subject.edition else ()
    values = sum(isinstance(piece, Slot) and piece.field not in LINK_FIELDS for piece in pieces)
    return len(subject.html.encode()) + int(values * subject.limits["field_bytes"])


def article_costs(subject: Subject) -> tuple[Cost, ...]:
    """Return what each article costs, in reading order; those that the mail does not show are left out."""
    issue = subject.issue
    if issue is None:
        return ()
    links: dict[str, list[Any]] = {}
    for link in subject.tree.iter("a"):
        links.setdefault(link.get("href", ""), []).append(link)
    heads = [(article, one) for article in issue.articles if (one := _headline_link(article, links)) is not None]
    own = {link for _, link in heads}
    titles = {title for title in subject.tree.iter("h1", "h2") if own.isdisjoint(title.iter("a"))}
    weigh = _Scales(len(subject.html.encode()), own | titles)
    return tuple(weigh.cost(plain(article.headline), article.place, link) for article, link in heads)


def section_costs(subject: Subject) -> tuple[Cost, ...]:
    """Return what each section with a title costs, in reading order."""
    if subject.issue is None:
        return ()
    titles = list(subject.tree.iter("h1", "h2"))
    found, weigh = [], _Scales(len(subject.html.encode()), frozenset(titles))
    for section in subject.issue.sections:
        words = plain(section.title)
        title = next((one for one in titles if words and _flat(one) == words), None)
        if title is not None:
            titles = titles[titles.index(title) + 1 :]
            found.append(weigh.cost(words, section.place, title))
    return tuple(found)


def _headline_link(article: Article, links: dict[str, list[Any]]) -> Any:
    """Return the link of an article's headline, and take it out of ``links``; None where the mail does not have it."""
    candidates, words = links.get(article.url, []), plain(article.headline)
    named = [link for link in candidates if _flat(link) == words]
    found = next(iter(named or candidates), None)
    if found is not None:
        candidates.remove(found)
    return found


def _flat(element: Any) -> str:
    return " ".join(element.text_content().split())


@dataclass(frozen=True, slots=True)
class _Scales:
    """Weigh parts of a mail of ``whole`` bytes; ``stops`` are the links and titles with which other parts begin."""

    whole: int
    stops: Set[Any]

    def cost(self, words: str, place: Place, head: Any) -> Cost:
        """Return what the part costs that begins with ``head``: the largest element that holds no other stop."""
        from lxml import etree

        block = head
        for outer in head.iterancestors():
            holds_other = any(one in self.stops and one is not head for one in outer.iter("a", "h1", "h2"))
            if holds_other or outer.tag in ("body", "html"):
                break
            block = outer
        size = len(etree.tostring(block, encoding="utf-8", method="html", with_tail=False))
        return Cost(words, place, size, size / self.whole)


# ---------------------------------------------------------------------------------------------------------------------
# The checks
# ---------------------------------------------------------------------------------------------------------------------


def _gmail_clip(subject: Subject) -> Iterator[Found]:
    size = worst_html_size(subject)
    excess = size - HTML_MAX
    if excess > 0:
        message = f"the HTML is {_kb(size)}, and Gmail cuts it off after {_kb(HTML_MAX)}: {_kb(excess)} too much"
        yield _clipped(subject, message, excess)


def _near_clip(subject: Subject) -> Iterator[Found]:
    size, wanted = worst_html_size(subject), int(subject.limits["html_kb"] * _KB)
    if wanted < size <= HTML_MAX:
        message = (
            f"the HTML is {_kb(size)}, and Gmail cuts it off after {_kb(HTML_MAX)}: {_kb(HTML_MAX - size)} are left"
        )
        yield _clipped(subject, message, size - wanted)


def _clipped(subject: Subject, message: str, excess: int) -> Found:
    """Return the finding at the place of what costs most: articles where a few are enough, else sections."""
    dearest = _dearest(article_costs(subject))
    if sum(cost.size for cost in dearest) < excess:
        dearest = _dearest(section_costs(subject)) or dearest
    if not dearest:
        return Found(message)
    listed = "; ".join(f"line {cost.place.line}, {_headline(cost.words)}: {_kb(cost.size)}" for cost in dearest)
    return Found(message, dearest[0].place, f"shorten what costs most: {listed}")


def _dearest(costs: Sequence[Cost]) -> list[Cost]:
    return sorted(costs, key=lambda cost: -cost.size)[:_SHOWN]


def _article(subject: Subject) -> Iterator[Found]:
    most = subject.limits["article_kb"] * _KB
    for cost in article_costs(subject):
        if cost.size > most:
            message = f"the article takes {_kb(cost.size)} of HTML, {cost.share:.0%} of the mail"
            yield Found(message, cost.place)


def _message(subject: Subject) -> Iterator[Found]:
    size = len(subject.message)
    if size > subject.limits["message_kb"] * _KB:
        resources = sum(len(resource.content) for resource in subject.edition.resources) if subject.edition else 0
        heavy = f", {_kb(resources * 4 // 3)} of it images" if resources else ""
        fix = 'host the images: [newsletter] images = "hosted"' if resources > size / 2 else ""
        yield Found(f"the message is {_kb(size)}{heavy}", _first_place(subject), fix)


def _images(subject: Subject) -> Iterator[Found]:
    facts = {src: facts.size for src, facts in subject.images.items()}
    total = sum(facts.values())
    if total > subject.limits["images_kb"] * _KB:
        heaviest = max(facts, key=lambda src: facts[src])
        message = f"the images are {_kb(total)} together; the heaviest, {heaviest}, is {_kb(facts[heaviest])}"
        yield Found(message, subject.place_of_target(heaviest), count=len(facts))


def _first_place(subject: Subject) -> Place | None:
    return Place(subject.issue.file) if subject.issue else None


def _headline(words: str) -> str:
    return quoted(words, 40)


def _kb(size: float) -> str:
    return f"{size / _KB:,.1f} KB"


_HTML = frozenset({Need.HTML})

CHECKS = (
    Check(
        id="size.gmail-clip",
        severity=Severity.ERROR,
        why="Gmail shows the first 102 KB of the HTML and hides the rest, the unsubscribe link with it.",
        fix="shorten the mail, or split it into two issues",
        run=_gmail_clip,
        limits={"field_bytes": 120},
        needs=_HTML,
    ),
    Check(
        id="size.near-clip",
        severity=Severity.WARNING,
        why="A correction or one more story would be cut off by Gmail.",
        fix="shorten the mail while there is time",
        run=_near_clip,
        limits={"html_kb": 92},
        needs=_HTML,
    ),
    Check(
        id="size.article",
        severity=Severity.WARNING,
        why="A summary as long as the story makes readers scroll past the ones below it.",
        fix="shorten the summary; the story itself is a click away",
        run=_article,
        limits={"article_kb": 16},
        needs=frozenset({Need.ISSUE, Need.HTML}),
    ),
    Check(
        id="size.message",
        severity=Severity.WARNING,
        why="A large message is slow to send and to open, counts against the mailbox, and some refuse it over 10 MB.",
        fix="use smaller images",
        run=_message,
        limits={"message_kb": 1024},
        needs=frozenset({Need.MAIL}),
    ),
    Check(
        id="size.images",
        severity=Severity.WARNING,
        why="On a phone away from home every image is waited for.",
        fix="save the heaviest ones smaller; twice the width at which they are shown is enough",
        run=_images,
        limits={"images_kb": 1024},
        needs=frozenset({Need.ISSUE}),
    ),
)
