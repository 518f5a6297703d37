"""Measure how many personalised messages of 70 KB one core makes, by running ``personalise.py``."""

import json
import statistics
import sys
from pathlib import Path

from measure import Figure, Report, Target, output_of

_SCRIPT = str(Path(__file__).with_name("personalise.py"))


def measure_messages(folder: Path, quick: bool) -> Report:
    """Run the benchmark of messages in fresh processes and return the medians over them."""
    options = ["--rounds", "1", "--messages", "40"] if quick else []
    runs = [
        json.loads(output_of([sys.executable, _SCRIPT, "--json", *options], folder)) for _ in range(1 if quick else 3)
    ]

    def median(key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    size = runs[0]["message_bytes"]
    figures = (
        Figure(
            name="messages.rate",
            text=f"personalised messages of {size:,} bytes, one core",
            value=median("personalise_per_s"),
            unit="/s",
            target=Target(20_000, at_least=True),
            details={"runs": runs},
        ),
        Figure(
            name="messages.peer.rate",
            text="the same with strings and the standard library's EmailMessage",
            value=median("email_message_per_s"),
            unit="/s",
        ),
        Figure(name="messages.ratio", text="personalised, over EmailMessage", value=median("ratio"), unit="x"),
    )
    return Report(title="Personalised messages", figures=figures)
