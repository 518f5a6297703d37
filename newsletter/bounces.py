"""Do what mail to the bounce address asks for: count bounces, suppress who is gone, let people leave and confirm.

Use case: no argument parsing, no printing, no mailbox. Each mail is taken up once, in one transaction with all that
follows from it; reading it again changes nothing. What may follow:

* Only a signed token names a row or a person (``mailtokens``). A bounce without one is a line of the report.
* A hard bounce suppresses, a complaint suppresses. A soft one counts: after ``Policy.soft_limit`` issues in a row that
  came back, the first of them at least ``Policy.soft_days`` ago, it suppresses too. A policy bounce counts for nobody.
* A bounce of a row that is open is kept until that row closes. Any report about a row in doubt proves that a server
  took the message, and settles it.
* Mail to a signed unsubscribe or confirmation address is carried out; answers of machines and bounces never are.
* Mail to ``local+subscribe@`` asks for a confirmation letter, as the form of a page does (``consent``).

Not here: what a mail means (``dsn``), how it is fetched (``mailbox``).
"""

import datetime as dt
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from newsletter.addresses import parse_address
from newsletter.bounce import Action, Bounce, Kind, Report, Weight
from newsletter.consent import Answer, Ask, Asked, Limits, ask_subscription, confirm, leave
from newsletter.delivery import OPEN, State
from newsletter.dsn import report_on
from newsletter.dsn_fields import address_in
from newsletter.errors import InputError
from newsletter.mailparts import Mail, read_mail
from newsletter.mailtokens import MailTokens, find_tokens, is_sent_to
from newsletter.store import (
    BounceFate,
    Evidence,
    LoggedBounce,
    Store,
    Subscriber,
    SubscriberList,
    SuppressionReason,
    Way,
)
from newsletter.store.ledger import mask_addresses
from newsletter.tokens import Keys, Purpose, Token

_OPEN = frozenset(str(state) for state in OPEN)
_REPORTS = frozenset({Kind.BOUNCE, Kind.COMPLAINT, Kind.DELAY, Kind.RECEIPT})
_ORDER = (Weight.HARD, Weight.SOFT, Weight.POLICY)


class Effect(enum.StrEnum):
    """Say what became of a mail."""

    SUPPRESSED = "suppressed"
    """Nobody mails this subscriber again."""
    COUNTED = "counted"
    """The row is bounced; a soft bounce counts towards the limit."""
    KEPT = "kept"
    """The row is open; the bounce is applied when it closes."""
    SETTLED = "settled"
    """The row was in doubt; a server took the message."""
    LEFT = "left"
    """Somebody left a list, as they wished."""
    CONFIRMED = "confirmed"
    ASKED = "asked"
    """Somebody asked to subscribe; a letter asks them to confirm, if it may."""
    ALREADY = "already so"
    """Nothing had to change."""
    UNSIGNED = "unsigned"
    """A bounce or complaint that no signed token names; it changed nothing."""
    IGNORED = "left alone"
    """No bounce: a vacation reply, a notice of delay, ordinary mail."""
    AGAIN = "read before"


