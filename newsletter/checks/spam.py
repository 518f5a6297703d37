"""Check what the spam filters on this machine say of the message. Asking them is ``spamfilters``'."""

from collections.abc import Iterator

from newsletter.checks.finding import Check, Found, Need, Severity
from newsletter.checks.subject import Subject
from newsletter.checks.verdicts import SpamVerdict

_RULES_SHOWN = 4


def _score(subject: Subject) -> Iterator[Found]:
    for verdict in subject.spam_verdicts or ():
        if verdict.points >= verdict.threshold * subject.limits["spam_percent"] / 100:
            yield Found(
                f"{verdict.filter} gives {verdict.points:.1f} points, and takes mail for spam from "
                f"{verdict.threshold:g} on: {_rules(verdict)}"
            )


def _rules(verdict: SpamVerdict) -> str:
    shown = [
        f"{rule.name} {rule.points:.1f}" + (f" ({rule.meaning})" if rule.meaning else "")
        for rule in verdict.rules[:_RULES_SHOWN]
    ]
    more = len(verdict.rules) - _RULES_SHOWN
    return "; ".join([*shown, *([f"{more} more"] if more > 0 else [])])


CHECKS = (
    Check(
        id="spam.score",
        severity=Severity.WARNING,
        why="What a filter here finds suspicious, the filters of readers' providers may find as well.",
        fix="write otherwise what the rules name; what they say of relays and signatures is the operator's",
        run=_score,
        limits={"spam_percent": 50},
        needs=frozenset({Need.MAIL, Need.SPAM}),
    ),
)
