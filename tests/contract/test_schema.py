"""The schema is the sum of the migrations; a store of another schema is refused or migrated."""

import re
from pathlib import Path

import pytest

import newsletter.store.schema as schema_module
from newsletter.delivery import RUNNING, SendState, State
from newsletter.errors import ConfigError, StoreError
from newsletter.feed import FeedState
from newsletter.store import SubscriptionState, find_store, migrate_store, open_store
from newsletter.store.database import load_queries, parse_queries
from newsletter.store.dialect import POSTGRESQL, SQLITE
from newsletter.store.schema import check_schema, latest_schema, load_migrations, split_statements

from .conftest import KEY

FOLDER = Path(schema_module.__file__).parent


@pytest.fixture
def bare(kind) -> str:
    """Return a URL where there is no store yet."""
    return kind.bare()


def test_the_schema_is_the_sum_of_the_migrations(kind):
    summed = kind.described(statement for migration in load_migrations() for statement in migration.statements)
    written = kind.described(split_statements((FOLDER / "schema.sql").read_text(encoding="utf-8")))
    assert written == summed
    tables = [name for name in ("meta", "lists", "subscribers", "deliveries", "buckets") if name in str(summed)]
    assert len(tables) == 5


def test_a_new_store_has_that_schema(kind, bare):
    with open_store(bare) as store:
        assert kind.describe(bare) == kind.described(
            statement for migration in load_migrations() for statement in migration.statements
        )
        assert kind.run(store, "SELECT value FROM meta WHERE key = 'schema'") == [(str(latest_schema()),)]


def test_a_store_is_found_where_there_is_one_and_never_made(kind, bare):
    assert find_store(bare) is None
    assert find_store(bare) is None
    open_store(bare, address_key=KEY).close()
    found = find_store(bare, address_key=KEY)
    assert found is not None
    with found:
        assert found.subscribers.load_lists() == ()
    with pytest.raises(ConfigError, match="put the first line back"):
        find_store(bare, address_key=KEY[::-1])


def test_migrating_twice_does_nothing(kind, bare):
    assert migrate_store(bare) == latest_schema()
    before = kind.content(bare), kind.describe(bare)
    assert migrate_store(bare) == latest_schema()
    assert (kind.content(bare), kind.describe(bare)) == before


def test_a_newer_store_is_refused(kind, bare):
    with open_store(bare) as store:
        kind.run(store, "UPDATE meta SET value = '999' WHERE key = 'schema'")
    for call in (open_store, find_store, migrate_store):
        with pytest.raises(StoreError, match="made by a newer version"):
            call(bare)


def test_an_older_store_is_refused_until_it_is_migrated(kind, bare, tmp_path, monkeypatch):
    open_store(bare).close()
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in (FOLDER / "migrations").iterdir():
        (folder / path.name).write_text(path.read_text())
    number = latest_schema() + 1
    (folder / f"{number:04}_more.sql").write_text("-- one more\nALTER TABLE lists ADD COLUMN motto TEXT;\n")
    for name in ("latest_schema", "load_migrations"):
        original = getattr(schema_module, name)
        monkeypatch.setattr(f"{kind.module}.{name}", lambda original=original: original(folder))
    with pytest.raises(StoreError, match="newsletter migrate"):
        open_store(bare)
    migrate_store(bare)
    with open_store(bare) as store:
        assert kind.run(store, "SELECT motto FROM lists") == []


def test_a_migration_that_fails_leaves_the_store_as_it_was(kind, bare, monkeypatch):
    broken = schema_module.Migration(
        1, ("CREATE TABLE lists (id INTEGER PRIMARY KEY)", "CREATE TABLE lists (id INTEGER)")
    )
    with monkeypatch.context() as patch:
        patch.setattr(f"{kind.module}.load_migrations", lambda: (broken,))
        with pytest.raises(StoreError, match="already exists"):
            open_store(bare)
    with open_store(bare) as store:
        assert store.subscribers.load_lists() == ()


def test_check_schema_accepts_its_own_number_only():
    check_schema(3, 3, "here")
    for found in (2, 4):
        with pytest.raises(StoreError, match="here"):
            check_schema(found, 3, "here")


def test_migrations_are_numbered_without_gaps(tmp_path):
    (tmp_path / "0002_b.sql").write_text("SELECT 1;")
    with pytest.raises(ValueError, match="without gaps"):
        load_migrations(tmp_path)
    (tmp_path / "0001_a.sql").write_text("-- nothing\nSELECT 1;\n\nSELECT ';'\n  FROM x;\n")
    (tmp_path / "README").write_text("no migration")
    assert [migration.number for migration in load_migrations(tmp_path)] == [1, 2]
    assert load_migrations(tmp_path)[0].statements == ("SELECT 1", "SELECT ';'\n  FROM x")