@dataclass(frozen=True, slots=True)
class Policy:
    """Say when soft bounces suppress: after ``soft_limit`` issues in a row (0: never), over at least ``soft_days``."""

    soft_limit: int = 5
    soft_days: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLine:
    """Say what became of one mail, for the report; texts are of strangers."""

    effect: Effect
    kind: str
    address: str = ""
    issue: str = ""
    reason: str = ""
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the line for ``--json``."""
        return {name: str(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Door:
    """Say how people subscribe by mail: the address that they write to, the list they join, and how often they may."""

    address: str
    list_id: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Reader:
    """Hold what reading needs; without a ``door`` nobody subscribes by mail."""

    store: Store
    keys: Keys
    policy: Policy = Policy()
    door: Door | None = None


def take_mail(reader: Reader, content: bytes, now: dt.datetime) -> MailLine:
    """Take up one mail: do what it asks for, once. Raises StoreUnavailableError where nothing of it was done."""
    mail = read_mail(content)
    report, tokens = report_on(mail, content), find_tokens(mail, reader.keys)
    source = mail.fields.value("message-id")[:200]
    with reader.store.bounces.read_once(mail.digest, now) as is_new:
        if not is_new:
            return MailLine(effect=Effect.AGAIN, kind=report.kind)
        if report.kind in _REPORTS:
            return _take_report(reader, report, tokens, now, source)
        return _take_wish(reader, mail, report, tokens, now)


# ---------------------------------------------------------------------------------------------------------------------
# Wishes
# ---------------------------------------------------------------------------------------------------------------------


def _take_wish(reader: Reader, mail: Mail, report: Report, tokens: MailTokens, now: dt.datetime) -> MailLine:
    """Carry out what a person asked for by mail; what a machine answers is left alone."""
    wishes = tokens.of(Purpose.UNSUBSCRIBE, Purpose.CONFIRM)
    if report.kind is Kind.ORDINARY and not wishes and reader.door and is_sent_to(mail, reader.door.address):
        return _take_asking(reader.store, reader.door, mail, now)
    if report.kind is Kind.AUTO_REPLY or not wishes:
        return MailLine(effect=Effect.IGNORED, kind=report.kind, detail=mail.subject[:100])
    token, store = wishes[0], reader.store
    evidence = Evidence(Way.MAIL, mail.fields.value("message-id")[:200])
    is_leaving = token.purpose is Purpose.UNSUBSCRIBE
    answer = leave(store, token, now, evidence) if is_leaving else confirm(store, token, now, evidence)
    done = Effect.LEFT if is_leaving else Effect.CONFIRMED
    effect = done if answer is Answer.DONE else Effect.ALREADY if answer is Answer.ALREADY else Effect.IGNORED
    person = _find_person(store, token.subscriber_id)
    return MailLine(
        effect=effect,
        kind=Kind.REQUEST,
        address=(person.address or "") if person else "",
        reason="unsubscribe" if is_leaving else "confirm",
        detail="" if effect is not Effect.IGNORED else f"the link is {answer}",
    )


def _take_asking(store: Store, door: Door, mail: Mail, now: dt.datetime) -> MailLine:
    """Write down that somebody wants to subscribe; From may be forged, so that only a letter follows, or nothing."""
    try:
        address = parse_address(address_in(mail.sender))
    except InputError:
        return MailLine(effect=Effect.IGNORED, kind=Kind.REQUEST, reason="subscribe", detail="From holds no address")
    evidence = Evidence(Way.MAIL, mail.fields.value("message-id")[:200])
    asked = ask_subscription(store, Ask(address=address, evidence=evidence, list_ids=(door.list_id,)), now, door.limits)
    effect = Effect.ASKED if asked is Asked.TAKEN else Effect.IGNORED
    return MailLine(effect=effect, kind=Kind.REQUEST, address=address, reason="subscribe")


# ---------------------------------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------------------------------


def _take_report(reader: Reader, report: Report, tokens: MailTokens, now: dt.datetime, source: str) -> MailLine:
    named = [*tokens.of(Purpose.BOUNCE), *tokens.returned_of(Purpose.BOUNCE)]
    if named:
        return take_bounce(reader, named[0], report.bounces, now, source=source)
    if report.kind is Kind.COMPLAINT and (leaving := tokens.returned_of(Purpose.UNSUBSCRIBE)):
        return _take_complaint(reader, leaving[0], now, source)
    first = report.bounces[0]
    effect = Effect.UNSIGNED if report.kind in (Kind.BOUNCE, Kind.COMPLAINT) else Effect.IGNORED
    return MailLine(
        effect=effect, kind=report.kind, address=first.address, reason=first.reason, detail=first.reply[:200]
    )


def _take_complaint(reader: Reader, token: Token, now: dt.datetime, source: str) -> MailLine:
    """Let somebody leave who complained, where only the unsubscribe link names them: all that this link permits."""
    answer = leave(reader.store, token, now, Evidence(Way.COMPLAINT, source), everywhere=True)
    person = _find_person(reader.store, token.subscriber_id)
    effect = Effect.LEFT if answer is Answer.DONE else Effect.ALREADY if answer is Answer.ALREADY else Effect.IGNORED
    return MailLine(effect=effect, kind=Kind.COMPLAINT, address=(person.address or "") if person else "")


def take_bounce(reader: Reader, token: Token, bounces: Sequence[Bounce], now: dt.datetime, *, source: str) -> MailLine:
    """Do what follows from what was said of the message that the signed ``token`` names; call in a transaction.

    Whose address the report gives does not matter: mail may have been passed on, and the token says whose row it is.
    """
    person = _find_person(reader.store, token.subscriber_id)
    bounce = _telling(bounces, person.address if person else None)
    if person is None:
        why = "a proof's or a sample's" if not token.subscriber_id else "of nobody that is known here"
        return MailLine(effect=Effect.IGNORED, kind=_kind(bounce), address=bounce.address, detail=f"the token is {why}")
    state = reader.store.bounces.find_state(token.extra, token.subscriber_id) if token.extra else ""
    send_id = token.extra if state else None
    if bounce.action is Action.FAILED:
        return _take_failure(reader, person, send_id, state, bounce=bounce, now=now, source=source)
    settled = state == State.IN_DOUBT and _settle(reader.store, send_id, person.subscriber_id, bounce, now)
    effect = Effect.SETTLED if settled else Effect.IGNORED
    if bounce.action is Action.COMPLAINED:
        number = reader.store.bounces.log_bounce(
            person.subscriber_id, send_id, bounce, BounceFate.COUNTED, now, source=source
        )
        note = "a complaint came back"
        new = reader.store.bounces.suppress_bounced(
            number, person.subscriber_id, SuppressionReason.COMPLAINT, note, now
        )
        effect = Effect.SUPPRESSED if new else Effect.ALREADY
    return _line(reader.store, effect, person, send_id, bounce)


def _take_failure(
    reader: Reader,
    person: Subscriber,
    send_id: int | None,
    state: str,
    *,
    bounce: Bounce,
    now: dt.datetime,
    source: str,
) -> MailLine:
    store, number = reader.store, person.subscriber_id
    fate = BounceFate.COUNTED
    if send_id is not None:
        fate = BounceFate.KEPT if state in _OPEN else _bounce_row(store, (send_id, number), state, _why(bounce), now)
    logged = store.bounces.log_bounce(number, send_id, bounce, fate, now, source=source)
    counted = _Counted(logged, number, send_id, bounce.kind_of_weight, bounce.reason)
    is_suppressed = _suppress_if_due(reader, counted, now)
    effect = Effect.KEPT if fate is BounceFate.KEPT else Effect.COUNTED
    return _line(store, Effect.SUPPRESSED if is_suppressed else effect, person, send_id, bounce)


def _bounce_row(store: Store, row: tuple[int, int], state: str, why: str, now: dt.datetime) -> BounceFate:
    """Move a closed row to bounced, and say what became of the bounce; a second one for the row changes nothing."""
    if store.ledger.record_bounce(*row, why, now) or state == State.BOUNCED:
        return BounceFate.COUNTED
    return BounceFate.DROPPED


@dataclass(frozen=True, slots=True)
class _Counted:
    """Name a logged bounce that may suppress: its number, whose, of which send, as what it counts, and why."""

    bounce_id: int
    subscriber_id: int
    send_id: int | None
    weight: str
    reason: str


def _suppress_if_due(reader: Reader, one: _Counted, now: dt.datetime) -> bool:
    """Suppress for a hard bounce, and for one soft bounce too many; tell whether that is new."""
    bounces, policy = reader.store.bounces, reader.policy
    who = (one.bounce_id, one.subscriber_id)
    if one.weight == Weight.HARD:
        return bounces.suppress_bounced(*who, SuppressionReason.HARD_BOUNCE, one.reason, now)
    if one.weight != Weight.SOFT or one.send_id is None or not policy.soft_limit:
        return False
    count, first = bounces.soft_run(one.subscriber_id, one.send_id)
    if count < policy.soft_limit or first is None or now - first < dt.timedelta(days=policy.soft_days):
        return False
    note = f"{count} issues in a row came back since {first:%Y-%m-%d}, the last: {one.reason}"
    return bounces.suppress_bounced(*who, SuppressionReason.SOFT_BOUNCES, note, now)


def _settle(store: Store, send_id: int | None, number: int, bounce: Bounce, now: dt.datetime) -> bool:
    assert send_id is not None
    why = f"a report came back: {bounce.action}"
    return store.ledger.settle_deliveries(send_id, [number], arrived=True, reason=why, now=now) > 0


def take_told(reader: Reader, bounce: Bounce, tokens: Sequence[Token], now: dt.datetime, *, source: str) -> MailLine:
    """Do what follows from the report of a provider that has proved who it is; call in a transaction.

    Without a token no row moves and no soft bounce counts, but an address that is dead, or whose owner complained, is
    suppressed.
    """
    if tokens:
        return take_bounce(reader, tokens[0], [bounce], now, source=source)
    reason = SuppressionReason.COMPLAINT if bounce.action is Action.COMPLAINED else SuppressionReason.HARD_BOUNCE
    effect = Effect.IGNORED if bounce.action is not Action.FAILED else Effect.COUNTED
    if bounce.is_hard or bounce.action is Action.COMPLAINED:
        effect = _suppress_address(reader, bounce, reason, now, source)
    return MailLine(
        effect=effect, kind=_kind(bounce), address=bounce.address, reason=bounce.reason, detail=bounce.reply[:200]
    )


def _suppress_address(
    reader: Reader, bounce: Bounce, reason: SuppressionReason, now: dt.datetime, source: str
) -> Effect:
    """Suppress an address, with a line in the log where it is somebody's here."""
    store = reader.store
    try:
        address = parse_address(bounce.address)
    except InputError:
        return Effect.IGNORED
    person = next(
        filter(None, (store.subscribers.find_subscriber(each.list_id, address) for each in _lists(store))), None
    )
    if person is None:
        is_new = store.subscribers.suppress_address(address, reason, now, bounce.reason)
    else:
        number = person.subscriber_id
        logged = store.bounces.log_bounce(number, None, bounce, BounceFate.COUNTED, now, source=source)
        is_new = store.bounces.suppress_bounced(logged, number, reason, bounce.reason, now)
    return Effect.SUPPRESSED if is_new else Effect.ALREADY


