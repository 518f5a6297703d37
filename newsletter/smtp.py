"""Carry one message after the other to the relay, and hand back what it answered to each as a value (RFC 5321).

smtplib greets the relay and logs in, over a socket whose lines are bounded and whose waits have a deadline; the
transaction itself is ours, because a durable mark must sit between the last line of the message and the final dot.
What may come of a message:

==================  ===========================================================  ==========================
value               what is known                                                may it be sent again?
==================  ===========================================================  ==========================
``Reply``           the relay answered; ``stage`` names what it answered         as the code says
``Lost``, unsent    the connection ended before the dot was written              yes, nothing was mailed
``Lost``, in doubt  it ended, or time ran out, after ``before_dot`` said yes     unknown to anyone
``Withheld``        ``before_dot`` said no: the dot was never written            nothing was mailed
==================  ===========================================================  ==========================

Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA travel in one write, and those of the next message
right behind the dot of this one, so that a message costs one round trip; the replies are matched one by one, in order.

Only a relay that cannot be reached, does not offer the TLS that was asked for or refuses the login raises. This module
decides nothing about recipients, keeps no ledger and never tries again by itself.
"""

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from newsletter.config import SmtpSection, read_password
from newsletter.errors import ConfigError, InputError, RelayUnavailableError
from newsletter.model import Message, Reply, Stage
from newsletter.wire import GarbageError, Wire, clean_text

DOT_TIMEOUT = 600.0
"""Seconds to wait for the reply to the final dot: ten minutes at the least (RFC 5321 section 4.5.3.2.6)."""
_USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_QUIT_TIMEOUT = 5.0

