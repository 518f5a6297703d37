"""Tell which share of the readers has a mail client that does not understand a feature of HTML or CSS.

The table (``caniemail.json``, made by ``docs/caniemail.py``) is caniemail.com's, under the MIT licence, each client in
its newest tested version. The weights of the clients are the list's own (``[checks] clients``), or ``TYPICAL``. Not
here: which features a mail uses (``clientfeatures``), and how much is too much (``clients``).
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

TYPICAL: Mapping[str, float] = {
    "gmail.desktop-webmail": 16,
    "gmail.android": 14,
    "gmail.ios": 6,
    "apple-mail.ios": 22,
    "apple-mail.macos": 9,
    "outlook.windows": 9,
    "outlook.outlook-com": 6,
    "outlook.ios": 2,
    "outlook.android": 2,
    "outlook.macos": 1,
    "yahoo.desktop-webmail": 3,
    "yahoo.android": 1,
    "yahoo.ios": 1,
    "samsung-email.android": 3,
    "thunderbird.macos": 2,
    "gmx.desktop-webmail": 1,
    "web-de.desktop-webmail": 1,
    "orange.desktop-webmail": 1,
}
"""An estimate for a mixed list, in parts of 100: nobody can count, since Apple opens mail that nobody reads."""


@dataclass(frozen=True, slots=True)
class Support:
    """Say who does not understand a feature, and who does in part: shares of the readers from 0 to 1, and names.

    ``unknown`` is the share whose clients were not tested with it. ``clients`` are the names of those that do not
    understand it, the weightiest first.
    """

    slug: str
    title: str
    unsupported: float
    partial: float
    unknown: float
    clients: tuple[str, ...]

    @property
    def url(self) -> str:
        """Return the feature's page, which has the details and what can be done."""
        return f"https://www.caniemail.com/features/{self.slug}/"


@dataclass(frozen=True, slots=True)
class _Table:
    """Hold the table: names of the clients in the order of the letters, and (title, letters) of each feature."""

    date: str
    names: Mapping[str, str]
    features: Mapping[str, tuple[str, str]]


@functools.cache
def _table() -> _Table:
    text = resources.files("newsletter.checks").joinpath("caniemail.json").read_text("utf-8")
    content = json.loads(text)
    return _Table(content["date"], content["names"], content["features"])


@functools.cache
def known_features() -> frozenset[str]:
    """Return the slugs of all features that the table has."""
    return frozenset(_table().features)


def known_clients() -> tuple[str, ...]:
    """Return all names that a weight may have: ``family.platform``, and each family for all of its platforms."""
    clients = tuple(_table().names)
    return tuple(sorted({client.partition(".")[0] for client in clients} | set(clients)))


def table_date() -> str:
    """Return the day of the table, as ``2026-05-13``."""
    return _table().date


def typical_weights() -> str:
    """Return the weights of ``TYPICAL`` by family, the weightiest first, in words."""
    families: dict[str, float] = {}
    for client, weight in TYPICAL.items():
        family = client.partition(".")[0]
        families[family] = families.get(family, 0) + weight
    return ", ".join(f"{family} {weight:g}" for family, weight in sorted(families.items(), key=lambda pair: -pair[1]))


def client_weights(weights: Mapping[str, float]) -> Mapping[str, float]:
    """Return the share of each client, adding up to 1, for weights of any sum by client or by family.

    A family's weight is divided among its platforms as ``TYPICAL`` has them, evenly where it has none. Without weights
    those of ``TYPICAL`` count. Raises ValueError for a name that is no client's, and for weights that leave nothing.
    """
    shares = dict.fromkeys(_table().names, 0.0)
    for name, weight in (weights or TYPICAL).items():
        members = [client for client in shares if name in (client, client.partition(".")[0])]
        if not members or weight < 0:
            raise ValueError(f"{name!r} is no mail client with a weight of 0 or more")
        typical = {client: TYPICAL.get(client, 0) for client in members}
        total = sum(typical.values())
        for client in members:
            shares[client] += weight * (typical[client] / total if total else 1 / len(members))
    everybody = sum(shares.values())
    if not everybody:
        raise ValueError("the weights of the mail clients add up to nothing")
    return {client: share / everybody for client, share in shares.items()}


def support_of(slug: str, shares: Mapping[str, float]) -> Support:
    """Return who does not understand the feature ``slug``; ``shares`` are from ``client_weights``.

    Raises KeyError for a feature that the table does not have.
    """
    table = _table()
    title, letters = table.features[slug]
    by_letter = dict.fromkeys("yanu", 0.0)
    for client, letter in zip(table.names, letters, strict=True):
        by_letter[letter] += shares[client]
    without = [client for client, letter in zip(table.names, letters, strict=True) if letter == "n" and shares[client]]
    names = tuple(table.names[client] for client in sorted(without, key=lambda client: -shares[client]))
    return Support(slug, title, by_letter["n"], by_letter["a"], by_letter["u"], names)
