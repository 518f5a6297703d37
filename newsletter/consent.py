"""Do what readers wish: subscribe with double opt-in, confirm, leave, come back, choose, rest, change their address.

Use case: no argument parsing, no printing, no web. A wish comes either with a signed token, which proves whose it is
(``tokens``), or from a stranger who names an address. A stranger's wish is only written down, in the same statements
whoever the address belongs to; ``plan_letter`` decides later, unseen, what becomes of it. So no answer tells who is
subscribed. What a token permits:

=================  =====================================================  ========================================
purpose            permits                                                ends
=================  =====================================================  ========================================
CONFIRM            to make pending subscriptions active                   by its hour; once they left, by itself
UNSUBSCRIBE        to leave one list or all; to rest                      never
RESUBSCRIBE        to undo having left, on the page that says so          by its hour
PREFERENCES        to choose all that a person can, address included      never
CHANGE_ADDRESS     to confirm a new address, from its own mailbox         by its hour, or by the next such wish
=================  =====================================================  ========================================

Every method is idempotent: a button that is pressed twice does what it did once. Nobody comes back by an old link: a
confirmation works for pending subscriptions only.
"""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newsletter.errors import InputError
from newsletter.letters import LetterKind, LetterPlan
from newsletter.store import (
    Allowance,
    Evidence,
    NewSubscriber,
    Preferences,
    QueuedMail,
    Store,
    Subscriber,
    SubscriptionState,
    SuppressionReason,
    Way,
)
from newsletter.tokens import Purpose, Token, expiry_hour, is_expired

PAUSE_WEEKS_MAX = 52
REASON_MAX, NAME_MAX = 500, 100
"""Characters that are kept of a reason and of a name."""
REJOIN_HOURS = 24
"""How long the button works that undoes having left."""
_STANDING = frozenset({SubscriptionState.PENDING, SubscriptionState.ACTIVE})


class Answer(enum.StrEnum):
    """Say what became of a wish."""

    DONE = "done"
    ALREADY = "already"
    """It was so before; nothing had to change."""
    EXPIRED = "expired"
    """The link is too old, or another took its place."""
    NOBODY = "nobody"
    """The link is a proof's, or its person was erased."""
    REFUSED = "refused"
    """The address must not be mailed."""


