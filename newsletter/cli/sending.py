"""What every command that sends shares: its setup from the configuration, signals, progress, the words of a report."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from newsletter.cli.context import App, utc_now
from newsletter.cli.exits import DONE, FINDINGS, TRY_LATER, UNAVAILABLE
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.belonging import HostGuard
    from newsletter.config import Project
    from newsletter.delivery import Account
    from newsletter.dkim import Signer
    from newsletter.reports import SendReport
    from newsletter.sender import SenderSetup
    from newsletter.smtp import Connection
    from newsletter.store import Result, Send, Store
    from newsletter.tokens import Keys
    from newsletter.worker import Shipment


def shipment(
    project: "Project",
    store: "Store",
    keys: "Keys",
    stop: threading.Event,
    progress: "Callable[[Result], None] | None" = None,
    announce: "Callable[[str], None] | None" = None,
) -> "Shipment":
    """Return what the sends of one run share; ``announce`` is told what is odd about the keys that sign."""
    from newsletter.worker import Shipment

    return Shipment(project, store, sender_setup(project, keys, announce), stop, progress)


def sender_setup(project: "Project", keys: "Keys", announce: "Callable[[str], None] | None" = None) -> "SenderSetup":
    """Return what a run needs, from the configuration; ``announce`` is told of weak keys."""
    from newsletter.identity import identity_of
    from newsletter.pace import parse_rate
    from newsletter.sender import SenderSetup, Transport
    from newsletter.smtp import open_transport

    send, newsletter = project.config.send, project.config.newsletter
    transports = (
        Transport(
            name=relay.name,
            connect=partial(open_transport, relay, folder=project.root),
            connections=relay.connections,
            per_connection=relay.per_connection,
            weight=relay.weight,
            rate=parse_rate(relay.rate),
        )
        for relay in project.config.relays
    )
    rates = {domain.lower(): parse_rate(rate) for domain, rate in send.domains.items()}
    return SenderSetup(
        identity=identity_of(newsletter),
        keys=keys,
        connect=connector(project),
        transports=tuple(transports),
        rates={domain: rate for domain, rate in rates.items() if rate},
        dkim=dkim_signer(project, announce),
        guard=host_guard(project),
        clock=utc_now,
        doubt=send.doubt,
        postal_address=newsletter.postal_address,
    )


def host_guard(project: "Project") -> "HostGuard":
    """Return what refuses a store that was copied from another host, or restored from an old backup."""
    from newsletter.belonging import HostGuard, find_host_id

    is_shared = not project.store_url.startswith("sqlite:")
    return HostGuard(root=project.root, host_id=find_host_id(), is_shared=is_shared)


def dkim_signer(project: "Project", announce: "Callable[[str], None] | None" = None) -> "Signer | None":
    """Return what signs with the keys of ``[dkim]``, None without any; ``announce`` is told of weak ones."""
    if not (project.config.dkim.keys or project.config.dkim.domain):
        return None
    from newsletter.dkimkeys import load_signer
    from newsletter.identity import identity_of

    domain = identity_of(project.config.newsletter).domain
    return load_signer(project.config.dkim, project.root, from_domain=domain, announce=announce)


@contextmanager
def known_send(project: "Project", issue: str) -> "Iterator[tuple[Store, Send]]":
    """Open the store and find the send of ``issue``, a slug or a file; raise InputError where it was never sent."""
    from newsletter.worker import open_known_store

    with open_known_store(project) as store:
        slug = PurePath(issue).name.removesuffix(".md")
        send = store.sends.find_send(slug) if store else None
        if store is None or send is None:
            raise InputError(f"{slug} was never sent; 'newsletter send {slug}' shows the plan")
        yield store, send


def connector(project: "Project") -> "Callable[[], Connection]":
    """Return what opens a connection to the configured relay; of several, to the first that can be used now."""
    from newsletter.errors import RelayUnavailableError
    from newsletter.smtp import open_transport

    def connect() -> "Connection":
        *others, last = project.config.relays
        for relay in others:
            with suppress(RelayUnavailableError):
                return open_transport(relay, folder=project.root)
        return open_transport(last, folder=project.root)

    return connect


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set: the message in hand is finished, and the run ends in order."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
        yield stop
        return
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def progress_bar(app: App, as_json: bool) -> "AbstractContextManager[Callable[[Result], None] | None]":
    """Return a progress bar on a terminal, and nothing elsewhere."""
    if as_json or app.quiet or not sys.stderr.isatty():
        return nullcontext(None)
    from newsletter.cli.progress import ProgressBar

    return ProgressBar()


def say_report(app: App, report: "SendReport") -> None:
    """Print what a run came to."""
    app.say(f"{report.send.issue}: {report.ending}" + (f": {report.reason}" if report.reason else ""))
    app.say(f"  {equation(report.account)}")
    if len(report.carried) > 1:
        shares = ", ".join(f"{count:,} by {name}" for name, count in report.carried.items())
        app.say(f"  answered in this run: {shares}")
    if str(report.send.state) == "canary":
        app.say("  only a first share was sent; later runs go on with the others unless it is refused")
    elif report.next_due_at:
        app.say(
            f"  next attempt at {report.next_due_at:%Y-%m-%d %H:%M} UTC, by the next run of 'newsletter send --due'"
        )


def equation(account: "Account") -> str:
    """Return the closing equation of a send, in words."""
    terms = f"{account.sent} sent + {account.failed} failed + {account.skipped} skipped + {account.bounced} bounced"
    closing = f"{account.planned} planned = {terms} + {account.in_doubt} in doubt + {account.open} open"
    return closing if account.closes else f"{closing}  (DOES NOT CLOSE: restore a backup, and report this)"


def exit_code(report: "SendReport") -> int:
    """Return 69 where the relay was unavailable, 75 for a run that was stopped, and 1 for a send that needs a look.

    That is one that is paused, held or cancelled, has rows in doubt, or does not add up. Rows that wait for their next
    attempt, and addresses that were refused for good, are no failure.
    """
    from newsletter.reports import Ending

    codes = {Ending.UNAVAILABLE: UNAVAILABLE, Ending.STOPPED: TRY_LATER}
    codes |= {Ending.PAUSED: FINDINGS, Ending.NOT_RUNNING: FINDINGS}
    found = codes.get(report.ending, DONE)
    return found or (FINDINGS if report.account.in_doubt or not report.account.closes else DONE)


def say_audience(app: App, audience: str, counts: "Mapping[str, int]") -> None:
    """Print how many people an issue goes to, and which variant of it they get where there are several."""
    from newsletter.variants import variant_words

    app.say(f"audience   {sum(counts.values()):,} recipients" + (f": {audience}" if audience else ""))
    if len(counts) > 1:
        for variant, count in counts.items():
            app.say(f"           {count:,} get {variant_words(variant)}")
