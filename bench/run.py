"""Measure every figure that the newsletter promises, beside its peers in the same run, and write the results down.

``python bench/run.py`` writes ``bench/results/DATE.md`` and ``.json``; ``--quick`` runs everything at toy sizes, which
shows that it works and measures nothing. What is missing here (npm, css-inline) is said to be missing.
"""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import REPOSITORY, Figure, Report

RESULTS = REPOSITORY / "bench" / "results"
_SHOWN = "python bench/run.py"


def main() -> None:
    """Measure what was asked for, print it, and write it where it was asked."""
    arguments = _arguments()
    names = arguments.only or list(_BENCHES)
    load_before, started = _load(), time.monotonic()
    reports: dict[str, Report] = {}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as folder:
            reports[name] = _BENCHES[name](Path(folder), arguments)
    run = _Run(
        date=dt.datetime.now(dt.UTC).date(),
        command=" ".join(
            [_SHOWN, *(f"--only {name}" for name in arguments.only or []), *["--quick"] * arguments.quick]
        ),
        machine=_machine() | {"load_before": load_before, "load_after": _load()},
        versions=_versions() | {name: v for report in reports.values() for name, v in report.peers.items()},
        seconds=round(time.monotonic() - started),
        reports=reports,
    )
    text, content = run.as_markdown(), json.dumps(run.as_json(), indent=1, ensure_ascii=False) + "\n"
    print(content if arguments.json else text, end="")
    if arguments.out or not (arguments.quick or arguments.only):
        path = arguments.out or RESULTS / f"{run.date}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".md").write_text(text, encoding="utf-8")
        path.with_suffix(".json").write_text(content, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="toy sizes, no npm: shows that everything runs")
    parser.add_argument("--only", action="append", choices=list(_BENCHES), help="measure this alone; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write FILE.md and FILE.json")
    parser.add_argument("--npm", type=Path, metavar="DIR", help="keep the npm peers in DIR and use them again")
    return parser.parse_args()


# ---------------------------------------------------------------------------------------------------------------------
# What there is to measure
# ---------------------------------------------------------------------------------------------------------------------

Bench = Callable[[Path, argparse.Namespace], Report]


def _compile(folder: Path, arguments: argparse.Namespace) -> Report:
    from compile import measure_compile

    return measure_compile(folder, arguments.quick, arguments.npm)


def _startup(folder: Path, arguments: argparse.Namespace) -> Report:
    from startup import measure_startup

    return measure_startup(folder, arguments.quick)


def _messages(folder: Path, arguments: argparse.Namespace) -> Report:
    from messages import measure_messages

    return measure_messages(folder, arguments.quick)


def _memory(folder: Path, arguments: argparse.Namespace) -> Report:
    from memory import measure_memory

    return measure_memory(folder, arguments.quick)


def _sizes(folder: Path, arguments: argparse.Namespace) -> Report:
    from sizes import measure_sizes

    return measure_sizes(folder, arguments.quick)


def _ledger(folder: Path, arguments: argparse.Namespace) -> Report:
    from ledger import measure_ledger

    return measure_ledger(folder, arguments.quick)


def _sending(folder: Path, arguments: argparse.Namespace) -> Report:
    from sending import measure_sending

    return measure_sending(folder, arguments.quick, arguments.npm)


def _distance(folder: Path, arguments: argparse.Namespace) -> Report:
    from distance import measure_distance

    return measure_distance(folder, arguments.quick)


def _growth(folder: Path, arguments: argparse.Namespace) -> Report:
    from growth import measure_growth

    return measure_growth(folder, arguments.quick)


def _importing(folder: Path, arguments: argparse.Namespace) -> Report:
    from importing import measure_importing

    return measure_importing(folder, arguments.quick)


def _preview(folder: Path, arguments: argparse.Namespace) -> Report:
    from preview import measure_preview

    return measure_preview(folder, arguments.quick)


def _feeds(folder: Path, arguments: argparse.Namespace) -> Report:
    from feeds import measure_feeds

    return measure_feeds(folder, arguments.quick)


