"""Measure: run the sides of a comparison in turns, keep every sample, and say medians, minima and ratios of them.

Turns, because other work on the machine slows whoever runs at that moment: both sides meet the same noise. Beside the
wall time stands the user CPU time, which noise touches less. What is measured stands in the other modules.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Sample:
    """Hold one measured run, in seconds; ``user_s`` is None where it could not be told apart."""

    wall_s: float
    user_s: float | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Hold all runs of one side."""

    runs: tuple[Sample, ...]

    @property
    def wall_s(self) -> float:
        """Return the median wall time."""
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def user_s(self) -> float | None:
        """Return the median user CPU time, None where it was not measured."""
        known = [run.user_s for run in self.runs if run.user_s is not None]
        return statistics.median(known) if known else None

    @property
    def best_s(self) -> float:
        """Return the least wall time."""
        return min(run.wall_s for run in self.runs)

    def as_json(self) -> dict[str, float | int | None]:
        """Return what the results keep of the runs."""
        return {
            "rounds": len(self.runs),
            "wall_s": round(self.wall_s, 6),
            "user_s": None if self.user_s is None else round(self.user_s, 6),
            "best_wall_s": round(self.best_s, 6),
            "worst_wall_s": round(max(run.wall_s for run in self.runs), 6),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Say what a figure must reach: at most ``limit``, or at least."""

    limit: float
    at_least: bool = False

    def is_met(self, value: float | None) -> bool:
        """Tell whether ``value`` reaches the target; what was not measured does not."""
        return value is not None and (value >= self.limit if self.at_least else value <= self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Hold one figure of the results: a value in ``unit`` (``s``, ``x``, ``B``, ``/s``, ``""``) and how it was got.

    ``value`` is from the medians of the wall time, ``user`` the same from user CPU time, ``best`` from the least times;
    the last two are None where the figure is no time. ``details`` go to the JSON alone.
    """

    name: str
    text: str
    value: float
    unit: str
    user: float | None = None
    best: float | None = None
    target: Target | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the figure for the JSON results."""
        target = self.target
        return {
            "name": self.name,
            "text": self.text,
            "value": self.value,
            "unit": self.unit,
            "by_user_cpu": self.user,
            "by_best": self.best,
            "target": None if target is None else {"limit": target.limit, "at_least": target.at_least},
            "met": None if target is None else target.is_met(self.value),
            "met_by_user_cpu": None if target is None or self.user is None else target.is_met(self.user),
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Hold what one module measured: figures, the versions of its peers, and what a reader must know beside them."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    peers: Mapping[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------------------------------------------------


def in_turns(sides: Mapping[str, Callable[[], Sample]], rounds: int, warm_up: int = 1) -> dict[str, Samples]:
    """Run each side once a round, in an order that turns round after round; ``warm_up`` rounds are thrown away."""
    kept: dict[str, list[Sample]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(-warm_up, rounds):
        for name in names if number % 2 else reversed(names):
            sample = sides[name]()
            if number >= 0:
                kept[name].append(sample)
    return {name: Samples(tuple(runs)) for name, runs in kept.items()}


def timed(call: Callable[[], object]) -> Sample:
    """Run ``call`` in this process and measure it; its threads count, other processes do not."""
    user_s, started = user_clock(), time.perf_counter()
    call()
    wall_s = time.perf_counter() - started
    return Sample(wall_s, user_clock() - user_s)


def user_clock() -> float:
    """Return the user CPU time of this process in seconds."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def run_command(command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> Sample:
    """Run a program from start to end with its output thrown away; stop the benchmark where it fails.

    Its own children count too, as far as it waited for them.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=cwd, env=clean_environ(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}; nothing can be measured")
    return Sample(wall_s, usage.ru_utime)


def output_of(command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints; stop the benchmark where it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environ(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def clean_environ(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without this newsletter's settings and what changes how Python runs, plus ``added``."""
    left = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NEWSLETTER_", "PYTHON", "COV_", "COVERAGE_"))
    }
    return left | dict(added or {})


def newsletter_command() -> list[str]:
    """Return how a person runs ``newsletter``: the console script beside this Python, else ``python -m newsletter``."""
    script = Path(sys.executable).with_name("newsletter")
    return [str(script)] if script.exists() else [sys.executable, "-m", "newsletter"]


# ---------------------------------------------------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------------------------------------------------


def time_figure(name: str, text: str, samples: Samples, target: Target | None = None) -> Figure:
    """Return a figure for the time that one side takes."""
    return Figure(
        name=name,
        text=text,
        value=samples.wall_s,
        unit="s",
        user=samples.user_s,
        best=samples.best_s,
        target=target,
        details=samples.as_json(),
    )


def ratio_figure(
    name: str, text: str, over: Samples, under: Samples, target: Target | None = None, **details: object
) -> Figure:
    """Return a figure for how many times longer ``over`` takes than ``under``."""
    return Figure(
        name=name,
        text=text,
        value=over.wall_s / under.wall_s,
        unit="x",
        user=over.user_s / under.user_s if over.user_s and under.user_s else None,
        best=over.best_s / under.best_s,
        target=target,
        details={"over": over.as_json(), "under": under.as_json(), **details},
    )