class Asked(enum.StrEnum):
    """Say what became of what a stranger asked; it depends on how often was asked, never on the address."""

    TAKEN = "taken"
    TOO_OFTEN = "too often"
    """This client asked too often."""
    TOO_MANY = "too many"
    """All clients together asked too often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hold what holds back subscription bombing.

    ``wait`` is how long the same address gets no second mail of a kind, doubling each time; ``client_asks`` and
    ``all_asks`` are how often one client and all of them may ask in an hour. ``confirm_hours`` is how long links work,
    ``pending_days`` how long a request is kept that nobody confirms.
    """

    wait: dt.timedelta = dt.timedelta(minutes=10)
    client_asks: int = 10
    all_asks: int = 600
    confirm_hours: int = 7 * 24
    pending_days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Hold what a stranger asks for an ``address`` (normalised): nothing of it is believed before it is confirmed.

    ``client`` names who asks, without giving them away, ``""`` where that is not known; ``list_ids`` are the lists.
    """

    address: str
    evidence: Evidence
    client: str = ""
    list_ids: tuple[int, ...] = ()
    name: str = ""
    language: str = ""
    topics: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------------------------
# What strangers ask
# ---------------------------------------------------------------------------------------------------------------------


def ask_subscription(store: Store, ask: Ask, now: dt.datetime, limits: Limits) -> Asked:
    """Write down that somebody wants ``ask.address`` on its lists; a letter with one link follows, or none.

    The statements are the same for every address. After the commit nothing is lost in a crash.
    """
    wish = {
        "lists": ",".join(map(str, ask.list_ids)),
        "name": ask.name[:NAME_MAX],
        "language": ask.language,
        "topics": ",".join(ask.topics),
        "way": str(ask.evidence.way),
        "source": ask.evidence.source,
    }
    return _queue(store, LetterKind.CONFIRM, ask, wish, now=now, limits=limits)


def ask_preferences(store: Store, ask: Ask, now: dt.datetime, limits: Limits) -> Asked:
    """Write down that somebody wants the link to the preferences of ``ask.address``; if it is known, it gets a letter.

    The statements are the same for every address.
    """
    return _queue(store, LetterKind.PREFERENCES, ask, {"language": ask.language}, now=now, limits=limits)


def ask_address(store: Store, token: Token, ask: Ask, now: dt.datetime, limits: Limits) -> Asked:
    """Write down that the token's subscriber wants ``ask.address`` instead; its own mailbox has to confirm it.

    The statements are the same for every address, so that nobody learns who else is subscribed.
    """
    wish = {"subscriber": str(token.subscriber_id), "list": str(token.list_id), "language": ask.language}
    return _queue(store, LetterKind.CHANGE, ask, wish, now=now, limits=limits)


def _queue(
    store: Store, kind: LetterKind, ask: Ask, wish: Mapping[str, str], *, now: dt.datetime, limits: Limits
) -> Asked:
    hour = dt.timedelta(hours=1)
    allowances = [Allowance("everybody", limits.all_asks, hour)]
    if ask.client:
        allowances.insert(0, Allowance(f"client {ask.client}", limits.client_asks, hour))
    refused = store.outbox.ask_mail(kind, ask.address, wish, now, wait=limits.wait, allowances=allowances)
    if refused is None:
        return Asked.TAKEN
    return Asked.TOO_MANY if refused.name == "everybody" else Asked.TOO_OFTEN


# ---------------------------------------------------------------------------------------------------------------------
# What becomes of it, unseen
# ---------------------------------------------------------------------------------------------------------------------


def plan_letter(store: Store, mail: QueuedMail, limits: Limits) -> LetterPlan | None:
    """Do what a queued wish asks as far as may be, and say which letter follows; None where none may.

    Doing it twice does it once: a mail that could not be sent is planned anew each time it is tried. ``mail.queued_at``
    is the instant of all of it, so that a letter has the same bytes each time.
    """
    if not _may_ask(store, mail.address):
        return None
    match LetterKind(mail.kind):
        case LetterKind.CONFIRM:
            return _plan_subscription(store, mail, limits)
        case LetterKind.PREFERENCES:
            return _plan_preferences(store, mail)
        case LetterKind.CHANGE:
            return _plan_change(store, mail, limits)
        case LetterKind.NOTICE:
            return _plan_notice(store, mail)
        case _:
            return None


def _may_ask(store: Store, address: str) -> bool:
    """Tell whether the address may get a letter: who was erased may, if only to confirm that they are back."""
    suppression = store.subscribers.find_suppression(address)
    return suppression is None or suppression.reason is SuppressionReason.ERASED


def _plan_subscription(store: Store, mail: QueuedMail, limits: Limits) -> LetterPlan | None:
    """Put the address on its lists as pending; of somebody who is known nothing else changes on a stranger's word."""
    lists = {each.list_id for each in store.subscribers.load_lists()}
    wanted = [number for number in map(int, filter(None, mail.wish["lists"].split(","))) if number in lists]
    pending = [number for number in wanted if _make_pending(store, number, mail)]
    for number in (*pending, *wanted):
        person = store.subscribers.find_subscriber(number, mail.address)
        if person is None:
            continue
        kind, token = LetterKind.KNOWN, Token(Purpose.PREFERENCES, number, person.subscriber_id)
        hours = 0
        if pending:
            kind, hours = LetterKind.CONFIRM, limits.confirm_hours
            extra = expiry_hour(mail.queued_at, hours)
            token = Token(Purpose.CONFIRM, number, person.subscriber_id, extra)
        return LetterPlan(
            kind=kind,
            address=mail.address,
            list_id=number,
            subscriber_id=person.subscriber_id,
            written_at=mail.queued_at,
            token=token,
            until=mail.queued_at + dt.timedelta(hours=hours) if hours else None,
        )
    return None


