"""One test over every method of the store: against a locked database, one that may not be written, a closed one.

A method that writes must raise StoreUnavailableError and leave the database exactly as it was; one that reads must
answer. A method that is new and has no call here fails the first test.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace

import pytest

from newsletter.bounce import Action, Bounce, Weight
from newsletter.errors import StoreError, StoreUnavailableError
from newsletter.store import (
    BY_OPERATOR,
    BounceFate,
    Evidence,
    IssueFile,
    NewSubscriber,
    Notice,
    Preferences,
    SendPlan,
    StoredApproval,
    SubscriptionState,
    SuppressionReason,
    Way,
    open_store,
)

from .conftest import KEY, NOW, edition, later, result

BOUNCE = Bounce("ann@a.example", Action.FAILED, "userunknown", Weight.HARD)
PARTS = (
    "subscribers",
    "choices",
    "editions",
    "issues",
    "sends",
    "openings",
    "ledger",
    "identity",
    "buckets",
    "outbox",
    "tallies",
    "bounces",
)
FAY = NewSubscriber(address="fay@f.example")
PAT = NewSubscriber(address="pat@p.example", evidence=Evidence(Way.FORM))
FILE = IssueFile(name="a.md", mtime_ns=1, size=1, send_at=None, verdict="")
REASON = Evidence(Way.FORM, reason="x")
APPROVAL = StoredApproval(issue="i", source_digest="d", text="t", by="b", at=NOW)


def enter(block: AbstractContextManager) -> None:
    with block:
        pass


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """Let what fails in the block say which call it was: the calls are too many to be a test each."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"at {name}")
        raise


