"""Read whom an issue goes to: ``audience: weekly``, or ``audience: language = "fr" and topics has "beauty"``.

The grammar, loosest first; words are compared as they are written::

    audience   = either { "," either }               a comma is an "or"
    either     = both { "or" both }
    both       = single { "and" single }
    single     = "not" single | "(" either ")" | comparison | LIST
    comparison = field ("=" | "!=") "text"  |  "topics" "has" "text"
    field      = "language" | "name" | "time_zone" | "domain" | "attributes." KEY

Text stands in double quotes. ``language = "fr"`` takes fr-CA too; all other fields are compared to the letter, and a
field of which nothing is known is ``""``. An audience that names no list asks the newsletter's own. Pure: what the
tree means to a database is ``store.segments``'; ``matches`` says what it means.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from newsletter.errors import IssueError, Place, Problem
from newsletter.topics import topic_name

TEXT_MAX, TERMS_MAX, DEPTH_MAX = 2000, 60, 30
"""Characters, comparisons and levels of parentheses that an audience may have."""
FIELDS = ("language", "name", "time_zone", "domain")
_ATTRIBUTE = "attributes."
_TOKEN = re.compile(r'\s*(?:(?P<text>"[^"]*")|(?P<sign>!=|[=(),])|(?P<word>[^\s"=!(),]+))')
_EXAMPLE = 'audience: language = "fr" and topics has "beauty"'


@dataclass(frozen=True, slots=True)
class OnList:
    """Match who is active on the list called ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Equals:
    """Match who has ``value`` in a field; ``is_attribute`` says that the field is the key of an attribute."""

    field: str
    value: str
    is_attribute: bool = False


@dataclass(frozen=True, slots=True)
class Has:
    """Match who chose the topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Not:
    """Match who does not match ``part``."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    """Match who matches every part."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Match who matches one part at least."""

    parts: tuple["Expression", ...]


Expression = OnList | Equals | Has | Not | All | Either


