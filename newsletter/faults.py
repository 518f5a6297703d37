"""Name what a receiver may do to mail, and deal it out: which recipient of a rehearsal meets which fault.

Equal seeds deal equally. Pure: who carries the faults out is ``unreliable``.
"""

import enum
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "mail.example.net", "post.example.org")
"""Domains of made-up recipients, which nobody has (RFC 2606), the largest first; it has the one strict policy."""
_SHARES = (40, 25, 15, 10, 6, 4)
_NAMES = ("Ann Lee", "Amélie Laurent", "Ravi Menon", "王小明", "Zoë O’Neill", "Ökonom, Jürgen", "")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%")


class Fault(enum.StrEnum):
    """Name what a receiver does to a recipient's mail."""

    GREYLISTED = "greylisted"
    FULL = "mailbox full"
    DEFERRED = "always deferred"
    UNKNOWN = "unknown there"
    POLICY = "against policy"
    SWALLOWED = "taken in silence"
    LOST = "lost in silence"
    CUT = "cut off"
    BUSY = "shut down"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Deed:
    """Say what a fault is: how many of a hundred are of its kind, what the receiver does, what it teaches."""

    weight: int
    deed: str
    lesson: str


GREY_MINUTES, FULL_MINUTES, AWAY_MINUTES = 5, 120, 10
"""How long a receiver greylists, a mailbox is full, and a receiver is away, by the rehearsal's clock."""

DEEDS: Mapping[Fault, Deed] = {
    Fault.GREYLISTED: Deed(30, f"451 4.7.1 for {GREY_MINUTES} minutes", "a later run gets through"),
    Fault.FULL: Deed(10, f"452 4.2.2 for {FULL_MINUTES // 60} hours", "tried again until it gets through"),
    Fault.DEFERRED: Deed(5, "451 4.4.1 for ever", "tried again, given up after four days"),
    Fault.UNKNOWN: Deed(15, "550 5.1.1 at RCPT", "suppressed: never mailed again"),
    Fault.POLICY: Deed(5, "550 5.7.1 after the dot", "not suppressed: not the reader's fault"),
    Fault.SWALLOWED: Deed(10, "takes it, hangs up", "no answer to the dot, and they have it"),
    Fault.LOST: Deed(10, "loses it, hangs up", "no answer to the dot, and it is lost"),
    Fault.CUT: Deed(5, "hangs up before the dot", "surely unsent, so tried again at once"),
    Fault.BUSY: Deed(5, "421 4.3.2, hangs up", "surely unsent, so tried again at once"),
    Fault.SLOW: Deed(5, "answers the dot late", "waited for, ten minutes if need be"),
}
"""Every fault, in the order in which a report shows them."""


@dataclass(frozen=True, slots=True)
class Person:
    """Name a made-up recipient."""

    address: str
    name: str


def make_people(count: int) -> tuple[Person, ...]:
    """Return ``count`` people whom nobody could ever reach, spread over domains as a list is."""
    domains = [domain for domain, share in zip(DOMAINS, _SHARES, strict=True) for _ in range(share)]
    # 37 and 100 have no common divisor: neighbours lie in different domains, and a hundred have all shares.
    return tuple(
        Person(f"reader{number:06}@{domains[number * 37 % 100]}", _NAMES[number % len(_NAMES)])
        for number in range(1, count + 1)
    )


def parse_share(text: str) -> Fraction:
    """Return the share that ``5%`` or ``0.5 %`` says, 0 to 1; raise ValueError for anything else."""
    match = _PERCENT.fullmatch(text.strip())
    share = Fraction(match[1]) / 100 if match else Fraction(-1)
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is no share; write one from 0% to 100%, like 5%")
    return share


def deal_faults(addresses: Sequence[str], share: Fraction, seed: int) -> dict[str, Fault]:
    """Return the fault of each address that meets one: ``share`` of them, the kinds in proportion to their weights."""
    count = round(len(addresses) * share)
    chosen = random.Random(seed).sample(list(addresses), count)
    kinds = _apportion(count)
    # One domain refuses by policy, so that equal refusals come together as they do in life.
    strict_first = sorted(chosen, key=lambda address: not address.endswith(f"@{DOMAINS[0]}"))
    dealt = dict.fromkeys(strict_first[: kinds.pop(Fault.POLICY)], Fault.POLICY)
    rest = (address for address in chosen if address not in dealt)
    others = [fault for fault, amount in kinds.items() for _ in range(amount)]
    return dealt | dict(zip(list(rest), others, strict=True))


def _apportion(count: int) -> dict[Fault, int]:
    """Divide ``count`` by the weights, whole numbers that add up, the largest remainders first."""
    total = sum(deed.weight for deed in DEEDS.values())
    exact = {fault: Fraction(count * deed.weight, total) for fault, deed in DEEDS.items()}
    whole = {fault: int(amount) for fault, amount in exact.items()}
    rest = sorted(DEEDS, key=lambda fault: whole[fault] - exact[fault])  # stable: the report's order decides
    for fault in rest[: count - sum(whole.values())]:
        whole[fault] += 1
    return whole
