"""G1: a run that is killed at any instant loses nobody and mails at most one message for each connection twice.

``proof.failpoints`` kills a forked run at each point of a send in which every kind of answer comes, lets a fresh
process go on to the end, and checks every row, every dot and the account. Here is what is swept. A violation names its
point; ``first`` and ``last`` of ``Sweep`` bring it back alone.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from proof.failpoints import Findings, Sweep
from proof.figures import keep_figures
from proof.scene import scratch_folder, supports
from proof.stores import KINDS, skip_missing

SHARDS = 2
CASES = [
    pytest.param(store, connections, shard, id=f"{store}-{connections}-{shard}")
    for store in KINDS
    for connections in (1, 4)
    for shard in range(SHARDS)
]


def run_sweep(sweep: Sweep, folder: Path) -> Findings:
    """Sweep in a process of its own, which has one thread and so may fork."""
    scratch = Path(tempfile.mkdtemp(prefix="failpoints", dir=scratch_folder(folder)))
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "proof.failpoints"],
            input=json.dumps(asdict(replace(sweep, folder=str(scratch)))) + "\n",
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[1],
        )
    finally:
        shutil.rmtree(scratch)
    assert answer.returncode == 0, answer.stderr[-2000:]
    return Findings(**json.loads(answer.stdout))


def check_findings(found: Findings) -> None:
    assert not found.violations, "\n".join(found.violations[:20])
    kinds = ("before begin", "after commit", "amid write", "before read", "after read", "before connect")
    assert all(any(label.startswith(kind) for label in found.labels) for kind in kinds), found.labels


# More than a thousand points: all of SQLite, and a share of PostgreSQL, where one costs twice as much: 0.1 to 0.2 s.
SHORT = (
    ("sqlite", 1, "resend", 0, 1),
    ("sqlite", 4, "resend", 0, 1),
    ("postgresql", 1, "resend", 0, 3),
    ("postgresql", 1, "hold", 1, 3),
    ("postgresql", 4, "resend", 0, 4),
)


@pytest.mark.parametrize(("store", "connections", "doubt", "first", "step"), SHORT)
def test_death_at_any_point_loses_nobody(store, connections, doubt, first, step, tmp_path):
    skip_missing(store)
    found = run_sweep(Sweep(store, "", connections, doubt, first=first, step=step), tmp_path)
    check_findings(found)
    # A run may be over before it comes to as many points as the one that was counted: several replies may come in one
    # read or in two, and over several connections that is not all.
    assert found.deaths >= found.points // step - (60 if connections > 1 else 20)
    assert found.points > 250


@pytest.mark.proof
@pytest.mark.parametrize("doubt", ["resend", "hold"])
@pytest.mark.parametrize(("store", "connections", "shard"), CASES)
def test_death_at_any_point_under_either_policy(store, connections, shard, doubt, tmp_path):
    skip_missing(store)
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    started = time.monotonic()
    found = run_sweep(Sweep(store, "", connections, doubt, first=shard, step=SHARDS), tmp_path)
    check_findings(found)
    figures = {name: getattr(found, name) for name in ("deaths", "mailed_twice", "doubted_by_crash")}
    seconds = round(time.monotonic() - started)
    keep_figures("failpoints", store=store, connections=connections, doubt=doubt, **figures, lost=0, seconds=seconds)


@pytest.mark.parametrize(
    ("harm", "words"), [("mark nothing", "dot came, and its row is claimed"), ("repair nothing", "does not close")]
)
def test_the_sweep_sees_a_broken_promise(harm, words, tmp_path):
    """A proof that cannot fail proves nothing."""
    found = run_sweep(Sweep("sqlite", "", first=150, last=170, step=10, harm=harm), tmp_path)
    assert any(words in line for line in found.violations), found.violations
