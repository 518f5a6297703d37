"""Fixtures that every test may use; ``pytest --rewrite-goldens`` writes the golden files anew instead of comparing."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing about the code on a machine that is shared. The same examples in every run: a
# run fails for what changed. 'pytest --hypothesis-profile=search' looks for others.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("newsletter", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("newsletter")

# Stores are synced at each commit, which costs nothing in memory. None of these tests cuts the power of a real disk.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2_000_000_000:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

GOLDEN = Path(__file__).parent / "golden"
LONGEST = ("test_failpoints.py", "test_web_browser.py", "test_preview_browser.py", "test_cron.py", "test_chaos.py")
"""What a worker of pytest begins with, file by file: the files that take long, so that none is left at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-goldens", action="store_true", help="write the golden files from what the code makes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def _warm_compiler() -> Iterator[None]:
    """Let commands that run in this process compile without loading the compiler each time (``warm_compiler``)."""
    import warm_compiler

    warm_compiler.allow()
    yield
    warm_compiler.stop()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Compare bytes with ``tests/golden/NAME``, or write them there with ``--rewrite-goldens``."""

    def compare(name: str, content: bytes) -> None:
        path = GOLDEN / name
        if request.config.getoption("--rewrite-goldens"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assert path.exists(), f"{path} is missing; write it with pytest --rewrite-goldens"
        assert content == path.read_bytes(), (
            f"{path} differs; compare, then run pytest --rewrite-goldens if it is meant"
        )

    return compare


@pytest.fixture(scope="session")
def shared_postfix() -> Iterator[Any]:
    """Run the Postfix that the tests of this worker share."""
    from postfix_server import running_postfix

    with running_postfix() as server:
        yield server


@pytest.fixture
def postfix(shared_postfix: Any) -> Any:
    """Return a real Postfix without any mail (``postfix_server``)."""
    shared_postfix.empty()
    return shared_postfix


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run Debian's Chromium, which CI installs; without one its tests skip and say so."""
    path = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        if os.environ.get("REQUIRE_REAL_PARTS") or os.environ.get("CI") == "true":
            pytest.fail("no chromium: apt-get install chromium")
        pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