WRITES: dict[str, Callable] = {
    "subscribers.ensure_list": lambda s, w: s.subscribers.ensure_list("other", NOW),
    "subscribers.rename_list": lambda s, w: s.subscribers.rename_list("main", "weekly", "The weekly"),
    "subscribers.add_subscriber": lambda s, w: s.subscribers.add_subscriber(1, FAY, NOW, origin="x"),
    "subscribers.import_subscribers": lambda s, w: list(s.subscribers.import_subscribers(1, [FAY], NOW, origin="x")),
    "subscribers.change_subscription": lambda s, w: s.subscribers.change_subscription(
        1, 1, SubscriptionState.UNSUBSCRIBED, NOW
    ),
    "subscribers.remove_subscriber": lambda s, w: s.subscribers.remove_subscriber(1, "ann@a.example", NOW),
    "subscribers.erase_subscriber": lambda s, w: s.subscribers.erase_subscriber(1, NOW),
    "subscribers.suppress_address": lambda s, w: s.subscribers.suppress_address(
        "ann@a.example", SuppressionReason.REQUEST, NOW
    ),
    "subscribers.lift_suppression": lambda s, w: s.subscribers.lift_suppression("gus@g.example"),
    "choices.confirm_subscription": lambda s, w: s.choices.confirm_subscription(1, w.asking, NOW, BY_OPERATOR),
    "choices.join_list": lambda s, w: s.choices.join_list(1, w.asking, NOW, BY_OPERATOR),
    "choices.leave_list": lambda s, w: s.choices.leave_list(1, 1, NOW, BY_OPERATOR),
    "choices.leave_all_lists": lambda s, w: s.choices.leave_all_lists(1, NOW, BY_OPERATOR),
    "choices.change_preferences": lambda s, w: s.choices.change_preferences(
        1, Preferences(language="fr"), NOW, BY_OPERATOR
    ),
    "choices.pause_subscriber": lambda s, w: s.choices.pause_subscriber(1, later(days=7), NOW, BY_OPERATOR),
    "choices.resume_subscriber": lambda s, w: s.choices.resume_subscriber(w.asking, NOW, BY_OPERATOR),
    "editions.save_edition": lambda s, w: s.editions.save_edition(edition("fr"), NOW),
    "issues.record_approval": lambda s, w: s.issues.record_approval(APPROVAL),
    "issues.keep_compiled": lambda s, w: s.issues.keep_compiled("i", "d", "{}"),
    "issues.drop_compiled": lambda s, w: s.issues.drop_compiled("kept"),
    "issues.remember_issue_files": lambda s, w: s.issues.remember_issue_files([FILE], gone=["b.md"]),
    "sends.plan_send": lambda s, w: s.sends.plan_send(
        SendPlan(issue="next", list_ids=(1,), editions={"": 1}, source_digest="d"), NOW
    ),
    "sends.plan_correction": lambda s, w: s.sends.plan_correction(
        SendPlan(issue="next", list_ids=(), editions={"": 1}, source_digest="d", kind="correction-1"), w.sending, NOW
    ),
    "sends.start_send": lambda s, w: s.sends.start_send(w.frozen, NOW),
    "sends.try_send": lambda s, w: s.sends.try_send(w.frozen, NOW),
    "sends.hold_send": lambda s, w: s.sends.hold_send(w.frozen, "x", NOW),
    "sends.lift_hold": lambda s, w: s.sends.lift_hold(w.held, NOW),
    "sends.pause_send": lambda s, w: s.sends.pause_send(w.sending, "x", NOW),
    "sends.resume_send": lambda s, w: s.sends.resume_send(w.paused, NOW),
    "sends.cancel_send": lambda s, w: s.sends.cancel_send(w.sending, "x", NOW),
    "sends.withdraw_send": lambda s, w: s.sends.withdraw_send(w.held),
    "openings.record_notice": lambda s, w: s.openings.record_notice(
        w.frozen, Notice("mark@m.example", NOW, True, "ok")
    ),
    "openings.begin_canary": lambda s, w: s.openings.begin_canary(w.frozen, 1, NOW),
    "openings.rest_canary": lambda s, w: s.openings.rest_canary(w.sending, NOW),
    "sends.finish_send": lambda s, w: s.sends.finish_send(w.empty, NOW),
    "ledger.claim_deliveries": lambda s, w: s.ledger.claim_deliveries(w.sending, "me", 5, NOW),
    "ledger.mark_transmitting": lambda s, w: s.ledger.mark_transmitting(w.sending, "me", [w.claimed], NOW),
    "ledger.record_results": lambda s, w: s.ledger.record_results(
        w.sending, "me", [result(w.marked, "250 2.0.0 ok")], NOW
    ),
    "ledger.advance_deliveries": lambda s, w: s.ledger.advance_deliveries(
        w.sending, "me", [result(w.marked, "450 4.2.2 full")], [w.claimed], NOW
    ),
    "ledger.release_deliveries": lambda s, w: s.ledger.release_deliveries(w.sending, "me", [w.claimed], NOW),
    "ledger.skip_deliveries": lambda s, w: s.ledger.skip_deliveries(w.sending, "me", [w.claimed], "x", NOW),
    "ledger.expire_deliveries": lambda s, w: s.ledger.expire_deliveries(w.sending, "x", NOW),
    "ledger.supersede_deliveries": lambda s, w: s.ledger.supersede_deliveries(w.frozen, "x", NOW - NOW, NOW),
    "ledger.recover_deliveries": lambda s, w: s.ledger.recover_deliveries(w.sending, {"me"}, NOW),
    "ledger.resend_doubtful": lambda s, w: s.ledger.resend_doubtful(w.sending, NOW),
    "ledger.settle_deliveries": lambda s, w: s.ledger.settle_deliveries(
        w.sending, [w.doubtful], arrived=True, reason="x", now=NOW
    ),
    "ledger.resend_failed": lambda s, w: s.ledger.resend_failed(w.sending, NOW),
    "ledger.record_bounce": lambda s, w: s.ledger.record_bounce(w.sending, w.doubtful, "x", NOW),
    "ledger.undo_bounce": lambda s, w: s.ledger.undo_bounce(w.sending, w.bounced, NOW),
    "identity.bind_host": lambda s, w: s.identity.bind_host("", "host"),
    "identity.advance_epoch": lambda s, w: s.identity.advance_epoch(1),
    "buckets.save_buckets": lambda s, w: s.buckets.save_buckets({"relay": NOW}),
    "buckets.forget_full_buckets": lambda s, w: s.buckets.forget_full_buckets(NOW),
    "choices.add_reason": lambda s, w: s.choices.add_reason(1, w.left, REASON),
    "choices.renew_request": lambda s, w: s.choices.renew_request(1, w.asking, later(days=1)),
    "choices.forget_requests": lambda s, w: s.choices.forget_requests(later(days=1), later(days=31)),
    "choices.change_address": lambda s, w: s.choices.change_address(1, "new@n.example", NOW, BY_OPERATOR),
    "outbox.ask_mail": lambda s, w: s.outbox.ask_mail("confirm", "gus@g.example", {}, NOW, wait=NOW - NOW),
    "outbox.take_mails": lambda s, w: s.outbox.take_mails(NOW, limit=5, lease=NOW - NOW),
    "outbox.put_back_mail": lambda s, w: s.outbox.put_back_mail(w.mail, NOW),
    "outbox.end_mail": lambda s, w: s.outbox.end_mail(w.mail),
    "outbox.forget_old": lambda s, w: s.outbox.forget_old(NOW),
    "outbox.save_address_change": lambda s, w: s.outbox.save_address_change(1, "new@n.example", 1, NOW),
    "outbox.drop_address_change": lambda s, w: s.outbox.drop_address_change(1),
    "bounces.read_once": lambda s, w: enter(s.bounces.read_once(b"1", NOW)),
    "bounces.log_bounce": lambda s, w: s.bounces.log_bounce(1, w.sending, BOUNCE, BounceFate.COUNTED, NOW, source="x"),
    "bounces.set_fate": lambda s, w: s.bounces.set_fate(w.logged, BounceFate.UNDONE),
    "bounces.suppress_bounced": lambda s, w: s.bounces.suppress_bounced(
        w.logged, 1, SuppressionReason.HARD_BOUNCE, "x", NOW
    ),
    "bounces.lift_bounced": lambda s, w: s.bounces.lift_bounced(w.asking),
}
READS: dict[str, Callable] = {
    "subscribers.find_list": lambda s, w: s.subscribers.find_list("main"),
    "subscribers.load_lists": lambda s, w: s.subscribers.load_lists(),
    "subscribers.find_subscriber": lambda s, w: s.subscribers.find_subscriber(1, "ann@a.example"),
    "subscribers.load_subscriber": lambda s, w: s.subscribers.load_subscriber(1, 1),
    "subscribers.list_subscribers": lambda s, w: list(s.subscribers.list_subscribers(1)),
    "subscribers.export_subscribers": lambda s, w: list(s.subscribers.export_subscribers(1)),
    "subscribers.find_person": lambda s, w: s.subscribers.find_person("ann@a.example"),
    "subscribers.count_subscribers": lambda s, w: s.subscribers.count_subscribers(1),
    "subscribers.find_suppression": lambda s, w: s.subscribers.find_suppression("gus@g.example"),
    "subscribers.count_suppressions": lambda s, w: s.subscribers.count_suppressions(),
    "choices.load_subscriptions": lambda s, w: s.choices.load_subscriptions(1),
    "choices.load_consents": lambda s, w: s.choices.load_consents(1),
    "editions.load_edition": lambda s, w: s.editions.load_edition(1),
    "editions.find_editions": lambda s, w: s.editions.find_editions("2026-11-25"),
    "issues.latest_approval": lambda s, w: s.issues.latest_approval("i"),
    "issues.load_issue_files": lambda s, w: s.issues.load_issue_files(),
    "sends.count_readers": lambda s, w: s.sends.count_readers(w.sending, NOW),
    "sends.count_audience": lambda s, w: s.sends.count_audience((1,), NOW),
    "sends.count_choices": lambda s, w: s.sends.count_choices((1,), NOW),
    "sends.find_send": lambda s, w: s.sends.find_send("2026-11-25"),
    "sends.load_send": lambda s, w: s.sends.load_send(w.sending),
    "sends.load_sends": lambda s, w: s.sends.load_sends(),
    "sends.unfinished_sends": lambda s, w: s.sends.unfinished_sends(NOW),
    "sends.next_due_at": lambda s, w: s.sends.next_due_at(w.sending),
    "sends.account": lambda s, w: s.sends.account(w.sending),
    "openings.load_notices": lambda s, w: s.openings.load_notices(w.frozen),
    "openings.load_canary": lambda s, w: s.openings.load_canary(w.sending, NOW),
    "openings.edition_ids": lambda s, w: s.openings.edition_ids(w.sending),
    "ledger.list_owners": lambda s, w: s.ledger.list_owners(w.sending),
    "ledger.list_deliveries": lambda s, w: list(s.ledger.list_deliveries(w.sending)),
    "ledger.list_failures": lambda s, w: list(s.ledger.list_failures(w.sending)),
    "ledger.list_doubtful": lambda s, w: list(s.ledger.list_doubtful(w.sending)),
    "tallies.pace": lambda s, w: s.tallies.pace(1, NOW),
    "tallies.by_domain": lambda s, w: s.tallies.by_domain(1, 9),
    "tallies.by_edition": lambda s, w: s.tallies.by_edition(1, s.sends.account(1)),
    "tallies.by_reply": lambda s, w: s.tallies.by_reply(1, 9),
    "tallies.failed": lambda s, w: s.tallies.failed(1, NOW),
    "tallies.by_reason": lambda s, w: s.tallies.by_reason(1, 9),
    "tallies.latest_troubles": lambda s, w: s.tallies.latest_troubles(1, 9),
    "ledger.list_person_deliveries": lambda s, w: s.ledger.list_person_deliveries(1),
    "ledger.load_attempts": lambda s, w: s.ledger.load_attempts(w.sending, w.doubtful),
    "identity.load_identity": lambda s, w: s.identity.load_identity(),
    "identity.check_address_key": lambda s, w: s.identity.check_address_key(KEY),
    "issues.find_compiled": lambda s, w: s.issues.find_compiled("kept", "d"),
    "buckets.load_buckets": lambda s, w: s.buckets.load_buckets(NOW),
    "bounces.find_state": lambda s, w: s.bounces.find_state(w.sending, 1),
    "bounces.load_kept": lambda s, w: s.bounces.load_kept(),
    "bounces.list_bounces": lambda s, w: list(s.bounces.list_bounces()),
    "bounces.soft_run": lambda s, w: s.bounces.soft_run(1, w.sending),
    "outbox.next_mail_at": lambda s, w: s.outbox.next_mail_at(),
    "outbox.count_mails": lambda s, w: s.outbox.count_mails(),
    "outbox.find_address_change": lambda s, w: s.outbox.find_address_change(1),
}


