"""``newsletter resolve``: what an operator sees of rows in doubt, and how a relay's log or a word settles them."""

import contextlib
import dataclasses
import gzip
import re
import shutil
import socket
import threading
from pathlib import Path

import pytest
from newsroom import Newsroom, assert_told
from smtp_server import SmtpServer

import newsletter.cli.sending

SLUG = "2026-11-25"
PEOPLE = ("ada@example.org", "bob@example.org", "cho@example.net", "dov@example.net")
HOLD = '[send]\ndoubt = "hold"\n'


@pytest.fixture(scope="module", autouse=True)
def hasty():
    """Let runs wait for next to nothing before each new connection."""
    usual = newsletter.cli.sending.sender_setup
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            newsletter.cli.sending,
            "sender_setup",
            lambda *arguments: dataclasses.replace(usual(*arguments), reconnect_waits_s=(0.01,) * 3),
        )
        yield


def approved(root: Path, *people: str) -> Newsroom:
    room = Newsroom(root)
    room.write("newsletter.toml", (room.root / "newsletter.toml").read_text() + HOLD)
    room.issue(SLUG)
    room.subscribers(*people)
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    return room


@pytest.fixture(scope="module")
def sent_once(hasty, tmp_path_factory) -> tuple[Path, list[bytes]]:
    """Send through a relay that took two messages and never said so; return the folder, and all that had its dot."""
    room = approved(tmp_path_factory.mktemp("room") / "weekly", *PEOPLE)
    with SmtpServer() as server:
        room.relay(server)
        server.drop_after_dot(times=2)
        assert room.run("send", SLUG, "--yes").code == 1
        return room.root, [message.content for message in server.dotted]


@pytest.fixture
def doubtful(sent_once, tmp_path) -> Newsroom:
    """Return a copy of the newsroom with two rows in doubt."""
    root = tmp_path / "weekly"
    shutil.copytree(sent_once[0], root)
    room = Newsroom(root)
    room.write("newsletter.toml", (sent_once[0] / "newsletter.toml").read_text())
    return room


def doubts(room: Newsroom, *arguments: str) -> list[dict]:
    return room.run("resolve", SLUG, "--json", *arguments).json["rows"]


def test_the_list_names_who_when_and_under_which_message_id(doubtful, sent_once):
    answer = doubtful.run("resolve", SLUG)
    assert answer.code == 1
    assert "4 planned = 2 sent + 0 failed + 0 skipped + 0 bounced + 2 in doubt + 0 open" in answer.out
    taken = [re.search(rb"^Message-ID: (<.*>)\r$", each, re.MULTILINE)[1].decode() for each in sent_once[1]]
    names = re.findall(r"Message-ID  (<.*>)", answer.out)
    assert len(names) == 2
    assert set(names) <= set(taken), "the ID that a log has"
    assert re.search(r"final dot   2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d Europe/Paris \(\d\d:\d\d:\d\d UTC\)", answer.out)
    assert f"newsletter resolve {SLUG} --from-log /var/log/mail.log" in answer.out


def test_the_list_as_json_closes(doubtful):
    answer = doubtful.run("resolve", SLUG, "--json")
    assert (answer.code, answer.json["format"], answer.json["policy"]) == (1, 1, "hold")
    assert [answer.json[name] for name in ("planned", "sent", "in_doubt", "open")] == [4, 2, 2, 0]
    assert {row["state"] for row in answer.json["rows"]} == {"in_doubt"}


def test_assumed_sent_rows_are_settled_and_stay_named(doubtful):
    answer = doubtful.run("resolve", SLUG, "--assume-sent")
    assert answer.code == 0
    assert "2 sent" in answer.out
    assert "4 planned = 4 sent" in answer.out
    assert doubts(doubtful) == []
    assert [(row["state"], row["doubts"]) for row in doubts(doubtful, "--ever")] == [("sent", 1), ("sent", 1)]
    assert doubtful.run("resolve", SLUG).out.endswith("No row is in doubt.\n")


def test_resent_rows_go_out_again_with_the_same_bytes(doubtful, sent_once):
    with SmtpServer() as server:
        doubtful.relay(server)
        answer = doubtful.run("resolve", SLUG, "--resend")
        assert (answer.code, "2 to be sent again" in answer.out) == (0, True)
        assert server.dotted == [], "nothing is mailed by it"
        assert doubtful.run("send", SLUG, "--yes").code == 0
        assert len(server.dotted) == 2
        assert {message.content for message in server.dotted} < set(sent_once[1])


def test_one_row_alone_is_settled(doubtful):
    first, second = doubts(doubtful)
    answer = doubtful.run("resolve", SLUG, "--assume-sent", "--only", first["address"])
    assert answer.code == 1, "the other stays"
    assert [row["address"] for row in doubts(doubtful)] == [second["address"]]
    assert_told(doubtful.run("resolve", SLUG, "--resend", "--only", first["address"]), 65, "not in doubt in this send")
    assert_told(doubtful.run("resolve", SLUG, "--only", "nobody"), 65, "nobody")


