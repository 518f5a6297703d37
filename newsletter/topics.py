"""Know what a topic is called, ``beauty`` or ``big-data``, and how sets of topics are written.

A section or an article carries topics (``{topics=beauty,retail}``); a subscriber may choose some. Here are names and
sets of them only; what an issue is cut to stands in ``variants``.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable

from newsletter.errors import InputError

TOPIC_MAX = 60
"""Characters that a topic's name may have."""
TOPICS_MAX = 60
"""Topics that one person may choose."""
_SEPARATORS = re.compile(r"[,;|]")
_NOT_IN_NAMES = re.compile(r"[\s,;|{}=\x00-\x1f\x7f-\x9f]+")


def topic_name(text: str) -> str:
    """Return the name of a topic as it is compared: in lower case, a hyphen for spaces; ``""`` for nothing."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _NOT_IN_NAMES.sub("-", plain).strip("-")


def topic_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the topics that ``names`` name, each once, in the order of the alphabet.

    Raises InputError for a name that is too long, and for too many.
    """
    found = sorted({name for name in map(topic_name, names) if name})
    too_long = next((name for name in found if len(name) > TOPIC_MAX), None)
    if too_long is not None:
        raise InputError(f"the topic '{too_long[:20]}…' is too long; a topic has {TOPIC_MAX} characters at the most")
    if len(found) > TOPICS_MAX:
        raise InputError(f"{len(found)} topics; a person may choose {TOPICS_MAX}")
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def read_topics(text: str) -> tuple[str, ...]:
    """Return the topics of a text like ``beauty, retail``; commas, semicolons and bars part them.

    Kept for a while: a list of a million people has few of them.
    """
    return topic_names(_SEPARATORS.split(text))


def join_topics(topics: Iterable[str]) -> str:
    """Return topics as the store keeps them, each between commas: ``,beauty,retail,``; ``""`` for none."""
    joined = ",".join(topics)
    return f",{joined}," if joined else ""


def split_topics(text: str) -> tuple[str, ...]:
    """Return the topics that ``join_topics`` joined."""
    return tuple(text.strip(",").split(",")) if text else ()
