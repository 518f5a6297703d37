"""Read ``newsletter.toml`` and the environment into one frozen configuration; say which key is wrong, and why.

An environment variable ``NEWSLETTER_SECTION__KEY`` overrides ``[section] key``. Nothing is read at import, and no value
is global: whoever needs a section is given it. This module opens no network connection and no store.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from newsletter.errors import ConfigError, InputError
from newsletter.settings import (
    PLACEHOLDER_POSTAL_ADDRESS,
    VERP_LOCAL_MAX,
    BouncesSection,
    Config,
    DkimSection,
    MonitoringSection,
    NewsletterSection,
    SectionsSection,
    SendSection,
    SmtpSection,
    StoreSection,
    ThemeSection,
    TransportSection,
    WebSection,
    unusable_values,
)

__all__ = [
    "CONFIG_NAME",
    "PLACEHOLDER_POSTAL_ADDRESS",
    "VERP_LOCAL_MAX",
    "BouncesSection",
    "Config",
    "DkimSection",
    "MonitoringSection",
    "NewsletterSection",
    "Project",
    "SectionsSection",
    "SendSection",
    "SmtpSection",
    "StoreSection",
    "ThemeSection",
    "TransportSection",
    "WebSection",
    "find_issue",
    "is_reserved_slug",
    "is_slug",
    "list_slugs",
    "load_project",
    "placeholder_warning",
    "read_password",
    "refuse_slug",
]

CONFIG_NAME = "newsletter.toml"
_ENVIRONMENT_PREFIX = "NEWSLETTER_"
_SLUG_LIMIT = 100
_SECRET = frozenset({"password", "imap_password", "webhook_password"})
"""Keys whose value no message may show."""
_TEXTS = tuple[str, ...]
_WORD_LISTS = dict[str, tuple[str, ...]]
_NUMBERS = dict[str, float]
_TYPE_NAMES = {
    str: "text; put it in quotes",
    int: "whole number",
    float: "number",
    _TEXTS: 'list of texts; write ["…", "…"]',
    _WORD_LISTS: 'table of lists of texts; write name = ["…", "…"]',
    _NUMBERS: "table of numbers; write name = 10",
}
_TRANSPORTS = "transports"
_SECTIONS = tuple(name for name in Config.__struct_fields__ if name != _TRANSPORTS)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


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

    Raises ConfigError, a line for each mistake, for a missing or unreadable file, an unknown key or a value that may
    not stand.
    """
    path = root / CONFIG_NAME
    content = _read_toml(path)
    named = _overlay(content, os.environ if environ is None else environ)
    config = _convert(_Source(path, content, named))
    return Project(root, config)


def placeholder_warning(project: Project) -> str:
    """Return what to say while the postal address is still the one that ``newsletter init`` wrote, else ``""``."""
    if project.config.newsletter.postal_address != PLACEHOLDER_POSTAL_ADDRESS:
        return ""
    return (
        f"{project.root / CONFIG_NAME}: [newsletter] postal_address is still a placeholder; every reader will see it, "
        "write your own"
    )


