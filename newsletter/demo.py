"""Show the whole way of an issue on this machine alone: compile, approve, plan, send to an embedded receiver, account.

Needs no configuration, network or root. Everything is real but the people: the compiler, the ledger, the sender and
the SMTP server. What happened is returned as values; printing is the command line's.
"""

import datetime as dt
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.compiler import Build, build_issue
from newsletter.config import CONFIG_NAME, Project, find_issue, list_slugs, load_project
from newsletter.errors import InputError
from newsletter.identity import identity_of
from newsletter.receiver import Receiver
from newsletter.reports import SendReport
from newsletter.sample import sample_folder
from newsletter.secretfile import load_keys
from newsletter.sender import SenderSetup, run_send
from newsletter.smtp import open_transport
from newsletter.sources import approve_issue, load_issue
from newsletter.store import NewSubscriber, Result, SendPlan, Store, open_store
from newsletter.subscriptions import default_list
from newsletter.tokens import Keys

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
    """Compile the newest sample issue in ``folder`` and mail it to the sample subscribers through a real receiver.

    Raises InputError where the folder cannot be written.
    """
    laps = _Laps()
    project = copy_sample(folder)
    loaded = load_issue(project, find_issue(project, list_slugs(project)[-1]))
    build = build_issue(project, loaded, folder / "build")
    laps.end("compile")
    approve_issue(project, loaded, "demo", clock().date(), build.source_digest)
    keys = load_keys(project)
    results: list[Result] = []
    with Receiver() as receiver, open_store(project.store_url, address_key=keys.address_key) as store:
        receiver.refuse(REFUSED)
        receiver.defer(DEFERRED)
        send_id = _plan(store, build, clock())
        laps.end("plan")
        report = run_send(store, send_id, _setup(project, keys, receiver, clock), progress=results.append)
        laps.end("send")
        return DemoReport(
            project=project,
            build=build,
            report=report,
            results=tuple(results),
            received=len(receiver.messages),
            host=receiver.host,
            port=receiver.port,
            seconds=laps.seconds,
        )


class _Laps:
    """Time one step after the other, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """End the step ``name``, which began where the last one ended."""
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def copy_sample(folder: Path) -> Project:
    """Copy the sample newsletter into ``folder``, and return it with the environment left out of account.

    Raises InputError where that cannot be written.
    """
    sample = sample_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample / CONFIG_NAME, folder / CONFIG_NAME)
        shutil.copytree(sample / "issues", folder / "issues", dirs_exist_ok=True, copy_function=shutil.copyfile)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}; name another folder") from None
    return load_project(folder, {})


def _setup(project: Project, keys: Keys, receiver: Receiver, clock: Clock) -> SenderSetup:
    return SenderSetup(
        identity=identity_of(project.config.newsletter),
        keys=keys,
        connect=lambda: open_transport(receiver.section),
        clock=clock,
        postal_address=project.config.newsletter.postal_address,
    )


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