def _lists(store: Store) -> Sequence[SubscriberList]:
    return store.subscribers.load_lists()


def apply_kept(reader: Reader, now: dt.datetime) -> list[MailLine]:
    """Apply the bounces that waited for rows which are closed now; return a line for each."""
    lines = []
    for kept in reader.store.bounces.load_kept():
        state = reader.store.bounces.find_state(kept.send_id or 0, kept.subscriber_id)
        if state in _OPEN or kept.send_id is None:
            continue
        with reader.store.transaction():
            why = f"{kept.weight}: {kept.reason} {kept.status}".strip()
            fate = _bounce_row(reader.store, (kept.send_id, kept.subscriber_id), state, why, now)
            reader.store.bounces.set_fate(kept.bounce_id, fate)
            counted = _Counted(kept.bounce_id, kept.subscriber_id, kept.send_id, kept.weight, kept.reason)
            new = _suppress_if_due(reader, counted, now)
        effect = Effect.SUPPRESSED if new else Effect.COUNTED if fate is BounceFate.COUNTED else Effect.IGNORED
        lines.append(
            MailLine(effect=effect, kind=Kind.BOUNCE, address=kept.address or "", issue=kept.issue, reason=kept.reason)
        )
    return lines


def _telling(bounces: Sequence[Bounce], address: str | None) -> Bounce:
    """Return what a report says of the subscriber: of their own address, else the worst that it says of anybody."""
    own = [bounce for bounce in bounces if address and bounce.address.lower() == address.lower()]
    failed = [bounce for bounce in own or bounces if bounce.action is Action.FAILED]
    return min(failed, key=lambda bounce: _ORDER.index(bounce.weight)) if failed else (own or list(bounces))[0]


