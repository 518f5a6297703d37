"""The secret is made once, for its owner only, whole or not at all, and never beside a store that has another."""

import os
import threading

import pytest
from newsroom import Newsroom

from newsletter.config import load_project
from newsletter.errors import ConfigError
from newsletter.secretfile import load_keys, make_secret


@pytest.fixture
def project(tmp_path):
    return load_project(Newsroom(tmp_path / "project").root, {})


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_secret_is_its_owners_alone(project, umask):
    before = os.umask(umask)
    try:
        load_keys(project)
    finally:
        os.umask(before)
    assert project.secret_path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in project.root.iterdir() if "secret" in path.name] == ["newsletter.secret"]


def test_secret_is_made_once_and_announced(project):
    told: list[str] = []
    first = load_keys(project, told.append)
    assert load_keys(project, told.append) == first
    assert len(told) == 1
    assert str(project.secret_path) in told[0]
    assert project.secret_path.read_text() not in told[0]


def test_secret_that_is_there_stays(project):
    load_keys(project)
    before = project.secret_path.read_bytes()
    make_secret(project)
    assert project.secret_path.read_bytes() == before


def test_first_runs_at_once_agree(project):
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_keys(project).address_key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_secret_that_does_not_fit_is_not_kept(project):
    def check(_keys) -> None:
        raise ConfigError("another")

    with pytest.raises(ConfigError, match="bring it back from its backup"):
        load_keys(project, check=check)
    assert not project.secret_path.exists()


def test_folder_of_the_secret_is_made(tmp_path):
    room = Newsroom(tmp_path)
    project = load_project(room.root, {"NEWSLETTER_NEWSLETTER__SECRET_FILE": "keys/of/mine"})
    load_keys(project)
    assert (tmp_path / "keys/of/mine").stat().st_mode & 0o777 == 0o600


def test_file_system_without_links_is_no_hindrance(project, monkeypatch):
    def refuse(*_arguments) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert load_keys(project) == load_keys(project)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"short", "at least 32"), (b"", "newsletter.secret"), (b"\xff\xfe" * 40, "it is not text")],
)
def test_file_that_holds_no_secret_is_told(project, content, words):
    project.secret_path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_keys(project)
    assert words in str(caught.value)
    assert project.secret_path.read_bytes() == content


def test_place_that_cannot_be_used_is_told(tmp_path):
    room = Newsroom(tmp_path)
    room.write("file", "x")
    (tmp_path / "folder").mkdir()
    for name, words in (("file/secret", "cannot be"), ("folder", "cannot be read: Is a directory")):
        project = load_project(tmp_path, {"NEWSLETTER_NEWSLETTER__SECRET_FILE": name})
        with pytest.raises(ConfigError, match=words):
            load_keys(project)