# -- the queries ----------------------------------------------------------------------------------------------------


def test_every_query_is_understood_by_the_schema(world):
    queries = load_queries(dialect=world.kind.name)
    assert queries.keys() == load_queries().keys()
    for sql in queries.values():
        world.kind.explain(world.store, sql)  # raises for one that is not


def test_no_query_sets_a_delivery_or_send_but_from_a_state():
    for name, sql in load_queries().items():
        flat = " ".join(sql.split())
        if re.match(r"UPDATE (deliveries|sends) SET .*\bstate = ", flat.split(" WHERE ")[0]):
            assert "@" in name, f"{name} moves a row, but not along the table"
            start = name.partition("@")[2] if not name.startswith("undo_bounce@") else "bounced"
            assert f"AND state = '{start}'" in flat, name


def test_states_in_queries_are_states():
    known = {str(state) for kind in (State, SendState, SubscriptionState, FeedState) for state in kind}
    for name, sql in load_queries().items():
        compared = re.findall(r"state (?:=|<>) '(\w+)'", sql)
        listed = [word for group in re.findall(r"state IN \(([^)]*)\)", sql) for word in re.findall(r"'(\w+)'", group)]
        assert set(compared) | set(listed) <= known, name


def test_the_queries_of_the_hot_path_use_the_small_indexes(world):
    queries = load_queries(dialect=world.kind.name)
    if world.kind.name == POSTGRESQL:
        for scan in ("seqscan", "bitmapscan"):  # which a table of a few rows would be read by
            world.kind.run(world.store, f"SET enable_{scan} = off")
    expected = {
        "claimable_deliveries": ("deliveries_due",),
        "next_due_at": ("deliveries_due",),
        "list_owners": ("deliveries_owned",),
        "release_dead@claimed": ("deliveries_owned",),
        "doubt_dead@transmitting": ("deliveries_owned",),
        "log_dead": ("deliveries_owned",),
        "resend_doubtful@in_doubt": ("deliveries_doubtful",),
        "log_doubtful": ("deliveries_doubtful",),
        "finish_send@sending": ("deliveries_due", "deliveries_owned"),
        "unfinished_sends": ("deliveries_due", "deliveries_owned"),
        "skip_cancelled@pending": ("deliveries_due",),
        "expire_deliveries@pending": ("deliveries_due",),
    }
    for name, indexes in expected.items():
        plan = world.kind.explain(world.store, queries[name])
        assert all(index in plan for index in indexes), f"{name}:\n{plan}"
        assert "TEMP B-TREE" not in plan or name == "list_owners", f"{name}:\n{plan}"


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_freezing_goes_through_the_list_in_the_order_of_the_ledger(world):
    plan = world.kind.explain(world.store, load_queries()["freeze_audience"])
    assert "SEARCH m USING PRIMARY KEY" in plan.split("\n")[0]
    assert "TEMP B-TREE" not in plan


def test_queries_are_read_from_their_files(tmp_path):
    text = (
        "-- a comment\n-- name: one\n-- why\nSELECT 1\n\n"
        "-- name: start\n-- move: send START\nUPDATE {from} {to} {running}"
    )
    assert dict(parse_queries(text)) == {
        "one": "SELECT 1",
        "start@frozen": "UPDATE 'frozen' 'sending' 'canary', 'sending'",
        "start@canary": "UPDATE 'canary' 'sending' 'canary', 'sending'",
    }
    text = "-- name: a\nSELECT 1\n-- name: a\n-- dialect: postgresql\nSELECT 2\n-- name: b\nSELECT 3"
    assert dict(parse_queries(text)) == {"a": "SELECT 1", "b": "SELECT 3"}
    assert list(parse_queries(text, POSTGRESQL)) == [("a", "SELECT 2"), ("b", "SELECT 3")]
    assert sorted(RUNNING) == ["canary", "sending"]
    with pytest.raises(KeyError):
        dict(parse_queries("-- name: x\n-- move: VANISH\nSELECT 1"))
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1\n")
    (tmp_path / "b.sql").write_text("-- name: one\nSELECT 2\n")
    with pytest.raises(ValueError, match="defined twice"):
        load_queries(tmp_path)
