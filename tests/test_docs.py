"""What the documents say is so: commands, options and files exist, and each command and setting is told of."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from newsroom import REPOSITORY, Newsroom

from newsletter.cli import COMMANDS, MEANINGS, cli
from newsletter.receiver import Receiver
from newsletter.settings import Config

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
"""What people read; notes keep what was so on their day."""
TEXTS = {document.relative_to(REPOSITORY).as_posix(): document.read_text(encoding="utf-8") for document in DOCUMENTS}
BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELLS = ("console", "sh", "bash", "crontab", "ini")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)|(?:src|href)=\"([^\"#]+)\"")
STOPS = {"&&", "||", "|", ";", ">", ">>", "<", "2>&1", "2>"}


def words_of(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # an apostrophe in what a command printed
        return []


def calls(text: str) -> Iterator[list[str]]:
    """Yield each call of ``newsletter`` in the code blocks of a document, as its words."""
    for block in BLOCK.finditer(text):
        if block[2] not in SHELLS:
            continue
        lines = re.sub(r"\\\n\s*", " ", block[3]).splitlines()
        for line in lines:
            if block[2] == "console" and not line.lstrip().startswith(("$ ", "# ")):
                continue  # what a command printed
            if block[2] == "ini" and not line.startswith("Exec"):
                continue
            words = words_of(line.strip().removeprefix("$ "))
            for start, word in enumerate(words):
                if word == "newsletter" or word.endswith("/bin/newsletter"):
                    call = []
                    for each in words[start + 1 :]:
                        if each in STOPS or each.startswith((">", "2>")):
                            break
                        call.append(each.rstrip(";"))
                    yield call
    for inline in re.findall(r"`newsletter ([^`]+)`", BLOCK.sub("", text)):
        yield words_of(inline)


ALL_CALLS = [(name, tuple(call)) for name, text in TEXTS.items() for call in calls(text) if call]


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {
        name: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help": click.Option(["--help"], is_flag=True), "-h": click.Option(["-h"], is_flag=True)}


def wrong(words: tuple[str, ...]) -> str:
    """Return what is wrong with a call, "" where every command and option in it exists."""
    command: click.Command = cli
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            option = options_of(command).get(word.partition("=")[0])
            if option is None:
                return f"{command.name} has no option {word}"
            if not option.is_flag and "=" not in word:
                rest = rest[1:]
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return "" if re.fullmatch(r"[A-Z|…]+|…", word) else f"{command.name} has no command {word}"
            command = found
    return ""


def test_the_documents_call_commands() -> None:
    assert len(ALL_CALLS) > 60


@pytest.mark.parametrize(("document", "words"), ALL_CALLS, ids=lambda value: " ".join(value)[:60])
def test_a_call_in_a_document_is_one_that_can_be_made(document: str, words: tuple[str, ...]) -> None:
    assert not wrong(words), f"{document}: newsletter {' '.join(words)}"


def commands() -> Iterator[str]:
    for name in COMMANDS:
        command = importlib.import_module(f"newsletter.cli.{name}").command
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {each}" for each in command.commands)


@pytest.mark.parametrize("name", list(commands()))
def test_each_command_is_told_of(name: str) -> None:
    told = "\n".join(TEXTS.values())
    assert re.search(rf"newsletter (?:--\S+ \S+ |-q )?{name}\b", told), f"no document calls 'newsletter {name}'"


@pytest.mark.parametrize("document", TEXTS)
def test_each_link_leads_to_a_file(document: str) -> None:
    for found in LINK.finditer(re.sub(r"```.*?```|`!?\[[^`\n]*`", "", TEXTS[document], flags=re.DOTALL)):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            assert ((REPOSITORY / document).parent / target).exists(), f"{document}: {target}"


def settings() -> Iterator[str]:
    for section in Config.__struct_fields__:
        struct = msgspec.structs.fields(Config)[Config.__struct_fields__.index(section)].type
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
            yield from (f"{section}.{key}" for key in struct.__struct_encode_fields__)


@pytest.mark.parametrize("setting", list(settings()))
def test_each_setting_is_told_of(setting: str) -> None:
    section, _, key = setting.partition(".")
    told = "\n".join([*TEXTS.values(), (REPOSITORY / "newsletter.toml").read_text(encoding="utf-8")])
    variable = f"NEWSLETTER_{section}__{key}".upper()
    assert re.search(rf"(?m)^#? ?{key} *=|`{key}\b|\[{section}\] {key}\b|\[{section}\.{key}\]|{variable}\b", told)


def test_the_table_of_exit_codes_is_the_programs() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \| (.+?) \|$", TEXTS["docs/operating.md"])
    assert [int(code) for code, _ in rows] == list(MEANINGS)


def test_the_readmes_five_minutes_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the README's first newsletter as it stands there, but for the date, and a receiver in place of the relay."""
    block = next(found[3] for found in BLOCK.finditer(TEXTS["README.md"]) if "newsletter init" in found[3])
    lines = [line.removeprefix("$ ").partition("  #")[0].strip() for line in block.splitlines()]
    with Receiver() as receiver:
        room = Newsroom(tmp_path / "start")
        slug = ""
        for line in lines:
            words = shlex.split(line)
            if words[0] == "cd":
                (tmp_path / "start" / "people.csv").rename(tmp_path / "start" / words[1] / "people.csv")
                room = Newsroom.__new__(Newsroom)
                room.root, room.environ = tmp_path / "start" / words[1], {}
                room.relay(receiver)
                monkeypatch.chdir(room.root)
                continue
            if words[1] == "init":
                (tmp_path / "start" / "people.csv").write_text("email\nann@example.org\nbob@example.com\n")
                words = [*words[:2], str(tmp_path / "start" / words[2]), *words[3:]]
            answer = room.run(
                *(slug if word == "2026-11-25" else word for word in words[1:]), project=words[1] != "init"
            )
            assert answer.code == 0, f"{line}\n{answer}"
            if words[1] == "new":
                slug = max((room.root / "issues").glob("*.md"), key=lambda path: path.stat().st_mtime).stem
        assert sorted(message.envelope.rcpt_to for message in receiver.messages) == [
            "ann@example.org",
            "bob@example.com",
            "me@example.org",
        ]
