"""Write findings for other programs: SARIF 2.1.0 for code hosts, and the annotations of GitHub Actions; pure.

What stands in an issue may have come from anybody: in an annotation it can begin no command of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from newsletter import __version__
from newsletter.checks import Check, Finding, Report, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
Path = Callable[[str], str]
"""What gives the path of a file, as findings name it, from the root of the repository."""


def sarif_of(report: Report, checks: Sequence[Check], path_of: Path) -> dict[str, object]:
    """Return a report as a SARIF log (OASIS, SARIF 2.1.0); waived findings are suppressed in it, with the reason."""
    findings = (*report.findings, *report.waived)
    known = {check.id: check for check in checks}
    ids = list(dict.fromkeys([*known, *(finding.check for finding in findings)]))
    driver = {
        "name": "newsletter",
        "version": __version__,
        "rules": [_rule(id_, known.get(id_)) for id_ in ids],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, ids.index(finding.check), path_of) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(id_: str, check: Check | None) -> dict[str, object]:
    if check is None:
        return {"id": id_}
    return {
        "id": id_,
        "shortDescription": {"text": check.why},
        "help": {"text": check.fix},
        "defaultConfiguration": {"level": _level(check.severity)},
    }


def _result(finding: Finding, index: int, path_of: Path) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": _level(finding.severity),
        "message": {"text": f"{finding.message}. Fix: {finding.fix}" if finding.fix else finding.message},
    }
    if place := finding.place:
        location = {
            "artifactLocation": {"uri": quote(path_of(place.file)), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place.line, "startColumn": place.column},
        }
        result["locations"] = [{"physicalLocation": location}]
    if finding.waived is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.waived}]
    return result


def _level(severity: Severity) -> str:
    return "none" if severity is Severity.OFF else str(severity)


def github_lines(report: Report, path_of: Path) -> Iterator[str]:
    """Yield a report as workflow commands, which GitHub Actions shows at the lines of a pull request."""
    for finding in report.findings:
        place = finding.place
        where = {"file": path_of(place.file), "line": place.line, "col": place.column} if place else {}
        properties = {**where, "title": finding.check}
        listed = ",".join(f"{name}={_escaped_property(str(value))}" for name, value in properties.items())
        words = f"{finding.message}\nFix: {finding.fix}" if finding.fix else finding.message
        yield f"::{finding.severity} {listed}::{_escaped(words)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
