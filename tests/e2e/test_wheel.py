"""The wheel, installed alone in a fresh environment, does everything outside the repository.

Takes a minute and the package registries, so it is left out unless asked for: ``pytest -m wheel``.
"""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
REPOSITORY = Path(__file__).parents[2]
_OFFLINE = re.compile("connection broken|NewConnectionError|Temporary failure in name resolution|ConnectTimeout")


def call(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this environment but what pip is configured by."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in ("PATH", "HOME")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept, capture_output=True, text=True, timeout=900, check=False
    )


def install(command: list[str | Path], cwd: Path) -> None:
    """Run pip; skip where there is no network, fail for anything else."""
    done = call(command, cwd)
    if done.returncode and _OFFLINE.search(done.stdout + done.stderr):
        pytest.skip("no network: pip cannot reach a package registry")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    install([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY], folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def newsletter(wheel, tmp_path_factory):
    """Return the command of a fresh environment that holds nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    install([folder / "bin/python", "-m", "pip", "install", wheel], folder)
    return folder / "bin/newsletter"


def test_wheel_holds_what_the_package_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for pattern, target in (
        ("templates/**/*.j2", "newsletter/templates"),
        ("templates/**/*.css", "newsletter/templates"),
        ("issues/*.md", "newsletter/sample_newsletter/issues"),
        ("issues/images/*", "newsletter/sample_newsletter/issues"),
        ("newsletter/**/*.sql", "newsletter"),
        ("newsletter/**/*.po", "newsletter"),
        ("newsletter/**/*.py", "newsletter"),
        ("newsletter/preview/assets/*", "newsletter"),
        ("newsletter/checks/*.json", "newsletter"),
    ):
        files = list(REPOSITORY.glob(pattern))
        assert files
        for path in files:
            assert f"{target}/{path.relative_to(REPOSITORY / pattern.split('/')[0])}" in names
    assert "newsletter/sample_newsletter/newsletter.toml" in names
    assert "newsletter/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests") or name.endswith(".db")]


def test_installed_newsletter_is_made_built_and_approved(newsletter, tmp_path):
    made = call([newsletter, "init", "weekly"], tmp_path)
    assert made.returncode == 0, made.stderr
    (issue,) = (tmp_path / "weekly/issues").iterdir()
    for command in (["build", issue.stem, "--out", tmp_path / "out"], ["approve", issue.stem], ["send", issue.stem]):
        done = call([newsletter, "--project", tmp_path / "weekly", *command], tmp_path)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out" / issue.stem).iterdir()) == [
        "edition.json",
        "email.html",
        "email.txt",
        "message.eml",
    ]


def test_installed_demo_runs(newsletter, tmp_path):
    done = call([newsletter, "demo", "--keep", tmp_path / "kept"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 planned = 4 sent + 1 failed + 0 skipped + 0 bounced + 0 in doubt + 1 open" in done.stdout


def test_installed_package_is_the_wheels_own(newsletter, tmp_path):
    code = "import newsletter, newsletter.templating as t; print(newsletter.__file__, t.shipped_templates())"
    done = call([newsletter.parent / "python", "-c", code], tmp_path)
    for path in done.stdout.split():
        assert Path(path).is_relative_to(newsletter.parents[1])
