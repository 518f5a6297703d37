"""Find out whether mail can leave: the relay is there, speaks TLS as configured, and lets us in. Nothing is mailed."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from newsletter.config import SmtpSection
from newsletter.diagnosis import Finding, broken, error, ok, unchecked, warning
from newsletter.errors import ConfigError, RelayUnavailableError
from newsletter.relaylook import RelayLook

EXPIRES_SOON = dt.timedelta(days=21)
"""How long before its end a certificate should have been renewed."""
_LOGIN_WAIT_S = 15
_WHY_RELAY = "every message leaves through it"
_WHY_TLS = "nothing is sent over a connection that is not as safe as [smtp] security asks"
_WHY_LOGIN = "a relay carries mail of ours to strangers only after a login, or from addresses it trusts"


def examine_relay(section: SmtpSection, folder: Path, look: RelayLook, now: dt.datetime) -> Iterator[Finding]:
    """Yield what ``look`` saw, and whether the login works; ``password_file`` and ``ca_file`` start at ``folder``."""
    where = f"{look.host}:{look.port}"
    if not (look.is_reached or look.protocol or look.distrust):
        fix = "check [smtp] host, port and security, that the relay runs, and the firewall between"
        yield error("relay", f"{where} cannot be reached: {look.trouble}", _WHY_RELAY, fix)
        yield unchecked("tls", f"{where} cannot be reached", _WHY_TLS)
        return
    tls = judge_tls(section, look, now)
    yield tls
    if look.trouble or look.distrust or not _is_as_asked(section, look):
        yield unchecked("relay", f"{where}: the login is tried only over a sound connection", _WHY_LOGIN)
    else:
        yield _try_login(section, folder, look)


def _is_as_asked(section: SmtpSection, look: RelayLook) -> bool:
    return section.security == "none" or bool(look.protocol)


def judge_tls(section: SmtpSection, look: RelayLook, now: dt.datetime) -> Finding:
    """Return what the connection's TLS is worth."""
    where = f"{look.host}:{look.port}"
    if section.security == "none":
        return _judge_plain(look, where)
    if look.distrust:
        names = f" (it is for {', '.join(look.names)}; it ends {look.expires_at:%Y-%m-%d})" if look.expires_at else ""
        fix = (
            "name the relay in [smtp] host as its certificate does; name the file of its authority in ca_file where it "
            "is your own; or have it renewed"
        )
        return error("tls", f"the certificate of {where} is not accepted: {look.distrust}{names}", _WHY_TLS, fix)
    if look.trouble:
        fix = 'check that [smtp] port and security fit: 587 and "starttls", or 465 and "tls"'
        return error("tls", f"{where}: {look.trouble}", _WHY_TLS, fix)
    if not look.protocol:
        fix = 'set [smtp] security = "tls" where it speaks TLS at once (port 465), or have STARTTLS turned on'
        return error("tls", f"{where} does not offer STARTTLS", _WHY_TLS, fix)
    assert look.expires_at is not None
    left = look.expires_at - now
    found = f"{where} speaks {look.protocol}; its certificate is good until {look.expires_at:%Y-%m-%d}"
    if left < EXPIRES_SOON:
        fix = "have the certificate renewed; where that is automatic, it did not work"
        return warning("tls", f"{found}, {max(left.days, 0)} days from now", _WHY_TLS, fix)
    return ok("tls", f"{found}, {left.days} days from now", _WHY_TLS)


def _judge_plain(look: RelayLook, where: str) -> Finding:
    if look.host.lower() == "localhost" or look.host.startswith("127.") or look.host == "::1":
        return ok("tls", f"{where} is this machine; nothing is encrypted, and nothing leaves it so", _WHY_TLS)
    fix = 'set [smtp] security = "starttls" (port 587) or "tls" (port 465)'
    return warning("tls", f"mail goes to {where} unencrypted, for all on the way to read", _WHY_TLS, fix)


def _try_login(section: SmtpSection, folder: Path, look: RelayLook) -> Finding:
    """Open a connection as a send does, and close it again."""
    import msgspec

    from newsletter.smtp import open_transport

    hurried = msgspec.structs.replace(section, timeout=min(section.timeout, _LOGIN_WAIT_S))
    try:
        with open_transport(hurried, folder=folder):
            pass
    except (RelayUnavailableError, ConfigError) as trouble:
        return broken("relay", trouble, _WHY_LOGIN)
    login = f"lets {section.username} in" if section.username else "takes mail without a login"
    return ok("relay", f"{look.host}:{look.port} {login}; it greets with '{look.banner}'", _WHY_RELAY)
