"""Run a real Postfix for tests, Debian's own, on a loopback port, with its configuration, queue and mailboxes apart.

It takes mail for ``domains`` and delivers it with local(8), without any privilege, to a Maildir for each of ``users``;
``user+tag`` goes to ``user``. It refuses everyone else at RCPT with 550 5.1.1, and nothing ever leaves the machine.
Some users get no mail, whatever their number:

``ghost``       is taken at RCPT and bounces later: a DSN goes to the envelope's sender
``full``        is taken, put off by the queue again and again, and delivered once ``open_mailbox`` was called
``greylisted``  is put off at RCPT with 450 until ``lift_greylisting`` was called

A return path at one of ``domains`` whose user has a mailbox gets its DSNs into that Maildir. The server wants root and
Debian's package ``postfix``; ``missing_reason`` says what is not there. The fixture ``postfix`` of ``conftest`` shares
one server among the tests of a worker.
"""

import contextlib
import getpass
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from certificates import Certificate, make_certificate

HOST = "127.0.0.1"
DOMAINS = ("readers.test", "example.org", "news.example.org")
"""All of them its own: what tests say of ``example.org`` stays here."""
USERS = ("ann", "bob", "cyd", "dan", "bounces", *(f"r{number}" for number in range(50)))
REQUIRED = "REQUIRE_REAL_PARTS"
"""Where this variable is set, a part that is missing fails its tests; ``.ci/run`` sets it."""
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_START_S = 30.0

_FULL = """\
#!/bin/sh
# EX_TEMPFAIL until the file is there; else what a pipe gets, without its first line, is what a Maildir holds.
[ -e {folder}/open ] || {{ echo "mailbox full"; exit 75; }}
LC_ALL=C sed 1d > {mailbox}/new/$(date +%s%N).$$
"""
_GREYLISTED = "450 4.7.1 greylisted, come back"
_MAIN = """\
compatibility_level = 3.6
config_directory = {folder}/config
queue_directory = {folder}/queue
data_directory = {folder}/lib
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.{domain}
mydestination = {domains}
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps = texthash:{folder}/config/aliases
alias_database =
local_recipient_maps = $alias_maps
allow_mail_to_files = alias
allow_mail_to_commands = alias
default_privs = nobody
recipient_delimiter = +
default_transport = error:5.1.2 nothing leaves this machine
relay_transport = error:5.1.2 nothing leaves this machine
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/config/access, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = {chain}
message_size_limit = 50000000
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
biff = no
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq    unix n - n - - showq
error    unix - - n - - error
retry    unix - - n - - error
local    unix - n n - - local
anvil    unix - - n - 1 anvil
postlog  unix-dgram n - n - 1 postlogd
"""


def missing_reason() -> str:
    """Return why no Postfix can be run here, ``""`` where one can."""
    if not program("postfix"):
        return "no Postfix: 'apt-get install postfix' installs it, and .ci/run does"
    if os.geteuid() != 0:
        return "Postfix takes root to start"
    return ""


def program(name: str) -> str:
    """Return the path of one of Postfix's programs, ``""`` where it is not installed."""
    return shutil.which(name, path=_PATH) or ""


def skip_or_fail(reason: str) -> None:
    """Skip the test that asks, for ``reason``; fail it where all parts must be there."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and a part is missing: {reason}")
    pytest.skip(reason)


def free_port() -> int:
    """Return a port that is free, and that no connection of another test takes before a server listens there."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, max(lowest, 11_000))
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port