def _make_pending(store: Store, list_id: int, mail: QueuedMail) -> bool:
    """Make the address pending on a list unless it is active there; tell whether a confirmation is wanted."""
    known = store.subscribers.find_subscriber(list_id, mail.address)
    if known and known.state in _STANDING:
        store.choices.renew_request(list_id, known.subscriber_id, mail.queued_at)
        return known.state is SubscriptionState.PENDING
    wish, evidence = mail.wish, Evidence(Way(mail.wish["way"]), mail.wish["source"])
    new = NewSubscriber(address=mail.address, evidence=evidence)
    if not _is_known(store, mail.address):
        new = NewSubscriber(
            address=mail.address,
            name=wish["name"],
            language=wish["language"],
            topics=tuple(filter(None, wish["topics"].split(","))),
            evidence=evidence,
        )
    store.subscribers.add_subscriber(
        list_id, new, mail.queued_at, origin=wish["way"], state=SubscriptionState.PENDING, readmit=True
    )
    return True


def forget_requests(store: Store, now: dt.datetime, limits: Limits) -> int:
    """Delete what was asked for long ago and never confirmed; return how many requests that were."""
    return store.choices.forget_requests(now - dt.timedelta(days=limits.pending_days), now)


def _find_anywhere(store: Store, address: str) -> Subscriber | None:
    """Return the person with this address on whatever list they are, those they stand on first."""
    found = [store.subscribers.find_subscriber(each.list_id, address) for each in store.subscribers.load_lists()]
    people = [person for person in found if person]
    return next((person for person in people if person.state in _STANDING), people[0] if people else None)


def _is_known(store: Store, address: str) -> bool:
    return _find_anywhere(store, address) is not None


def _plan_preferences(store: Store, mail: QueuedMail) -> LetterPlan | None:
    person = _find_anywhere(store, mail.address)
    return _plan_link(LetterKind.PREFERENCES, mail, person) if person else None


def _plan_link(kind: LetterKind, mail: QueuedMail, person: Subscriber, shown: str = "") -> LetterPlan:
    """Plan a letter whose link leads to the person's preferences."""
    return LetterPlan(
        kind=kind,
        address=mail.address,
        list_id=person.list_id,
        subscriber_id=person.subscriber_id,
        written_at=mail.queued_at,
        token=Token(Purpose.PREFERENCES, person.list_id, person.subscriber_id),
        shown=shown,
    )


def _plan_change(store: Store, mail: QueuedMail, limits: Limits) -> LetterPlan | None:
    """Remember the new address, and let the old one know of it."""
    subscriber_id, list_id = int(mail.wish["subscriber"]), int(mail.wish["list"])
    person = store.subscribers.load_subscriber(list_id, subscriber_id)
    if person is None or person.address is None or person.address == mail.address:
        return None
    hour = expiry_hour(mail.queued_at, limits.confirm_hours)
    change = store.outbox.save_address_change(subscriber_id, mail.address, hour, mail.queued_at)
    wish = {**mail.wish, "shown": masked(mail.address)}
    store.outbox.ask_mail(LetterKind.NOTICE, person.address, wish, mail.queued_at, wait=limits.wait)
    return LetterPlan(
        kind=LetterKind.CHANGE,
        address=mail.address,
        list_id=list_id,
        subscriber_id=subscriber_id,
        written_at=mail.queued_at,
        token=Token(Purpose.CHANGE_ADDRESS, list_id, subscriber_id, change.hour),
        until=mail.queued_at + dt.timedelta(hours=limits.confirm_hours),
    )


