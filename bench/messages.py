"""Measure how many personalised messages of 70 KB one core makes, by running ``personalise.py``.

It runs in fresh processes by the wall clock, and in this one by the clock of the CPU, which others on the machine do
not stop.
"""

import contextlib
import io
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import personalise
from measure import Figure, Report, Target, output_of, user_clock

_SCRIPT = str(Path(__file__).with_name("personalise.py"))


def measure_messages(folder: Path, quick: bool) -> Report:
    """Run the benchmark of messages by both clocks and return medians over its runs, and the best of them."""
    options = ["--json", *(["--rounds", "1", "--messages", "40"] if quick else [])]
    count = 1 if quick else 3
    runs = [json.loads(output_of([sys.executable, _SCRIPT, *options], folder)) for _ in range(count)]
    by_cpu = [_run_by_cpu(options) for _ in range(count)]
    figures = (
        _figure("messages.rate", "personalised messages of 70 KB, one core", "personalise_per_s", runs, by_cpu),
        _figure("messages.peer.rate", "the same with strings and EmailMessage", "email_message_per_s", runs, by_cpu),
        _figure("messages.ratio", "personalised, over EmailMessage", "ratio", runs, by_cpu),
    )
    return Report(title="Personalised messages", figures=figures)


def _run_by_cpu(options: Sequence[str]) -> dict[str, Any]:
    """Run the benchmark in this process with the CPU's clock in place of the wall's."""
    said = io.StringIO()
    with (
        patch("personalise.time", SimpleNamespace(perf_counter=user_clock)),
        patch("sys.argv", [_SCRIPT, *options]),
        contextlib.redirect_stdout(said),
    ):
        personalise.main()
    result: dict[str, Any] = json.loads(said.getvalue())
    return result


def _figure(name: str, text: str, key: str, runs: Sequence[dict[str, Any]], by_cpu: Sequence[dict[str, Any]]) -> Figure:
    values = [float(run[key]) for run in runs]
    return Figure(
        name=name,
        text=text,
        value=statistics.median(values),
        unit="x" if key == "ratio" else "/s",
        user=statistics.median(float(run[key]) for run in by_cpu),
        best=max(values),
        target=Target(20_000, at_least=True) if name == "messages.rate" else None,
        details={"message_bytes": runs[0]["message_bytes"], "runs": list(runs), "runs_by_cpu": list(by_cpu)},
    )
