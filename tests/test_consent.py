"""What readers wish comes true once, by their own hand only; and no answer tells who is subscribed."""

import datetime as dt
import re
from functools import partial

import msgspec
import pytest
from postbox import FORM, NOW, SECTION, Postbox, link_in, token_in
from smtp_server import SmtpServer

from newsletter import consent
from newsletter.consent import Answer, Asked, Limits
from newsletter.errors import InputError
from newsletter.store import (
    ConsentEvent,
    Preferences,
    SubscriptionState,
    SuppressionReason,
    open_store,
)
from newsletter.tokens import SAMPLE_KEYS, Purpose, Token

PENDING, ACTIVE, UNSUBSCRIBED, REMOVED = (
    SubscriptionState(word) for word in ("pending", "active", "unsubscribed", "removed")
)
ANN = "ann@example.org"


@pytest.fixture
def box(tmp_path):
    with (
        SmtpServer() as server,
        open_store(f"sqlite:///{tmp_path / 'n.db'}", address_key=SAMPLE_KEYS.address_key) as store,
    ):
        yield Postbox(store, server)


def ask(box, address=ANN, **values) -> Asked:
    return consent.ask_subscription(box.store, box.ask(address, **values), box.now, box.limits)


def confirmed(box, address=ANN) -> int:
    """Let somebody subscribe and confirm; return their number."""
    ask(box, address)
    box.post()
    token = token_in(box.letters()[-1], Purpose.CONFIRM)
    assert consent.confirm(box.store, token, box.now, FORM) is Answer.DONE
    return token.subscriber_id


# ---------------------------------------------------------------------------------------------------------------------
# Double opt-in
# ---------------------------------------------------------------------------------------------------------------------


def test_one_mail_with_one_link_and_one_confirmation(box):
    assert ask(box, name="Ann", language="fr", topics=("beauty",)) is Asked.TAKEN
    assert box.state() is None, "nothing is believed before the letter goes out"
    assert box.post()["sent"] == 1
    assert box.state() is PENDING
    [letter] = box.letters()
    assert letter["To"] == ANN
    token = token_in(letter, Purpose.CONFIRM)
    assert consent.confirm(box.store, token, box.now, FORM) is Answer.DONE
    assert consent.confirm(box.store, token, box.now, FORM) is Answer.ALREADY
    found = box.store.subscribers.find_subscriber(box.list_id, ANN)
    assert (found.state, found.name, found.language, found.topics) == (ACTIVE, "Ann", "fr", ("beauty",))
    events = [line.event for line in box.store.choices.load_consents(found.subscriber_id)]
    assert events == [ConsentEvent.SUBSCRIBED, ConsentEvent.CONFIRMED]


def test_nothing_that_a_stranger_typed_stands_in_the_letter(box):
    ask(box, name="BUY PILLS http://evil.example", topics=("pills",))
    box.post()
    [accepted] = box.server.accepted
    [letter] = box.letters()
    whole = accepted.content + "".join(part.get_content() for part in letter.walk() if not part.is_multipart()).encode()
    assert b"PILLS" not in whole
    assert b"evil" not in whole
    assert b"pills" not in whole


def test_the_link_ends_and_says_so(box):
    ask(box)
    box.post()
    token = token_in(box.letters()[0], Purpose.CONFIRM)
    box.pass_time(days=8)
    assert consent.confirm(box.store, token, box.now, FORM) is Answer.EXPIRED
    assert box.state() is PENDING
    assert consent.ask_again(box.store, token, box.ask("anything@example.org"), box.now, box.limits) is Asked.TAKEN
    box.post()
    again = token_in(box.letters()[1], Purpose.CONFIRM)
    assert box.letters()[1]["To"] == ANN, "it goes where the first one went"
    assert consent.confirm(box.store, again, box.now, FORM) is Answer.DONE


def test_an_old_confirmation_brings_nobody_back(box):
    ask(box)
    box.post()
    token = token_in(box.letters()[0], Purpose.CONFIRM)
    consent.confirm(box.store, token, box.now, FORM)
    consent.leave(box.store, box.token(Purpose.UNSUBSCRIBE, token.subscriber_id), box.now, FORM)
    assert consent.confirm(box.store, token, box.now, FORM) is Answer.EXPIRED
    assert box.state() is UNSUBSCRIBED