def _plan_notice(store: Store, mail: QueuedMail) -> LetterPlan | None:
    person = store.subscribers.load_subscriber(int(mail.wish["list"]), int(mail.wish["subscriber"]))
    return _plan_link(LetterKind.NOTICE, mail, person, mail.wish["shown"]) if person else None


def masked(address: str) -> str:
    """Return an address that its owner recognises and nobody else learns: ``a•••@example.org``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


# ---------------------------------------------------------------------------------------------------------------------
# What a token permits
# ---------------------------------------------------------------------------------------------------------------------


def find_subscriptions(store: Store, token: Token) -> tuple[Subscriber, ...]:
    """Return the person whom a token names as they stand on each list; none for a proof, or somebody erased."""
    if not token.subscriber_id:
        return ()
    found = store.choices.load_subscriptions(token.subscriber_id)
    return tuple(each for each in found if each.address is not None)


def confirm(store: Store, token: Token, now: dt.datetime, evidence: Evidence) -> Answer:
    """Make every pending subscription of the token's person active: what was asked for, with one link."""
    found = find_subscriptions(store, token)
    if not found:
        return Answer.NOBODY
    pending = [each.list_id for each in found if each.state is SubscriptionState.PENDING]
    if not pending:
        return _why_not_confirmed(found)
    if is_expired(token, now):
        return Answer.EXPIRED
    if not _may_ask(store, str(found[0].address)):
        return Answer.REFUSED
    for list_id in pending:
        store.choices.confirm_subscription(list_id, token.subscriber_id, now, evidence)
    return Answer.DONE


def _why_not_confirmed(found: Sequence[Subscriber]) -> Answer:
    is_active = any(each.state is SubscriptionState.ACTIVE for each in found)
    return Answer.ALREADY if is_active else Answer.EXPIRED


def ask_again(store: Store, token: Token, ask: Ask, now: dt.datetime, limits: Limits) -> Asked:
    """Write down that the holder of an old confirmation link wants a new one, at the address it went to.

    ``ask.address`` and its lists are put in here; for nobody it is forgotten, with the same answer.
    """
    found = find_subscriptions(store, token)
    lists = tuple(each.list_id for each in found if each.state is not SubscriptionState.ACTIVE)
    if not lists:
        return Asked.TAKEN
    anew = Ask(
        address=str(found[0].address),
        evidence=ask.evidence,
        client=ask.client,
        list_ids=lists if token.list_id not in lists else (token.list_id,),
        language=ask.language,
    )
    return ask_subscription(store, anew, now, limits)


def leave(store: Store, token: Token, now: dt.datetime, evidence: Evidence, *, everywhere: bool = False) -> Answer:
    """Take the token's person off its list, or off all; after the commit no dot of any send goes to them.

    The list 0 stands for all of them. Somebody who is off already is ``ALREADY`` off: one click may come twice.
    """
    if not token.subscriber_id:
        return Answer.NOBODY
    if everywhere or not token.list_id:
        left = store.choices.leave_all_lists(token.subscriber_id, now, evidence) > 0
    else:
        left = store.choices.leave_list(token.list_id, token.subscriber_id, now, evidence)
    if left:
        return Answer.DONE
    return Answer.ALREADY if find_subscriptions(store, token) else Answer.NOBODY


def rejoin(store: Store, token: Token, now: dt.datetime, evidence: Evidence) -> Answer:
    """Put the token's person back on its list; raise no hand for somebody who must not be mailed."""
    found = find_subscriptions(store, token)
    here = next((each for each in found if each.list_id == token.list_id), None)
    if here is None:
        return Answer.NOBODY
    if here.state is SubscriptionState.ACTIVE:
        return Answer.ALREADY
    if is_expired(token, now) or here.state is SubscriptionState.REMOVED:
        return Answer.EXPIRED
    if store.subscribers.find_suppression(str(here.address)):
        return Answer.REFUSED
    joined = store.choices.join_list(token.list_id, token.subscriber_id, now, evidence)
    return Answer.DONE if joined else Answer.ALREADY


