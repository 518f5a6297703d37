"""Run a real Dovecot for tests: an IMAP server on a loopback port whose user ``bounces`` has the Maildir it is given.

Debian's own (package ``dovecot-imapd``), as its own user, with its configuration and state in a folder of its own;
``missing_reason`` says what is not there. Its certificate is made for 127.0.0.1 by the tests' authority.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from certificates import Certificate, make_certificate
from postfix_server import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "bounces", "correct-horse"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
instance_name = newsletter-tests
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
ssl = {ssl}
ssl_cert = <{folder}/chain.pem
ssl_key = <{folder}/chain.pem
auth_failure_delay = 0
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail
mail_uid = {uid}
mail_gid = {gid}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  mailbox Done {{
    auto = create
  }}
}}
"""


def missing_reason() -> str:
    """Return why no Dovecot can be run here, ``""`` where one can."""
    if not _program():
        return "no Dovecot: 'apt-get install dovecot-imapd' installs it, and .ci/run does"
    return "" if os.geteuid() == 0 else "Dovecot takes root to start"


def _program() -> str:
    return shutil.which("dovecot", path=_PATH) or ""


class DovecotServer:
    """Run while the ``with`` block lasts; mails are put into ``maildir``."""

    host = HOST

    def __init__(self) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="newsletter-dovecot-"))
        self.maildir = self.folder / "mail"
        self.certificate: Certificate

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        self.certificate = make_certificate(self.folder, host=HOST)
        shutil.copy(self.certificate.chain_file, self.folder / "chain.pem")
        for name in ("", "/new", "/cur", "/tmp"):
            Path(f"{self.maildir}{name}").mkdir()
        user = pwd.getpwnam("nobody")
        values = {"folder": self.folder, "port": self.port, "tls_port": self.tls_port, "password": PASSWORD}
        who = {"user": "nobody", "group": "nogroup", "uid": user.pw_uid, "gid": user.pw_gid}
        config = self.folder / "dovecot.conf"
        config.write_text(_CONFIG.format(ssl="yes", **values, **who), encoding="utf-8")
        self._own()
        command = ["setpriv", "--pdeathsig", "TERM", _program(), "-F", "-c", str(config)]
        with (self.folder / "output").open("wb") as output:
            self._child = subprocess.Popen(command, stdout=output, stderr=output)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def deliver(self, *contents: bytes) -> None:
        """Put mails into the mailbox, as a mail server would."""
        for number, content in enumerate(contents):
            (self.maildir / "new" / f"{time.time_ns() // 1000}.{number}.test").write_bytes(content)
        self._own()

    def flags(self, folder: str = "") -> list[str]:
        """Return the flags of the mails in a folder, sorted."""
        names = [path.name for path in Path(self.maildir, folder, "cur").glob("*")]
        return sorted(name.rpartition(":2,")[2] for name in names)

    def _own(self) -> None:
        for path in (self.maildir, *self.maildir.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 5) as sock:
                if sock.recv(100).startswith(b"* OK"):
                    return
            if self._child.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "log"
                said = (self.folder / "output").read_text() + (log.read_text() if log.exists() else "")
                raise RuntimeError(f"Dovecot did not start:\n{said}")
            time.sleep(0.05)
