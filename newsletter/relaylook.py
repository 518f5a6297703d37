"""Look at the relay from outside: its greeting, the TLS it speaks, its certificate. Nothing is mailed, no one logs in.

A certificate that is not accepted is fetched once more without being verified, so that it can be described; over that
connection nothing else is said. Whether our login works is found out by the code that sends (``smtp``).
"""

import datetime as dt
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from newsletter.config import SmtpSection
from newsletter.model import Stage
from newsletter.wire import Wire, clean_text

_USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_WAIT_MAX_S = 15.0
_DATE = re.compile(r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")


@dataclass(frozen=True, slots=True)
class RelayLook:
    """Hold what was seen; ``trouble`` says where it ended early, ``""`` for nowhere.

    ``protocol`` is ``""`` where no TLS was spoken; ``names`` are those of the certificate, ``expires_at`` its end.
    ``distrust`` says why the certificate is not accepted. ``greeted_at`` is the relay's clock where its greeting has
    one, ``seen_at`` ours at that moment.
    """

    host: str
    port: int
    trouble: str = ""
    banner: str = ""
    greeted_at: dt.datetime | None = None
    seen_at: dt.datetime | None = None
    offers_starttls: bool = False
    protocol: str = ""
    distrust: str = ""
    names: tuple[str, ...] = ()
    expires_at: dt.datetime | None = None

    @property
    def is_reached(self) -> bool:
        """Tell whether something greets us there."""
        return bool(self.banner)


def look_at_relay(section: SmtpSection, folder: Path, clock: Callable[[], dt.datetime]) -> RelayLook:
    """Connect to the relay of ``[smtp]``, and return what is seen; ``ca_file`` starts at ``folder``.

    Every wait is bounded by the section's timeout, and by 15 s. Nothing is raised for anything that the relay does.
    """
    visit = _Visit(section, folder, clock)
    visit.pay()
    return visit.look


class _Visit:
    """Take the steps of a connection, and note in ``look`` what each one shows."""

    def __init__(self, section: SmtpSection, folder: Path, clock: Callable[[], dt.datetime]) -> None:
        self._section = section
        self._folder = folder
        self._clock = clock
        self._wait_s = min(float(section.timeout), _WAIT_MAX_S)
        self.look = RelayLook(section.host, section.port or _USUAL_PORTS[section.security])

    def pay(self) -> None:
        try:
            self._walk(self._trusting_context())
        except ssl.SSLCertVerificationError as error:
            self._note(distrust=clean_text(error.verify_message))
            with suppress(OSError, ValueError, smtplib.SMTPException):
                self._walk(_indifferent_context())
        except (OSError, ValueError, smtplib.SMTPException) as error:
            self._note(trouble=_in_words(error))

    def _note(self, **seen: object) -> None:
        self.look = replace(self.look, **seen)  # type: ignore[arg-type]

    def _walk(self, context: ssl.SSLContext) -> None:
        sock = socket.create_connection((self.look.host, self.look.port), self._wait_s)
        wire = Wire(sock, self._wait_s)
        try:
            if self._section.security == "tls":
                self._secure(wire, context)
            if not self.look.distrust:  # else the certificate was all that was wanted
                self._greet(wire, context)
            elif self._section.security == "starttls":
                self._start_tls(self._say_hello(wire), wire, context)
        finally:
            wire.close()

    def _greet(self, wire: Wire, context: ssl.SSLContext) -> None:
        client = self._say_hello(wire)
        self._note(offers_starttls=client.has_extn("starttls"))
        if self._section.security == "starttls" and self.look.offers_starttls:
            self._start_tls(client, wire, context)
        with suppress(OSError, smtplib.SMTPException):
            client.docmd("QUIT")

    def _say_hello(self, wire: Wire) -> Any:
        client: Any = smtplib.SMTP(local_hostname=self._section.helo or None)
        client.sock = client.file = wire
        reply = wire.read_reply(Stage.CONNECT, self._wait_s)
        now = self._clock()
        if reply.code != 220:
            raise ConnectionError(f"it answers a connection with '{reply}'")
        self._note(banner=reply.text, greeted_at=_instant_in(reply.text), seen_at=now)
        client.ehlo_or_helo_if_needed()
        return client

    def _start_tls(self, client: Any, wire: Wire, context: ssl.SSLContext) -> None:
        code, text = client.docmd("STARTTLS")
        if code != 220:
            raise ConnectionError(f"it refuses STARTTLS: '{code} {clean_text(text)}'")
        self._secure(wire, context)

    def _secure(self, wire: Wire, context: ssl.SSLContext) -> None:
        secured = wire.secure(context, self._section.host)
        names, expires_at = _read_certificate(secured.getpeercert(binary_form=True) or b"")
        self._note(protocol=secured.version() or "", names=names, expires_at=expires_at)

    def _trusting_context(self) -> ssl.SSLContext:
        """Return what ``smtp`` secures connections with."""
        ca_file = str(self._folder / self._section.ca_file) if self._section.ca_file else None
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ValueError(f"[smtp] ca_file: {ca_file}: {error.strerror or error}") from None


def _indifferent_context() -> ssl.SSLContext:
    """Return what takes any certificate: to read it, not to say anything over."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _read_certificate(der: bytes) -> tuple[tuple[str, ...], dt.datetime]:
    """Return the names that a certificate is for, and when it ends; raise ValueError for none."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        names = []
    return tuple(clean_text(name) for name in names), certificate.not_valid_after_utc


def _instant_in(banner: str) -> dt.datetime | None:
    """Return the instant that a greeting shows, as Exim's and Sendmail's do (RFC 5322 section 3.3)."""
    match = _DATE.search(banner)
    try:
        return parsedate_to_datetime(match[0]).astimezone(dt.UTC) if match else None
    except (ValueError, OverflowError):
        return None


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reason = error.strerror if isinstance(error, OSError) else ""
    return clean_text(str(reason or error or type(error).__name__))
