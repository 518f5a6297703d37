"""Read and write what DNS says about mail: tag lists of DKIM and DMARC, names and their parents, lines of a zone file.

Pure: asking DNS is ``dnslook``'s, which answers with an ``Answer``; judging what was read is ``examine_dns``'s. SPF has
a grammar of its own (``spf``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

_STRING_MAX = 255
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

Kind = Literal["TXT", "MX", "A", "AAAA", "PTR"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what DNS answered: the records as texts, empty where there are none; or in ``trouble`` why it did not.

    A TXT record is its strings joined, an MX record ``10 mail.example.org``; names have no final dot.
    """

    records: tuple[str, ...] = ()
    trouble: str = ""


class Resolver(Protocol):
    """Ask DNS; refusals and silence are answers too, so nothing is raised."""

    def look_up(self, name: str, kind: Kind) -> Answer:
        """Return the records of one kind at ``name``; for PTR, ``name`` is an IP address."""


class SilentResolver:
    """Answer nothing: for a look that must stay off the network."""

    def look_up(self, name: str, kind: Kind) -> Answer:
        """Return that nothing was asked."""
        del name, kind
        return Answer(trouble="DNS was not asked (--offline)")


def read_tags(text: str) -> Mapping[str, str] | None:
    """Return the tags of ``a=1; b=2`` by name (RFC 6376 section 3.2), None where it is no such list or repeats one."""
    tags: dict[str, str] = {}
    for piece in text.removesuffix(";").split(";"):
        match = _TAG.fullmatch(piece)
        if match is None or match[1] in tags:
            return None
        tags[match[1]] = match[2]
    return tags


def parents(domain: str) -> list[str]:
    """Return ``domain`` and the domains above it, nearest first, down to the one of a single label."""
    labels = domain.lower().rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def is_within(domain: str, other: str) -> bool:
    """Tell whether ``domain`` is ``other`` or lies below it."""
    return f".{domain.lower()}".endswith(f".{other.lower()}")


def is_domain(name: str) -> bool:
    """Tell whether DNS can have ``name``: labels of 1 to 63 octets, 253 in all."""
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.removesuffix(".").split("."))


def zone_line(name: str, kind: str, text: str) -> str:
    """Return a record as a zone file has it; a TXT record is cut into strings of at most 255 octets (RFC 1035)."""
    if kind != "TXT":
        return f"{name}. IN {kind} {text}"
    quoted = [f'"{text[start : start + _STRING_MAX]}"' for start in range(0, len(text), _STRING_MAX)]
    return f"{name}. IN TXT " + (quoted[0] if len(quoted) == 1 else f"( {' '.join(quoted)} )")
