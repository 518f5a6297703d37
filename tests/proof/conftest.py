"""Keep the proofs out of a run that did not ask for them: ``pytest -m proof`` does."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT = frozenset({"test_clocks.py", "test_machine.py"})
"""Proofs that are short enough for every run, in their shortened size."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and item.path.name not in SHORT:
            item.add_marker(pytest.mark.proof)
