"""Letters are posted once, whatever the relay says and wherever a process dies; and none is lost."""

import logging

import pytest
from postbox import NOW, Postbox
from smtp_server import SmtpServer

from newsletter import consent
from newsletter.errors import RelayUnavailableError
from newsletter.outbox import Postman
from newsletter.store import open_store
from newsletter.tokens import SAMPLE_KEYS

ANN = "ann@example.org"


@pytest.fixture
def box(tmp_path):
    with (
        SmtpServer() as server,
        open_store(f"sqlite:///{tmp_path / 'n.db'}", address_key=SAMPLE_KEYS.address_key) as store,
    ):
        yield Postbox(store, server)


def ask(box, *addresses):
    for address in addresses or (ANN,):
        consent.ask_subscription(box.store, box.ask(address), box.now, box.limits)


def test_many_letters_go_over_one_connection(box):
    ask(box, *(f"reader{n}@example.org" for n in range(45)))
    assert box.post()["sent"] == 45
    assert sorted(letter["To"] for letter in box.letters()) == sorted(f"reader{n}@example.org" for n in range(45))
    assert box.server.sessions == 3, "one for each batch of twenty"
    assert box.store.outbox.count_mails() == 0


def test_a_deferred_letter_is_tried_again_with_the_same_bytes(box):
    box.server.defer(ANN, times=2)
    ask(box)
    assert box.post()["deferred"] == 1
    assert box.post()["deferred"] == 0, "not at once"
    box.pass_time(minutes=1)
    assert box.post()["deferred"] == 1
    box.pass_time(minutes=5)
    assert box.post()["sent"] == 1


def test_a_lost_answer_repeats_the_letter_under_the_same_message_id(box):
    box.server.drop_after_dot()
    ask(box)
    assert box.post()["deferred"] == 1
    box.pass_time(minutes=1)
    assert box.post()["sent"] == 1
    first, second = box.server.dotted
    assert first.content == second.content


def test_a_letter_that_is_refused_is_not_tried_again_and_the_log_holds_no_address(box, caplog):
    box.server.refuse(ANN, 550, f"5.1.1 <{ANN}> no such user")
    ask(box, ANN, "bob@example.org")
    posted = box.post()
    assert (posted["refused"], posted["sent"]) == (1, 1)
    assert box.store.outbox.count_mails() == 0
    assert "550 5.1.1" in caplog.text
    assert ANN not in caplog.text


def test_a_letter_is_given_up_after_two_days(box, caplog):
    box.server.defer(ANN)
    ask(box)
    for _ in range(40):
        box.post()
        box.pass_time(hours=2)
    assert box.store.outbox.count_mails() == 0
    assert "given up" in caplog.text
    assert box.letters() == []


def test_a_relay_that_is_down_costs_no_letter(box):
    port = box.server.port
    box.server.stop()
    ask(box, ANN, "bob@example.org")
    with pytest.raises(RelayUnavailableError):
        box.post()
    assert box.store.outbox.count_mails() == 2
    box.pass_time(minutes=1)
    assert port
    with SmtpServer() as other:
        box.server = other
        assert box.post()["sent"] == 2


def test_a_process_that_died_with_letters_in_hand_leaves_them_to_the_next(box):
    ask(box, ANN, "bob@example.org")
    assert len(box.store.outbox.take_mails(box.now, limit=20, lease=box.now - NOW + (NOW - NOW))) == 2
    box.pass_time(minutes=31)
    assert box.post()["sent"] == 2


def test_an_address_that_no_header_holds_is_told_and_dropped(box, caplog):
    box.store.outbox.ask_mail("confirm", "a b\r\nBcc: x@example.org", {**WISH}, NOW, wait=box.limits.wait)
    ask(box)
    posted = box.post()
    assert (posted["dropped"], posted["sent"]) == (1, 1)
    assert "Bcc" not in box.server.accepted[0].content.decode()


WISH = {"lists": "1", "name": "", "language": "", "topics": "", "way": "form", "source": ""}


def test_the_postman_posts_when_the_bell_rings_and_ends_after_the_letter_in_hand(box):
    with Postman(box.store, box.office) as postman:
        ask(box)
        postman.ring()
        wait_for(lambda: len(box.server.accepted) == 1)
        ask(box, "bob@example.org")
        postman.ring()
        wait_for(lambda: len(box.server.accepted) == 2)
        wait_for(lambda: box.store.outbox.count_mails() == 0)
    assert not postman._thread.is_alive()


def test_the_postman_outlives_a_relay_that_is_down(box, caplog):
    caplog.set_level(logging.ERROR)
    box.server.stop()
    ask(box)
    with Postman(box.store, box.office):
        wait_for(lambda: "letters wait" in caplog.text)
    assert box.store.outbox.count_mails() == 1


def wait_for(condition, seconds=60.0):
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
