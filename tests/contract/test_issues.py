"""Editions, approvals, the cache of issue files, and who the store is."""

import dataclasses

import pytest

from newsletter.errors import StoreError
from newsletter.store import IssueFile, StoredApproval

from .conftest import NOW, edition, later


def test_an_edition_is_kept_once_and_comes_back_as_it_was(world):
    editions = world.store.editions
    french = edition("fr")
    number = editions.save_edition(french, NOW)
    assert editions.save_edition(french, later(days=1)) == number != world.edition_id
    assert editions.load_edition(number) == french
    assert editions.find_editions("2026-11-25") == {world.edition_id: edition(), number: french}
    assert editions.find_editions("2026-11-25", kind="proof") == {}


def test_a_missing_or_changed_edition_is_an_error(world):
    with pytest.raises(StoreError, match="no edition 99"):
        world.store.editions.load_edition(99)
    world.kind.run(world.store, "UPDATE editions SET content = replace(content, 'Hello', 'Howdy')")
    with pytest.raises(StoreError, match="is damaged"):
        world.store.editions.load_edition(world.edition_id)
    world.kind.run(world.store, "UPDATE editions SET content = replace(content, 'Howdy', 'Hello'), digest = 'x'")
    with pytest.raises(StoreError, match="does not have the digest"):
        world.store.editions.load_edition(world.edition_id)


def approval(digest="d1", by="mark", at=NOW):
    return StoredApproval(issue="2026-11-25", source_digest=digest, text=f"text of {digest}", by=by, at=at)


def test_the_latest_approval_counts_and_repeating_it_changes_nothing(world):
    issues = world.store.issues
    assert issues.latest_approval("2026-11-25") is None
    issues.record_approval(approval())
    issues.record_approval(approval(by="eve", at=later(hours=1)))
    assert issues.latest_approval("2026-11-25") == approval()
    issues.record_approval(approval("d2", at=later(hours=2)))
    issues.record_approval(approval("d1", at=later(hours=3)))
    assert issues.latest_approval("2026-11-25") == approval("d1", at=later(hours=3))
    assert issues.latest_approval("2026-12-02") is None


def test_the_latest_compilation_is_kept_until_it_is_dropped(world):
    issues = world.store.issues
    assert issues.find_compiled("a", "d1") == ""
    issues.keep_compiled("a", "d1", "first")
    issues.keep_compiled("b", "d1", "of another")
    issues.keep_compiled("a", "d2", "second")
    assert (issues.find_compiled("a", "d1"), issues.find_compiled("a", "d2")) == ("", "second")
    issues.drop_compiled("a")
    issues.drop_compiled("a")
    assert (issues.find_compiled("a", "d2"), issues.find_compiled("b", "d1")) == ("", "of another")


def test_issue_files_are_remembered_until_they_change_or_go(world):
    issues = world.store.issues
    first = IssueFile(name="a.md", mtime_ns=2**62, size=10, send_at=NOW, verdict="due")
    second = IssueFile(name="b.md", mtime_ns=1, size=20, send_at=None, verdict="draft")
    issues.remember_issue_files([first, second])
    assert issues.load_issue_files() == {"a.md": first, "b.md": second}
    changed = dataclasses.replace(second, size=21, verdict="due")
    issues.remember_issue_files([changed], gone=["a.md", "never.md"])
    assert issues.load_issue_files() == {"b.md": changed}


def test_a_file_name_that_is_no_unicode_can_be_remembered(world):
    world.store.issues.remember_issue_files([IssueFile(name="\udcff.md", mtime_ns=1, size=1, send_at=None, verdict="")])
    assert list(world.store.issues.load_issue_files()) == ["\ufffd.md"]


def test_a_store_knows_itself_and_moves_by_compare_and_set(world):
    identity = world.store.identity
    first = identity.load_identity()
    assert len(first.store_id) == 32
    assert (first.host_id, first.epoch) == ("", 1)
    assert identity.load_identity() == first
    assert identity.bind_host("", "host-a")
    assert not identity.bind_host("", "host-b")
    assert identity.bind_host("host-a", "host-b")
    assert identity.advance_epoch(1)
    assert not identity.advance_epoch(1)
    assert identity.load_identity() == dataclasses.replace(first, host_id="host-b", epoch=2)
