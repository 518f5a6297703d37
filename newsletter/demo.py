"""Show the whole way of an issue on this machine alone: compile, approve, plan, send to an embedded receiver, account.

Needs no configuration, network or root. Everything is real but the people: the compiler, the ledger, the sender and
the SMTP server. What happened is returned as values; printing is the command line's.
"""

import datetime as dt
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from newsletter.compiler import Build, approve_issue, build_issue, load_issue
from newsletter.config import CONFIG_NAME, Project, find_issue, list_slugs, load_project
from newsletter.delivery import Delivery
from newsletter.identity import identity_of
from newsletter.receiver import Receiver
from newsletter.reports import SendReport
from newsletter.sample import sample_folder
from newsletter.secretfile import load_keys
from newsletter.sender import SenderSetup, run_send
from newsletter.smtp import open_transport
from newsletter.store import NewSubscriber, Result, SendPlan, Store, open_store
from newsletter.subscriptions import default_list

REFUSED, DEFERRED = "bob@example.org", "zoe@example.net"
PEOPLE = (
    ("lin@example.org", "Lin Yue"),
    ("amelie@example.org", "Amélie Laurent"),
    ("ravi@example.com", "Ravi Menon"),
    ("wang@example.com", "王小明"),
    (REFUSED, "Bob Gone"),
    (DEFERRED, "Zoe Later"),
)
"""The sample subscribers: the receiver refuses one and defers another."""

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Hold what the demo did; times in seconds."""

    project: Project
    build: Build
    report: SendReport
    results: tuple[Result, ...]
    received: int
    host: str
    port: int
    seconds: dict[str, float] = field(default_factory=dict)


def run_demo(folder: Path, clock: Clock) -> DemoReport:
    """Compile the newest sample issue in ``folder`` and mail it to the sample subscribers through a real receiver."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[name] = now - started
        started = now

    project = copy_sample(folder)
    loaded = load_issue(project, find_issue(project, list_slugs(project)[-1]))
    build = build_issue(project, loaded, folder / "build")
    lap("compile")
    approve_issue(project, loaded, "demo", clock().date())
    keys = load_keys(project)
    with Receiver() as receiver, open_store(project.store_url, address_key=keys.address_key) as store:
        receiver.refuse(REFUSED)
        receiver.defer(DEFERRED)
        send_id = _plan(store, build, clock())
        lap("plan")
        setup = SenderSetup(
            identity=identity_of(project.config.newsletter),
            keys=keys,
            connect=lambda: open_transport(receiver.section),
            clock=clock,
            postal_address=project.config.newsletter.postal_address,
        )
        results: list[Result] = []
        report = run_send(store, send_id, setup, progress=results.append)
        lap("send")
        messages = len(receiver.messages)
    listening = (receiver.host, receiver.port)
    return DemoReport(project, build, report, tuple(results), messages, *listening, seconds)


def copy_sample(folder: Path) -> Project:
    """Copy the sample newsletter into ``folder``, and return it with the environment left out of account."""
    sample = sample_folder()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample / CONFIG_NAME, folder / CONFIG_NAME)
    shutil.copytree(sample / "issues", folder / "issues", dirs_exist_ok=True)
    project = load_project(folder, {})
    config = msgspec.structs.replace(project.config, store=msgspec.structs.replace(project.config.store, url=_STORE))
    return replace(project, config=config)


_STORE = "sqlite:///newsletter.db"


def _plan(store: Store, build: Build, now: dt.datetime) -> int:
    the_list = default_list(store, now)
    people = (NewSubscriber(address=address, name=name) for address, name in PEOPLE)
    for _ in store.subscribers.import_subscribers(the_list.list_id, people, now, origin="demo"):
        pass
    edition = build.compiled.edition
    edition_id = store.editions.save_edition(edition, now)
    plan = SendPlan(
        issue=edition.issue,
        list_ids=(the_list.list_id,),
        editions={"": edition_id},
        source_digest=build.source_digest,
    )
    return store.sends.plan_send(plan, now).send_id


def recipient_of(delivery: Delivery) -> str:
    """Return the address of a delivery's recipient."""
    return delivery.recipient.address
