"""Fetch mails from where they lie: a Maildir, an mbox, a folder of an IMAP server, one on standard input.

Each source yields ``Waiting`` mails; ``done`` marks one as read once all that it asked for is in the store, so that a
run that dies in between takes it up again. Marks: a Maildir's file moves to ``cur`` as seen, IMAP's mail is flagged as
seen and may move to another folder, an mbox is left as it is (the store knows what was read). Nothing is ever deleted.
Not here: what a mail means, and what follows from it.
"""

import contextlib
import imaplib
import mailbox
import os
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from newsletter.config import BouncesSection, read_password
from newsletter.errors import ConfigError, InputError, MailboxUnavailableError
from newsletter.mailparts import READ_MAX

_IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Hold a mail that waits, as far as it is read; ``name`` is for messages, ``done`` marks it as read."""

    name: str
    content: bytes
    done: Callable[[], None] = lambda: None


def names_place(section: BouncesSection) -> bool:
    """Tell whether ``[bounces]`` names a place where mail lies."""
    return bool(section.maildir or section.mbox or section.imap_host)


def read_configured(section: BouncesSection, root: Path, *, timeout_s: float = 60.0) -> Iterator[Waiting]:
    """Return the mails of the place that ``[bounces]`` names; relative paths start at ``root``.

    Raises ConfigError where it names none, and what the place's own function does.
    """
    if section.maildir:
        return read_maildir(root / section.maildir)
    if section.mbox:
        return read_mbox(root / section.mbox)
    if section.imap_host:
        password = read_password(
            root, section.imap_password, section.imap_password_file, "[bounces] imap_password_file"
        )
        return read_imap(section, password, root, timeout_s=timeout_s)
    raise ConfigError(f"{root}/newsletter.toml: [bounces] names no place; write maildir, mbox or imap_host")


def read_stream(stream: BinaryIO) -> Iterator[Waiting]:
    """Yield the one mail on ``stream``, as a mail server pipes it; what is longer is read to its end and dropped."""
    content = stream.read(READ_MAX)
    while stream.read(1 << 16):
        pass
    yield Waiting("standard input", content)


# ---------------------------------------------------------------------------------------------------------------------
# Maildir
# ---------------------------------------------------------------------------------------------------------------------


def read_maildir(folder: Path) -> Iterator[Waiting]:
    """Yield the mails in ``new``, then those in ``cur`` without the flag S, oldest first.

    Raises ConfigError for what is no Maildir, and one that may not be read.
    """
    if not all((folder / name).is_dir() for name in ("new", "cur")):
        raise ConfigError(f"{folder} is no Maildir: it has no folders 'new' and 'cur'; name one, or make it")
    try:
        names = [("new", name) for name in _by_time(folder / "new")]
        names += [("cur", name) for name in _by_time(folder / "cur") if "S" not in _flags(name)]
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read ({error.strerror}); let this user read and write it") from None
    for place, name in names:
        path = folder / place / name
        try:
            with path.open("rb") as stream:
                content = stream.read(READ_MAX)
        except FileNotFoundError:  # another reader was faster
            continue
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}); let this user read and write it") from None
        yield Waiting(str(path), content, lambda path=path, name=name: _mark_seen(folder, path, name))  # type: ignore[misc]


def _by_time(folder: Path) -> list[str]:
    """Return the names of a folder's files in the order of delivery, which they begin with."""
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    return sorted(names, key=lambda name: (int((re.match(r"\d+", name[:18]) or ["0"])[0]), name))


def _flags(name: str) -> str:
    return name.rpartition(":2,")[2] if ":2," in name else ""


def _mark_seen(folder: Path, path: Path, name: str) -> None:
    flags = "".join(sorted({*_flags(name), "S"}))
    with contextlib.suppress(FileNotFoundError):  # another reader moved it
        path.rename(folder / "cur" / f"{name.partition(':2,')[0]}:2,{flags}")


# ---------------------------------------------------------------------------------------------------------------------
# mbox
# ---------------------------------------------------------------------------------------------------------------------


def read_mbox(file: Path) -> Iterator[Waiting]:
    """Yield the mails of an mbox, in order, while it is locked against mail servers; the file is not changed.

    Raises ConfigError where it cannot be read, MailboxUnavailableError where somebody else has it locked.
    """
    if not file.is_file():
        raise ConfigError(f"{file} is no mbox: there is no such file; name one, or a Maildir")
    try:
        box = mailbox.mbox(file, create=False)
        with contextlib.closing(box), _locked(box, file):
            for number, key in enumerate(box.keys(), 1):
                with box.get_file(key) as stream:
                    yield Waiting(f"{file}, mail {number}", stream.read(READ_MAX))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}); let this user read it") from None


@contextlib.contextmanager
def _locked(box: mailbox.mbox, file: Path) -> Iterator[None]:
    try:
        box.lock()
    except mailbox.ExternalClashError:
        raise MailboxUnavailableError(f"{file} is locked by another program; try again later") from None
    except OSError:  # a file that may only be read cannot be locked; a mail that is being written is read next time
        yield
        return
    try:
        yield
    finally:
        box.unlock()


# ---------------------------------------------------------------------------------------------------------------------
# IMAP
# ---------------------------------------------------------------------------------------------------------------------


