"""What mail to the bounce address does, on both stores: who is suppressed, what counts, what is left alone."""

import pytest

from newsletter.bounces import (
    Effect,
    Policy,
    Reader,
    apply_kept,
    list_logged,
    mark_address,
    take_mail,
    undo_last,
)
from newsletter.errors import InputError
from newsletter.model import Stage
from newsletter.store import BounceFate, ConsentEvent, NewSubscriber, SubscriptionState, SuppressionReason
from newsletter.tokens import Purpose, Token, expiry_hour, parse_keys, sign

from .conftest import NOW, later, result

KEYS = parse_keys("a-secret-of-the-tests-of-bounces-of-32-characters\n")
FOREIGN = parse_keys("another-secret-that-does-not-sign-anything-here\n")
ANN = "ann@a.example"


def tagged(purpose: Purpose, subscriber: int, extra: int = 0, keys=KEYS) -> str:
    return f"b+{sign(keys, Token(purpose, 1, subscriber, extra))}@news.example"


def report(
    to: str, *, status="5.1.1", reply=f"550 5.1.1 <{ANN}>: user unknown", action="failed", number=1, returned=""
) -> bytes:
    return (
        f"Return-Path: <>\nDelivered-To: {to}\nFrom: MAILER-DAEMON@mx.example\nTo: {to}\n"
        f"Message-ID: <{number}@mx.example>\nSubject: Undelivered Mail\n"
        "Content-Type: multipart/report; boundary=b\n\n--b\n\nIt failed.\n--b\n"
        f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; {ANN}\n"
        f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {reply}\n\n--b\n"
        f"Content-Type: message/rfc822\n\n{returned}Subject: Issue\n\nx\n--b--\n"
    ).encode()


def letter(to: str, *fields: str, number=1) -> bytes:
    head = [f"From: {ANN}", f"To: {to}", f"Message-ID: <{number}@a.example>", "Subject: unsubscribe", *fields]
    return ("\n".join(head) + "\n\nPlease.\n").encode()


@pytest.fixture
def reader(world) -> Reader:
    return Reader(world.store, KEYS, Policy(soft_limit=3, soft_days=10))


def accepted(world, *names: str, issue: str = "2026-11-25") -> int:
    """Send an issue to people of these names, all of whom the relay takes; return the send's number."""
    if names:
        world.join(*names)
    send_id = world.store.sends.start_send(world.plan(issue).send_id, NOW).send_id
    deliveries = world.claim(send_id)
    world.mark(send_id, deliveries)
    world.record(send_id, *(result(delivery, "250 2.0.0 ok") for delivery in deliveries))
    return send_id


def suppression(world, address: str = ANN):
    found = world.store.subscribers.find_suppression(address)
    return found and found.reason


# ---------------------------------------------------------------------------------------------------------------------
# Bounces
# ---------------------------------------------------------------------------------------------------------------------


def test_a_hard_bounce_suppresses_and_moves_the_row(world, reader):
    send_id = accepted(world, "ann", "bob")
    line = take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id)), NOW)
    assert (line.effect, line.address, line.issue) == (Effect.SUPPRESSED, ANN, "2026-11-25")
    assert world.states(send_id) == ["bounced", "sent"]
    assert suppression(world) is SuppressionReason.HARD_BOUNCE
    assert suppression(world, "bob@b.example") is None
    (logged,) = list_logged(world.store)
    assert (logged.weight, logged.fate, logged.has_suppressed) == ("hard", BounceFate.COUNTED, True)
    assert ANN not in logged.reply
    assert ANN not in world.row(send_id, 1).reason, "the ledger holds no address"


def test_reading_twice_counts_once(world, reader):
    send_id = accepted(world, "ann")
    mail = report(tagged(Purpose.BOUNCE, 1, send_id), status="5.2.2", reply="552 5.2.2 mailbox full")
    assert take_mail(reader, mail, NOW).effect is Effect.COUNTED
    assert take_mail(reader, mail, later(days=1)).effect is Effect.AGAIN
    moved = b"Received: from elsewhere\nX-Added: by another server\n" + mail
    assert take_mail(reader, moved, later(days=1)).effect is Effect.AGAIN
    assert len(list(list_logged(world.store))) == 1


@pytest.mark.parametrize(
    "to",
    [
        "b@news.example",
        tagged(Purpose.BOUNCE, 1, 1, FOREIGN),
        tagged(Purpose.UNSUBSCRIBE, 1, 1),
        tagged(Purpose.PREFERENCES, 1, 1),
        f"b+{'a' * 48}@news.example",
    ],
)
def test_only_a_signed_token_moves_a_row(world, reader, to):
    send_id = accepted(world, "ann")
    forged = report(to, returned=f"Return-Path: <{tagged(Purpose.BOUNCE, 1, send_id, FOREIGN)}>\n")
    line = take_mail(reader, forged, NOW)
    assert (line.effect, line.address) == (Effect.UNSIGNED, ANN)
    assert world.states(send_id) == ["sent"]
    assert suppression(world) is None
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.ACTIVE


