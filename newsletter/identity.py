"""Say in whose name messages go out, as the configuration has it, checked and complete.

Not here: what the message's fields look like (``message``, ``headers``).
"""

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from typing import Literal

from newsletter.addresses import Mailbox, domain_of, needs_smtputf8, parse_address, parse_mailbox
from newsletter.config import VERP_LOCAL_MAX, NewsletterSection
from newsletter.errors import ConfigError, InputError
from newsletter.headers import clean_line, refuse_injection

_DEFAULT_BOUNCE_LOCAL = "bounces"
_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")
_NO_LABEL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderIdentity:
    """Hold in whose name messages go out; ``identity_of`` makes it from the configuration.

    ``bounce_address`` takes bounces and unsubscribe mails, each at its own tagged address; ``list_id`` is the List-Id
    without angle brackets (RFC 2919); ``url`` has no final slash and is ``""`` without a site.
    """

    sender: Mailbox
    title: str
    list_id: str
    bounce_address: str
    reply_to: Mailbox | None = None
    url: str = ""
    unsubscribe: Literal["mailto", "web"] = "mailto"

    @property
    def domain(self) -> str:
        """Return the domain of From, at which Message-IDs are made too."""
        return domain_of(self.sender.address)


def identity_of(section: NewsletterSection) -> SenderIdentity:
    """Return the identity that ``[newsletter]`` describes.

    Without ``bounce_address`` it is ``bounces@`` the domain of ``from``; without ``list_id`` it is made of the address
    of ``from``: ``editor@example.org`` has ``editor.example.org``. Raises ConfigError that names the key.
    """
    sender = _mailbox(section.from_, "from")
    local, _, domain = sender.address.rpartition("@")
    title = clean_line(section.title)
    _refuse(section.title, "title")
    return SenderIdentity(
        sender=sender if sender.name else Mailbox(title, sender.address),
        title=title,
        list_id=section.list_id or f"{_NO_LABEL.sub('-', local.lower()).strip('-') or 'newsletter'}.{domain}",
        bounce_address=_bounce_address(section.bounce_address or f"{_DEFAULT_BOUNCE_LOCAL}@{domain}"),
        reply_to=_mailbox(section.reply_to, "reply_to") if section.reply_to else None,
        url=_site(section.url, web=section.unsubscribe == "web"),
        unsubscribe=section.unsubscribe,
    )


def _mailbox(text: str, key: str) -> Mailbox:
    try:
        mailbox = parse_mailbox(text)
    except InputError as error:
        raise ConfigError(f"[newsletter] {key}: {error}") from None
    _refuse(mailbox.name, key)
    if needs_smtputf8(mailbox.address):
        raise ConfigError(
            f"[newsletter] {key}: {mailbox.address!r}: write ASCII before the @, so that every relay takes it"
        )
    return mailbox


def _refuse(text: str, key: str) -> None:
    try:
        refuse_injection(text, f"[newsletter] {key}")
    except InputError as error:
        raise ConfigError(str(error)) from None


def _bounce_address(text: str) -> str:
    try:
        address = parse_address(text)
    except InputError as error:
        raise ConfigError(f"[newsletter] bounce_address: {error}") from None
    local = address.rpartition("@")[0]
    if needs_smtputf8(address) or len(local) > VERP_LOCAL_MAX:
        raise ConfigError(
            f"[newsletter] bounce_address: {local!r} must be ASCII of at most {VERP_LOCAL_MAX} characters, because "
            "'+' and a token of 48 follow it (RFC 5321 section 4.5.3.1.1)"
        )
    return address


def _site(url: str, *, web: bool) -> str:
    """Return the site's URL in ASCII and without a final slash; in the mode ``web`` it must be https (RFC 8058)."""
    if not url:
        return ""
    try:
        parts = urllib.parse.urlsplit(url)
        host = _ascii_host(parts.hostname or "")
        port = f":{parts.port}" if parts.port else ""
    except (ValueError, InputError):
        raise ConfigError(
            f"[newsletter] url: {url!r} has no host that exists; write 'https://news.example.org'"
        ) from None
    if web and parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ConfigError(f"[newsletter] url: {url!r}: 'web' unsubscribing needs https (RFC 8058); write 'https://…'")
    path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%~:@!$&'()*+;=-._")
    return f"{parts.scheme}://{host}{port}{path}"


def _ascii_host(host: str) -> str:
    """Return a host as URLs have it, by the IDNA 2008 rules that hold for addresses; raise InputError for none."""
    if not host.isascii():
        host = domain_of(parse_address(f"host@{host}"))
    if not _HOST.fullmatch(host):
        raise InputError(f"{host!r} is no host")
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    """Tell whether the host is this machine, where trying things out without https is fine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