def read_imap(section: BouncesSection, password: str, folder: Path, *, timeout_s: float = 60.0) -> Iterator[Waiting]:
    """Yield the mails of ``[bounces] imap_folder`` that were not seen yet, oldest first.

    A relative ``imap_ca_file`` starts at ``folder``.

    Raises ConfigError for a login, folder or certificate that is refused, MailboxUnavailableError where the server
    cannot be reached or breaks off.
    """
    where = f"{section.imap_host}, folder {section.imap_folder!r}"
    if not section.imap_username:
        raise ConfigError("[bounces] imap_username: is missing; write the name that the IMAP server knows")
    try:
        connection = _connect(section, folder, timeout_s)
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(f"{section.imap_host}: its certificate cannot be trusted: {error.verify_message}") from None
    except (OSError, imaplib.IMAP4.error) as error:
        raise MailboxUnavailableError(f"{section.imap_host} cannot be reached: {error}; try again later") from None
    try:
        with contextlib.closing(_Session(connection, where)) as session:
            session.login(section, password)
            session.select(section.imap_folder)
            for uid in session.unseen():
                content = session.fetch(uid)
                if content is not None:
                    yield Waiting(f"{where}, mail {uid}", content, lambda uid=uid: session.mark(uid, section))  # type: ignore[misc]
    except (OSError, imaplib.IMAP4.abort) as error:
        raise MailboxUnavailableError(f"{where}: the connection broke: {error}; try again later") from None
    except imaplib.IMAP4.error as error:
        raise MailboxUnavailableError(f"{where}: the server answered what it must not: {error}") from None


def _connect(section: BouncesSection, folder: Path, timeout_s: float) -> imaplib.IMAP4:
    port = section.imap_port or _IMAP_PORTS[section.imap_security]
    context = ssl.create_default_context()
    if section.imap_ca_file:
        try:
            context.load_verify_locations(folder / section.imap_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"[bounces] imap_ca_file: {section.imap_ca_file!r} cannot be used: {error}") from None
    if section.imap_security == "tls":
        return imaplib.IMAP4_SSL(section.imap_host, port, ssl_context=context, timeout=timeout_s)
    connection = imaplib.IMAP4(section.imap_host, port, timeout=timeout_s)
    if section.imap_security == "starttls":
        try:
            connection.starttls(context)
        except BaseException:
            connection.shutdown()
            raise
    return connection


class _Session:
    """Speak with an IMAP server; numbers of mails are UIDs, which stay (RFC 9051 section 2.3.1.1)."""

    def __init__(self, connection: imaplib.IMAP4, where: str) -> None:
        self._connection = connection
        self._where = where

    def close(self) -> None:
        """Log out; a server that is gone already is no trouble."""
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self._connection.logout()

    def login(self, section: BouncesSection, password: str) -> None:
        """Log in; raise ConfigError where the server does not let us in."""
        try:
            self._connection.login(section.imap_username, password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            who = f"{section.imap_username!r} at {section.imap_host}"
            raise ConfigError(
                f"[bounces] imap_username: {who} was not let in; check the name and the password"
            ) from None

    def select(self, folder: str) -> None:
        """Open a folder; raise ConfigError where there is none."""
        status, told = self._connection.select(_quoted(folder))
        if status != "OK":
            raise ConfigError(f"[bounces] imap_folder: {self._where}: cannot be opened: {_text(told)}")

    def unseen(self) -> list[str]:
        """Return the numbers of the mails that were not seen, oldest first."""
        _, told = self._uid("SEARCH", "UNSEEN")
        return _text(told).split()

    def fetch(self, uid: str) -> bytes | None:
        """Return a mail as far as it is read, without marking it; None where it is gone."""
        _, told = self._uid("FETCH", uid, f"(BODY.PEEK[]<0.{READ_MAX}>)")
        return next((item[1] for item in told if isinstance(item, tuple) and isinstance(item[1], bytes)), None)

    def mark(self, uid: str, section: BouncesSection) -> None:
        """Mark a mail as seen, and move it where the configuration says so."""
        self._uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)")
        if section.imap_done_folder:
            self._move(uid, section.imap_done_folder)

    def _move(self, uid: str, folder: str) -> None:
        """Move a mail (RFC 6851); it stays where the server cannot, since a copy would have to be deleted here."""
        _, told = self._connection.capability()  # it knows more of them once we are in
        if "MOVE" in _text(told).upper().split():
            self._uid("MOVE", uid, _quoted(folder))

    def _uid(self, command: str, *arguments: str) -> tuple[str, list[object]]:
        status, told = self._connection.uid(command, *arguments)
        if status != "OK":
            raise MailboxUnavailableError(f"{self._where}: {command} was refused: {_text(told)}")
        return status, list(told)


def _quoted(folder: str) -> str:
    """Return a folder's name as IMAP writes it: beyond ASCII in modified UTF-7 (RFC 3501 section 5.1.3), in quotes."""
    if re.search(r"[\r\n\0]", folder):
        raise InputError(f"{folder!r} can name no folder")
    coded = re.sub(r"[^\x20-\x7e]+", _utf7, folder.replace("&", "&-"))
    return '"' + coded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _utf7(match: re.Match[str]) -> str:
    return "&" + match[0].encode("utf-7").decode("ascii")[1:].rstrip("-").replace("/", ",") + "-"


def _text(told: object) -> str:
    items = told if isinstance(told, list) else [told]
    return " ".join(item.decode("utf-8", "replace") for item in items if isinstance(item, bytes))