def _checks(folder: Path, arguments: argparse.Namespace) -> Report:
    from checks import measure_checks

    return measure_checks(folder, arguments.quick)


def _web(folder: Path, arguments: argparse.Namespace) -> Report:
    from web import measure_web

    return measure_web(folder, arguments.quick)


_BENCHES: Mapping[str, Bench] = {
    "compile": _compile,
    "startup": _startup,
    "messages": _messages,
    "memory": _memory,
    "sizes": _sizes,
    "ledger": _ledger,
    "sending": _sending,
    "distance": _distance,
    "preview": _preview,
    "growth": _growth,
    "importing": _importing,
    "checks": _checks,
    "feeds": _feeds,
    "web": _web,
}


# ---------------------------------------------------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------------------------------------------------


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"


def _load() -> float:
    """Return how many processes wanted to run in the last minute: above the number of cores, times are too long."""
    return round(os.getloadavg()[0], 2)


def _versions() -> dict[str, str]:
    """Return the version of each dependency, extras that people use included, as far as it is installed."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[^A-Za-z0-9_.-]", each, maxsplit=1)[0] for each in _requirements(project)]
    return {name: _version(name) for name in ["newsletter", *names]}


def _requirements(project: dict[str, Any]) -> list[str]:
    return [*project["dependencies"], *project["optional-dependencies"]["fast"]]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


# ---------------------------------------------------------------------------------------------------------------------
# Writing down
# ---------------------------------------------------------------------------------------------------------------------


_PREFACE = """\
Load of the machine: {load_before} before, {load_after} after.

Times are medians of wall time; all sides of a comparison run in turns. Beside them stands what the same figure is by
user CPU time, and by the least time of each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Hold everything that one run of this program measured."""

    date: dt.date
    command: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: int
    reports: Mapping[str, Report]

    def as_json(self) -> dict[str, Any]:
        """Return the results for machines."""
        return {
            "format": 1,
            "date": str(self.date),
            "command": self.command,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "seconds": self.seconds,
            "figures": [figure.as_json() for report in self.reports.values() for figure in report.figures],
            "notes": [note for report in self.reports.values() for note in report.notes],
        }

    def as_markdown(self) -> str:
        """Return the results for people."""
        machine = self.machine
        where = f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}, {machine['python']}"
        lines = [
            f"# Figures of {self.date}",
            "",
            f"`{self.command}`, {self.seconds} s, on {where}.",
            _PREFACE.format(**machine),
        ]
        for name, report in self.reports.items():
            lines += ["", f"## {report.title}", "", f"`{_SHOWN} --only {name}`", "", *_table(report.figures)]
            lines += [f"\n{note}" for note in report.notes]
        versions = ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        return "\n".join([*lines, "", "## Versions", "", versions, ""])


def _table(figures: tuple[Figure, ...]) -> list[str]:
    rows = [
        f"| {figure.text} | {_shown(figure.value, figure.unit)} | {_shown(figure.user, figure.unit)} "
        f"| {_shown(figure.best, figure.unit)} | {_verdict(figure)} |"
        for figure in figures
    ]
    return ["| what | measured | by user CPU | by the least | target |", "|---|--:|--:|--:|---|", *rows]


def _verdict(figure: Figure) -> str:
    target = figure.target
    if target is None:
        return ""
    if target.is_met(figure.value):
        verdict = "met"
    else:
        verdict = "met by user CPU, missed by the wall clock" if target.is_met(figure.user) else "MISSED"
    return f"{'at least' if target.at_least else 'at most'} {_shown(target.limit, figure.unit)}: {verdict}"


def _shown(value: float | None, unit: str) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    if unit == "s":
        return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "x":
        return f"{value:.2f} ×"
    if unit == "/s":
        return f"{value:,.0f} a second"
    if unit == "B":
        return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value:,.0f} bytes"
    return f"{value:,.2f}"


if __name__ == "__main__":
    main()
