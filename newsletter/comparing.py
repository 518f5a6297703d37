"""Compare two versions of an issue, for whoever approves it: what is said, where links lead, how large, how it looks.

Pure: versions come in as they were read and compiled (``differ``), changes go out as values; how they are shown is the
command's. An article is the same as long as its address is, or its headline.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher

from newsletter.errors import NewsletterError
from newsletter.frontmatter import read_front_matter, without_approval
from newsletter.model import Article, Issue

ADDED, REMOVED, CHANGED, MOVED = "added", "removed", "changed", "moved"
_APPROVED = "approved"
_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"\s+|[^\W\d_]+(?<![\u2e80-\uffef])|\d+|.", re.DOTALL)
"""Match a word, a number, white space, or one character of anything else: a Chinese word has no spaces around it."""
_EXAMPLES_MAX = 5
_AROUND, _EXAMPLE_MAX = 30, 200
"""Characters around what differs in a piece of HTML, and of the whole piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Hold one version of an issue: its text, and what it was compiled to and made of, as far as that is known.

    ``links`` are pairs of text and address; ``sources`` say what it is made of beside its text, by name; ``html`` is
    as the sample reader gets it. ``broken`` says why it does not compile, ``""`` where it does.
    """

    text: str
    file: str
    issue: Issue | None = None
    html: str = ""
    links: tuple[tuple[str, str], ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Say that something with a name was another before; ``""`` where it was not there, or is not any more."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ArticleChange:
    """Say what became of an article: ``before`` and ``after`` are where it stands, ``parts`` what of it is another."""

    kind: str
    headline: str
    url: str
    before: str = ""
    after: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextChange:
    """Hold lines that are others, at a line of the file as it stands now, below the heading ``under``."""

    line: int
    under: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Say that a link is new, gone, or leads elsewhere than before with the same text."""

    kind: str
    text: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SizeChange:
    """Hold how many bytes something had, and has."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Hold everything that changed; empty where nothing did.

    ``rendering`` are the files and settings that are others, ``restyled`` pairs of HTML tags that are others although
    the text is not, with ``restyled_count`` of them in all. ``notes`` say what could not be compared.
    """

    front: tuple[Pair, ...] = ()
    articles: tuple[ArticleChange, ...] = ()
    text: tuple[TextChange, ...] = ()
    links: tuple[LinkChange, ...] = ()
    sizes: tuple[SizeChange, ...] = ()
    rendering: tuple[Pair, ...] = ()
    restyled: tuple[Pair, ...] = ()
    restyled_count: int = 0
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return bool(self.front or self.articles or self.text or self.links or self.rendering or self.restyled_count)

    def as_json(self) -> dict[str, object]:
        """Return the comparison for machines."""
        return {"changed": bool(self), **asdict(self)}


def compare(before: Version, after: Version, same_text: str = "") -> Comparison:
    """Return what is different in ``after``.

    ``same_text`` is the HTML of the text of ``before``, made of the templates, settings and images of ``after``; with
    it, what looks different without any change of words is told.
    """
    pairs, count = _restyled(before.html, same_text) if same_text and before.html else ((), 0)
    return Comparison(
        front=tuple(_front(before, after)),
        articles=tuple(_articles(before.issue, after.issue)) if before.issue and after.issue else (),
        text=tuple(_text(before.text, after.text)),
        links=tuple(_links(before.links, after.links)) if not (before.broken or after.broken) else (),
        sizes=tuple(
            SizeChange(name, before.sizes[name], count) for name, count in after.sizes.items() if name in before.sizes
        ),
        rendering=tuple(_rendering(before, after)),
        restyled=pairs,
        restyled_count=count,
        notes=tuple(f"does not compile: {each.broken}" for each in (before, after) if each.broken),
    )


def introduce(version: Version) -> Comparison:
    """Return what there is to say of an issue that was not there before: what it holds, not every line of it."""
    nothing = Version(text="", file=version.file)
    return Comparison(
        front=tuple(_front(nothing, version)),
        articles=tuple(
            ArticleChange(ADDED, plain(each.article.headline.html), each.article.url, after=each.where)
            for each in (_placed(version.issue) if version.issue else [])
        ),
        sizes=tuple(SizeChange(name, 0, count) for name, count in version.sizes.items()),
        notes=("the issue is new",),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Front matter and text
# ---------------------------------------------------------------------------------------------------------------------


def _front(before: Version, after: Version) -> Iterator[Pair]:
    old, new = _entries(before), _entries(after)
    for key in dict.fromkeys([*new, *old]):
        if old.get(key, "") != new.get(key, ""):
            yield Pair(key, old.get(key, ""), new.get(key, ""))


def _entries(version: Version) -> dict[str, str]:
    try:
        entries = read_front_matter(version.text, version.file).entries
    except NewsletterError:
        return {}
    return {key: _written(entry.value) for key, entry in entries.items() if key != _APPROVED}


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=lambda each: getattr(each, "value", str(each)))


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of an issue file without its approval, each with its number in the file."""
    lines, bare = text.splitlines(), without_approval(text).splitlines()
    if len(lines) == len(bare):
        return list(enumerate(lines, 1))
    at = next((index for index, line in enumerate(bare) if line != lines[index]), len(bare))
    return [(number, line) for number, line in enumerate(lines, 1) if number != at + 1]


def _body(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines behind the front matter."""
    lines = numbered_lines(text)
    if lines and lines[0][1].rstrip() == "---":
        end = next((index for index, (_, line) in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), 0)
        return lines[end + 1 :]
    return lines