def test_whoever_left_may_ask_again(box):
    number = confirmed(box)
    consent.leave(box.store, box.token(Purpose.UNSUBSCRIBE, number), box.now, FORM)
    box.pass_time(hours=1)
    assert confirmed(box) == number
    assert box.state() is ACTIVE


def test_a_stranger_changes_nothing_of_somebody_who_is_known(box):
    number = box.join(name="Ann", language="en", topics=("retail",))
    ask(box, name="Mallory", language="fr", topics=("pills",))
    assert box.post()["sent"] == 1
    found = box.store.subscribers.load_subscriber(box.list_id, number)
    assert (found.name, found.language, found.topics, found.state) == ("Ann", "en", ("retail",), ACTIVE)
    [letter] = box.letters()
    assert "déjà" in letter["Subject"]
    assert token_in(letter, Purpose.PREFERENCES).subscriber_id == number


def test_one_link_confirms_all_lists_that_were_asked_for(box):
    monthly = box.store.subscribers.ensure_list("monthly", NOW).list_id
    ask(box, list_ids=(box.list_id, monthly, 999))
    box.post()
    [letter] = box.letters()
    assert consent.confirm(box.store, token_in(letter, Purpose.CONFIRM), box.now, FORM) is Answer.DONE
    assert (box.state(), box.state(list_id=monthly)) == (ACTIVE, ACTIVE)


def test_somebody_on_one_list_confirms_another(box):
    number = box.join()
    monthly = box.store.subscribers.ensure_list("monthly", NOW).list_id
    ask(box, list_ids=(monthly,))
    box.post()
    assert consent.confirm(box.store, token_in(box.letters()[0], Purpose.CONFIRM), box.now, FORM) is Answer.DONE
    assert [each.state for each in box.store.choices.load_subscriptions(number)] == [ACTIVE, ACTIVE]


@pytest.mark.parametrize(
    "reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT, SuppressionReason.OPERATOR]
)
def test_a_suppressed_address_gets_no_letter(box, reason):
    box.store.subscribers.suppress_address(ANN, reason, NOW)
    assert ask(box) is Asked.TAKEN
    assert box.post()["dropped"] == 1
    assert box.letters() == []
    assert box.state() is None


def test_somebody_erased_comes_back_by_their_own_confirmation_only(box):
    number = box.join()
    box.store.subscribers.erase_subscriber(number, NOW)
    ask(box)
    box.post()
    assert box.store.subscribers.find_suppression(ANN) is not None
    assert consent.confirm(box.store, token_in(box.letters()[0], Purpose.CONFIRM), box.now, FORM) is Answer.DONE
    assert box.store.subscribers.find_suppression(ANN) is None
    assert box.state() is ACTIVE


def test_an_address_that_bounced_meanwhile_is_not_confirmed(box):
    ask(box)
    box.post()
    box.store.subscribers.suppress_address(ANN, SuppressionReason.HARD_BOUNCE, NOW)
    assert consent.confirm(box.store, token_in(box.letters()[0], Purpose.CONFIRM), box.now, FORM) is Answer.REFUSED
    assert box.state() is PENDING


def test_a_newsletter_without_pages_confirms_by_mail(box):
    box.section = msgspec.structs.replace(SECTION, unsubscribe="mailto")
    ask(box)
    box.join("bob@example.org")
    ask(box, "bob@example.org")
    box.post()
    letters = {letter["To"]: letter for letter in box.letters()}
    assert re.fullmatch(r"mailto:bounces\+[a-z2-7]{48}@news\.example\.org\?subject=confirm", link_in(letters[ANN]))
    assert "already" in letters["bob@example.org"]["Subject"]
    assert "http" not in letters["bob@example.org"].get_body(["plain"]).get_content()


# ---------------------------------------------------------------------------------------------------------------------
# Nobody is told, nobody is bombed
# ---------------------------------------------------------------------------------------------------------------------


def queries_of(box, act) -> list[tuple[str, ...]]:
    """Return the name of each statement that ``act`` runs, in order."""
    seen = []
    database = box.store.database

    class Spy:
        def __getattr__(self, name):
            inner = getattr(database, name)
            if name not in ("row", "rows", "change", "change_each", "change_at_once"):
                return inner

            def spied(query, /, *args, **parameters):
                seen.append((name, query, *sorted(parameters)))
                return inner(query, *args, **parameters)

            return spied

    parts = (box.store.outbox, box.store.subscribers, box.store.choices)
    for part in parts:
        part._database = Spy()
    try:
        act()
    finally:
        for part in parts:
            part._database = database
    return seen


