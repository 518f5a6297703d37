"""The archive beside the pages: written at the start, and again when an issue, the theme or a send changed."""

import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from newsroom import CONFIG, Newsroom

from newsletter.config import load_project
from newsletter.store import open_store
from newsletter.web.keeper import SiteKeeper

APPROVED = f"approved: {'a' * 64} by kim 2026-11-25"
NOW = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return Newsroom(tmp_path / "weekly", config=CONFIG + 'url = "https://news.example.org"\n')


def test_the_site_follows_the_issues(room, monkeypatch):
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        monkeypatch.delenv(name)
    path = room.issue("2026-11-25", APPROVED)
    page = room.root / "site/archive/2026-11-25/index.html"
    told: list[str] = []
    project = load_project(room.root, {})
    with (
        open_store(project.store_url) as store,
        SiteKeeper(project, store, lambda: NOW, told.append, look_s=0.05),
    ):
        eventually(page.exists)
        path.write_text(path.read_text().replace("A crane fell]", "Two cranes fell]"))
        eventually(lambda: "Two cranes fell" in page.read_text())
        room.write("templates/web/archive/index.html.j2", "{{ nothing }}")
        eventually(lambda: bool(told))
        assert "templates/web/archive/index.html.j2:1" in told[0]
        room.write("templates/web/archive/index.html.j2", "mended")
        index = room.root / "site/archive/index.html"
        eventually(lambda: index.read_text() == "mended")
    assert len(told) == 1


def test_a_store_that_is_gone_is_told_once(room):
    project = load_project(room.root, {})
    told: list[str] = []
    store = open_store(project.store_url)
    store.close()
    with SiteKeeper(project, store, lambda: NOW, told.append, look_s=0.01):
        eventually(lambda: bool(told))
        time.sleep(0.1)
    assert len(told) == 1
    assert "not looked at" in told[0]