def test_a_log_settles_them_compressed_and_in_any_order(doubtful, tmp_path):
    first, second = doubts(doubtful)
    old = tmp_path / "mail.log.1.gz"
    stamp = first["marked_at"]
    old.write_bytes(
        gzip.compress(
            f"{stamp} mx postfix/cleanup[1]: AAAAAAAAA: message-id={first['message_id']}\n"
            f"{stamp} mx postfix/cleanup[1]: BBBBBBBBB: message-id={second['message_id']}\n"
            f"{stamp} mx postfix/qmgr[1]: BBBBBBBBB: from=<x@y.z>, size=1, nrcpt=1 (queue active)\n".encode()
        )
    )
    new = tmp_path / "mail.log"
    new.write_text(
        "2999-01-01T00:00:00+00:00 mx postfix/smtp[1]: AAAAAAAAA: to=<a@b.c>, relay=mx[1]:25, delay=1, dsn=5.1.1, "
        "status=bounced (no \x1b[31msuch\x1b[0m user)\n"
    )
    answer = doubtful.run("resolve", SLUG, "--from-log", str(new), "--from-log", str(old), "--json")
    assert answer.code == 0
    assert [row["settlement"] for row in answer.json["rows"]] == ["bounced", "sent"]
    assert (answer.json["sent"], answer.json["bounced"], answer.json["in_doubt"]) == (3, 1, 0)
    assert answer.json["log"]["lines"] == 4


def test_a_server_cannot_steer_the_terminal(doubtful, tmp_path):
    row = doubts(doubtful)[0]
    log = tmp_path / "mail.log"
    start = f"{row['marked_at']} mx postfix"
    log.write_text(
        f"{start}/cleanup[1]: AAAAAAAAA: message-id={row['message_id']}\n"
        f"{start}/smtp[1]: AAAAAAAAA: to=<a@b.c>, relay=m, delay=1, dsn=2.0.0, status=sent (\x1b]0;x\x07\u202eok)\n"
    )
    answer = doubtful.run("resolve", SLUG, "--from-log", str(log))
    assert "\ufffd]0;x\ufffd\ufffdok" in answer.out
    assert "begins too late for it" in answer.out
    assert "\x1b" not in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--resend", "--assume-sent"], 2, "not both"),
        (["--resend", "--ever"], 2, "--ever lists"),
        (["--from-log", "no-such.log"], 65, "cannot be read as a log"),
        (["--from-log", __file__], 65, "no line of Postfix's log in it"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(doubtful, arguments, code, words):
    assert_told(doubtful.run("resolve", SLUG, *arguments), code, words)
    assert len(doubts(doubtful)) == 2


def test_an_issue_that_was_never_sent_has_no_doubts(doubtful):
    assert_told(doubtful.run("resolve", "2026-12-02"), 65, "2026-12-02 was never sent")


def test_with_resend_as_policy_the_list_says_what_comes_next(doubtful):
    doubtful.environ["NEWSLETTER_SEND__DOUBT"] = "resend"
    assert "The next run sends 2 of them again, once" in doubtful.run("resolve", SLUG).out


# -- a real relay -----------------------------------------------------------------------------------------------------


class Cutter:
    """Stand between the sender and a relay, and cut the line where a relay's answer to a dot would pass."""

    host = "127.0.0.1"

    def __init__(self, relay) -> None:
        self._relay = relay
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._relay.host, self._relay.port))
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := client.recv(65536):
                server.sendall(octets)
            server.shutdown(socket.SHUT_WR)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := server.recv(65536):
                if b"queued as" in octets:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(octets)


def test_the_log_of_a_real_postfix_settles_what_it_took(tmp_path, postfix):
    room = approved(tmp_path, *(f"{name}@readers.test" for name in ("ann", "bob", "ghost")))
    with Cutter(postfix) as cutter:
        room.relay(cutter)
        assert room.run("send", SLUG, "--yes").code in {1, 69}
        for _ in range(3):
            if room.run("status", SLUG, "--json").json["open"]:
                room.run("send", SLUG, "--yes")
    assert len(doubts(room)) == 3
    postfix.wait_for_mail("ann")
    postfix.wait_for_mail("bob")
    postfix.wait_until_idle()
    answer = room.run("resolve", SLUG, "--from-log", str(Path(postfix.log_file)), "--json")
    ends = {row["address"]: row["settlement"] for row in answer.json["rows"]}
    assert ends == {"ann@readers.test": "sent", "bob@readers.test": "sent", "ghost@readers.test": "bounced"}, answer
    assert (answer.code, answer.json["in_doubt"]) == (0, 0)