@dataclass(frozen=True, slots=True)
class Audience:
    """Hold the lists that are asked, in the order in which they are named, and what else must be true of a subscriber.

    Without ``lists`` the newsletter's own is asked; ``condition`` None is true of everybody.
    """

    lists: tuple[str, ...] = ()
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """Hold what an audience may ask of one subscriber; ``lists`` are those on which they are active."""

    lists: AbstractSet[str] = frozenset()
    language: str = ""
    name: str = ""
    time_zone: str = ""
    domain: str = ""
    topics: AbstractSet[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_audience(text: str, place: Place) -> Audience:
    """Return the audience that ``text`` names; ``place`` is where its first character stands.

    Raises IssueError with the place of what cannot be read, and what may stand there.
    """
    reader = _Reader(text, place)
    if not text.strip():
        return Audience()
    condition = reader.read()
    lists = tuple(dict.fromkeys(_asked(condition, is_wanted=True)))
    if isinstance(condition, OnList) or (
        isinstance(condition, Either) and all(isinstance(part, OnList) for part in condition.parts)
    ):
        return Audience(lists)
    return Audience(lists, condition)


def list_names(condition: Expression | None) -> tuple[str, ...]:
    """Return every list that a condition names, each once."""
    return tuple(dict.fromkeys(part.name for part in _leaves(condition) if isinstance(part, OnList)))


def matches(condition: Expression | None, traits: Traits) -> bool:
    """Tell whether a condition is true of a subscriber."""
    match condition:
        case None:
            found = True
        case OnList(name):
            found = name in traits.lists
        case Has(topic):
            found = topic in traits.topics
        case Not(part):
            found = not matches(part, traits)
        case All(parts):
            found = all(matches(part, traits) for part in parts)
        case Either(parts):
            found = any(matches(part, traits) for part in parts)
        case Equals():
            found = _equals(condition, traits)
    return found


def _equals(condition: Equals, traits: Traits) -> bool:
    if condition.is_attribute:
        return traits.attributes.get(condition.field, "") == condition.value
    if condition.field == "language":
        return speaks(traits.language, condition.value)
    return bool(getattr(traits, condition.field) == condition.value)


def speaks(language: str, wanted: str) -> bool:
    """Tell whether a language tag is ``wanted`` or more special than it, whatever the case of ASCII letters."""
    found, prefix = lower_ascii(language), lower_ascii(wanted)
    return found == prefix or (prefix != "" and found.startswith(f"{prefix}-"))


def lower_ascii(text: str) -> str:
    """Return ``text`` with its ASCII letters in lower case: what both databases can do alike."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def _leaves(condition: Expression | None) -> Iterator[Expression]:
    match condition:
        case None:
            return
        case Not(part):
            yield from _leaves(part)
        case All(parts) | Either(parts):
            for part in parts:
                yield from _leaves(part)
        case _:
            yield condition


def _asked(condition: Expression, *, is_wanted: bool) -> Iterator[str]:
    """Yield the lists on which somebody may be who matches: those that are not under a "not"."""
    match condition:
        case OnList(name) if is_wanted:
            yield name
        case Not(part):
            yield from _asked(part, is_wanted=not is_wanted)
        case All(parts) | Either(parts):
            for part in parts:
                yield from _asked(part, is_wanted=is_wanted)


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Read one audience from left to right; every complaint names its place."""

    def __init__(self, text: str, place: Place) -> None:
        self._place = place
        if len(text) > TEXT_MAX:
            raise self._problem(f"an audience of {len(text)} characters; {TEXT_MAX} may stand", 0, "make lists instead")
        self._tokens = list(self._split(text))
        self._next = self._terms = self._depth = 0

    def read(self) -> Expression:
        """Return the whole expression."""
        parts = [self._either()]
        while self._take(","):
            parts.append(self._either())
        token = self._peek()
        if token.kind != "end":
            raise self._problem(f"{token.text!r} stands where 'and', 'or' or the end was awaited", token.at, _EXAMPLE)
        return _joined(Either, parts)

    def _split(self, text: str) -> Iterator[_Token]:
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                start = len(text) - len(text[at:].lstrip())
                hint = 'text stands between two "' if text[start] == '"' else _EXAMPLE
                raise self._problem(f"{text[start : start + 20]!r} cannot be read", start, hint)
            kind = match.lastgroup or ""
            yield _Token(kind, match[kind], match.start(kind))
            at = match.end()
        yield _Token("end", "the end", len(text))

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return _joined(Either, parts)

    def _both(self) -> Expression:
        parts = [self._single()]
        while self._take("and"):
            parts.append(self._single())
        return _joined(All, parts)

    def _single(self) -> Expression:
        token = self._peek()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._problem(f"more than {DEPTH_MAX} levels of 'not' and parentheses", token.at, "write it flatter")
        found: Expression
        if self._take("not"):
            found = Not(self._single())
        elif self._take("("):
            found = self._either()
            self._demand(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Expression:
        token = self._demand_word()
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise self._problem(f"more than {TERMS_MAX} comparisons", token.at, "make a list instead")
        if token.text == "topics" and self._take("has"):
            return Has(topic_name(self._demand_text()))
        is_attribute = token.text.startswith(_ATTRIBUTE) and len(token.text) > len(_ATTRIBUTE)
        for sign in ("=", "!="):
            if self._take(sign):
                name = token.text.removeprefix(_ATTRIBUTE) if is_attribute else token.text
                if not is_attribute and name not in FIELDS:
                    known = ", ".join((*FIELDS, "attributes.KEY"))
                    raise self._problem(f"unknown field {name!r}", token.at, f'fields: {known}; or topics has "…"')
                found = Equals(name, self._demand_text(), is_attribute)
                return found if sign == "=" else Not(found)
        if token.text in (*FIELDS, "topics") or is_attribute:
            raise self._problem(
                f"{token.text!r} is a field, and what it is compared with is missing", token.at, _EXAMPLE
            )
        return OnList(token.text)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        token = self._peek()
        is_there = token.text == text and token.kind in ("word", "sign")
        self._next += is_there
        return is_there

    def _demand(self, text: str) -> None:
        if not self._take(text):
            token = self._peek()
            raise self._problem(f"{token.text!r} stands where {text!r} was awaited", token.at, _EXAMPLE)

    def _demand_word(self) -> _Token:
        token = self._peek()
        if token.kind != "word" or token.text in ("and", "or", "has"):
            awaited = "a list, a field, 'not' or '('"
            raise self._problem(f"{token.text!r} stands where {awaited} was awaited", token.at, _EXAMPLE)
        self._next += 1
        return token

    def _demand_text(self) -> str:
        token = self._peek()
        if token.kind != "text":
            hint = f'write it like "{token.text}"' if token.kind == "word" else _EXAMPLE
            raise self._problem(f"{token.text!r} stands where text in double quotes was awaited", token.at, hint)
        self._next += 1
        return token.text[1:-1]

    def _problem(self, message: str, at: int, hint: str) -> IssueError:
        place = Place(self._place.file, self._place.line, self._place.column + at)
        return IssueError([Problem(f"audience: {message}", place, hint)])


def _joined(kind: type[All] | type[Either], parts: Sequence[Expression]) -> Expression:
    if len(parts) == 1:
        return parts[0]
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    return kind(tuple(flat))
