"""A bad and a good example for the check of what spam filters say."""

from newsletter.checks.verdicts import SpamRule, SpamVerdict

from .mails import page
from .subjects import Example

_RULES = (SpamRule("MONEY_BACK", 2.9, "BODY: Money back guarantee"), SpamRule("DEAR_FRIEND", 2.7, "BODY: Dear Friend?"))


def _verdict(points: float, rules: tuple[SpamRule, ...] = ()) -> tuple[SpamVerdict, ...]:
    return (SpamVerdict("SpamAssassin", points, 5.0, rules),)


EXAMPLES = {
    "spam.score": Example(
        page("<p>Dear friend</p>", spam_verdicts=_verdict(5.6, _RULES)),
        page("<p>Hello</p>", spam_verdicts=_verdict(0.7)),
    )
}
