"""Say an audience in SQL: a tree of ``audience`` becomes constant text with bound parameters, never anything else.

What a tree means is ``audience.matches``; a test holds both databases to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from newsletter.audience import All, Either, Equals, Expression, Has, Not, OnList, lower_ascii
from newsletter.store.database import EVERYBODY, storable
from newsletter.store.dialect import POSTGRESQL, SQLITE
from newsletter.topics import join_topics

_FIELDS = {"name": "s.name", "time_zone": "s.time_zone", "domain": "s.domain"}
_LOWER = {SQLITE: "lower(s.language)", POSTGRESQL: 'lower(s.language COLLATE "C")'}
_ATTRIBUTE = {
    SQLITE: "COALESCE((SELECT value FROM json_each(s.attributes) WHERE key = :{key}), '') = :{value}",
    POSTGRESQL: "COALESCE(CAST(s.attributes AS jsonb) ->> :{key}, '') = :{value}",
}
_ON_LIST = (
    "EXISTS (SELECT 1 FROM subscriptions a WHERE a.list_id = :{list} AND a.subscriber_id = s.id AND a.state = 'active')"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Hold what must be true of a subscriber to be in an audience, and the number of each list that it names."""

    condition: Expression | None = None
    lists: Mapping[str, int] = field(default_factory=dict)


EVERYBODY_ASKED = Segment()
"""The segment of everybody."""


def condition_of(segment: Segment, dialect: str) -> tuple[str, dict[str, object]]:
    """Return the condition on ``subscribers s`` in SQL, and its parameters."""
    if segment.condition is None:
        return EVERYBODY, {}
    writer = _Writer(segment.lists, dialect)
    return writer.write(segment.condition), writer.parameters


class _Writer:
    """Write one condition; every value becomes a parameter of a name that is counted."""

    def __init__(self, lists: Mapping[str, int], dialect: str) -> None:
        self._lists = lists
        self._dialect = dialect
        self.parameters: dict[str, object] = {}

    def write(self, part: Expression) -> str:
        """Return one part of the tree, in parentheses where it has parts of its own."""
        match part:
            case OnList(name):
                return _ON_LIST.format(list=self._bind(self._lists[name]))
            case Has(topic):
                return f"replace(s.topics, :{self._bind(join_topics([storable(topic)]))}, '') <> s.topics"
            case Not(inner):
                return f"NOT ({self.write(inner)})"
            case All(parts):
                return "(" + " AND ".join(map(self.write, parts)) + ")"
            case Either(parts):
                return "(" + " OR ".join(map(self.write, parts)) + ")"
            case Equals():
                return self._equals(part)

    def _equals(self, part: Equals) -> str:
        value = storable(part.value)
        if part.is_attribute:
            return _ATTRIBUTE[self._dialect].format(key=self._bind(storable(part.field)), value=self._bind(value))
        if part.field != "language":
            return f"{_FIELDS[part.field]} = :{self._bind(value)}"
        wanted = lower_ascii(value)
        lower = _LOWER[self._dialect]
        if not wanted:
            return f"{lower} = :{self._bind(wanted)}"
        exact, prefix, length = self._bind(wanted), self._bind(f"{wanted}-"), self._bind(len(wanted) + 1)
        return f"({lower} = :{exact} OR substr({lower}, 1, CAST(:{length} AS INTEGER)) = :{prefix})"

    def _bind(self, value: object) -> str:
        number, letters = len(self.parameters), ""
        while number or not letters:
            number, rest = divmod(number, 26)
            letters += chr(ord("a") + rest)
        name = f"audience_{letters}_"
        self.parameters[name] = value
        return name