def test_the_token_of_a_returned_message_names_its_row(world, reader):
    send_id = accepted(world, "ann")
    mail = report("b@news.example", returned=f"Return-Path: <{tagged(Purpose.BOUNCE, 1, send_id)}>\n")
    assert take_mail(reader, mail, NOW).effect is Effect.SUPPRESSED


def test_a_token_in_a_text_names_nobody(world, reader):
    send_id = accepted(world, "ann")
    quoted = letter("b@news.example").replace(b"Please.", f"<{tagged(Purpose.UNSUBSCRIBE, 1, send_id)}>".encode())
    assert take_mail(reader, quoted, NOW).effect is Effect.IGNORED
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.ACTIVE


def test_policy_bounces_count_for_nobody(world, reader):
    for number in range(1, 6):
        send_id = accepted(world, *(["ann"] if number == 1 else []), issue=f"2026-11-{number:02}")
        mail = report(tagged(Purpose.BOUNCE, 1, send_id), status="5.7.1", reply="550 5.7.1 spam", number=number)
        assert take_mail(reader, mail, later(days=7 * number)).effect is Effect.COUNTED
        assert world.states(send_id) == ["bounced"]
    assert suppression(world) is None


def soft(world, reader, number: int, days: int):
    """Send issue ``number``, of which a soft bounce comes back after ``days``."""
    send_id = accepted(world, issue=f"2026-12-{number:02}")
    mail = report(tagged(Purpose.BOUNCE, 1, send_id), status="5.2.2", reply="552 5.2.2 mailbox full", number=number)
    return take_mail(reader, mail, later(days=days)).effect


def test_soft_bounces_in_a_row_suppress_after_their_time(world, reader):
    world.join("ann")
    assert [soft(world, reader, number, days=number) for number in (1, 2, 3, 4)] == [Effect.COUNTED] * 4
    assert soft(world, reader, 5, days=11) is Effect.SUPPRESSED, "the fifth, ten days after the first"
    assert suppression(world) is SuppressionReason.SOFT_BOUNCES


def test_success_ends_a_row_of_soft_bounces(world, reader):
    world.join("ann")
    assert soft(world, reader, 1, days=1) is Effect.COUNTED
    assert soft(world, reader, 2, days=8) is Effect.COUNTED
    accepted(world, issue="2026-12-03")  # and nothing of it comes back
    assert soft(world, reader, 4, days=22) is Effect.COUNTED
    assert soft(world, reader, 5, days=29) is Effect.COUNTED
    assert suppression(world) is None
    assert soft(world, reader, 6, days=36) is Effect.SUPPRESSED


def test_several_reports_of_one_issue_count_once(world, reader):
    send_id = accepted(world, "ann")
    to = tagged(Purpose.BOUNCE, 1, send_id)
    for number in range(6):
        mail = report(to, status="5.2.2", reply="552 5.2.2 mailbox full", number=number)
        assert take_mail(reader, mail, later(days=10 * number)).effect is Effect.COUNTED
    assert suppression(world) is None


def test_a_limit_of_none_never_suppresses_for_soft_bounces(world):
    world.join("ann")
    reader = Reader(world.store, KEYS, Policy(soft_limit=0, soft_days=0))
    assert {soft(world, reader, number, days=number) for number in range(1, 8)} == {Effect.COUNTED}


def test_a_bounce_of_an_open_row_is_kept_until_it_closes(world, reader):
    send_id = world.sending("ann")
    (row,) = world.claim(send_id)
    mail = report(tagged(Purpose.BOUNCE, 1, send_id), status="5.2.2", reply="552 5.2.2 mailbox full")
    assert take_mail(reader, mail, NOW).effect is Effect.KEPT
    assert apply_kept(reader, NOW) == []
    world.mark(send_id, [row])
    assert apply_kept(reader, NOW) == []
    world.record(send_id, result(row, "250 2.0.0 ok"))
    (line,) = apply_kept(reader, later(hours=1))
    assert (line.effect, line.address) == (Effect.COUNTED, ANN)
    assert world.states(send_id) == ["bounced"]
    assert apply_kept(reader, later(hours=2)) == []


