"""Read ``newsletter.toml`` and the environment into one frozen configuration; say which key is wrong and what may stand.

An environment variable ``NEWSLETTER_SECTION__KEY`` overrides ``[section] key``. Nothing is read at import, and no value
is global: whoever needs a section is given it. This module opens no network connection and no store.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from newsletter.errors import ConfigError, InputError
from newsletter.model import SECTION_KINDS

CONFIG_NAME = "newsletter.toml"
_ENVIRONMENT_PREFIX = "NEWSLETTER_"
VERP_LOCAL_MAX = 15
"""Octets the local part of ``bounce_address`` may have: ``+`` and a token of 48 follow; 64 fit (RFC 5321 4.5.3.1.1)."""


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


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say where the list and the ledger are kept: ``[store]``; a relative SQLite path starts at the project."""

    url: str = "sqlite:///newsletter.db"


class SendSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how a send behaves: ``[send]``."""

    doubt: Literal["resend", "hold"] = "resend"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hold a whole ``newsletter.toml``, one field a section."""

    newsletter: NewsletterSection
    sections: SectionsSection = SectionsSection()
    theme: ThemeSection = ThemeSection()
    smtp: SmtpSection = SmtpSection()
    store: StoreSection = StoreSection()
    send: SendSection = SendSection()


@dataclass(frozen=True, slots=True)
class Project:
    """Hold a newsletter's folder and its configuration."""

    root: Path
    config: Config

    @property
    def issues_dir(self) -> Path:
        """Return the folder of the issue files."""
        return self.root / "issues"

    @property
    def templates_dir(self) -> Path:
        """Return the folder of the project's own templates, which win over the shipped ones; it may not exist."""
        return self.root / "templates"

    @property
    def secret_path(self) -> Path:
        """Return the path of the secret file."""
        return self.root / self.config.newsletter.secret_file

    @property
    def store_url(self) -> str:
        """Return the store's URL, with a relative SQLite path made absolute."""
        url = self.config.store.url
        scheme, separator, path = url.partition(":///")
        if scheme != "sqlite" or not separator:
            return url
        return f"sqlite:///{(self.root / path).absolute()}"

    @property
    def zone(self) -> ZoneInfo:
        """Return the newsletter's time zone."""
        return ZoneInfo(self.config.newsletter.time_zone)


def load_project(root: Path, environ: Mapping[str, str] | None = None) -> Project:
    """Read ``root/newsletter.toml`` and overlay the environment (``os.environ`` by default).

    Raises ConfigError for a missing or unreadable file, an unknown key or a value that may not stand.
    """
    path = root / CONFIG_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; name the newsletter's folder with --project DIR, "
            "or make one with 'newsletter init DIR'"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    overlaid = _overlay(content, os.environ if environ is None else environ)
    config = _convert(overlaid, path)
    _check(config, path)
    return Project(root, config)


def find_issue(project: Project, name: str) -> Path:
    """Return the path of the issue ``name``: a slug of the project's ``issues/``, or a path to a Markdown file.

    Raises InputError that lists the newest slugs where there is no such issue.
    """
    given = Path(name)
    if given.suffix == ".md" and given.is_file():
        return given
    path = project.issues_dir / f"{name.removesuffix('.md')}.md"
    if re.fullmatch(r"[\w.-]+", name) and path.is_file():
        return path
    slugs = list_slugs(project)
    known = f"the newest: {', '.join(slugs[-5:])}" if slugs else f"{project.issues_dir} holds no issue yet"
    raise InputError(f"no issue {name!r}: {path} does not exist; {known}; 'newsletter new' writes one")


def list_slugs(project: Project) -> list[str]:
    """Return the slugs of the project's issues, in alphabetical order."""
    return sorted(path.stem for path in project.issues_dir.glob("*.md"))