class PostfixServer:
    """Run while the ``with`` block lasts; the folder is its own, and gone afterwards."""

    host = HOST

    def __init__(self, *, domains: Sequence[str] = DOMAINS, users: Sequence[str] = USERS) -> None:
        self.domains = tuple(domains)
        self.users = tuple(users)
        self.port = free_port()
        # Not in a folder of pytest's: none but its owner may enter those.
        self.folder = Path(tempfile.mkdtemp(prefix="newsletter-postfix-"))
        self.certificate: Certificate
        self._log_start = 0

    def __enter__(self) -> Self:
        try:
            self._configure()
            # Its own death signal: a server never outlives the tests, whatever ends them.
            command = ["setpriv", "--pdeathsig", "TERM", program("postfix"), "-c", str(self._config), "start-fg"]
            with (self.folder / "output").open("wb") as output:
                self._master = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            self._wait_for_port()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self._run("postfix", "stop")
            self._master.wait(10)
        self._remove()

    # -- what it got --------------------------------------------------------------------------------------------------

    def inbox(self, user: str) -> list[bytes]:
        """Return the messages of a user, as they lie in the Maildir, in the order in which they came."""
        folder = self._mailbox(user) / "new"
        paths = list(folder.iterdir()) if folder.exists() else []
        return [path.read_bytes() for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def wait_for_mail(self, user: str, count: int = 1, seconds: float = 30.0) -> list[bytes]:
        """Return a user's messages once there are ``count`` of them."""
        deadline = time.monotonic() + seconds
        while len(found := self.inbox(user)) < count:
            assert time.monotonic() < deadline, f"{user} has {len(found)} of {count} messages\n{self.log()[-4000:]}"
            time.sleep(0.05)
        return found

    def wait_until_idle(self, seconds: float = 30.0) -> None:
        """Wait until the queue holds nothing."""
        deadline = time.monotonic() + seconds
        while any(True for name in ("incoming", "active", "deferred") for _ in self._queued(name)):
            assert time.monotonic() < deadline, self.log()[-4000:]
            time.sleep(0.05)

    def wait_for_log(self, words: str, seconds: float = 30.0) -> None:
        """Wait until Postfix has logged ``words`` since ``empty`` was called: ``status=deferred``, for one."""
        deadline = time.monotonic() + seconds
        while words not in self.log():
            assert time.monotonic() < deadline, f"no '{words}' in\n{self.log()[-4000:]}"
            time.sleep(0.05)

    def maildir(self, user: str) -> Path:
        """Return the user's Maildir, made where it is not there yet."""
        folder = self._mailbox(user)
        for name in ("new", "cur", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")
        return folder

    def log(self) -> str:
        """Return what Postfix has logged since ``empty`` was called."""
        return self.log_file.read_bytes()[self._log_start :].decode(errors="replace")

    @property
    def log_file(self) -> Path:
        return self.folder / "log"

    # -- what it does -------------------------------------------------------------------------------------------------

    def open_mailbox(self) -> None:
        """Deliver to ``full`` from now on; what waits in the queue for it comes within seconds."""
        self.maildir("full")
        (self.folder / "open").touch()

    def lift_greylisting(self) -> None:
        """Take mail to ``greylisted`` from now on."""
        self._put("access", "")

    def empty(self) -> None:
        """Forget every mail that was delivered or waits, and put off ``full`` and ``greylisted`` again."""
        (self.folder / "open").unlink(missing_ok=True)
        self._put("access", self._lines("greylisted", _GREYLISTED))
        self._run("postsuper", "-d", "ALL")
        for folder in (self.folder / "mail").iterdir():
            shutil.rmtree(folder)
        self._log_start = self.log_file.stat().st_size

    # -- within -------------------------------------------------------------------------------------------------------

    @property
    def _config(self) -> Path:
        return self.folder / "config"

    def _mailbox(self, user: str) -> Path:
        return self.folder / "mail" / user

    def _queued(self, name: str) -> Iterator[Path]:
        return (path for path in (self.folder / "queue" / name).rglob("*") if path.is_file())

    def _lines(self, user: str, words: str) -> str:
        return "".join(f"{user}@{domain} {words}\n" for domain in self.domains)

    def _put(self, name: str, content: str) -> None:
        """Change a table. Tables are read once, so that every process has to start anew."""
        path = self._config / name
        if path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            self._run("postfix", "reload")
            time.sleep(1.2)  # the queue manager tells the others within a second

    def _configure(self) -> None:
        self.folder.chmod(0o755)
        for name, owner in (("config", "root"), ("queue", "root"), ("lib", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir(mode=0o755)
            shutil.chown(self.folder / name, owner)
        self.certificate = make_certificate(self.folder, host=HOST)
        chain = self.folder / "chain.pem"
        chain.write_bytes(_key_first(self.certificate.chain_file.read_bytes()))
        values = {"folder": self.folder, "domain": self.domains[0], "domains": ", ".join(self.domains), "chain": chain}
        aliases = [f"{user} {self._mailbox(user)}/" for user in (*self.users, "greylisted")]
        aliases += [f'full "|{self._config}/full"', 'ghost "|exit 67"']  # 67: EX_NOUSER
        aliases += ["postmaster /dev/null", "double-bounce /dev/null"]
        files = {
            "main.cf": _MAIN.format(**values),
            "master.cf": _MASTER.format(port=self.port),
            "aliases": "\n".join([*aliases, ""]),
            "access": self._lines("greylisted", _GREYLISTED),
        }
        files["full"] = _FULL.format(folder=self.folder, mailbox=self._mailbox("full"))
        for name, content in files.items():
            (self._config / name).write_text(content, encoding="utf-8")
        (self._config / "full").chmod(0o755)

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 5) as sock:
                if sock.recv(100).startswith(b"220"):
                    return
            if self._master.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "output").read_text() + (self.log() if self.log_file.exists() else "")
                raise RuntimeError(f"Postfix did not start:\n{said}")
            time.sleep(0.05)

    def _run(self, name: str, *arguments: str) -> None:
        command = [program(name), "-c", str(self._config), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _key_first(pem: bytes) -> bytes:
    """Return a chain with its key before its certificates, as Postfix wants it."""
    blocks = re.findall(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n", pem, re.DOTALL)
    return b"".join(sorted(blocks, key=lambda block: b"PRIVATE KEY" not in block))


class SmtpSink:
    """Run Postfix's smtp-sink while the ``with`` block lasts, told by ``options``; it writes messages to ``folder``."""

    host = HOST

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options

    def __enter__(self) -> Self:
        user = ["-u", getpass.getuser()] if os.geteuid() == 0 else []
        command = [program("smtp-sink"), *user, *self._options, "-d", "message.", f"{HOST}:{self.port}", "100"]
        self._child = subprocess.Popen(command, cwd=self.folder)
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 5):
                return self
            assert time.monotonic() < deadline, "smtp-sink did not start"
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(10)

    def messages(self) -> list[tuple[str, bytes]]:
        """Return the recipient and the content of each message that came, with LF as they were written down."""
        found = []
        for path in self.folder.glob("message.*"):
            head, _, content = path.read_bytes().partition(b"\nReceived: from ")
            recipient = head.partition(b"X-Rcpt-Args: <")[2].partition(b">")[0].decode()
            found.append((recipient, re.sub(rb"\A.*\n(\t.*\n)*", b"", content)))
        return found


@contextlib.contextmanager
def running_postfix(**options: Sequence[str]) -> Iterator[PostfixServer]:
    """Yield a server of one's own; skip, or fail, where none can be run."""
    if reason := missing_reason():
        skip_or_fail(reason)
    with PostfixServer(**options) as server:
        yield server


@contextlib.contextmanager
def running_sink(folder: Path, *options: str) -> Iterator[SmtpSink]:
    """Yield a smtp-sink of one's own; skip, or fail, where Postfix is not installed."""
    if not program("smtp-sink"):
        skip_or_fail("no smtp-sink: 'apt-get install postfix' installs it, and .ci/run does")
    with SmtpSink(folder, *options) as sink:
        yield sink