def everybody(box) -> list[str]:
    """Return an address of each kind that the store may know, or not."""
    box.join("active@example.org")
    left, removed, erased = (box.join(f"{name}@example.org") for name in ("left", "removed", "erased"))
    change = box.store.subscribers.change_subscription
    change(box.list_id, left, UNSUBSCRIBED, NOW)
    change(box.list_id, removed, REMOVED, NOW)
    box.store.subscribers.erase_subscriber(erased, NOW)
    box.store.subscribers.suppress_address("bounced@example.org", SuppressionReason.HARD_BOUNCE, NOW)
    ask(box, "pending@example.org")
    box.post()
    return [f"{name}@example.org" for name in ("unknown", "active", "left", "removed", "erased", "bounced")]


def test_what_is_asked_takes_the_same_statements_for_every_address(box):
    holder = box.token(Purpose.PREFERENCES, box.join("holder@example.org"))
    traces = {"subscription": set(), "preferences": set(), "address": set()}
    for address in everybody(box):
        wish = box.ask(address, client="c")
        rest = (box.now, Limits(client_asks=1000))
        for name, act in (
            ("subscription", partial(consent.ask_subscription, box.store)),
            ("preferences", partial(consent.ask_preferences, box.store)),
            ("address", partial(consent.ask_address, box.store, holder)),
        ):
            traces[name].add(tuple(queries_of(box, partial(act, wish, *rest))))
    assert {name: len(found) for name, found in traces.items()} == {"subscription": 1, "preferences": 1, "address": 1}
    [trace] = traces["subscription"]
    assert [query for _, query, *_ in trace] == ["take_allowance", "take_allowance", "queue_mail"]


def test_one_client_cannot_ask_without_end(box):
    answers = [ask(box, f"victim{n}@example.org", client="c1") for n in range(12)]
    assert answers == [Asked.TAKEN] * 10 + [Asked.TOO_OFTEN] * 2
    assert ask(box, "else@example.org", client="c2") is Asked.TAKEN
    box.pass_time(minutes=6)
    assert ask(box, "again@example.org", client="c1") is Asked.TAKEN


def test_all_clients_together_cannot_ask_without_end(box):
    box.limits = Limits(all_asks=20)
    answers = [ask(box, f"victim{n}@example.org", client=f"c{n}") for n in range(25)]
    assert answers == [Asked.TAKEN] * 20 + [Asked.TOO_MANY] * 5


def test_an_address_that_many_ask_for_gets_few_mails(box):
    for n in range(24 * 12):
        box.limits = Limits(all_asks=10**6)
        ask(box, client=f"c{n}")
        box.post()
        box.pass_time(minutes=5)
    assert 5 <= len(box.letters()) <= 8, "288 asks in a day"


# ---------------------------------------------------------------------------------------------------------------------
# Leaving, coming back, resting, choosing
# ---------------------------------------------------------------------------------------------------------------------


def test_leaving_is_idempotent_and_undone_by_a_button(box):
    number = box.join()
    token = box.token(Purpose.UNSUBSCRIBE, number)
    assert consent.leave(box.store, token, box.now, FORM) is Answer.DONE
    assert consent.leave(box.store, token, box.now, FORM) is Answer.ALREADY
    assert consent.say_why(box.store, token, "  too\nmany  ", FORM) is Answer.DONE
    assert consent.say_why(box.store, token, "again", FORM) is Answer.ALREADY
    assert [line.evidence.reason for line in box.store.choices.load_consents(number)][-1] == "too many"
    back = box.token(Purpose.RESUBSCRIBE, number)
    assert consent.rejoin(box.store, back, box.now, FORM) is Answer.DONE
    assert consent.rejoin(box.store, back, box.now, FORM) is Answer.ALREADY
    assert box.state() is ACTIVE


def test_leaving_one_list_or_all(box):
    monthly = box.store.subscribers.ensure_list("monthly", NOW).list_id
    daily = box.store.subscribers.ensure_list("daily", NOW).list_id
    number = box.join()
    for other in (monthly, daily):
        box.store.choices.join_list(other, number, NOW, FORM)
    assert consent.leave(box.store, box.token(Purpose.UNSUBSCRIBE, number, daily), box.now, FORM) is Answer.DONE
    assert (box.state(), box.state(list_id=monthly), box.state(list_id=daily)) == (ACTIVE, ACTIVE, UNSUBSCRIBED)
    token = box.token(Purpose.UNSUBSCRIBE, number)
    assert consent.leave(box.store, token, box.now, FORM, everywhere=True) is Answer.DONE
    assert (box.state(), box.state(list_id=monthly)) == (UNSUBSCRIBED, UNSUBSCRIBED)


