"""Where mail is fetched: a Maildir, an mbox, a real IMAP server; what is marked, and that nothing is lost."""

import mailbox
import os
import time
from io import BytesIO
from pathlib import Path

import pytest
from dovecot_server import PASSWORD, USER, DovecotServer, missing_reason
from postfix_server import skip_or_fail

from newsletter.config import BouncesSection
from newsletter.errors import ConfigError, MailboxUnavailableError
from newsletter.mailbox import _quoted, read_imap, read_maildir, read_mbox, read_stream
from newsletter.mailparts import READ_MAX

MAILS = [b"From: a@b.example\nSubject: %d\n\nhello\n" % number for number in range(3)]


def contents(waiting) -> list[bytes]:
    return [mail.content.replace(b"\r\n", b"\n") for mail in waiting]


# ---------------------------------------------------------------------------------------------------------------------
# Maildir
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def maildir(tmp_path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    return tmp_path / "mail"


def test_a_maildir_is_read_oldest_first_and_marked_as_seen(maildir):
    for number in (2, 0, 1):
        (maildir / "new" / f"{90 + number * 10}.M{number}.host").write_bytes(MAILS[number])
    (maildir / "cur" / "5.old:2,FS").write_bytes(b"seen before\n\n")
    (maildir / "cur" / "7.new:2,F").write_bytes(b"not seen\n\n")
    (maildir / "tmp" / "1.being.written").write_bytes(b"half")
    (maildir / "new" / ".hidden").write_bytes(b"x")
    waiting = list(read_maildir(maildir))
    assert contents(waiting) == [*MAILS, b"not seen\n\n"]
    for mail in waiting:
        mail.done()
    assert sorted(path.name for path in (maildir / "cur").iterdir()) == [
        "100.M1.host:2,S", "110.M2.host:2,S", "5.old:2,FS", "7.new:2,FS", "90.M0.host:2,S",
    ]  # fmt: skip
    assert contents(read_maildir(maildir)) == []
    assert (maildir / "tmp" / "1.being.written").exists()


def test_a_mail_that_another_reader_took_is_passed_over(maildir):
    for number, content in enumerate(MAILS):
        (maildir / "new" / f"{number}.x").write_bytes(content)
    waiting = read_maildir(maildir)
    first = next(waiting)
    (maildir / "new" / "0.x").unlink()
    (maildir / "new" / "1.x").unlink()
    first.done()
    assert contents(waiting) == MAILS[2:]


@pytest.mark.parametrize("reader", [read_maildir, read_mbox])
def test_a_place_that_is_none(tmp_path, reader):
    with pytest.raises(ConfigError, match="name one"):
        list(reader(tmp_path / "gone"))


# ---------------------------------------------------------------------------------------------------------------------
# mbox, standard input
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mbox(tmp_path) -> Path:
    file = tmp_path / "mbox"
    file.write_bytes(b"".join(b"From MAILER-DAEMON Thu Jan  1 00:00:00 2026\n" + content + b"\n" for content in MAILS))
    return file


def test_an_mbox_is_read_and_left_as_it_is(mbox):
    before = mbox.read_bytes(), mbox.stat().st_mtime_ns
    for mail in (waiting := list(read_mbox(mbox))):
        mail.done()
    assert contents(waiting) == MAILS
    assert (mbox.read_bytes(), mbox.stat().st_mtime_ns) == before
    assert not list(mbox.parent.glob("*.lock"))


def test_an_mbox_that_is_locked_is_tried_later(mbox):
    read, write = os.pipe()
    child = os.fork()
    if not child:  # a lock of fcntl is a process's own
        mailbox.mbox(mbox, create=False).lock()
        os.write(write, b"x")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(read, 1)
        with pytest.raises(MailboxUnavailableError, match="try again later"):
            list(read_mbox(mbox))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_pipe_is_read_to_its_end():
    stream = BytesIO(b"x" * (READ_MAX + 100_000))
    (mail,) = read_stream(stream)
    assert len(mail.content) == READ_MAX
    assert stream.read() == b""


# ---------------------------------------------------------------------------------------------------------------------
# IMAP
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_dovecot():
    if reason := missing_reason():
        skip_or_fail(reason)
    with DovecotServer() as server:
        yield server


@pytest.fixture
def dovecot(shared_dovecot):
    for place in ("", ".Done"):
        for path in (shared_dovecot.maildir / place).glob("*/*.*"):
            if path.is_file():
                path.unlink()
    shared_dovecot.deliver(*MAILS)
    return shared_dovecot


def section(server, security: str = "tls", **values) -> BouncesSection:
    port = server.tls_port if security == "tls" else server.port
    known = {"imap_host": server.host, "imap_port": port, "imap_security": security, "imap_username": USER}
    return BouncesSection(**{**known, "imap_ca_file": "ca.pem", **values})


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_imap_is_read_and_marked(dovecot, security):
    waiting = read_imap(section(dovecot, security), PASSWORD, dovecot.folder)
    first = next(waiting)
    assert first.content == MAILS[0].replace(b"\n", b"\r\n")
    assert dovecot.flags() == ["", "", ""], "looking does not mark"
    first.done()
    waiting.close()
    assert dovecot.flags() == ["", "", "S"]
    rest = []
    for mail in read_imap(section(dovecot, security), PASSWORD, dovecot.folder):
        rest.append(mail)
        mail.done()
    assert contents(rest) == MAILS[1:]
    assert dovecot.flags() == ["S", "S", "S"]


def test_imap_moves_what_was_read(dovecot):
    for mail in read_imap(section(dovecot, imap_done_folder="Done"), PASSWORD, dovecot.folder):
        mail.done()
    assert (dovecot.flags(), dovecot.flags(".Done")) == ([], ["S", "S", "S"])


def test_imap_fetches_no_more_than_is_read(dovecot):
    dovecot.deliver(b"Subject: long\n\n" + b"x" * (READ_MAX + 50_000))
    assert max(len(mail.content) for mail in read_imap(section(dovecot), PASSWORD, dovecot.folder)) == READ_MAX


def test_imap_tells_what_is_refused(dovecot, tmp_path):
    with pytest.raises(ConfigError, match="was not let in"):
        list(read_imap(section(dovecot), "wrong", dovecot.folder))
    with pytest.raises(ConfigError, match="cannot be opened"):
        list(read_imap(section(dovecot, imap_folder='Nö \\ " &'), PASSWORD, dovecot.folder))
    with pytest.raises(ConfigError, match="cannot be trusted"):
        list(read_imap(section(dovecot, imap_ca_file=""), PASSWORD, dovecot.folder))
    with pytest.raises(ConfigError, match="imap_ca_file"):
        list(read_imap(section(dovecot), PASSWORD, tmp_path))
    with pytest.raises(MailboxUnavailableError, match="try again later"):
        list(read_imap(section(dovecot, imap_port=1), PASSWORD, dovecot.folder))


def test_names_of_folders_are_written_as_imap_has_them():
    assert _quoted("INBOX") == '"INBOX"'
    assert _quoted('a"b\\c') == '"a\\"b\\\\c"'
    assert _quoted("R&D") == '"R&-D"'
    assert _quoted("台北/日本語") == '"&U,BTFw-/&ZeVnLIqe-"'  # RFC 3501 section 5.1.3