def _find_person(store: Store, subscriber_id: int) -> Subscriber | None:
    found = store.choices.load_subscriptions(subscriber_id) if subscriber_id else ()
    return found[0] if found else None


def _why(bounce: Bounce) -> str:
    words = " ".join(filter(None, (f"{bounce.weight}:", bounce.reason, bounce.status, bounce.reply)))
    return mask_addresses(words)[:300]


def _kind(bounce: Bounce) -> Kind:
    kinds = {Action.FAILED: Kind.BOUNCE, Action.DELAYED: Kind.DELAY, Action.COMPLAINED: Kind.COMPLAINT}
    return kinds.get(bounce.action, Kind.RECEIPT)


def _line(store: Store, effect: Effect, person: Subscriber, send_id: int | None, bounce: Bounce) -> MailLine:
    return MailLine(
        effect=effect,
        kind=_kind(bounce),
        address=person.address or "(erased)",
        issue=store.sends.load_send(send_id).issue if send_id else "",
        reason=f"{bounce.weight}, {bounce.reason}" if bounce.action is Action.FAILED else bounce.reason,
        detail=bounce.reply[:200],
    )


# ---------------------------------------------------------------------------------------------------------------------
# By hand
# ---------------------------------------------------------------------------------------------------------------------


def mark_address(reader: Reader, email: str, issue: str, now: dt.datetime) -> MailLine:
    """Count a hard bounce that an operator knows of: suppress the address, and bounce its row of ``issue`` if named.

    Raises InputError for an address that nobody has here, and an issue that was never sent to it.
    """
    person = _require_person(reader.store, email)
    token = Token(Purpose.BOUNCE, person.list_id, person.subscriber_id)
    if issue:
        send = reader.store.sends.find_send(issue)
        state = reader.store.bounces.find_state(send.send_id, person.subscriber_id) if send else ""
        if send is None or not state:
            raise InputError(f"{issue} was not sent to {person.address}; 'newsletter status' names who got it")
        token = Token(Purpose.BOUNCE, person.list_id, person.subscriber_id, send.send_id)
    bounce = Bounce(str(person.address), Action.FAILED, "marked by an operator", Weight.HARD)
    with reader.store.transaction():
        return take_bounce(reader, token, [bounce], now, source="operator")


