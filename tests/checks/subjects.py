"""Subjects for the tests of checks: an issue as an editor wrote it, without its mail, which most checks do not need."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from issue_files import FILE, ZONE

from newsletter.checks import ALL_CHECKS, Finding, Report, Subject, run_checks
from newsletter.config import Config, NewsletterSection, SectionsSection
from newsletter.issue import decode_issue, parse_issue

FRONT = "---\nsubject: China reins in facial recognition\npreheader: Why policy became one more P of marketing\n"
CLOSING = "date: 2026-11-25\n---\n"
TODAY = dt.date(2026, 11, 24)
SECTIONS = SectionsSection(kinds={"In brief": "brief", "Sources": "text", "From our sponsor": "sponsor"})
CONFIG = Config(
    newsletter=NewsletterSection(
        title="Harbour Weekly",
        from_="Harbour Weekly <weekly@news.example.org>",
        url="https://news.example.org",
        postal_address="Harbour Weekly, 1 Quay Street, 12345 Port",
    ),
    sections=SECTIONS,
)

Make = str | Callable[[], Subject]


@dataclass(frozen=True)
class Example:
    """Hold an issue in which a check finds something, and one in which it does not: a body, a file, or a subject."""

    bad: Make
    good: Make


def written(text: str, slug: str = "2026-11-25", **more: Any) -> Subject:
    """Return the subject of a body or, where it begins with ``---``, of a whole file; ``more`` are its other fields."""
    whole = text if text.startswith("---\n") else f"{FRONT}{CLOSING}{text}"
    plain = decode_issue(whole.encode(), FILE)
    config = more.pop("config", CONFIG)
    issue = parse_issue(plain, slug=slug, file=FILE, sections=config.sections, zone=ZONE)
    return Subject(**{"config": config, "today": TODAY, "issue": issue, "source": plain} | more)


def made(example: Make) -> Subject:
    return written(example) if isinstance(example, str) else example()


def check(subject: Subject) -> Report:
    return run_checks(subject, ALL_CHECKS)


def found(subject: Subject, id_: str) -> list[Finding]:
    return [finding for finding in check(subject).findings if finding.check == id_]


def with_checks(**settings: Any) -> Config:
    """Return the configuration with these keys of ``[checks]``."""
    from newsletter.checksettings import ChecksSection

    return Config(newsletter=CONFIG.newsletter, sections=SECTIONS, checks=ChecksSection(**settings))


def answered(text: str, **more: Any) -> Callable[[], Subject]:
    return lambda: replace(written(text), **more)