def test_a_proof_and_an_erased_person_are_nobody(box):
    number = box.join()
    box.store.subscribers.erase_subscriber(number, NOW)
    for who in (0, number, 4711):
        leave, other = box.token(Purpose.UNSUBSCRIBE, who), box.token(Purpose.PREFERENCES, who)
        assert consent.leave(box.store, leave, box.now, FORM) is Answer.NOBODY
        assert consent.leave(box.store, leave, box.now, FORM, everywhere=True) is Answer.NOBODY
        assert consent.confirm(box.store, box.token(Purpose.CONFIRM, who), box.now, FORM) is Answer.NOBODY
        assert consent.rejoin(box.store, box.token(Purpose.RESUBSCRIBE, who), box.now, FORM) is Answer.NOBODY
        assert consent.rest(box.store, other, 4, box.now, FORM) is Answer.NOBODY
        assert consent.choose(box.store, other, Preferences(name="x"), box.now, FORM) is Answer.NOBODY
        assert consent.choose_lists(box.store, other, [box.list_id], box.now, FORM) is Answer.NOBODY
        assert consent.say_why(box.store, leave, "x", FORM) is Answer.NOBODY
        assert (
            consent.confirm_address(box.store, box.token(Purpose.CHANGE_ADDRESS, who), box.now, FORM) is Answer.NOBODY
        )


def test_the_way_back_ends_and_is_closed_to_who_must_not_be_mailed(box):
    number = box.join()
    back = box.token(Purpose.RESUBSCRIBE, number)
    change = box.store.subscribers.change_subscription
    change(box.list_id, number, REMOVED, NOW)
    assert consent.rejoin(box.store, back, box.now, FORM) is Answer.EXPIRED, "an operator removed them"
    change(box.list_id, number, UNSUBSCRIBED, NOW)
    assert consent.rejoin(box.store, back, box.now + dt.timedelta(hours=26), FORM) is Answer.EXPIRED
    box.store.subscribers.suppress_address(ANN, SuppressionReason.COMPLAINT, NOW)
    assert consent.rejoin(box.store, back, box.now, FORM) is Answer.REFUSED
    assert consent.choose_lists(box.store, back, [box.list_id], box.now, FORM) is Answer.REFUSED
    assert box.state() is UNSUBSCRIBED


def test_resting_and_going_on(box):
    number = box.join()
    token = box.token(Purpose.PREFERENCES, number)
    assert consent.rest(box.store, token, 0, box.now, FORM) is Answer.ALREADY
    assert consent.rest(box.store, token, 4, box.now, FORM) is Answer.DONE
    found = box.store.subscribers.load_subscriber(box.list_id, number)
    assert found.paused_until == box.now + dt.timedelta(weeks=4)
    assert consent.rest(box.store, token, 0, box.now, FORM) is Answer.DONE
    for weeks in (-1, 53):
        with pytest.raises(InputError, match="1 to 52"):
            consent.rest(box.store, token, weeks, box.now, FORM)


def test_choosing_preferences_and_lists(box):
    monthly = box.store.subscribers.ensure_list("monthly", NOW).list_id
    number = box.join(name="Ann")
    token = box.token(Purpose.PREFERENCES, number)
    wanted = Preferences(name="", language="fr", topics=("beauty", "retail"))
    assert consent.choose(box.store, token, wanted, box.now, FORM) is Answer.DONE
    assert consent.choose(box.store, token, wanted, box.now, FORM) is Answer.ALREADY
    found = box.store.subscribers.load_subscriber(box.list_id, number)
    assert (found.name, found.language, found.topics) == ("", "fr", ("beauty", "retail"))
    assert consent.choose_lists(box.store, token, [monthly, 999], box.now, FORM) is Answer.DONE
    assert (box.state(), box.state(list_id=monthly)) == (UNSUBSCRIBED, ACTIVE)
    assert consent.choose_lists(box.store, token, [monthly], box.now, FORM) is Answer.ALREADY