@pytest.fixture
def scene(world) -> Iterator[SimpleNamespace]:
    """Make a store in which every call above has something to do."""
    store = world.store
    empty = store.sends.start_send(world.plan("empty").send_id, NOW).send_id
    world.store.subscribers.suppress_address("gus@g.example", SuppressionReason.REQUEST, NOW)
    store.identity.load_identity()
    store.buckets.save_buckets({"domain": NOW})
    store.issues.keep_compiled("kept", "d", "{}")
    sending = world.sending("ann", "bob", "cyd", "dan", "eve")
    claimed, marked, doubtful, bounced = world.claim(sending, limit=4)
    world.mark(sending, [marked, doubtful, bounced])
    world.record(sending, result(doubtful), result(bounced, "250 2.0.0 ok"))
    store.ledger.record_bounce(sending, bounced.subscriber_id, "5.1.1", NOW)
    plans = {name: world.plan(name).send_id for name in ("frozen", "held", "paused")}
    store.sends.hold_send(plans["held"], "x", NOW)
    store.sends.start_send(plans["paused"], NOW)
    store.sends.pause_send(plans["paused"], "x", NOW)
    store.subscribers.add_subscriber(1, PAT, NOW, origin="form", state=SubscriptionState.PENDING)
    asking = store.subscribers.find_subscriber(1, PAT.address).subscriber_id
    store.choices.pause_subscriber(asking, later(days=1), NOW, BY_OPERATOR)
    [left] = world.join("liv")
    store.choices.leave_list(1, left, NOW, BY_OPERATOR)
    for kind in ("confirm", "preferences"):
        store.outbox.ask_mail(kind, "ann@a.example", {}, NOW, wait=later(days=1) - NOW)
    [mail] = store.outbox.take_mails(NOW, limit=1, lease=later(days=1) - NOW)
    store.outbox.save_address_change(1, "else@e.example", 1, NOW)
    logged = store.bounces.log_bounce(1, sending, BOUNCE, BounceFate.KEPT, NOW, source="x")
    held_back = store.bounces.log_bounce(asking, None, BOUNCE, BounceFate.COUNTED, NOW, source="x")
    store.bounces.suppress_bounced(held_back, asking, SuppressionReason.HARD_BOUNCE, "x", NOW)
    return SimpleNamespace(
        logged=logged,
        store=store,
        kind=world.kind,
        asking=asking,
        left=left,
        mail=mail,
        url=world.url,
        empty=empty,
        sending=sending,
        claimed=claimed,
        marked=marked,
        doubtful=doubtful.subscriber_id,
        bounced=bounced.subscriber_id,
        **plans,
    )


