"""Answers in words: every enhanced status that decides anything has its own, and a stranger's text is not repeated."""

import pytest

from newsletter.delivery import _HARD
from newsletter.model import Reply, Stage
from newsletter.replywords import explain


@pytest.mark.parametrize(
    ("line", "stage", "kind", "words", "outcome"),
    [
        ("250 2.0.0 Ok", Stage.DOT, "accepted", "the relay took the message", ""),
        ("550 5.1.1 no", Stage.RCPT, "refused", "there is no such mailbox", "suppressed: never mailed again"),
        ("552 5.2.2 no", Stage.RCPT, "refused", "the mailbox is full", "stays on the list"),
        ("550 5.7.1 no", Stage.DOT, "refused", "a policy of the receiver's is against it", "about us"),
        ("451 4.7.1 no", Stage.RCPT, "deferred", "put off, as greylisting does", "tried again"),
        ("451 4.7.1 no", Stage.MAIL, "deferred", "a policy of the receiver's is against it", "about us; tried again"),
        ("421 4.3.2 no", Stage.RCPT, "deferred", "the receiver takes no mail at present", "charged to nobody"),
        ("535 5.7.8 no", Stage.AUTH, "refused", "the relay does not accept the login", "about us"),
        ("552  no", Stage.RCPT, "refused", "the mailbox is full", "stays on the list"),
        ("550  unknown user", Stage.RCPT, "refused", "refused, without a code that says why", "suppressed"),
        ("599  no", Stage.RCPT, "refused", "the server said 599", "stays on the list"),
        ("550 5.99.99 no", Stage.RCPT, "refused", "refused, without a code that says why", "stays on the list"),
        ("354  go", Stage.DOT, "no answer", "the server said 354", "tried again"),
    ],
)
def test_what_an_answer_means(line, stage, kind, words, outcome):
    code, enhanced, text = line.split(" ", 2)
    told = explain(Reply(int(code), enhanced, text, stage))
    assert (told.kind, told.words) == (kind, words)
    assert told.outcome.startswith(outcome)


def test_what_ends_an_address_for_good_is_never_left_without_words():
    for detail in _HARD:
        told = explain(Reply(550, f"5.{detail}", "said a stranger", Stage.RCPT))
        assert told.outcome == "suppressed: never mailed again"
        assert "without a code" not in told.words
        assert "stranger" not in told.words
