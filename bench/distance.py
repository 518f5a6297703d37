"""Measure a send to a relay 20 ms of round trip away (``delay.py``), beside smtplib, connection by connection."""

from pathlib import Path

from delay import delayed
from mailing import Mailing
from measure import Figure, Report, Samples, Target, in_turns
from sending import USUAL, on_sqlite, smtplib_loop
from sink import sinking

ROUND_TRIP_MS = 20


def measure_distance(folder: Path, quick: bool) -> Report:
    """Send over one connection each, in turns, and with ours over several too; return rates and their ratio."""
    count, rounds = (10, 1) if quick else (200, 5)
    with sinking() as (near, far_end), delayed(near, ROUND_TRIP_MS) as port:
        samples = in_turns(
            {
                "ours": lambda: on_sqlite(folder, Mailing(store="", count=count, port=port, connections=1)),
                "several": lambda: on_sqlite(folder, Mailing(store="", count=count, port=port, connections=USUAL)),
                "smtplib": lambda: smtplib_loop(port, count),
            },
            rounds,
            warm_up=0,
        )
    words = {
        "ours": "newsletter, one connection",
        "several": f"newsletter, {USUAL} connections",
        "smtplib": "smtplib, one connection",
    }
    figures = [_rate(name, text, samples[name], count) for name, text in words.items()]
    ratio = samples["smtplib"].wall_s / samples["ours"].wall_s
    figures.append(
        Figure(
            name="distance.ratio",
            text="newsletter over smtplib, one connection each",
            value=ratio,
            unit="x",
            best=samples["smtplib"].best_s / samples["ours"].best_s,
            target=Target(3, at_least=True),
            details={"round_trip_ms": ROUND_TRIP_MS, "messages": count},
        )
    )
    note = (
        f"A proxy in a process of its own delivers each byte {ROUND_TRIP_MS / 2:g} ms late, in both directions; behind"
        f" it is {far_end}. {count} messages a round, {rounds} rounds."
    )
    return Report(title=f"A relay {ROUND_TRIP_MS} ms away", figures=tuple(figures), notes=(note,))


def _rate(name: str, text: str, samples: Samples, count: int) -> Figure:
    return Figure(
        name=f"distance.rate.{name}",
        text=text,
        value=count / samples.wall_s,
        unit="/s",
        best=count / samples.best_s,
        details=samples.as_json() | {"messages": count},
    )
