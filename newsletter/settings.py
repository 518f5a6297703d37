"""Know every key of ``newsletter.toml``: its section, type and default, and which values of that type may not stand.

Pure: values in, values out. Reading the file and the environment is ``config``'s.
"""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from newsletter.amounts import parse_duration, parse_percent, parse_share
from newsletter.checksettings import ChecksSection, checks_problems
from newsletter.curationsettings import DigestSection, ScheduleSection, digest_problems, schedule_problems
from newsletter.feedsettings import FeedsSection, RankingSection, feeds_problems, ranking_problems
from newsletter.model import SECTION_KINDS
from newsletter.pace import parse_rate

VERP_LOCAL_MAX = 15
"""Octets the local part of ``bounce_address`` may have: ``+`` and a token of 48 follow; 64 fit (RFC 5321 4.5.3.1.1)."""
PLACEHOLDER_POSTAL_ADDRESS = "Your Name, 1 Your Street, 12345 Your City, Your Country"
"""What ``newsletter init`` writes for ``postal_address``; whoever sends with it is warned."""

VETO_MAX, CANARY_WAIT_MAX = dt.timedelta(hours=12), dt.timedelta(hours=12)
"""The longest veto window, and the longest wait behind a first share."""
DKIM_VALID_DAYS_MIN = 14
"""Days that a signature must be good for: four of attempts, five in a relay's queue, and some to be read in."""
_DNS_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"


class NewsletterSection(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}
):
    """Say who publishes: ``[newsletter]``."""

    title: str
    from_: str
    url: str = ""
    reply_to: str = ""
    postal_address: str = ""
    language: str = "en"
    time_zone: str = "UTC"
    list_id: str = ""
    secret_file: str = "newsletter.secret"
    bounce_address: str = ""
    unsubscribe: Literal["mailto", "web"] = "mailto"
    tagline: str = ""
    images: Literal["embedded", "hosted"] = "embedded"


class SectionsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say which heading opens which kind of section: ``[sections]``; headings compare as ``heading_key`` makes them."""

    lead: str = "Most important news"
    lead_max: int = 0
    kinds: dict[str, str] = {}


class ThemeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how the mail looks: ``[theme]``; colours are ``#rrggbb``, widths in CSS pixels, sizes in pixels."""

    accent: str = "#b3261e"
    accent_dark: str = "#ff8a80"
    text: str = "#1f2328"
    muted: str = "#5f6672"
    background: str = "#f4f3f0"
    paper: str = "#ffffff"
    rule: str = "#e3e1dc"
    text_dark: str = "#e8e6e3"
    muted_dark: str = "#a8adb5"
    background_dark: str = "#111214"
    paper_dark: str = "#1b1d20"
    rule_dark: str = "#34373c"
    font: str = ""
    heading_font: str = ""
    logo: str = ""
    logo_width: int = 160
    inliner: Literal["premailer", "css-inline"] = "premailer"


class SmtpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say which relay carries the mail: ``[smtp]``; times in seconds."""

    host: str = "localhost"
    port: int = 0
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = ""
    password_file: str = ""
    ca_file: str = ""
    helo: str = ""
    timeout: int = 60


class TransportSection(SmtpSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say one of several relays, by the keys of ``[smtp]``, and which share of the mail it carries: ``[[transports]]``.

    Of ``weight`` 3 and ``weight`` 1, the first carries three messages of four; ``rate`` bounds it, like ``50/s``.
    """

    name: str
    weight: int = 1
    connections: int = 4
    per_connection: int = 1000
    rate: str = ""


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say where the list and the ledger are kept: ``[store]``; a relative SQLite path starts at the project.

    ``url`` is ``sqlite:///path`` or ``postgresql://user@host/database``, with what libpq knows behind a ``?``.
    """

    url: str = "sqlite:///newsletter.db"


class SendSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how a send behaves: ``[send]``; ``""`` stands for no veto window, no canary, no limit.

    ``connections`` are open at once, each for up to ``per_connection`` messages. ``rate`` is the relay's, ``domains``
    has those of recipients' domains, ``"*"`` for every other one: texts like ``50/s``. The editors are mailed what is
    frozen ``veto`` before its time. ``canary`` is the first share of the audience, a percentage or a number; the rest
    follows ``canary_wait`` later, unless more than ``canary_refusals`` were refused.
    """

    doubt: Literal["resend", "hold"] = "resend"
    connections: int = 4
    per_connection: int = 1000
    rate: str = ""
    domains: dict[str, str] = {}
    veto: str = ""
    editors: tuple[str, ...] = ()
    canary: str = ""
    canary_wait: str = "10 minutes"
    canary_refusals: str = "5 %"


class MonitoringSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say who watches cron: ``[monitoring]``; ``""`` is nobody.

    ``textfile`` is the file for Prometheus' node_exporter, ``ping`` the URL that each run asks for when it is done.
    """

    textfile: str = ""
    ping: str = ""


class BouncesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say where mail to ``bounce_address`` lies, and when soft bounces end a subscription: ``[bounces]``.

    One of ``maildir``, ``mbox`` and ``imap_host`` names the place; relative paths start at the project. ``soft_limit``
    issues in a row that came back suppress, 0 none; the first must be ``soft_days`` old. ``sns_topics`` are the ARNs of
    the topics of Amazon SNS that may report, ``webhook_password`` is what Postmark reports with.
    """

    maildir: str = ""
    mbox: str = ""
    imap_host: str = ""
    imap_port: int = 0
    imap_security: Literal["tls", "starttls", "none"] = "tls"
    imap_username: str = ""
    imap_password: str = ""
    imap_password_file: str = ""
    imap_ca_file: str = ""
    imap_folder: str = "INBOX"
    imap_done_folder: str = ""
    soft_limit: int = 5
    soft_days: int = 14
    sns_topics: tuple[str, ...] = ()
    webhook_username: str = "newsletter"
    webhook_password: str = ""
    webhook_password_file: str = ""


class DkimSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say with which keys messages are signed: ``[dkim]``; ``keys`` names a key file for each selector.

    ``domain`` is From's where it is ``""``; signatures expire after ``valid_days``, never where it is 0.
    """

    keys: dict[str, str] = {}
    domain: str = ""
    valid_days: int = 0


class WebSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how the web pages are served, and what they offer: ``[web]``.

    ``proxies`` is how many reverse proxies stand before the server, each of which sets X-Forwarded-For. ``site`` is the
    folder that ``newsletter site`` writes. ``lists`` and ``topics`` map what readers may choose to what they are shown;
    the asks are those of an hour. Who does not confirm within ``pending_days`` is forgotten.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    threads: int = 8
    proxies: int = 0
    site: str = "site"
    lists: dict[str, str] = {}
    topics: dict[str, str] = {}
    asks_per_client: int = 10
    asks_per_hour: int = 600
    wait_minutes: int = 10
    confirm_hours: int = 168
    pending_days: int = 30


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hold a whole ``newsletter.toml``, one field a section."""

    newsletter: NewsletterSection
    sections: SectionsSection = SectionsSection()
    theme: ThemeSection = ThemeSection()
    smtp: SmtpSection = SmtpSection()
    store: StoreSection = StoreSection()
    send: SendSection = SendSection()
    dkim: DkimSection = DkimSection()
    transports: tuple[TransportSection, ...] = ()

    @property
    def relays(self) -> tuple[TransportSection, ...]:
        """Return the relays that carry sends: those of ``[[transports]]``; without any, the one of ``[smtp]``."""
        if self.transports:
            return self.transports
        own = {name: getattr(self.smtp, name) for name in SmtpSection.__struct_fields__}
        own |= {name: getattr(self.send, name) for name in ("connections", "per_connection", "rate")}
        return (TransportSection(name="smtp", **own),)

    bounces: BouncesSection = BouncesSection()
    monitoring: MonitoringSection = MonitoringSection()
    web: WebSection = WebSection()
    schedule: ScheduleSection = ScheduleSection()
    digest: DigestSection = DigestSection()
    feeds: FeedsSection = FeedsSection()
    ranking: RankingSection = RankingSection()
    checks: ChecksSection = ChecksSection()


