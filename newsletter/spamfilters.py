"""Ask the spam filters that are installed on this machine what they think of a message.

rspamd is asked by ``rspamc``, SpamAssassin's daemon by ``spamc``, each in a fraction of a second. Without a daemon
``spamassassin`` itself does it, without looking anything up in the network, but it takes seconds to start. A filter
that is not there, does not answer or answers something else is passed over. Not here: how much is too much
(``checks.spam``).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from newsletter.checks.verdicts import SpamRule, SpamVerdict

QUICK_S, SLOW_S = 10.0, 60.0
"""Seconds that a daemon may take to answer, and ``spamassassin`` itself."""
_MESSAGE_MAX = 4 * 1024 * 1024
_TOTAL = re.compile(r"\(\s*(-?[\d.]+) (?:points|hits), +(-?[\d.]+) required\)")
_FIRST_LINE = re.compile(r"(-?[\d.]+)/(-?[\d.]+)\s")
_RULE = re.compile(r"^ *(-?\d+(?:\.\d)?) +([A-Z][A-Z0-9_]+) +(.*(?:\n {20,}\S.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Filter:
    """Say how a filter is asked: its program and arguments, the seconds it may take, and who reads its answer."""

    command: tuple[str, ...]
    seconds: float
    read: Callable[[str], SpamVerdict | None]


def ask_spam_filters(message: bytes, *, slow: bool = False) -> tuple[SpamVerdict, ...]:
    """Return what each filter that answers says of ``message``; ``slow`` asks SpamAssassin without its daemon, too.

    The message goes to no other machine; what a daemon looks up is its own setting. Never raises for one that fails.
    """
    if len(message) > _MESSAGE_MAX:
        return ()
    rspamd = _ask(_RSPAMD, message)
    assassin = _ask(_SPAMC, message) or (_ask(_SPAMASSASSIN, message) if slow else None)
    return tuple(verdict for verdict in (rspamd, assassin) if verdict)


def _ask(spam_filter: _Filter, message: bytes) -> SpamVerdict | None:
    program = shutil.which(spam_filter.command[0])
    if program is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 (a fixed command; the message goes to its standard input)
            [program, *spam_filter.command[1:]],
            input=message,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=spam_filter.seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    try:
        return spam_filter.read(answer.stdout.decode("utf-8", "replace")) if answer.returncode in (0, 1) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


# ---------------------------------------------------------------------------------------------------------------------
# Reading answers
# ---------------------------------------------------------------------------------------------------------------------


def read_spamassassin(answer: str) -> SpamVerdict | None:
    """Return the verdict in a report of SpamAssassin, None where there is none."""
    total = _TOTAL.search(answer) or _FIRST_LINE.match(answer)
    if total is None or float(total[2]) <= 0:
        return None
    report = answer[max(answer.find("pts rule name"), 0) :].partition("\n\n")[0]
    rules = (SpamRule(name, float(points), " ".join(what.split())) for points, name, what in _RULE.findall(report))
    return SpamVerdict("SpamAssassin", float(total[1]), float(total[2]), _weighty(rules))


def read_rspamd(answer: str) -> SpamVerdict | None:
    """Return the verdict in an answer of ``rspamc --json``, None where there is none."""
    verdict = json.loads(answer[answer.index("{") :])
    if verdict.get("is_skipped") or float(verdict["required_score"]) <= 0:
        return None
    symbols: Sequence[dict[str, object]] = list(verdict["symbols"].values())
    rules = (SpamRule(str(one["name"]), float(str(one["score"])), str(one.get("description") or "")) for one in symbols)
    return SpamVerdict("rspamd", float(verdict["score"]), float(verdict["required_score"]), _weighty(rules))


def _weighty(rules: Iterator[SpamRule]) -> tuple[SpamRule, ...]:
    """Return the rules that count against the message, the weightiest first."""
    return tuple(sorted((rule for rule in rules if rule.points >= 0.05), key=lambda rule: -rule.points))


_RSPAMD = _Filter(("rspamc", "--json", "--timeout=8", "symbols"), QUICK_S, read_rspamd)
_SPAMC = _Filter(("spamc", "-x", "-R", "-t", "8", "--connect-retries=1"), QUICK_S, read_spamassassin)
_SPAMASSASSIN = _Filter(("spamassassin", "--local", "--test-mode", "--nocreate-prefs"), SLOW_S, read_spamassassin)
