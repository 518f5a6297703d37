"""Know the keys of ``[feeds]`` and ``[ranking]``: their types and defaults, and which values may not stand; pure."""

import datetime as dt
import math
import re
from collections.abc import Iterator

import msgspec

from newsletter.amounts import parse_duration

_PORT_MAX = 65535
_DAY = dt.timedelta(days=1)
_ABOUT_WORDS = "write a topic and the words that tell of it"


class FeedsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how feeds are fetched, and how long their entries are kept: ``[feeds]``.

    ``every`` is how long a feed is left alone once it was asked. ``connections`` are open at once, one to each host;
    ``timeout`` is how many seconds one feed may take. Beside 80 and 443 only ``ports`` are asked; hosts in private
    networks only where ``private_hosts`` names them.
    """

    every: str = "30 minutes"
    keep: str = "180 days"
    connections: int = 16
    timeout: int = 20
    ports: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()


class RankingSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say what puts a story before another: ``[ranking]``; each key is what its reason is worth in points.

    ``recency`` halves each ``half_life``; ``topics`` maps a topic to the words that tell of it.
    """

    sources: float = 3.0
    recency: float = 2.0
    source_weight: float = 1.0
    topic: float = 1.5
    seen: float = -10.0
    half_life: str = "36 hours"
    topics: dict[str, tuple[str, ...]] = {}


def feeds_problems(feeds: FeedsSection) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong with it, or ``""``."""
    yield "feeds", "every", _duration_problem(feeds.every, dt.timedelta(minutes=1), 7 * _DAY)
    yield "feeds", "keep", _duration_problem(feeds.keep, 7 * _DAY, 9999 * _DAY)
    for key, value, most in (("connections", feeds.connections, 100), ("timeout", feeds.timeout, 600)):
        yield "feeds", key, "" if 1 <= value <= most else f"{value} does not fit; write 1 to {most}"
    for port in feeds.ports:
        is_port = re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= _PORT_MAX
        yield "feeds", "ports", "" if is_port else f'{port!r} is no port; write one like "8080"'
    for host in feeds.private_hosts:
        is_host = re.fullmatch(r"[A-Za-z0-9_.:-]+", host)
        yield "feeds", "private_hosts", "" if is_host else f"{host!r} is no host; write one like 'wiki.internal'"


def ranking_problems(ranking: RankingSection) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong with it, or ``""``."""
    for key in ("sources", "recency", "source_weight", "topic", "seen"):
        value = getattr(ranking, key)
        is_number = math.isfinite(value) and abs(value) <= 1000
        yield "ranking", key, "" if is_number else f"{value} does not fit; write -1000 to 1000"
    yield "ranking", "half_life", _duration_problem(ranking.half_life, dt.timedelta(minutes=1), 365 * _DAY)
    for topic, words in ranking.topics.items():
        is_told = topic.strip() and words and all(word.strip() for word in words)
        yield "ranking", "topics", "" if is_told else f'{topic!r}: {_ABOUT_WORDS}, like beauty = ["cosmetics"]'


def _duration_problem(text: str, least: dt.timedelta, most: dt.timedelta) -> str:
    duration = parse_duration(text)
    if duration is None:
        return f"{text!r} is no duration; write one like '30 minutes' or '90 days'"
    return "" if least <= duration <= most else f"{text!r} does not fit; write {_words(least)} to {_words(most)}"


def _words(duration: dt.timedelta) -> str:
    return f"{duration.days} days" if duration.days else f"{duration.seconds // 60} minute"