def undo_last(store: Store, email: str, now: dt.datetime) -> LoggedBounce:
    """Undo the last bounce or complaint of an address: its row goes back, and the suppression that it brought ends.

    Raises InputError where there is none to undo.
    """
    person = _require_person(store, email)
    logged = store.bounces.list_bounces(subscriber_id=person.subscriber_id)
    last = next((one for one in logged if one.fate is not BounceFate.UNDONE), None)
    if last is None:
        raise InputError(f"nothing of {person.address} came back; 'newsletter bounces list' shows what did")
    with store.transaction():
        store.bounces.set_fate(last.bounce_id, BounceFate.UNDONE)
        others = [one for one in store.bounces.list_bounces(subscriber_id=person.subscriber_id) if _holds(one, last)]
        if last.send_id is not None and not others:
            store.ledger.undo_bounce(last.send_id, last.subscriber_id, now)
        if last.has_suppressed:
            store.bounces.lift_bounced(last.subscriber_id)
    return last


def list_logged(store: Store, email: str = "", issue: str = "") -> Iterator[LoggedBounce]:
    """Yield what came back, newest first: all, of one address, of one issue, or of one issue at one address.

    Raises InputError for an address that nobody has here, and an issue that was never sent.
    """
    number = _require_person(store, email).subscriber_id if email else None
    send = store.sends.find_send(issue) if issue else None
    if issue and send is None:
        raise InputError(f"{issue} was never sent; 'newsletter status' names what was")
    for one in store.bounces.list_bounces(send_id=send.send_id if send else None, subscriber_id=number):
        if send is None or one.send_id == send.send_id:
            yield one


def _holds(one: LoggedBounce, last: LoggedBounce) -> bool:
    """Tell whether another bounce of the same row still stands."""
    return one.send_id == last.send_id and one.fate is BounceFate.COUNTED and one.weight != "complaint"


def _require_person(store: Store, email: str) -> Subscriber:
    address = parse_address(email)
    for each in _lists(store):
        if person := store.subscribers.find_subscriber(each.list_id, address):
            return person
    raise InputError(f"{address} is on no list; 'newsletter subscribers list --all' shows who is")
