"""G1, G16, G17: several processes at once, killed at random, started twice by cron, and people who leave meanwhile.

The scenes are in ``proof.herd``; each runs in a process of its own, which has a single thread and so may fork. A
violation names its seed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from proof.figures import keep_figures
from proof.herd import Found, Task
from proof.scene import scratch_folder, supports
from proof.stores import KINDS, skip_missing


def perform(task: Task, folder: Path) -> Found:
    """Perform a scene, and fail where it breaks the promise."""
    skip_missing(task.store)
    if not supports(task.connections):
        pytest.skip("this sender holds one connection")
    scratch = Path(tempfile.mkdtemp(prefix="herd", dir=scratch_folder(folder)))
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "proof.herd"],
            input=json.dumps(asdict(replace(task, folder=str(scratch)))) + "\n",
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[1],
        )
    finally:
        shutil.rmtree(scratch)
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = Found(**json.loads(answer.stdout.splitlines()[-1]))
    assert not found.violations, "\n".join([f"{task}:", *found.violations[:20], answer.stderr[-2000:]])
    return found


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("store", KINDS)
def test_killed_again_and_again(store, connections, tmp_path):
    figures = perform(Task("kills", store, "", 300, connections), tmp_path).figures
    assert figures["kills"] >= 5
    assert figures["sent"] + figures["failed"] + figures["in_doubt"] == figures["planned"] == 300


@pytest.mark.proof
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("store", KINDS)
def test_ten_thousand_killed_again_and_again(store, connections, tmp_path):
    figures = perform(Task("kills", store, "", 10_000, connections, seed=2), tmp_path).figures
    assert figures["kills"] >= 100
    keep_figures("kills", store=store, connections=connections, **figures)


@pytest.mark.parametrize(("store", "races"), [("sqlite", 4), ("postgresql", 2)])
def test_cron_starts_twice_at_once(store, races, tmp_path):
    assert perform(Task("races", store, "", races), tmp_path).figures["races"] == races


@pytest.mark.proof
@pytest.mark.parametrize("store", KINDS)
def test_cron_starts_twice_at_once_500_times(store, tmp_path):
    keep_figures("races", store=store, **perform(Task("races", store, "", 250, seed=3), tmp_path).figures)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("store", KINDS)
def test_who_leaves_before_the_mark_gets_no_dot(store, connections, tmp_path):
    figures = perform(Task("leaves", store, "", 200, connections), tmp_path).figures
    assert figures["left_before_the_mark"] >= 20
    assert figures["skipped"] == figures["left_before_the_mark"]


@pytest.mark.proof
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("store", KINDS)
def test_five_thousand_leave(store, connections, tmp_path):
    figures = perform(Task("leaves", store, "", 5000, connections, seed=4), tmp_path).figures
    assert figures["left"] == 5000
    keep_figures("leaves", store=store, connections=connections, **figures)
