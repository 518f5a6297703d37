"""Run checks by the settings of ``[checks]``, and set aside what the issue waives; pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from newsletter.checks.clientsupport import known_clients
from newsletter.checks.finding import Check, Finding, Found, Need, Report, Severity
from newsletter.checks.subject import Subject
from newsletter.checksettings import ChecksSection
from newsletter.errors import Place
from newsletter.model import Article, Section

UNKNOWN, NO_REASON, UNUSED = "waivers.unknown", "waivers.no-reason", "waivers.unused"


def _nothing(_subject: Subject) -> Iterator[Found]:
    """Find nothing: what is to be said of waivers shows when all other checks are through."""
    yield from ()


WAIVER_CHECKS = (
    Check(
        id=UNKNOWN,
        severity=Severity.ERROR,
        why="A waiver of a check that does not exist lets nothing pass, and its writer thinks it does.",
        fix="write the id of a check; 'newsletter check --list' has them",
        run=_nothing,
    ),
    Check(
        id=NO_REASON,
        severity=Severity.WARNING,
        why="Whoever approves the issue should see why a check need not hold.",
        fix='write reason="…" behind it in the braces, or in the front matter waive: {ID: reason}',
        run=_nothing,
    ),
    Check(
        id=UNUSED,
        severity=Severity.WARNING,
        why="A waiver that is left behind will hide the next mistake of its kind.",
        fix="take the waiver out",
        run=_nothing,
    ),
)
"""Checks of the waivers themselves; they are run with every issue, and no waiver reaches them."""


def severities_of(checks: Sequence[Check], settings: ChecksSection) -> dict[str, Severity]:
    """Return the severity of each check as the settings have it."""
    own = {check.id: Severity(settings.severity.get(check.id, check.severity)) for check in checks}
    return own | {id_: Severity.OFF for id_ in settings.off if id_ in own}


def limits_of(checks: Sequence[Check], settings: ChecksSection) -> dict[str, float]:
    """Return the limits of all checks by name, as the settings have them."""
    return {name: settings.limits.get(name, number) for check in checks for name, number in check.limits.items()}


def unknown_settings(checks: Sequence[Check], settings: ChecksSection) -> Iterator[str]:
    """Yield what of ``[checks]`` names no check, no limit and no mail client, in words that say what there is."""
    ids = [check.id for check in checks]
    clients = known_clients()
    limits = [name for check in checks for name in check.limits]
    for key, names, known, what in (
        ("off", settings.off, ids, "check"),
        ("severity", settings.severity, ids, "check"),
        ("limits", settings.limits, limits, "limit"),
        ("clients", settings.clients, clients, "mail client"),
    ):
        for name in names:
            if name not in known:
                yield f"[checks] {key}: there is no {what} {name!r}; {near(name, known)}"


def near(name: str, known: Sequence[str]) -> str:
    """Return the names that ``name`` may have been meant for, in words; all of its group, where none is near."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.75)
    group = [each for each in known if each.partition(".")[0] == name.partition(".")[0] or each.endswith(f".{name}")]
    listed = close or group
    return f"did you mean {' or '.join(listed)}?" if listed else "'newsletter check --list' has them"


def run_checks(subject: Subject, checks: Sequence[Check]) -> Report:
    """Run those of ``checks`` that are not off and whose needs are there, and set aside what the issue waives."""
    checks = (*checks, *(check for check in WAIVER_CHECKS if check not in checks))
    settings = subject.config.checks
    severities = severities_of(checks, settings)
    subject = replace(subject, limits=limits_of(checks, settings))
    runnable = [check for check in checks if check.needs <= subject.has and severities[check.id] is not Severity.OFF]
    not_run = {check.id: _why_not(check, subject) for check in checks if not check.needs <= subject.has}
    found = [_finding(check, severities, each, subject) for check in runnable for each in check.run(subject)]
    waivers = list(_waivers(subject))
    kept, waived = _apart(found, waivers, subject)
    own = {check.id: check for check in WAIVER_CHECKS if severities[check.id] is not Severity.OFF}
    ran = {check.id for check in runnable}
    for id_, each in _said_of_waivers(waivers, waived, checks, ran):
        if id_ in own:
            kept.append(_finding(own[id_], severities, each, subject))
    return Report(
        findings=tuple(sorted(kept, key=_order)),
        waived=tuple(sorted((finding for finding, _ in waived), key=_order)),
        checks=tuple(check.id for check in runnable),
        not_run=not_run,
    )


def _why_not(check: Check, subject: Subject) -> str:
    missing = [need for need in Need if need in check.needs - subject.has]
    return f"needs {' and '.join(need.value for need in missing)}"


def _finding(check: Check, severities: Mapping[str, Severity], found: Found, subject: Subject) -> Finding:
    return Finding(
        check=check.id,
        severity=severities[check.id],
        message=found.message,
        why=check.why,
        fix=found.fix or check.fix,
        place=found.place,
        article=subject.headline_at(found.place),
        count=found.count,
    )


def _order(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.place or Place("\uffff")
    return place.file, place.line, place.column, finding.check


# ---------------------------------------------------------------------------------------------------------------------
# Waivers
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Waiver:
    """Hold one waiver: a check's id, the reason, where it stands, and what it covers; None is the whole issue."""

    id: str
    reason: str
    place: Place
    covers: Article | Section | None


def _waivers(subject: Subject) -> Iterator[_Waiver]:
    issue = subject.issue
    if issue is None:
        return
    place = subject.place_of_key("waive")
    for id_, reason in issue.waive.items():
        yield _Waiver(id_, reason, subject.place_of(id_, place), None)
    for section in issue.sections:
        owners: tuple[Section | Article, ...] = (section, *section.articles)
        for owner in owners:
            for id_ in owner.waive:
                yield _Waiver(id_, owner.waive_reason, subject.place_of(id_, owner.place), owner)


def _apart(
    found: Iterable[Finding], waivers: Sequence[_Waiver], subject: Subject
) -> tuple[list[Finding], list[tuple[Finding, _Waiver]]]:
    kept, waived = [], []
    for finding in found:
        covering = (None, subject.section_at(finding.place), subject.article_at(finding.place))
        fitting = (waiver for waiver in waivers if waiver.id == finding.check)
        waiver = next((each for each in fitting if any(each.covers is one for one in covering)), None)
        if waiver:
            waived.append((replace(finding, waived=waiver.reason), waiver))
        else:
            kept.append(finding)
    return kept, waived


def _said_of_waivers(
    waivers: Sequence[_Waiver],
    waived: Sequence[tuple[Finding, _Waiver]],
    checks: Sequence[Check],
    ran: Iterable[str],
) -> Iterator[tuple[str, Found]]:
    known, used = [check.id for check in checks], [waiver for _, waiver in waived]
    for waiver in waivers:
        if waiver.id not in known:
            yield UNKNOWN, Found(f"there is no check {waiver.id!r}", waiver.place, near(waiver.id, known))
            continue
        if not waiver.reason:
            yield NO_REASON, Found(f"the waiver of {waiver.id} gives no reason", waiver.place)
        if waiver.id in ran and waiver not in used:
            yield UNUSED, Found(f"the waiver of {waiver.id} is not needed", waiver.place)
