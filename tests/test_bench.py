"""Run every benchmark at toy sizes: it must run and give each figure that is promised. No time is judged."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
BENCH = REPOSITORY / "bench"
FIGURES = {
    "compile": {"compile.from-mjml.premailer", "compile.premailer", "compile.stage.premailer.inline"},
    "startup": {"startup.ratio.help", "startup.ratio.build", "startup.ratio.send.store", "startup.ratio.send.no-store"},
    "messages": {"messages.rate", "messages.ratio"},
    "memory": {"memory.build", "memory.send", "send.rate", "send.store"},
    "sizes": {"size.brief.embedded", "size.illustrated.embedded", "size.illustrated.hosted"},
    "ledger": {"ledger.plan", "ledger.row.bytes"},
    "sending": {"sending.rate.ours", "sending.rate.dkim", "sending.ratio.smtplib", "sending.ratio.tls"},
    "distance": {"distance.rate.ours", "distance.rate.smtplib", "distance.ratio"},
    "importing": {"import.N", "import.N.memory", "import.N.plan.whole", "import.N.plan.topics"},
    "preview": {"preview.page", "preview.mail", "preview.follow"},
    "web": {f"web.{what}.{kind}" for what in ("archive", "page", "post") for kind in ("rate", "cpu", "p99")},
    "feeds": {"feeds.group", "feeds.read", "feeds.read.memory", "feeds.cold", "feeds.unchanged"},
    "checks": {"checks.cold", "checks.warm", "checks.compile"},
    "growth": {"growth.N.rate", "growth.N.plan", "growth.N.memory", "growth.N.memory.together", "growth.N.ledger"},
}
SLOW = {"startup", "memory", "growth", "preview", "checks", "web"}
"""Benches that start command after command: they run with the long proofs."""
UNCOMMITTED: set[str] = set()
"""Whose results are not measured in earnest yet."""
PARTS = {"sending.ratio.smtp-source", "sending.ratio.nodemailer", "sending.ratio.postgresql", "sending.ratio.dkim"}
"""Figures that take a part which is not everywhere; committed results have them."""

pytestmark = pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmarks lie beside the tests in a checkout alone")


def run_bench(*arguments: str) -> dict[str, Any]:
    """Run the one command and return its JSON."""
    done = subprocess.run(
        [sys.executable, str(BENCH / "run.py"), "--quick", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def plain_name(figure: dict[str, Any]) -> str:
    """Return a figure's name with N for the number of recipients, which is smaller here than in earnest."""
    return re.sub(r"^(growth|import)\.\d+", r"\1.N", figure["name"])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.proof) if name in SLOW else name for name in FIGURES]
)
def test_each_bench_gives_its_figures(name: str) -> None:
    result = run_bench("--only", name)
    figures = {plain_name(figure): figure for figure in result["figures"]}
    assert FIGURES[name] <= set(figures)
    assert all(figure["value"] > 0 for figure in figures.values())
    for figure in figures.values():
        assert (figure["met"] is None) == (figure["target"] is None)


def test_every_bench_is_tested() -> None:
    done = subprocess.run([sys.executable, str(BENCH / "run.py"), "--help"], capture_output=True, text=True, check=True)
    choices = done.stdout.partition("--only {")[2].partition("}")[0]
    assert set(choices.split(",")) == set(FIGURES)


def test_a_result_says_what_it_was_measured_on(tmp_path: Path) -> None:
    result = run_bench("--only", "sizes", "--out", str(tmp_path / "result.md"))
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == result
    assert result["machine"]["cores"] >= 1
    assert {"newsletter", "click", "premailer", "mjml-python"} <= set(result["versions"])
    text = (tmp_path / "result.md").read_text(encoding="utf-8")
    assert "at most 90,000 bytes: met" in text
    assert str(REPOSITORY) not in text


def test_a_missing_peer_is_said_to_be_missing() -> None:
    result = run_bench("--only", "compile")
    assert not any("juice" in figure["text"] for figure in result["figures"])
    assert any("peers are missing" in note for note in result["notes"])


@pytest.mark.proof  # it installs packages from npm, and no other test uses a network
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_peers_make_the_same_mail(tmp_path: Path) -> None:
    folder = tmp_path / "npm"
    result = run_bench("--only", "compile", "--npm", str(folder))
    if any("could not install" in note for note in result["notes"]):
        pytest.skip("npm cannot install the peers here")
    assert {"mjml", "juice", "node"} <= set(result["versions"])
    assert any(figure["name"].startswith("compile.ratio.premailer.mjml") for figure in result["figures"])
    assert not any(folder.rglob("package-lock.json"))


def committed() -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return each figure that is committed, by its plain name, and the newest file that holds it."""
    found = {}
    for path in sorted((BENCH / "results").glob("20*.json")):  # what run.py wrote
        figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
        found |= {plain_name(figure): (path, figure) for figure in figures}
    return found


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - UNCOMMITTED))
def test_committed_results_hold_what_docs_say(name: str) -> None:
    found = committed()
    assert found.keys() >= FIGURES[name], "run 'python bench/run.py' and commit what it writes"
    docs = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")
    for path in {found[figure][0] for figure in FIGURES[name]}:
        assert path.with_suffix(".md").name in docs
        assert path.with_suffix(".md").is_file()


def test_committed_results_have_every_peer() -> None:
    assert committed().keys() >= PARTS


def test_plot_shows_the_committed_results() -> None:
    results, _ = committed()["growth.N.rate"]
    plot = REPOSITORY / "docs" / "images" / "growth.svg"
    command = [sys.executable, str(BENCH / "plot.py"), str(results), "/dev/stdout"]
    assert plot.read_bytes() == subprocess.run(command, capture_output=True, check=True).stdout, "draw it anew"
