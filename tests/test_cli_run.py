"""The command line as a whole: exit codes, what it prints where, what it loads, and that it never ends in a trace."""

import os
import subprocess
import sys
import threading

import click
import pytest
from newsroom import REPOSITORY, Newsroom, assert_told, spawn

import newsletter.cli
from newsletter import __version__, errors
from newsletter.cli import COMMANDS, EXIT_CODES, MEANINGS, run
from newsletter.cli.context import printable, size
from newsletter.cli.exits import exit_code_of


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


# --- exit codes ------------------------------------------------------------------------------------------------------


def _every_error(kind: type[Exception] = errors.NewsletterError) -> list[type[Exception]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _every_error(child))]


@pytest.mark.parametrize("kind", _every_error(), ids=lambda kind: kind.__name__)
def test_each_error_has_the_code_that_its_docstring_names(kind):
    error = kind([]) if issubclass(kind, errors.ProblemsError) else kind("x")
    (line,) = [line for line in (errors.__doc__ or "").splitlines() if line.lstrip("│├└─ ").startswith(kind.__name__)]
    words = [word for word in line.split() if word.isdigit()]
    parent = exit_code_of(kind.__mro__[1]("x")) if issubclass(kind.__mro__[1], errors.NewsletterError) else None
    assert exit_code_of(error) == (int(words[0]) if words else parent or 65)
    assert exit_code_of(error) in MEANINGS


def test_help_shows_every_command_and_exit_code(room):
    answer = room.run("--help", project=False)
    assert answer.code == 0
    shown = " ".join(answer.out.split())
    for name, line in COMMANDS.items():
        assert f"{name} {line}" in shown
    for code, meaning in MEANINGS.items():
        assert f"{code} {meaning}" in shown
    assert {code for _, code in EXIT_CODES} <= set(MEANINGS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_that_begins_like_its_line(room, name):
    answer = room.run(name, "--help", project=False)
    assert answer.code == 0
    assert f"newsletter {name}" in answer.out
    assert isinstance(newsletter.cli.cli.get_command(None, name), click.Command)


def test_version(room):
    assert room.run("--version", project=False).out.strip() == f"newsletter, version {__version__}"


@pytest.mark.parametrize("arguments", [["bild"], ["--nope"], ["build"], ["send", "--to"], ["--project"]])
def test_wrong_command_line_is_2(room, arguments):
    assert_told(room.run(*arguments, project=False), 2, "Error: ")


def test_project_stands_in_the_environment_or_before_the_command(room, tmp_path):
    room.issue("2026-11-25")
    room.environ["NEWSLETTER_PROJECT"] = str(room.root)
    assert room.run("build", "2026-11-25", project=False).code == 0
    assert_told(room.run("--project", str(tmp_path / "gone"), "build", "x", project=False), 78, "gone")


# --- breakdowns ------------------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """Run a command that raises ``error``."""

    def fail(*_arguments) -> None:
        raise error

    monkeypatch.setattr("newsletter.config.load_project", fail)
    return run(["status"])


def test_bug_is_told_in_one_line_with_its_place(monkeypatch, capsys):
    monkeypatch.delenv("NEWSLETTER_DEBUG", raising=False)
    assert failing(monkeypatch, ZeroDivisionError("x")) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bug: ZeroDivisionError: x (")
    assert "test_cli_run.py:" in line


def test_debugging_shows_the_trace(monkeypatch):
    monkeypatch.setenv("NEWSLETTER_DEBUG", "1")
    for error in (ZeroDivisionError("x"), OSError(28, "No space left on device")):
        with pytest.raises(type(error)):
            failing(monkeypatch, error)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device", "/tmp/x"), 75, "No space left on device"),
        (MemoryError(), 75, "out of memory"),
        (KeyboardInterrupt(), 130, "stopped"),
        (errors.InputError("one\ntwo\x1b[31m"), 65, "error: one\nerror: two\ufffd[31m"),
        (errors.StoreError("x"), 65, "error: x"),
    ],
)
def test_breakdowns_are_told(monkeypatch, capsys, error, code, words):
    monkeypatch.delenv("NEWSLETTER_DEBUG", raising=False)
    assert failing(monkeypatch, error) == code
    assert words in capsys.readouterr().err


# --- output ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C"}])
def test_terminal_that_cannot_show_a_character_is_no_hindrance(room, environ):
    room.issue("二零", subject="你好")
    assert room.spawn("approve", "二零", **environ).code == 0
    answer = room.spawn("build", "零零", **environ)
    assert answer.code == 65
    assert "Traceback" not in answer.err


def test_reader_that_goes_away_is_no_hindrance(room):
    room.subscribers(*(f"person{number}@example.org" for number in range(3000)))
    command = f"{sys.executable} -m newsletter --project {room.root} subscribers list | head -1"
    child = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout == "person0@example.org\t\tactive\n"
    assert child.stderr == ""


def test_what_is_printed_cannot_steer_a_terminal():
    assert printable("a\x1b]0;x\x07\u202eb\ud800\x9b") == "a\ufffd]0;x\ufffd\ufffdb\ufffd\ufffd"
    assert printable("日本\tè\n\u200f😀\u200d") == "日本\tè\n\u200f😀\u200d"


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB")])
def test_sizes_in_words(count, words):
    assert size(count) == words


def test_module_runs_as_a_program(room):
    answer = spawn("-m", "newsletter", "--version", cwd=room.root)
    assert (answer.code, answer.err) == (0, "")


def test_commands_may_run_beside_the_main_thread(room):
    """A web page or a desk runs them so; there are no signals to be had."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(room.run("send", "--due", "--late").code))
    thread.start()
    thread.join()
    assert codes == [0]


def test_migrate_is_quiet_about_being_done_twice(room):
    for _ in range(2):
        answer = room.run("migrate")
        assert answer.code == 0
        assert "the store has schema" in answer.out
    assert room.run("migrate", "--json").json["schema"] >= 1