_ENVELOPE = (Stage.MAIL, Stage.RCPT, Stage.DATA)
_ADDRESS_STOPS = re.compile(r"[\x00-\x20\x7f<>\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Lost:
    """Say that no answer came to ``stage``; ``in_doubt`` where the relay may have taken the message all the same."""

    stage: Stage
    in_doubt: bool
    reason: str

    def __str__(self) -> str:
        known = "whether it was mailed is not known" if self.in_doubt else "nothing was mailed"
        return f"no answer to {self.stage.upper()}: {self.reason}; {known}"


@dataclass(frozen=True, slots=True)
class Withheld:
    """Say that ``before_dot`` answered no: the relay never saw the final dot, and the connection is closed."""


Answer = Reply | Lost | Withheld


# ---------------------------------------------------------------------------------------------------------------------
# The connection: one transaction after another
# ---------------------------------------------------------------------------------------------------------------------


class Connection:
    """Hold one open connection to the relay; leaving its ``with`` block says QUIT and closes it.

    ``peer`` names the relay as it was asked for, ``host:port``.
    """

    def __init__(self, wire: Wire, features: frozenset[str], dot_timeout: float, peer: str = "") -> None:
        self.peer = peer
        self._wire = wire
        self._features = features
        self._pipelines = "pipelining" in features
        self._timeout = wire.timeout
        self._dot_timeout = max(wire.timeout, dot_timeout)
        self._stage = Stage.EHLO
        self._begun: Message | None = None
        self.is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def transact(
        self, message: Message, before_dot: Callable[[], bool], following: Callable[[], Message | None] | None = None
    ) -> Answer:
        """Carry ``message`` to the relay; call ``before_dot`` once the message has left and only its dot is missing.

        ``before_dot`` must have made durable that the dot may go when it returns True; returns it False, the dot is
        never written and the connection is closed. What ``before_dot`` raises passes through, also without a dot.
        ``following``, asked after that and not to raise, may name the message whose envelope travels right behind the
        dot, where the relay takes it so: ``has_begun`` tells whether it did. That message, and no other, must then be
        the next. ``is_open`` tells afterwards whether the connection takes another message. Raises InputError, before
        anything is written, for a message or an address that cannot travel as it stands.
        """
        if self._begun is not message:
            if self._begun is not None:
                raise ValueError("the envelope of another message is on the wire already")
            _check(message)
            if refusal := self._unsupported(message):
                return refusal
        self._stage = Stage.MAIL
        try:
            answer = self._open_envelope(message) or self._write_content(message.content)
        except OSError as error:
            return self._lost(error, in_doubt=False)
        if answer:
            return answer
        try:
            may_go = before_dot()
        except BaseException:
            self._abandon()
            raise
        if not may_go:
            self._abandon()
            return Withheld()
        try:
            return self._finish(following() if following else None)
        except OSError as error:
            return self._lost(error, in_doubt=True)

    def has_begun(self, message: Message) -> bool:
        """Tell whether the envelope of ``message`` is on the wire."""
        return self._begun is message

    def close(self) -> None:
        """Say QUIT and close; a relay that does not answer that any more is no error."""
        if not self.is_open:
            return
        if self._begun is None:  # else the relay may be waiting for a text, and would take QUIT for one
            with suppress(OSError):
                self._wire.write(b"QUIT\r\n", _QUIT_TIMEOUT)
                self._wire.read_reply(self._stage, _QUIT_TIMEOUT)
        self._abandon()

    def _unsupported(self, message: Message) -> Reply | None:
        """Return the refusal that we must give in the relay's place, where it could not carry the address."""
        for stage, address in ((Stage.MAIL, message.envelope.mail_from), (Stage.RCPT, message.envelope.rcpt_to)):
            if not address.isascii() and "smtputf8" not in self._features:
                text = "the relay does not offer SMTPUTF8, which an address beyond ASCII needs (RFC 6531)"
                return Reply(553, "5.6.7", text, stage)
        return None

    def _open_envelope(self, message: Message) -> Reply | None:
        """Say MAIL, RCPT and DATA unless they were said, in one write where the relay allows it; return the refusal."""
        begun, self._begun = self._begun, None
        refusal = None
        try:
            for stages, octets in self._steps(message, begun is message):
                if octets:
                    self._wire.write(octets, self._timeout)
                for stage in stages:
                    reply = self._read(stage)
                    refusal = refusal or (reply if reply.code >= 400 else None)
                if refusal:
                    self._clean_up(refusal, reply)
                    break
        except OSError:
            # An answer in hand outlives the connection.
            self._abandon()
            if refusal is None:
                raise
        return refusal

    def _steps(self, message: Message, is_said: bool) -> list[tuple[tuple[Stage, ...], bytes]]:
        """Return what to write and then to read, step by step; nothing to write where the envelope ``is_said``."""
        if is_said:
            return [(_ENVELOPE, b"")]
        commands = self._commands(message)
        if self._pipelines:
            return [(_ENVELOPE, b"".join(commands))]
        return [((stage,), command) for stage, command in zip(_ENVELOPE, commands, strict=True)]

    def _commands(self, message: Message) -> tuple[bytes, bytes, bytes]:
        """Return the lines for the three stages of ``_ENVELOPE``."""
        mail_from, rcpt_to = message.envelope.mail_from, message.envelope.rcpt_to
        options = f" SIZE={len(message.content)}" if "size" in self._features else ""
        if not (mail_from.isascii() and rcpt_to.isascii()):
            options += " SMTPUTF8"
        return f"MAIL FROM:<{mail_from}>{options}\r\n".encode(), f"RCPT TO:<{rcpt_to}>\r\n".encode(), b"DATA\r\n"

    def _clean_up(self, refusal: Reply, last: Reply) -> None:
        """Bring the relay back to where a message may start; ``last`` is the latest reply it gave."""
        if last.code == 354 and refusal.stage is not Stage.RCPT:
            # It refused the sender and yet waits for a message to someone: a lone dot would mail an empty one.
            self._abandon()
        elif last.code == 354:
            # RSET would be read as text. Whatever the relay says to this dot, it accepts nothing for anyone.
            self._wire.write(b".\r\n", self._timeout)
            self._read(Stage.DOT)
        elif self.is_open:
            self._wire.write(b"RSET\r\n", self._timeout)
            if self._read(Stage.RSET).code >= 400:
                self._abandon()

    def _write_content(self, content: bytes) -> Reply | None:
        """Write all but the final dot; return what the relay says before it was asked, which refuses the message."""
        self._wire.write(content, self._timeout)
        if not self._wire.has_answer():
            return None
        reply = self._read(Stage.DATA)
        self._abandon()
        if reply.code < 400:
            raise GarbageError(f"'{reply}' before the final dot")
        return reply

    def _finish(self, following: Message | None) -> Reply:
        """Write the final dot, and the envelope of ``following`` behind it where that may be; wait for its reply."""
        self._stage = Stage.DOT
        octets = b".\r\n"
        if following is not None and self._may_begin(following):
            self._begun = following
            octets += b"".join(self._commands(following))
        self._wire.write(octets, self._dot_timeout)
        return self._read(Stage.DOT)

    def _may_begin(self, message: Message) -> bool:
        """Tell whether the envelope of ``message`` may travel with the dot of another; why not is told in its turn."""
        if not self._pipelines or self._unsupported(message):
            return False
        try:
            _check(message)
        except InputError:
            return False
        return True

    def _read(self, stage: Stage) -> Reply:
        """Read the reply to ``stage``; raise OSError where the relay is gone or answers what cannot be answered."""
        self._stage = stage
        reply = self._wire.read_reply(stage, self._dot_timeout if stage is Stage.DOT else self._timeout)
        if reply.code == 421:
            self._abandon()
        if reply.code < 400 and (reply.code == 354) != (stage is Stage.DATA):
            raise GarbageError(f"'{reply}' answers no {stage.upper()}")
        return reply

    def _lost(self, error: OSError, *, in_doubt: bool) -> Lost:
        self._abandon()
        return Lost(self._stage, in_doubt, _in_words(error))

    def _abandon(self) -> None:
        """Close without a word: the relay must take what it has for unfinished."""
        self.is_open = False
        self._begun = None
        self._wire.close()


def _check(message: Message) -> None:
    """Refuse what would break out of its place: cheap enough to run on every message."""
    for address in (message.envelope.mail_from, message.envelope.rcpt_to):
        if _ADDRESS_STOPS.search(address) or len(address) > 254:
            raise InputError(f"{address!r} cannot stand in an SMTP envelope; correct the address")
    content = message.content
    has_dots = not message.is_dotless and (b"\n." in content or content.startswith(b"."))
    if has_dots or not content.endswith(b"\r\n"):
        raise InputError(
            f"message {message.message_id}: it must end with CRLF, and no line may start with a dot;"
            " encode a leading dot as =2E"
        )


def _in_words(error: OSError) -> str:
    """Say in words what happened to the connection, without the numbers of this system."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return clean_text(str(error.strerror or error or type(error).__name__))


# ---------------------------------------------------------------------------------------------------------------------
# Opening: connect, secure, log in
# ---------------------------------------------------------------------------------------------------------------------


def open_transport(section: SmtpSection, *, folder: Path = Path(), dot_timeout: float = DOT_TIMEOUT) -> Connection:
    """Connect to the relay of ``[smtp]``, secure the connection as configured, and log in.

    ``password_file`` and ``ca_file`` start at ``folder``. Certificates and host names are verified. Each wait lasts
    ``section.timeout`` seconds, save the one for the reply to the final dot, which lasts ``dot_timeout`` at the least.
    Raises RelayUnavailableError when the relay cannot be used now, ConfigError when it never can be as configured.
    """
    return _Opening(section, folder).open(dot_timeout)


class _Opening:
    """Take the steps from nothing to a connection that may carry mail; each failure says what to set."""

    def __init__(self, section: SmtpSection, folder: Path) -> None:
        self.section = section
        self.folder = folder
        self.port = section.port or _USUAL_PORTS[section.security]

    def open(self, dot_timeout: float) -> Connection:
        self.check_secrecy()
        password = self.password()
        wire = Wire(self.connect(), self.section.timeout)
        try:
            if self.section.security == "tls":
                self.secure(wire)
            features = self.greet(wire, password)
        except BaseException:
            wire.close()
            raise
        return Connection(wire, features, dot_timeout, f"{self.section.host}:{self.port}")

    def unavailable(self, what: str) -> RelayUnavailableError:
        return RelayUnavailableError(f"{self.section.host}:{self.port}: {what}")

    def check_secrecy(self) -> None:
        host, username = self.section.host, self.section.username
        if username and self.section.security == "none" and not _is_loopback(host):
            raise ConfigError(
                f'[smtp] security = "none" would send the password of {username!r} to {host} for all to read;'
                ' set security to "starttls" (port 587) or "tls" (port 465)'
            )

    def password(self) -> str:
        section = self.section
        return read_password(self.folder, section.password, section.password_file, "[smtp] password_file")

    def connect(self) -> socket.socket:
        try:
            sock = socket.create_connection((self.section.host, self.port), self.section.timeout)
        except (OSError, UnicodeError) as error:
            reason = _in_words(error) if isinstance(error, OSError) else "this is no name of a host"
            raise self.unavailable(
                f"cannot connect: {reason}; check [smtp] host and port, and that the relay runs"
            ) from None
        # The dot follows the message in a write of its own, and must not wait for a delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def secure(self, wire: Wire) -> None:
        """Shake hands for TLS 1.2 or later, and verify that the relay is who it says."""
        import ssl

        ca_file = str(self.folder / self.section.ca_file) if self.section.ca_file else None
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ConfigError(f"[smtp] ca_file: {ca_file}: {error}; name a file of PEM certificates") from None
        try:
            wire.secure(context, self.section.host)
        except ssl.SSLCertVerificationError as error:
            raise self.unavailable(
                f"its certificate is not accepted: {error.verify_message}; name the relay in [smtp] host as its"
                " certificate does, or the file of its authority in ca_file. Nothing was sent"
            ) from None
        except (OSError, ValueError) as error:
            reason = clean_text(str(error))
            raise self.unavailable(f"no TLS: {reason}; check [smtp] port and security. Nothing was sent") from None

    def greet(self, wire: Wire, password: str) -> frozenset[str]:
        """Read the banner, say EHLO, turn TLS on where it is asked for, log in; return what the relay offers."""
        import smtplib

        client: Any = smtplib.SMTP(local_hostname=self.section.helo or None)
        client.sock = client.file = wire
        try:
            banner = wire.read_reply(Stage.CONNECT, wire.timeout)
            if banner.code != 220:
                raise self.unavailable(f"it answers a connection with '{banner}'; try again later")
            client.ehlo_or_helo_if_needed()
            if self.section.security == "starttls":
                self.start_tls(client, wire)
            if self.section.username:
                client.login(self.section.username, password)
        except UnicodeEncodeError:
            raise ConfigError("[smtp] username, password, helo: only ASCII characters can be sent") from None
        except smtplib.SMTPResponseException as error:
            what = "login" if isinstance(error, smtplib.SMTPAuthenticationError) else "greeting"
            reply = f"{error.smtp_code} {clean_text(error.smtp_error)}"
            raise self.unavailable(f"it refuses our {what}: '{reply}'; check username, password, helo") from None
        except (OSError, ValueError) as error:
            # smtplib's other exceptions are OSErrors; a challenge that is no base64 raises a ValueError.
            raise self.unavailable(f"no greeting, or no login: {clean_text(str(error))}; check [smtp]") from None
        return frozenset(client.esmtp_features)

    def start_tls(self, client: Any, wire: Wire) -> None:
        """Turn TLS on (RFC 3207); what was said before does not count, and to go on without it is no choice."""
        if not client.has_extn("starttls"):
            raise self.unavailable(
                'it does not offer STARTTLS; set [smtp] security = "tls" where it speaks TLS from the first octet'
                ' (port 465), or "none" for a relay on this machine. Nothing was sent'
            )
        code, text = client.docmd("STARTTLS")
        if code != 220:
            raise self.unavailable(f"it refuses STARTTLS: '{code} {clean_text(text)}'. Nothing was sent")
        if wire.has_answer():
            # Someone on the way put it there, to be taken later for what the relay says over TLS (CVE-2011-0411).
            raise self.unavailable("plain text follows its answer to STARTTLS. Nothing was sent")
        self.secure(wire)
        client.ehlo_resp = client.helo_resp = None
        client.esmtp_features = {}
        client.ehlo_or_helo_if_needed()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