def test_a_kept_bounce_of_a_row_that_fails_is_dropped(world, reader):
    send_id = world.sending("ann")
    (row,) = world.claim(send_id)
    take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id), status="5.2.2", reply="552 5.2.2 full"), NOW)
    world.record(send_id, result(row, "550 5.1.1 nobody", Stage.RCPT, marked=False))
    assert world.states(send_id) == ["failed"]
    (line,) = apply_kept(reader, NOW)
    assert line.effect is Effect.IGNORED
    assert [one.fate for one in list_logged(world.store)] == [BounceFate.DROPPED]


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered"])
def test_any_report_settles_a_row_in_doubt(world, reader, action):
    send_id = world.sending("ann")
    (row,) = world.claim(send_id)
    world.mark(send_id, [row])
    world.record(send_id, result(row))
    assert world.states(send_id) == ["in_doubt"]
    line = take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id), action=action, status="4.4.1"), NOW)
    assert line.effect is Effect.SETTLED
    assert world.states(send_id) == ["sent"]


def test_a_bounce_settles_a_row_in_doubt(world, reader):
    send_id = world.sending("ann")
    (row,) = world.claim(send_id)
    world.mark(send_id, [row])
    world.record(send_id, result(row))
    assert take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id)), NOW).effect is Effect.SUPPRESSED
    assert world.states(send_id) == ["bounced"]


def test_a_delay_is_no_bounce(world, reader):
    send_id = accepted(world, "ann")
    line = take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id), action="delayed"), NOW)
    assert line.effect is Effect.IGNORED
    assert world.states(send_id) == ["sent"]
    assert list(list_logged(world.store)) == []


@pytest.mark.parametrize(("subscriber", "send"), [(0, 0), (99, 1), (1, 99)])
def test_tokens_that_name_no_row(world, reader, subscriber, send):
    accepted(world, "ann")
    line = take_mail(reader, report(tagged(Purpose.BOUNCE, subscriber, send)), NOW)
    assert line.effect is (Effect.SUPPRESSED if subscriber == 1 else Effect.IGNORED)
    assert world.states(1) == ["sent"]


def test_a_letter_that_bounces_suppresses_without_a_row(world, reader):
    world.join("ann")
    assert take_mail(reader, report(tagged(Purpose.BOUNCE, 1)), NOW).effect is Effect.SUPPRESSED
    (logged,) = list_logged(world.store, ANN)
    assert logged.send_id is None


# ---------------------------------------------------------------------------------------------------------------------
# Complaints
# ---------------------------------------------------------------------------------------------------------------------


def complaint(to: str, returned: str) -> bytes:
    return (
        f"From: fbl@isp.example\nTo: {to}\nMessage-ID: <c@isp.example>\nSubject: abuse\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nabuse\n--b\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n\n--b\n"
        f"Content-Type: message/rfc822\n\n{returned}To: x@isp.example\nSubject: Issue\n\nx\n--b--\n"
    ).encode()


def test_a_complaint_suppresses_and_leaves_the_row(world, reader):
    send_id = accepted(world, "ann")
    returned = f"Return-Path: <{tagged(Purpose.BOUNCE, 1, send_id)}>\n"
    assert take_mail(reader, complaint("abuse@news.example", returned), NOW).effect is Effect.SUPPRESSED
    assert suppression(world) is SuppressionReason.COMPLAINT
    assert world.states(send_id) == ["sent"], "the mail arrived: that is what the complaint is about"


def test_a_complaint_with_the_unsubscribe_link_alone_ends_the_subscription(world, reader):
    send_id = accepted(world, "ann")
    returned = f"List-Unsubscribe: <mailto:{tagged(Purpose.UNSUBSCRIBE, 1, send_id)}?subject=unsubscribe>\n"
    assert take_mail(reader, complaint("abuse@news.example", returned), NOW).effect is Effect.LEFT
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.UNSUBSCRIBED


def test_a_complaint_that_names_nobody_is_a_line(world, reader):
    accepted(world, "ann")
    assert take_mail(reader, complaint("abuse@news.example", ""), NOW).effect is Effect.UNSIGNED


# ---------------------------------------------------------------------------------------------------------------------
# Wishes
# ---------------------------------------------------------------------------------------------------------------------


def test_unsubscribing_by_mail(world, reader):
    send_id = accepted(world, "ann", "bob")
    to = tagged(Purpose.UNSUBSCRIBE, 1, send_id)
    line = take_mail(reader, letter(to), NOW)
    assert (line.effect, line.address) == (Effect.LEFT, ANN)
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.UNSUBSCRIBED
    assert world.store.choices.load_consents(1)[-1].event is ConsentEvent.LEFT
    assert take_mail(reader, letter(to, number=2), NOW).effect is Effect.ALREADY
    assert world.store.subscribers.find_subscriber(1, "bob@b.example").state is SubscriptionState.ACTIVE


@pytest.mark.parametrize(
    "field", ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "Precedence: auto_reply", "X-Apple-Action: VACATION"]
)
@pytest.mark.parametrize("purpose", [Purpose.UNSUBSCRIBE, Purpose.CONFIRM])
def test_answers_of_machines_do_nothing(world, reader, field, purpose):
    accepted(world, "ann")
    before = world.store.choices.load_consents(1)
    extra = expiry_hour(NOW, 24)
    assert take_mail(reader, letter(tagged(purpose, 1, extra), field), NOW).effect is Effect.IGNORED
    assert world.store.choices.load_consents(1) == before


