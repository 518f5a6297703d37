"""Each check finds something in its bad example and nothing in its good one; no check lacks either."""

import importlib
from pathlib import Path

import pytest

from newsletter.checks import ALL_CHECKS, Severity

from .subjects import Example, found, made

EXAMPLES: dict[str, Example] = {}
for path in sorted(Path(__file__).parent.glob("examples_*.py")):
    EXAMPLES |= importlib.import_module(f".{path.stem}", __package__).EXAMPLES
OFF_BY_DEFAULT = {"clients.refinement"}
CHECKS = {check.id: check for check in ALL_CHECKS}


def test_each_check_has_its_examples() -> None:
    assert EXAMPLES.keys() == CHECKS.keys()


@pytest.mark.parametrize("id_", EXAMPLES)
def test_the_bad_example_has_a_finding(id_: str) -> None:
    subject = made(EXAMPLES[id_].bad)
    findings = found(subject, id_)
    assert findings
    for finding in findings:
        assert finding.message
        assert finding.fix
        assert len(finding.message) < 300
        if finding.place and subject.issue and finding.place.file == subject.issue.file:
            line = subject.source.split("\n")[finding.place.line - 1]
            assert 1 <= finding.place.column <= len(line) + 1


@pytest.mark.parametrize("id_", EXAMPLES)
def test_the_good_example_has_none(id_: str) -> None:
    assert found(made(EXAMPLES[id_].good), id_) == []


def test_ids_limits_and_words_are_as_they_should_be() -> None:
    assert len(CHECKS) == len(ALL_CHECKS)
    limits = [name for check in ALL_CHECKS for name in check.limits]
    assert len(set(limits)) == len(limits)
    for check in ALL_CHECKS:
        assert check.severity is not Severity.OFF or check.id in OFF_BY_DEFAULT
        assert check.why.endswith("."), check.id
        assert check.why[0].isupper(), check.id
        assert check.fix[:1].islower(), check.id
        assert not check.fix.endswith("."), check.id