def test_the_link_to_the_preferences_goes_to_who_is_known(box):
    number = box.join()
    for address in (ANN, "unknown@example.org"):
        assert consent.ask_preferences(box.store, box.ask(address), box.now, box.limits) is Asked.TAKEN
    posted = box.post()
    assert (posted["sent"], posted["dropped"]) == (1, 1)
    assert token_in(box.letters()[0], Purpose.PREFERENCES) == Token(Purpose.PREFERENCES, box.list_id, number)


# ---------------------------------------------------------------------------------------------------------------------
# Another address
# ---------------------------------------------------------------------------------------------------------------------


def ask_address(box, number, address) -> None:
    token = box.token(Purpose.PREFERENCES, number)
    assert consent.ask_address(box.store, token, box.ask(address), box.now, box.limits) is Asked.TAKEN
    box.post()


def test_a_new_address_confirms_itself_and_the_old_one_is_told(box):
    number = box.join()
    ask_address(box, number, "new@example.net")
    letters = {letter["To"]: letter for letter in box.letters()}
    assert set(letters) == {ANN, "new@example.net"}
    notice = letters[ANN].get_body(["plain"]).get_content()
    assert "n•••@example.net" in notice
    assert "new@" not in notice
    assert token_in(letters[ANN], Purpose.PREFERENCES).subscriber_id == number
    token = token_in(letters["new@example.net"], Purpose.CHANGE_ADDRESS)
    assert box.state() is ACTIVE
    assert consent.confirm_address(box.store, token, box.now, FORM) is Answer.DONE
    assert consent.confirm_address(box.store, token, box.now, FORM) is Answer.EXPIRED
    assert (box.state(), box.state("new@example.net")) == (None, ACTIVE)


def test_the_old_address_can_say_no(box):
    number = box.join()
    ask_address(box, number, "new@example.net")
    token = token_in(box.letters()[0], Purpose.CHANGE_ADDRESS)
    assert consent.keep_address(box.store, box.token(Purpose.PREFERENCES, number)) is Answer.DONE
    assert consent.keep_address(box.store, box.token(Purpose.PREFERENCES, number)) is Answer.ALREADY
    assert consent.confirm_address(box.store, token, box.now, FORM) is Answer.EXPIRED
    assert box.state() is ACTIVE


def test_only_the_latest_new_address_counts(box):
    number = box.join()
    ask_address(box, number, "first@example.net")
    ask_address(box, number, "second@example.net")
    tokens = {letter["To"]: token_in(letter, Purpose.CHANGE_ADDRESS) for letter in box.letters() if letter["To"] != ANN}
    assert consent.confirm_address(box.store, tokens["first@example.net"], box.now, FORM) is Answer.EXPIRED
    assert consent.confirm_address(box.store, tokens["second@example.net"], box.now, FORM) is Answer.DONE
    assert box.state("second@example.net") is ACTIVE


def test_a_new_address_has_its_time(box):
    number = box.join()
    ask_address(box, number, "new@example.net")
    token = token_in(box.letters()[0], Purpose.CHANGE_ADDRESS)
    box.pass_time(days=8)
    assert consent.confirm_address(box.store, token, box.now, FORM) is Answer.EXPIRED


def test_a_new_address_that_must_not_be_mailed_or_is_the_old_one(box):
    number = box.join()
    box.store.subscribers.suppress_address("bounced@example.net", SuppressionReason.HARD_BOUNCE, NOW)
    for address in ("bounced@example.net", ANN):
        ask_address(box, number, address)
    assert box.letters() == []
    assert box.state() is ACTIVE


def test_a_new_address_that_bounced_meanwhile(box):
    number = box.join()
    ask_address(box, number, "new@example.net")
    token = token_in(box.letters()[0], Purpose.CHANGE_ADDRESS)
    box.store.subscribers.suppress_address("new@example.net", SuppressionReason.HARD_BOUNCE, NOW)
    assert consent.confirm_address(box.store, token, box.now, FORM) is Answer.REFUSED


def test_a_reason_and_a_name_are_kept_short(box):
    number = box.join()
    token = box.token(Purpose.UNSUBSCRIBE, number)
    consent.leave(box.store, token, box.now, FORM)
    consent.say_why(box.store, token, "x" * 9000, FORM)
    assert len(box.store.choices.load_consents(number)[-1].evidence.reason) == consent.REASON_MAX
    ask(box, "long@example.org", name="y" * 9000)
    box.post()
    assert len(box.store.subscribers.find_subscriber(box.list_id, "long@example.org").name) == consent.NAME_MAX