def test_apple_mail_may_unsubscribe_in_an_automatic_mail(world, reader):
    accepted(world, "ann")
    mail = letter(tagged(Purpose.UNSUBSCRIBE, 1), "Auto-Submitted: auto-replied", "X-Apple-Unsubscribe: true")
    assert take_mail(reader, mail, NOW).effect is Effect.LEFT


def test_a_bounce_to_an_unsubscribe_address_unsubscribes_nobody(world, reader):
    accepted(world, "ann")
    assert take_mail(reader, report(tagged(Purpose.UNSUBSCRIBE, 1)), NOW).effect is Effect.UNSIGNED
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.ACTIVE


def test_confirming_by_mail(world, reader):
    world.store.subscribers.add_subscriber(
        1, NewSubscriber(address=ANN), NOW, origin="form", state=SubscriptionState.PENDING
    )
    late = tagged(Purpose.CONFIRM, 1, expiry_hour(later(days=-9), 24))
    assert take_mail(reader, letter(late, number=1), NOW).effect is Effect.IGNORED
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.PENDING
    good = tagged(Purpose.CONFIRM, 1, expiry_hour(NOW, 24))
    assert take_mail(reader, letter(good, number=2), NOW).effect is Effect.CONFIRMED
    assert world.store.subscribers.find_subscriber(1, ANN).state is SubscriptionState.ACTIVE
    assert take_mail(reader, letter(good, number=3), NOW).effect is Effect.ALREADY


# ---------------------------------------------------------------------------------------------------------------------
# By hand
# ---------------------------------------------------------------------------------------------------------------------


def test_undoing_takes_the_row_back_and_lifts_the_suppression(world, reader):
    send_id = accepted(world, "ann")
    take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id)), NOW)
    assert undo_last(world.store, ANN, later(days=1)).weight == "hard"
    assert world.states(send_id) == ["sent"]
    assert suppression(world) is None
    with pytest.raises(InputError, match=r"nothing of ann@a\.example came back"):
        undo_last(world.store, ANN, later(days=1))


def test_undoing_leaves_a_suppression_that_came_from_elsewhere(world, reader):
    send_id = accepted(world, "ann")
    world.store.subscribers.suppress_address(ANN, SuppressionReason.OPERATOR, NOW)
    take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id)), NOW)
    assert not undo_last(world.store, ANN, NOW).has_suppressed
    assert suppression(world) is SuppressionReason.OPERATOR


def test_a_row_stays_bounced_while_another_bounce_of_it_stands(world, reader):
    send_id = accepted(world, "ann")
    for number in (1, 2):
        take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id), number=number), NOW)
    undo_last(world.store, ANN, NOW)
    assert world.states(send_id) == ["bounced"]
    undo_last(world.store, ANN, NOW)
    assert world.states(send_id) == ["sent"]


def test_marking_by_hand(world, reader):
    send_id = accepted(world, "ann")
    assert mark_address(reader, ANN, "2026-11-25", NOW).effect is Effect.SUPPRESSED
    assert world.states(send_id) == ["bounced"]
    undo_last(world.store, ANN, NOW)
    assert mark_address(reader, ANN, "", NOW).effect is Effect.SUPPRESSED
    assert world.states(send_id) == ["sent"]
    with pytest.raises(InputError, match="is on no list"):
        mark_address(reader, "zoe@z.example", "", NOW)
    with pytest.raises(InputError, match="was not sent to"):
        mark_address(reader, ANN, "2026-01-01", NOW)


def test_listing(world, reader):
    first = accepted(world, "ann", "bob", issue="2026-11-01")
    second = accepted(world, issue="2026-11-08")
    for number, send_id in enumerate((first, second)):
        take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id), number=number), later(days=number))
    assert [one.issue for one in list_logged(world.store)] == ["2026-11-08", "2026-11-01"]
    assert [one.issue for one in list_logged(world.store, ANN, "2026-11-01")] == ["2026-11-01"]
    assert list(list_logged(world.store, "bob@b.example")) == []
    with pytest.raises(InputError, match="was never sent"):
        list(list_logged(world.store, "", "2020-01-01"))


def test_erasing_a_person_empties_what_came_back_of_them(world, reader):
    send_id = accepted(world, "ann")
    take_mail(reader, report(tagged(Purpose.BOUNCE, 1, send_id)), NOW)
    world.store.subscribers.erase_subscriber(1, NOW)
    (logged,) = list_logged(world.store)
    assert (logged.address, logged.reply, logged.source) == (None, "", "")
    assert logged.reason == "userunknown"
