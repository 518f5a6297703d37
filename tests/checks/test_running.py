"""Settings, waivers and reports: what is run, what is set aside, and what is said of waivers."""

from pathlib import Path

import pytest

from newsletter.checks import ALL_CHECKS, MANUAL_CHECKS, Severity, unknown_settings
from newsletter.checks.manual import write_manual
from newsletter.checksettings import ChecksSection

from .subjects import CLOSING, FRONT, check, found, with_checks, written

TRACKED = "### [A story](https://example.com/a?utm_source=x)"
MANUAL = Path(__file__).parents[2] / "docs" / "checks.md"


def ids(report):
    return [finding.check for finding in report.findings]


def test_the_manual_is_as_the_checks_are() -> None:
    assert MANUAL.read_text(encoding="utf-8") == write_manual(MANUAL_CHECKS), "run 'python docs/checks.py'"


def test_a_check_that_is_off_is_not_run() -> None:
    assert "links.tracking" in ids(check(written(TRACKED)))
    for settings in ({"off": ("links.tracking",)}, {"severity": {"links.tracking": "off"}}):
        report = check(written(TRACKED, config=with_checks(**settings)))
        assert "links.tracking" not in (*ids(report), *report.checks)


def test_a_severity_is_what_the_settings_say() -> None:
    report = check(written(TRACKED, config=with_checks(severity={"links.tracking": "error"})))
    [finding] = [finding for finding in report.errors if finding.check == "links.tracking"]
    assert finding.severity is Severity.ERROR


def test_what_lacks_its_needs_is_not_run_and_says_why() -> None:
    report = check(written(TRACKED))
    assert report.not_run["links.gone"] == "needs what the links answer"
    assert "links.gone" not in report.checks


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{TRACKED} {{waive=links.tracking reason="they count us"}}\n', "they count us"),
        (f"## Digital {{waive=links.tracking reason=why}}\n{TRACKED}\n", "why"),
        (f'{FRONT}waive: {{links.tracking: "a partner"}}\n{CLOSING}{TRACKED}\n', "a partner"),
        (f"{FRONT}waive:\n  links.tracking: a partner\n{CLOSING}{TRACKED}\n", "a partner"),
    ],
)
def test_a_finding_is_waived_with_its_reason(text: str, reason: str) -> None:
    report = check(written(text))
    [waived] = [finding for finding in report.waived if finding.check == "links.tracking"]
    assert waived.waived == reason
    assert not {"links.tracking", "waivers.unused", "waivers.no-reason"} & set(ids(report))


def test_a_waiver_covers_its_own_article_and_section_only() -> None:
    other = TRACKED.replace("/a?", "/b?")
    waived = f"{TRACKED} {{waive=links.tracking reason=x}}\n\n{other}\n"
    [finding] = found(written(waived), "links.tracking")
    assert finding.place is not None
    assert "/b?" in finding.message
    assert finding.article == "A story"
    report = check(written(f"## A {{waive=links.tracking reason=x}}\n{TRACKED}\n\n## B\n{other}\n"))
    assert len(report.waived) == 1
    assert ids(report).count("links.tracking") == 1


def test_waivers_are_looked_at_themselves() -> None:
    text = f"{FRONT}waive: [links.trackin, links.shortener]\n{CLOSING}{TRACKED}\n"
    report = check(written(text))
    told = {finding.check: finding for finding in report.findings}
    unknown = told["waivers.unknown"]
    assert unknown.severity is Severity.ERROR
    assert "did you mean links.tracking?" in unknown.fix
    assert (unknown.place.line, unknown.place.column) == (4, 9)
    assert "links.shortener" in told["waivers.no-reason"].message
    assert "links.shortener" in told["waivers.unused"].message
    assert told["waivers.unused"].place.column == 24


def test_a_waiver_of_what_was_not_run_is_not_called_unused() -> None:
    report = check(written(f"{FRONT}waive: {{links.gone: it works here}}\n{CLOSING}Hello.\n"))
    assert "waivers.unused" not in ids(report)


def test_settings_that_name_nothing_are_told_with_what_is_near() -> None:
    settings = ChecksSection(off=("link.tracking",), severity={"links.gone": "error", "x": "off"}, limits={"y": 1})
    told = list(unknown_settings(MANUAL_CHECKS, settings))
    assert len(told) == 3
    assert "did you mean links.tracking" in told[0]
    assert "no limit 'y'" in told[2]
    assert not list(unknown_settings(MANUAL_CHECKS, ChecksSection(off=("waivers.unused",))))


def test_a_report_tells_machines_all_of_it() -> None:
    told = check(written(f"{TRACKED}\n\n[x](y.html)\n")).as_json()
    assert (told["errors"], told["findings"][0]["file"]) == (1, "issues/2026-11-25.md")
    assert {"check", "severity", "message", "why", "fix", "line", "column", "article", "count", "waived"} <= told[
        "findings"
    ][0].keys()
    assert set(told["checks"]) | set(told["not_run"]) >= {check.id for check in ALL_CHECKS}
