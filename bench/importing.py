"""Measure the whole command that imports a list, in a fresh process, and the plan of a send to all of it by topics."""

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

from corpus import make_project
from measure import Figure, Report, Sample, Samples, Target, clean_environ, newsletter_command, time_figure, timed

from newsletter.audience import parse_audience
from newsletter.edition import freeze
from newsletter.errors import Place
from newsletter.model import Edition
from newsletter.secretfile import load_keys
from newsletter.store import Segment, SendPlan, Store, open_store
from newsletter.variants import TopicalSections

_NOW = dt.datetime(2026, 11, 25, 7, 0, tzinfo=dt.UTC)
_SIZES = (10_000, 100_000, 1_000_000)
_SECONDS = Target(90)
_TOPICS = ("", "beauty", "retail", "beauty; sport")
_SECTIONS = TopicalSections((("beauty",), ("retail",), ("sport",)))
_VARIANTS = ("beauty", "retail", "beauty,sport")


def measure_importing(folder: Path, quick: bool) -> Report:
    """Import lists of several sizes, each into a store of its own; plan a send to the last."""
    figures: list[Figure] = []
    for count in (100, 400) if quick else _SIZES:
        figures += _measure(folder / str(count), count, is_largest=count == _SIZES[-1])
    note = (
        "Each line has an address, a name, a language, a town and topics. User CPU time leaves out the kernel's share,"
        " which is writing. Memory is the greatest that was resident."
    )
    return Report(title="Importing a list", figures=tuple(figures), notes=(note,))


def _measure(folder: Path, count: int, *, is_largest: bool) -> list[Figure]:
    project = make_project(folder, {})
    path = folder / "people.csv"
    _write(path, count)
    sample, kilobytes = _run([*newsletter_command(), "--project", str(folder), "subscribers", "import", str(path)])
    text = f"import {count:,} lines"
    figures = [
        time_figure(f"import.{count}", text, Samples((sample,)), _SECONDS if is_largest else None),
        Figure(name=f"import.{count}.memory", text=f"{text}: memory", value=kilobytes * 1024, unit="B"),
    ]
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        figures += _plans(store, count)
    return figures


def _plans(store: Store, count: int) -> list[Figure]:
    """Plan three sends to everybody: as one edition, by topics, and to an audience that is asked for."""
    one = store.subscribers.load_lists()[0]
    asked = Segment(parse_audience('language = "fr" or topics has "sport"', Place("bench")).condition, {})
    editions = {name: store.editions.save_edition(_edition(name), _NOW) for name in ("", *_VARIANTS)}
    variants = {name: editions[name] for name in _VARIANTS}
    figures = []
    for name, text, values in (
        ("whole", "one edition", {}),
        ("topics", "four variants by topics", {"sections": _SECTIONS, "variants": variants}),
        ("audience", "an audience by language and topic", {"segment": asked}),
    ):
        plan = SendPlan(
            issue=name,
            list_ids=(one.list_id,),
            editions={"": editions[""]},
            source_digest="",
            **values,  # type: ignore[arg-type]
        )
        sample = timed(lambda plan=plan: store.sends.plan_send(plan, _NOW))  # type: ignore[misc]
        told = f"plan a send out of {count:,}: {text}"
        figures.append(time_figure(f"import.{count}.plan.{name}", told, Samples((sample,))))
    return figures


def _edition(variant: str) -> Edition:
    day = _NOW.date()
    return freeze(
        Edition(
            issue="x", subject=("x",), preheader="", html=("<p>x</p>",), text=("x",), date=day, language="en",
            variant=variant,
        )
    )  # fmt: skip


def _write(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write("email,name,language,town,topics\n")
        for number in range(count):
            language, topics = ("en", "fr", "")[number % 3], _TOPICS[number % 4]
            address = f"reader{number:07}@example{number % 5000}.org"
            stream.write(f"{address},Reader {number},{language},Town {number % 900},{topics}\n")


def _run(command: list[str]) -> tuple[Sample, int]:
    """Run a command; return its time, user CPU time among it, and the most memory that it had, in kilobytes."""
    started = time.perf_counter()
    with subprocess.Popen(command, env=clean_environ(), stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: ended with {child.returncode}")
    factor = 1 / 1024 if sys.platform == "darwin" else 1
    return Sample(time.perf_counter() - started, used.ru_utime), round(used.ru_maxrss * factor)
