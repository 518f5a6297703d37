"""Hold what a spam filter says of a message; who asks it is ``spamfilters``, and what is too much ``spam``'s to say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpamRule:
    """Hold a rule of a filter that a message met: its name, the points it gives, and what it means."""

    name: str
    points: float
    meaning: str


@dataclass(frozen=True, slots=True)
class SpamVerdict:
    """Hold a filter's verdict: its points, with how many mail is spam to it, and the rules that count against it."""

    filter: str
    points: float
    threshold: float
    rules: tuple[SpamRule, ...] = ()