def test_every_method_has_a_call_here(world):
    methods = {
        f"{part}.{name}"
        for part in PARTS
        for name, _ in inspect.getmembers(type(getattr(world.store, part)), inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == WRITES.keys() | READS.keys()
    assert not WRITES.keys() & READS.keys()


def let_a_newer_send_begin(scene):
    """Defer a row of the send under way, and start the frozen one: so that there is somebody to give up for it."""
    scene.store.ledger.record_results(scene.sending, "me", [result(scene.marked, "451 4.7.1 later")], NOW)
    scene.store.sends.start_send(scene.frozen, NOW)


@pytest.mark.parametrize("name", WRITES)
def test_every_write_does_something(scene, name):
    before = scene.kind.content(scene.url)
    if name == "ledger.resend_failed":
        scene.store.ledger.record_results(scene.sending, "me", [result(scene.marked, "550 5.2.0 no")], NOW)
        before = scene.kind.content(scene.url)
    if name == "ledger.supersede_deliveries":
        let_a_newer_send_begin(scene)
        before = scene.kind.content(scene.url)
    WRITES[name](scene.store, scene)
    assert scene.kind.content(scene.url) != before


def test_a_write_to_a_locked_store_leaves_it_as_it_was(scene):
    before = scene.kind.content(scene.url)
    scene.kind.hurry(scene.store)
    with open_store(scene.url) as other, other.database.transaction():
        for name, call in WRITES.items():
            with named(name):
                with pytest.raises(StoreUnavailableError, match="try again") as caught:
                    call(scene.store, scene)
                assert scene.store.database.where in str(caught.value)
                assert scene.kind.is_idle(scene.store)
                assert scene.kind.content(scene.url) == before


def test_a_write_to_a_store_that_may_not_be_written_leaves_it_as_it_was(scene):
    before = scene.kind.content(scene.url)
    scene.kind.forbid_writing(scene.store)
    for name, call in WRITES.items():
        with named(name):
            with pytest.raises(StoreUnavailableError, match="permissions"):
                call(scene.store, scene)
            assert scene.kind.content(scene.url) == before
    scene.kind.allow_writing(scene.store)


def test_reading_goes_on_while_another_command_writes(scene):
    with open_store(scene.url) as other, other.database.transaction():
        for name, call in READS.items():
            with named(name):
                call(scene.store, scene)


def test_a_closed_store_raises_its_own_error(scene, world):
    world.is_checked = False
    scene.store.close()
    for name, call in (READS | WRITES).items():
        with named(name), pytest.raises(StoreError):
            call(scene.store, scene)