def _overlay(content: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return ``content`` with every ``NEWSLETTER_SECTION__KEY`` of ``environ`` put in its place."""
    for name, value in sorted(environ.items()):
        if not name.startswith(_ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        section_name, _, key = name.removeprefix(_ENVIRONMENT_PREFIX).lower().partition("__")
        section = content.setdefault(section_name, {})
        if not isinstance(section, dict):
            raise ConfigError(
                f"{name}: '{section_name}' is no section; sections are {_listed(Config.__struct_fields__)}"
            )
        section[key] = value
    return content


def _convert(content: dict[str, Any], path: Path) -> Config:
    _check_names(content, Config, path, "")
    for name, type_ in Config.__annotations__.items():
        if isinstance(content.get(name), dict):
            _check_names(content[name], type_, path, f"[{name}] ")
    try:
        return msgspec.convert(content, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_in_words(str(error))}") from None


def _check_names(content: dict[str, Any], struct: type[msgspec.Struct], path: Path, where: str) -> None:
    known = struct.__struct_encode_fields__
    for name in content:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean '{close[0]}'?" if close else ""
            raise ConfigError(
                f"{path}: {where}unknown key '{name}'{guess} Valid keys: {_listed(known)}".replace("' V", "'. V")
            )


def _in_words(message: str) -> str:
    """Turn msgspec's ``Expected `int`, got `str` - at `$.smtp.port``` into a sentence that starts with the key."""
    reason, _, where = message.partition(" - at ")
    keys = re.findall(r"[\w-]+", where.replace("$", ""))
    missing = re.search(r"missing required field `(\w+)`", reason)
    if missing:
        keys.append(missing[1])
        reason = "is missing"
    name = f"[{keys[0]}] {'.'.join(keys[1:])}" if len(keys) > 1 else "".join(f"[{key}]" for key in keys)
    return f"{name}: {reason}" if name else reason


def _check(config: Config, path: Path) -> None:
    """Refuse values of the right type that still cannot be used."""
    newsletter = config.newsletter
    for key, problem in (
        ("title", "" if newsletter.title.strip() else "is empty"),
        (
            "from",
            "" if "@" in newsletter.from_ else f"{newsletter.from_!r} holds no address; write 'Name <me@example.org>'",
        ),
        ("url", _url_problem(newsletter.url)),
        ("time_zone", _zone_problem(newsletter.time_zone)),
        ("language", _language_problem(newsletter.language)),
        ("list_id", _list_id_problem(newsletter.list_id)),
        ("bounce_address", _bounce_problem(newsletter.bounce_address)),
        (
            "unsubscribe",
            "'web' needs [newsletter] url" if newsletter.unsubscribe == "web" and not newsletter.url else "",
        ),
        ("images", "'hosted' needs [newsletter] url" if newsletter.images == "hosted" and not newsletter.url else ""),
    ):
        if problem:
            raise ConfigError(f"{path}: [newsletter] {key}: {problem}")
    for heading, kind in config.sections.kinds.items():
        if kind not in SECTION_KINDS:
            raise ConfigError(
                f"{path}: [sections.kinds] {heading!r}: unknown kind {kind!r}; valid kinds: {_listed(SECTION_KINDS)}"
            )
    for key in ThemeSection.__struct_fields__:
        value = getattr(config.theme, key)
        default = ThemeSection.__struct_defaults__[ThemeSection.__struct_fields__.index(key)]
        if str(default).startswith("#") and not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise ConfigError(f"{path}: [theme] {key}: {value!r} is no colour; write #rrggbb, like {default}")
        if key.endswith("font") and re.search(r"[^\w ,'.-]", value):
            raise ConfigError(f"{path}: [theme] {key}: {value!r} may hold font names, commas and single quotes only")
    if not 0 <= config.smtp.port <= 65535:
        raise ConfigError(
            f"{path}: [smtp] port: {config.smtp.port} is no port; write 1 to 65535, or 0 for the usual one"
        )
    if config.smtp.timeout < 1:
        raise ConfigError(f"{path}: [smtp] timeout: {config.smtp.timeout} s; write at least 1")
    if not re.match(r"(sqlite:///|postgres(ql)?://)", config.store.url):
        raise ConfigError(
            f"{path}: [store] url: {config.store.url!r}; write 'sqlite:///newsletter.db' or 'postgresql://…'"
        )


def _url_problem(url: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        return f"{url!r} is no address of a site; write 'https://news.example.org'"
    return ""


def _zone_problem(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return f"{name!r} is no IANA time zone; write one like 'Europe/Paris' or 'UTC'"
    return ""


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


def _listed(names: Any) -> str:
    return ", ".join(names)