def read_password(folder: Path, value: str, file: str, key: str) -> str:
    """Return a password: ``value``, or what stands in ``file``, which starts at ``folder``; ``""`` without either.

    ``key`` names the setting of the file, as in ``[smtp] password_file``. Raises ConfigError where it cannot be read.
    """
    if value or not file:
        return value
    try:
        return (folder / file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: cannot be read: {error}; correct its path or rights") from None


# ---------------------------------------------------------------------------------------------------------------------
# Issues by name
# ---------------------------------------------------------------------------------------------------------------------


def find_issue(project: Project, name: str) -> Path:
    """Return the path of the issue ``name``: a slug of the project's ``issues/``, or a path to a Markdown file.

    Raises InputError for a name that can be no slug, and one that lists the newest slugs where there is no such issue.
    """
    given = Path(name)
    if name.endswith(".md") and _is_file(given):
        path = given
    else:
        slug = name.removesuffix(".md")
        refuse_slug(slug)
        path = project.issues_dir / f"{slug}.md"
    refuse_slug(path.stem)
    if not _is_file(path):
        slugs = list_slugs(project)
        known = f"the newest: {', '.join(slugs[-5:])}" if slugs else f"{project.issues_dir} holds no issue yet"
        raise InputError(f"no issue {name!r}: {path} does not exist; {known}; 'newsletter new' writes one")
    return path


def refuse_slug(slug: str) -> None:
    """Raise InputError unless ``slug`` can name an issue: a file, a folder and a part of a URL in one."""
    if not is_slug(slug):
        shown = slug if len(slug) <= _SLUG_LIMIT else f"{slug[:40]}…"
        raise InputError(
            f"{shown!r} cannot name an issue; a slug has letters, digits, '-', '_' and '.', begins with a letter or a "
            f"digit, and is at most {_SLUG_LIMIT} long, like 2026-11-25"
        )


def is_slug(slug: str) -> bool:
    """Tell whether ``slug`` can name an issue."""
    return len(slug) <= _SLUG_LIMIT and re.fullmatch(r"[^\W_][\w.-]*", slug) is not None


def is_reserved_slug(slug: str) -> bool:
    """Tell whether ``slug`` has the form of a language edition of another issue: ``2026-11-25.zh``."""
    return "." in slug


def list_slugs(project: Project) -> list[str]:
    """Return the slugs of the project's issues, in alphabetical order."""
    return sorted(path.stem for path in project.issues_dir.glob("*.md") if is_slug(path.stem))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, for one
        return False


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """Hold what was read, and which variable of the environment each (section, key) came from, if any did."""

    path: Path
    content: dict[str, Any]
    named: Mapping[tuple[str, str], str]

    def where(self, section: str, key: str = "") -> str:
        """Return what a message begins with: the variable or the file, then section and key."""
        origin = self.named.get((section, key)) or str(self.path)
        return " ".join(filter(None, (f"{origin}:", f"[{section}]", f"{key}:" if key else "")))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"{path}: no such file; name the newsletter's folder with --project DIR, "
            "or make one with 'newsletter init DIR'"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigError(f"{path}: not valid TOML: {reason}") from None


def _overlay(content: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Put every ``NEWSLETTER_SECTION__KEY`` of ``environ`` in its place in ``content``; return which key each set."""
    named: dict[tuple[str, str], str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(_ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        section, _, key = name.removeprefix(_ENVIRONMENT_PREFIX).lower().partition("__")
        if name != name.upper() or section not in _SECTIONS or key not in _keys(section):
            raise ConfigError(_unknown_variable(name, section))
        target = content.setdefault(section, {})
        if isinstance(target, dict):  # else the section itself is told
            target[key] = _value(name, value, _type_of(section, key))
            named[section, key] = name
    return named


def _unknown_variable(name: str, section: str) -> str:
    sections = _SECTIONS
    if section not in sections:
        return f"{name}: there is no section '{section}'; sections: {_listed(sections)}"
    valid = _listed(f"{_ENVIRONMENT_PREFIX}{section}__{key}".upper() for key in _keys(section))
    return f"{name}: there is no such variable; valid ones: {valid}"


def _value(name: str, value: str, type_: Any) -> Any:
    """Return what a variable holds: a list is written with commas, a table as TOML has it."""
    if type_ == _TEXTS:
        return [text.strip() for text in value.split(",") if text.strip()]
    return _table(name, value) if type_ in (dict[str, str], _WORD_LISTS, _NUMBERS) else value


def _table(name: str, value: str) -> Any:
    """Return a table that a variable holds, written as an inline table of TOML."""
    try:
        return tomllib.loads(f"table = {value}")["table"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(f'{name}: {value!r} is no table; write one like {{"In brief" = "brief"}}') from None


def _struct_of(section: str) -> type[msgspec.Struct]:
    struct: type[msgspec.Struct] = Config.__annotations__[section]
    return struct


def _keys(section: str) -> tuple[str, ...]:
    """Return the keys of a section as they are written."""
    return _struct_of(section).__struct_encode_fields__


def _type_of(section: str, key: str) -> Any:
    struct = _struct_of(section)
    return struct.__annotations__[struct.__struct_fields__[_keys(section).index(key)]]


# ---------------------------------------------------------------------------------------------------------------------
# Checking
# ---------------------------------------------------------------------------------------------------------------------


def _convert(source: _Source) -> Config:
    """Return the configuration; raise ConfigError with every mistake of the first kind that there is."""
    for find in (_unknown_names, _wrong_types):
        _refuse(find(source))
    config = msgspec.convert(source.content, Config, strict=False)
    _refuse(f"{source.where(section, key)} {problem}" for section, key, problem in unusable_values(config) if problem)
    return config


def _refuse(problems: Iterable[str]) -> None:
    if found := list(problems):
        raise ConfigError("\n".join(found))


def _unknown_names(source: _Source) -> Iterator[str]:
    sections = Config.__struct_fields__
    for section, content in source.content.items():
        if section == _TRANSPORTS:
            yield from _unknown_in_transports(source, content)
            continue
        if section not in sections:
            what = "section" if isinstance(content, dict) else "key"
            yield f"{source.path}: unknown {what} '{section}'{_guess(section, sections)} sections: {_listed(sections)}"
        elif not isinstance(content, dict):
            yield f"{source.path}: '{section}' must be a section; write [{section}] and its keys below it"
        else:
            keys = _keys(section)
            for key in content:
                if key not in keys:
                    yield f"{source.where(section)} unknown key '{key}'{_guess(key, keys)} valid keys: {_listed(keys)}"


def _unknown_in_transports(source: _Source, content: Any) -> Iterator[str]:
    where, keys = source.where(f"[{_TRANSPORTS}]"), TransportSection.__struct_encode_fields__
    if not isinstance(content, list) or not all(isinstance(table, dict) for table in content):
        yield f"{source.path}: '{_TRANSPORTS}' must be a list; write [[{_TRANSPORTS}]] and its keys below it, for each"
        return
    for number, table in enumerate(content, 1):
        for key in table:
            if key not in keys:
                yield f"{where} {number}: unknown key '{key}'{_guess(key, keys)} valid keys: {_listed(keys)}"


def _guess(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ";"


def _wrong_types(source: _Source) -> Iterator[str]:
    for section in _SECTIONS:
        for key, problem in _wrong_in(_struct_of(section), source.content.get(section, {})):
            yield f"{source.where(section, key)} {problem}"
    for number, table in enumerate(source.content.get(_TRANSPORTS, ()), 1):
        for key, problem in _wrong_in(TransportSection, table):
            yield f"{source.where(f'[{_TRANSPORTS}]', f'{number}: {key}')} {problem}"


def _wrong_in(struct: type[msgspec.Struct], content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each key of one table that is missing or of the wrong type, and what is wrong with it."""
    for field in msgspec.structs.fields(struct):
        key = field.encode_name
        if key in content:
            problem = _type_problem(key, content[key], field.type)
        else:
            problem = f'is missing; write {key} = "…"' if field.required else ""
        if problem:
            yield key, problem


def _type_problem(key: str, value: Any, type_: Any) -> str:
    """Return what is wrong with the type of a value, or with a name out of a closed set; ``""`` for nothing."""
    shown = "the value" if key in _SECRET else repr(value)[:80]
    if get_origin(type_) is Literal:
        valid = get_args(type_)
        return "" if value in valid else f"{shown} is not valid; valid values: {_listed(valid)}"
    try:
        msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError:
        return f"{shown} is no {_TYPE_NAMES.get(type_, 'table of texts')}"
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if type_ == _WORD_LISTS:
        texts = [text for name, words in value.items() for text in (name, *words)]
    return next(filter(None, map(_character_problem, texts)), "")


def _character_problem(text: str) -> str:
    found = _UNPRINTABLE.search(text)
    return f"holds the character U+{ord(found[0]):04X}, which cannot stand here" if found else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