def say_why(store: Store, token: Token, reason: str, evidence: Evidence) -> Answer:
    """Write down why the token's person left; an empty reason is none."""
    words = " ".join(reason.split())[:REASON_MAX]
    if not words or not find_subscriptions(store, token):
        return Answer.NOBODY
    said = Evidence(evidence.way, evidence.source, words)
    return Answer.DONE if store.choices.add_reason(token.list_id, token.subscriber_id, said) else Answer.ALREADY


def rest(store: Store, token: Token, weeks: int, now: dt.datetime, evidence: Evidence) -> Answer:
    """Let the token's person get nothing for so many weeks, 1 to 52; 0 ends it. Raises InputError for other numbers."""
    if not 0 <= weeks <= PAUSE_WEEKS_MAX:
        raise InputError(f"a pause lasts 1 to {PAUSE_WEEKS_MAX} weeks, not {weeks}")
    if not find_subscriptions(store, token):
        return Answer.NOBODY
    if weeks:
        until = now + dt.timedelta(weeks=weeks)
        changed = store.choices.pause_subscriber(token.subscriber_id, until, now, evidence)
    else:
        changed = store.choices.resume_subscriber(token.subscriber_id, now, evidence)
    return Answer.DONE if changed else Answer.ALREADY


def choose(store: Store, token: Token, wanted: Preferences, now: dt.datetime, evidence: Evidence) -> Answer:
    """Set name, language, time zone and topics of the token's person."""
    if not find_subscriptions(store, token):
        return Answer.NOBODY
    changed = store.choices.change_preferences(token.subscriber_id, wanted, now, evidence)
    return Answer.DONE if changed else Answer.ALREADY


def choose_lists(store: Store, token: Token, list_ids: Sequence[int], now: dt.datetime, evidence: Evidence) -> Answer:
    """Let the token's person be on exactly these lists; a list that is not there is passed over."""
    found = find_subscriptions(store, token)
    if not found:
        return Answer.NOBODY
    if store.subscribers.find_suppression(str(found[0].address)):
        return Answer.REFUSED
    standing = {each.list_id for each in found if each.state is SubscriptionState.ACTIVE}
    known = {each.list_id for each in store.subscribers.load_lists()}
    wanted = known & set(list_ids)
    for list_id in sorted(wanted - standing):
        store.choices.join_list(list_id, token.subscriber_id, now, evidence)
    for list_id in sorted(standing - wanted):
        store.choices.leave_list(list_id, token.subscriber_id, now, evidence)
    return Answer.DONE if wanted != standing else Answer.ALREADY


# ---------------------------------------------------------------------------------------------------------------------
# A change of address
# ---------------------------------------------------------------------------------------------------------------------


def confirm_address(store: Store, token: Token, now: dt.datetime, evidence: Evidence) -> Answer:
    """Move the token's person to the address that they asked for, from whose mailbox this comes.

    Where somebody is subscribed with that address already, they are on the lists of both from now on, once. The old
    address is not forgotten: no import brings it back.
    """
    if not find_subscriptions(store, token):
        return Answer.NOBODY
    change = store.outbox.find_address_change(token.subscriber_id)
    if change is None or change.hour != token.extra or is_expired(token, now):
        return Answer.EXPIRED
    if not _may_ask(store, change.address):
        return Answer.REFUSED
    store.choices.change_address(token.subscriber_id, change.address, now, evidence)
    store.outbox.drop_address_change(token.subscriber_id)
    return Answer.DONE


def keep_address(store: Store, token: Token) -> Answer:
    """Forget the address that the token's person, or somebody with a link of theirs, asked for."""
    return Answer.DONE if store.outbox.drop_address_change(token.subscriber_id) else Answer.ALREADY
