"""The guarantees are printed with their tests, in the README and in docs/proof.md: those tests must exist."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
PAGES = {"README.md": "## What is promised", "docs/proof.md": "## The guarantees"}
GUARANTEES = [f"G{number}" for number in range(1, 19) if number != 11]
NAMED = re.compile(r"`((?:[a-z]+/)?test_\w+\.py)(?:::(test_\w+))?`")


def rows(page: str) -> dict[str, str]:
    """Return the rows of a page's table of guarantees by their numbers."""
    text = (REPOSITORY / page).read_text(encoding="utf-8").partition(PAGES[page])[2].partition("\n## ")[0]
    return {found[1]: found[0] for found in re.finditer(r"^\| (G\d+) \|.*$", text, re.MULTILINE)}


def named_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("page", PAGES)
def test_every_guarantee_names_tests_that_exist(page):
    table = rows(page)
    assert list(table) == GUARANTEES
    for guarantee, row in table.items():
        named = NAMED.findall(row)
        assert named, f"{page}: {guarantee} names no test"
        assert row.count("`") // 2 >= len(named)
        for file, test in named:
            path = TESTS / file
            assert path.is_file(), f"{page}: {guarantee}: there is no {file}"
            found = named_in(path)
            assert found, f"{page}: {guarantee}: {file} holds no test"
            assert not test or test in found, f"{page}: {guarantee}: {file} has no {test}"


@pytest.mark.parametrize("page", PAGES)
def test_what_looks_like_a_test_is_read_as_one(page):
    """A name in another form would go unchecked."""
    for guarantee, row in rows(page).items():
        words = [word for word in re.findall(r"`([^`]+)`", row) if "test_" in word]
        assert all(NAMED.fullmatch(f"`{word}`") for word in words), f"{page}: {guarantee}: {words}"