def unusable_values(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong, or ``""``, for values of the right type that still cannot be used."""
    newsletter, smtp = config.newsletter, config.smtp
    yield "newsletter", "title", "" if newsletter.title.strip() else "is empty"
    yield "newsletter", "from", _from_problem(newsletter.from_)
    yield "newsletter", "url", _url_problem(newsletter.url)
    yield "newsletter", "time_zone", _zone_problem(newsletter.time_zone)
    yield "newsletter", "language", _language_problem(newsletter.language)
    yield "newsletter", "list_id", _list_id_problem(newsletter.list_id)
    yield "newsletter", "bounce_address", _bounce_problem(newsletter.bounce_address)
    yield "newsletter", "secret_file", "" if newsletter.secret_file else "is empty; write 'newsletter.secret'"
    for key, value in (("unsubscribe", "web"), ("images", "hosted")):
        is_missing = getattr(newsletter, key) == value and not newsletter.url
        yield "newsletter", key, f"'{value}' needs [newsletter] url" if is_missing else ""
    for heading, kind in config.sections.kinds.items():
        unknown = f"{heading!r}: unknown kind {kind!r}; valid kinds: {', '.join(SECTION_KINDS)}"
        yield "sections", "kinds", "" if kind in SECTION_KINDS else unknown
    yield "sections", "lead_max", _range_problem(config.sections.lead_max, 0, 1000)
    yield from _theme_problems(config.theme)
    yield from (("smtp", key, problem) for key, problem in _relay_problems(smtp))
    yield "store", "url", _store_problem(config.store.url)
    yield from _send_problems(config.send)
    yield from _pace_problems(config.send)
    yield from _transport_problems(config)
    yield from _monitoring_problems(config.monitoring)
    yield from _dkim_problems(config.dkim)
    yield from _web_problems(config.web)
    yield from _bounces_problems(config.bounces)
    yield from schedule_problems(config.schedule)
    yield from digest_problems(config.digest, config.schedule)
    yield from feeds_problems(config.feeds)
    yield from ranking_problems(config.ranking)
    yield from checks_problems(config.checks)


def _theme_problems(theme: ThemeSection) -> Iterator[tuple[str, str, str]]:
    for key, default in zip(ThemeSection.__struct_fields__, ThemeSection.__struct_defaults__, strict=True):
        value = getattr(theme, key)
        if str(default).startswith("#") and not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            yield "theme", key, f"{value!r} is no colour; write #rrggbb, like {default}"
        if key.endswith("font") and re.search(r"[^\w ,'.-]", value):
            yield "theme", key, f"{value!r} may hold font names, commas and single quotes only"
    yield "theme", "logo_width", _range_problem(theme.logo_width, 1, 600)


def _send_problems(send: SendSection) -> Iterator[tuple[str, str, str]]:
    yield "send", "veto", _duration_problem(send.veto, VETO_MAX) if send.veto else ""
    needs = "write the addresses of those who are to be mailed" if send.veto and not send.editors else ""
    yield "send", "editors", f"'veto' needs somebody who can stop a send; {needs}" if needs else ""
    for editor in send.editors:
        is_address = re.fullmatch(r"[^\s@,<>]+@[^\s@,<>]+", editor)
        yield "send", "editors", "" if is_address else f"{editor!r} is no address; write one like 'mark@example.org'"
    is_share = not send.canary or parse_share(send.canary)
    yield "send", "canary", "" if is_share else f"{send.canary!r} is no share; write one like '1 %', or a number"
    yield "send", "canary_wait", _duration_problem(send.canary_wait, CANARY_WAIT_MAX)
    is_percent = parse_percent(send.canary_refusals) is not None
    yield "send", "canary_refusals", "" if is_percent else f"{send.canary_refusals!r} is no share; write one like '5 %'"


def _duration_problem(text: str, most: dt.timedelta) -> str:
    duration = parse_duration(text)
    if duration is None:
        return f"{text!r} is no duration; write one like '15 minutes'"
    limit = f"{most // dt.timedelta(hours=1)} hours"
    return "" if dt.timedelta() < duration <= most else f"{text!r} does not fit; write 1 minute to {limit}"


def _monitoring_problems(monitoring: MonitoringSection) -> Iterator[tuple[str, str, str]]:
    textfile, ping = monitoring.textfile, monitoring.ping
    is_named = not textfile or textfile.endswith(".prom")
    yield (
        "monitoring",
        "textfile",
        "" if is_named else f"{textfile!r}: node_exporter reads files that end in .prom; write 'newsletter.prom'",
    )
    try:
        parts = urlsplit(ping)
        is_url = parts.scheme in ("http", "https") and parts.hostname and not parts.username and not parts.fragment
        parts.port  # noqa: B018 (raises ValueError for one that is no number)
    except ValueError:
        is_url = False
    is_url = is_url and ping.isascii() and ping.isprintable() and " " not in ping
    # The URL is a secret of sorts, so it is not shown.
    yield (
        "monitoring",
        "ping",
        "" if not ping or is_url else "is no URL; write one like 'https://hc-ping.com/your-uuid'",
    )


def _dkim_problems(dkim: DkimSection) -> Iterator[tuple[str, str, str]]:
    domain = dkim.domain
    if domain and (not re.fullmatch(rf"{_DNS_LABEL}(\.{_DNS_LABEL})+", domain) or len(domain) > 253):
        yield "dkim", "domain", f"{domain!r} is no domain as DNS has it; write one like 'example.org'"
    for selector, file in dkim.keys.items():
        if not re.fullmatch(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*", selector):
            yield "dkim", "keys", f"{selector!r} is no selector; write letters, digits and hyphens, like 's2026'"
        elif not file.strip() or "\0" in file:
            yield "dkim", "keys", f"{selector}: {file!r} is no path; write one like 'dkim.pem'"
    if dkim.valid_days and not DKIM_VALID_DAYS_MIN <= dkim.valid_days <= 3650:
        why = "a message may be tried for days, and wait for days at its relay"
        yield "dkim", "valid_days", f"{dkim.valid_days} does not fit; write {DKIM_VALID_DAYS_MIN} or more ({why}), or 0"


def _pace_problems(send: SendSection) -> Iterator[tuple[str, str, str]]:
    yield "send", "connections", _range_problem(send.connections, 1, 100)
    yield "send", "per_connection", _range_problem(send.per_connection, 1, 1_000_000)
    yield "send", "rate", _rate_problem(send.rate)
    for name, rate in send.domains.items():
        is_domain = name == "*" or re.fullmatch(rf"{_DNS_LABEL}(\.{_DNS_LABEL})+", name)
        yield "send", "domains", "" if is_domain else f"{name!r} is no domain; write one like 'gmail.com', or '*'"
        yield "send", "domains", f"{name}: {problem}" if (problem := _rate_problem(rate)) else ""


def _relay_problems(relay: SmtpSection) -> Iterator[tuple[str, str]]:
    yield "host", "" if re.fullmatch(r"\S+", relay.host) else f"{relay.host!r} is no host"
    yield "port", _range_problem(relay.port, 0, 65535, "; 0 is the usual one")
    yield "timeout", _range_problem(relay.timeout, 1, 3600)


def _transport_problems(config: Config) -> Iterator[tuple[str, str, str]]:
    section, names = "[transports]", [transport.name for transport in config.transports]
    if names and config.smtp != SmtpSection():
        yield section, "", "stands beside [smtp]; make that one of the transports, and remove [smtp]"
    for transport in config.transports:
        is_name = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", transport.name)
        yield section, "name", "" if is_name else f"{transport.name!r} is no name; write letters and digits, like 'own'"
        yield section, "name", f"{transport.name!r} stands twice" if names.count(transport.name) > 1 else ""
        problems = [*_relay_problems(transport), ("rate", _rate_problem(transport.rate))]
        problems.append(("weight", _range_problem(transport.weight, 1, 1000)))
        problems.append(("connections", _range_problem(transport.connections, 1, 100)))
        problems.append(("per_connection", _range_problem(transport.per_connection, 1, 1_000_000)))
        yield from ((section, f"{transport.name}: {key}", problem) for key, problem in problems)


def _rate_problem(rate: str) -> str:
    try:
        parse_rate(rate)
    except ValueError as error:
        return str(error)
    return ""


def _web_problems(web: WebSection) -> Iterator[tuple[str, str, str]]:
    yield "web", "host", "" if re.fullmatch(r"\S+", web.host) else f"{web.host!r} is no host"
    for key, low, high in (
        ("port", 1, 65535),
        ("threads", 1, 256),
        ("proxies", 0, 10),
        ("asks_per_client", 1, 100_000),
        ("asks_per_hour", 1, 1_000_000),
        ("wait_minutes", 1, 1440),
        ("confirm_hours", 1, 2160),
        ("pending_days", 1, 3650),
    ):
        yield "web", key, _range_problem(getattr(web, key), low, high)
    if web.pending_days * 24 < web.confirm_hours:
        yield "web", "pending_days", f"{web.pending_days} days are less than confirm_hours, in which links still work"
    for key in ("lists", "topics"):
        for name, title in getattr(web, key).items():
            yield "web", key, "" if name.strip() and title.strip() else f"{name!r}: write a name and what readers see"


def _bounces_problems(bounces: BouncesSection) -> Iterator[tuple[str, str, str]]:
    named = [key for key in ("maildir", "mbox", "imap_host") if getattr(bounces, key)]
    if len(named) > 1:
        yield "bounces", named[1], f"stands beside {named[0]}; mail to bounce_address lies in one place, name that one"
    if re.search(r"\s", bounces.imap_host):
        yield "bounces", "imap_host", f"{bounces.imap_host!r} is no host"
    if bounces.imap_security == "none" and bounces.imap_host not in ("", "localhost", "127.0.0.1", "::1"):
        yield "bounces", "imap_security", "'none' would send the password for all to read; write 'tls' or 'starttls'"
    yield "bounces", "imap_port", _range_problem(bounces.imap_port, 0, 65535, "; 0 is the usual one")
    yield "bounces", "imap_folder", "" if bounces.imap_folder else "is empty; write 'INBOX'"
    yield "bounces", "soft_limit", _range_problem(bounces.soft_limit, 0, 100, "; 0 never suppresses for soft bounces")
    yield "bounces", "soft_days", _range_problem(bounces.soft_days, 0, 3650)
    for topic in bounces.sns_topics:
        if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d+:[\w.-]+", topic):
            yield (
                "bounces",
                "sns_topics",
                f"{topic!r} is no topic; write its ARN, like 'arn:aws:sns:eu-west-1:1234:bounces'",
            )


def _range_problem(value: int, low: int, high: int, more: str = "") -> str:
    return "" if low <= value <= high else f"{value} does not fit; write {low} to {high}{more}"


def _from_problem(sender: str) -> str:
    return "" if "@" in sender else f"{sender!r} holds no address; write 'Name <me@example.org>'"


def _url_problem(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        is_site = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        parts.port  # noqa: B018 (raises ValueError for one that is no number)
    except ValueError:
        is_site = False
    return "" if is_site else f"{url!r} is no address of a site; write 'https://news.example.org'"


def _zone_problem(name: str) -> str:
    return "" if is_zone(name) else f"{name!r} is no IANA time zone; write one like 'Europe/Paris' or 'UTC'"


def is_zone(name: str) -> bool:
    """Tell whether there is an IANA time zone of this name."""
    try:
        return bool(name and ZoneInfo(name))
    except (OSError, ValueError, LookupError):
        return False


def _language_problem(tag: str) -> str:
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        return ""
    return f"{tag!r} is no language tag; write one like 'en', 'fr' or 'zh-Hans'"


def _list_id_problem(list_id: str) -> str:
    if not list_id or re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", list_id):
        return ""
    return f"{list_id!r} is no List-Id (RFC 2919); write one like 'weekly.example.org'"


def _bounce_problem(address: str) -> str:
    if not address:
        return ""
    local, separator, domain = address.rpartition("@")
    if not separator or not domain or not re.fullmatch(r"[A-Za-z0-9._-]+", local):
        return f"{address!r} is no plain address; write one like 'bounces@example.org'"
    if len(local) > VERP_LOCAL_MAX:
        return (
            f"the part before the @ has {len(local)} characters; with the signed token behind it, {VERP_LOCAL_MAX} fit"
        )
    return ""


def _store_problem(url: str) -> str:
    if re.match(r"sqlite:///.|postgres(ql)?://", url):
        return ""
    shown = "" if "@" in url else f"{url!r} "  # else it may hold a password
    return f"{shown}names no store; write 'sqlite:///newsletter.db' or 'postgresql://user@host/database'"