def _text(before: str, after: str) -> Iterator[TextChange]:
    """Yield the lines that say something else; lines that are only broken elsewhere say the same."""
    old, new = _body(before), _body(after)
    matcher = SequenceMatcher(None, [line.rstrip() for _, line in old], [line.rstrip() for _, line in new], False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        was, is_now = [line for _, line in old[start:end]], [line for _, line in new[new_start:new_end]]
        if " ".join(was).split() == " ".join(is_now).split():
            continue
        blank = next((at for at, line in enumerate(is_now) if line.strip()), 0)
        at = new_start + blank
        line = new[at][0] if at < len(new) else (new[-1][0] if new else 1)
        yield TextChange(line, _heading_above(new, at), _trimmed(was), _trimmed(is_now))


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    """Return lines without the blank ones at both ends."""
    filled = [at for at, line in enumerate(lines) if line.strip()]
    return tuple(lines[filled[0] : filled[-1] + 1]) if filled else ()


def _heading_above(lines: Sequence[tuple[int, str]], index: int) -> str:
    for _, line in reversed(lines[: index + 1]):
        if found := re.match(r"#{1,6}\s+(.*)", line):
            return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", found[1]).strip()
    return ""


def marked_words(before: str, after: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Return both texts in pieces, each with whether it is another in the other text."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    was, is_now = [], []
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if start < end:
            was.append(("".join(old[start:end]), tag != "equal"))
        if new_start < new_end:
            is_now.append(("".join(new[new_start:new_end]), tag != "equal"))
    return was, is_now


# ---------------------------------------------------------------------------------------------------------------------
# Articles and links
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Placed:
    article: Article
    section: str
    number: int

    @property
    def where(self) -> str:
        return f"{self.section}, {self.number}."


def _articles(before: Issue, after: Issue) -> Iterator[ArticleChange]:
    old, new = _placed(before), _placed(after)
    pairs = _paired(old, new)
    known = {id(was) for was, _ in pairs}
    moved = _moved(pairs)
    followed = {id(is_now): was for was, is_now in pairs}
    for is_now in new:
        was = followed.get(id(is_now))
        headline, url = plain(is_now.article.headline.html), is_now.article.url
        if was is None:
            yield ArticleChange(ADDED, headline, url, after=is_now.where)
            continue
        if id(is_now) in moved:
            yield ArticleChange(MOVED, headline, url, was.where, is_now.where)
        if parts := tuple(_parts(was.article, is_now.article)):
            yield ArticleChange(CHANGED, headline, url, after=is_now.where, parts=parts)
    for was in old:
        if id(was) not in known:
            yield ArticleChange(REMOVED, plain(was.article.headline.html), was.article.url, before=was.where)


def _placed(issue: Issue) -> list[_Placed]:
    return [
        _Placed(article, section.name or plain(section.title.html), number)
        for section in issue.sections
        for number, article in enumerate(section.articles, 1)
    ]


def _paired(old: Sequence[_Placed], new: Sequence[_Placed]) -> list[tuple[_Placed, _Placed]]:
    """Return the articles that are in both, by their address, else by their headline; each once."""
    pairs: list[tuple[_Placed, _Placed]] = []
    left_old, left_new = list(old), list(new)
    for key_of in (lambda each: each.article.url, lambda each: plain(each.article.headline.html).casefold()):
        waiting: dict[str, list[_Placed]] = {}
        for was in left_old:
            waiting.setdefault(key_of(was), []).append(was)
        for is_now in list(left_new):
            if found := waiting.get(key_of(is_now)):
                was = found.pop(0)
                pairs.append((was, is_now))
                left_old.remove(was)
                left_new.remove(is_now)
    return sorted(pairs, key=lambda pair: new.index(pair[1]))


def _moved(pairs: Sequence[tuple[_Placed, _Placed]]) -> set[int]:
    """Return which articles stand elsewhere: in another section, or before one that they stood behind.

    Who merely moved up because another went is not meant.
    """
    sections: dict[str, list[tuple[_Placed, _Placed]]] = {}
    for was, is_now in pairs:
        sections.setdefault(is_now.section, []).append((was, is_now))
    moved = {id(is_now) for was, is_now in pairs if was.section != is_now.section}
    for section, inside in sections.items():
        stayed = [pair for pair in inside if pair[0].section == section]
        order = sorted(stayed, key=lambda pair: pair[0].number)
        matcher = SequenceMatcher(None, [id(pair[1]) for pair in order], [id(pair[1]) for pair in stayed], False)
        kept = {index for block in matcher.get_matching_blocks() for index in range(block.b, block.b + block.size)}
        moved |= {id(pair[1]) for index, pair in enumerate(stayed) if index not in kept}
    return moved


def _parts(was: Article, is_now: Article) -> Iterator[str]:
    """Yield what of an article is another."""
    if plain(was.headline.html) != plain(is_now.headline.html):
        yield "headline"
    if was.url != is_now.url:
        yield "address"
    if was.source != is_now.source:
        yield "source"
    if _html_of(was.byline) != _html_of(is_now.byline):
        yield "byline"
    if _html_of(was.summary) != _html_of(is_now.summary):
        yield "summary"
    if (was.image and (was.image.src, was.image.alt)) != (is_now.image and (is_now.image.src, is_now.image.alt)):
        yield "picture"
    if (was.kind, was.labels, was.topics) != (is_now.kind, is_now.labels, is_now.topics):
        yield "kind or topics"


def _html_of(text: object) -> str:
    return " ".join(str(getattr(text, "html", "")).split())


def plain(html: str) -> str:
    """Return inline HTML as words."""
    from html import unescape

    return " ".join(unescape(_TAG.sub("", html)).split())


def _links(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> Iterator[LinkChange]:
    """Yield the links that are new, gone or lead elsewhere; one that stands there twice counts twice."""
    changes: dict[tuple[str, str, str], LinkChange] = {}
    for change in _link_changes(before, after):
        key = (change.kind, change.before, change.after)
        known = changes.get(key)
        # A picture and its headline lead to one place: that is told once, by the shorter name.
        if known is None or 0 < len(change.text) < len(known.text):
            changes[key] = change
    yield from changes.values()


def _link_changes(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> Iterator[LinkChange]:
    gone, come = list((Counter(before) - Counter(after)).elements()), Counter(after) - Counter(before)
    for text, url in come.elements():
        was = next((each for each in gone if each[0] == text and text), None)
        if was:
            gone.remove(was)
            yield LinkChange(CHANGED, text, was[1], url)
        elif renamed := next((each for each in gone if each[1] == url), None):
            gone.remove(renamed)  # the words are told as text
        else:
            yield LinkChange(ADDED, text, "", url)
    for text, url in gone:
        yield LinkChange(REMOVED, text, url, "")


# ---------------------------------------------------------------------------------------------------------------------
# Rendering
# ---------------------------------------------------------------------------------------------------------------------


def _rendering(before: Version, after: Version) -> Iterator[Pair]:
    """Yield the templates, settings and images that are others, where it is known what they were."""
    old, new = before.sources, after.sources
    for name in dict.fromkeys([*new, *old]) if old else ():
        if old.get(name, "") != new.get(name, ""):
            yield Pair(name, old.get(name, ""), new.get(name, ""))


def _restyled(before: str, after: str) -> tuple[tuple[Pair, ...], int]:
    """Return the first tags and rules of style that differ in two renderings of one text, and how many there are."""
    old, new = _pieces(before), _pieces(after)
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    if not (old or new):
        return (), 0
    pairs: list[Pair] = []
    count = 0
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        count += max(end - start, new_end - new_start)
        was, is_now = old[start:end], new[new_start:new_end]
        if len(was) == len(is_now):
            pairs += [Pair("html", *_nearby(one, other)) for one, other in zip(was, is_now, strict=True)]
        else:
            pairs.append(Pair("html", *_nearby(" ".join(was), " ".join(is_now))))
    return tuple(dict.fromkeys(pairs))[:_EXAMPLES_MAX], count


def _nearby(before: str, after: str) -> tuple[str, str]:
    """Return two pieces of HTML cut down to what differs in them, and a little around it."""
    start = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    rest = zip(reversed(before[start:]), reversed(after[start:]), strict=False)
    end = next((at for at, (one, other) in enumerate(rest) if one != other), 0)
    return _cut(before, start, len(before) - end), _cut(after, start, len(after) - end)


def _cut(text: str, start: int, end: int) -> str:
    first, last = max(start - _AROUND, 0), min(end + _AROUND, len(text))
    shown = text[first:last] if last - first <= _EXAMPLE_MAX else f"{text[first : first + _EXAMPLE_MAX]}"
    return f"{'…' if first else ''}{shown}{'…' if first + len(shown) < len(text) else ''}"


def _pieces(html: str) -> list[str]:
    """Return the tags of an HTML text, the rules of its style sheets, and the words between them, one by one."""
    return [piece for piece in (part.strip() for part in re.split(r"(<[^<>]*>)|(?<=\})", html) if part) if piece]
