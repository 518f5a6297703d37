"""The schema is the sum of the migrations; a store of another schema is refused or migrated."""

import re
import sqlite3
from pathlib import Path

import pytest

import newsletter.store.schema as schema_module
from newsletter.delivery import RUNNING, SendState, State
from newsletter.errors import StoreError
from newsletter.store import SubscriptionState, migrate_store, open_store
from newsletter.store.database import load_queries, parse_queries
from newsletter.store.schema import check_schema, latest_schema, load_migrations, split_statements

FOLDER = Path(schema_module.__file__).parent


def described(statements) -> dict[str, object]:
    """Return what a database of these statements looks like: columns, keys, indexes."""
    connection = sqlite3.connect(":memory:")
    for statement in statements:
        connection.execute(statement)
    return describe(connection)


def describe(connection: sqlite3.Connection) -> dict[str, object]:
    objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
    found: dict[str, object] = {}
    for kind, name, table, sql in objects:
        found[name] = (kind, table, " ".join(sql.split()) if kind == "index" and sql else "")
        if kind == "table":
            found[f"{name} columns"] = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            found[f"{name} references"] = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            found[f"{name} rowid"] = re.search(r"WITHOUT ROWID\s*$", sql) is None
    return found


def test_the_schema_is_the_sum_of_the_migrations():
    summed = described(statement for migration in load_migrations() for statement in migration.statements)
    written = described(split_statements((FOLDER / "schema.sql").read_text(encoding="utf-8")))
    assert written == summed
    assert len([name for name in summed if name.endswith("columns")]) == 13


def test_a_new_store_has_that_schema(url):
    open_store(url).close()
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert describe(connection) == described(
        statement for migration in load_migrations() for statement in migration.statements
    )
    assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() == [(str(latest_schema()),)]


def test_migrating_twice_does_nothing(url):
    assert migrate_store(url) == latest_schema()
    before = Path(url.removeprefix("sqlite:///")).read_bytes()
    assert migrate_store(url) == latest_schema()
    assert Path(url.removeprefix("sqlite:///")).read_bytes() == before


def test_a_newer_store_is_refused(url):
    with open_store(url) as store:
        store.database._connection.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
    for call in (open_store, migrate_store):
        with pytest.raises(StoreError, match="made by a newer version"):
            call(url)


def test_an_older_store_is_refused_until_it_is_migrated(url, tmp_path, monkeypatch):
    open_store(url).close()
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in (FOLDER / "migrations").iterdir():
        (folder / path.name).write_text(path.read_text())
    number = latest_schema() + 1
    (folder / f"{number:04}_more.sql").write_text("-- one more\nALTER TABLE lists ADD COLUMN motto TEXT;\n")
    for name in ("latest_schema", "load_migrations"):
        original = getattr(schema_module, name)
        monkeypatch.setattr(f"newsletter.store.sqlite.{name}", lambda original=original: original(folder))
    with pytest.raises(StoreError, match="newsletter migrate"):
        open_store(url)
    migrate_store(url)
    with open_store(url) as store:
        store.database._connection.execute("SELECT motto FROM lists")


def test_a_migration_that_fails_leaves_the_store_as_it_was(url, tmp_path, monkeypatch):
    broken = schema_module.Migration(
        1, ("CREATE TABLE lists (id INTEGER PRIMARY KEY)", "CREATE TABLE lists (id INTEGER)")
    )
    with monkeypatch.context() as patch:
        patch.setattr("newsletter.store.sqlite.load_migrations", lambda: (broken,))
        with pytest.raises(StoreError, match="already exists"):
            open_store(url)
    with open_store(url) as store:
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
    for name, sql in load_queries().items():
        parameters = dict.fromkeys(re.findall(r":(\w+)", sql))
        plan = world.store.database._connection.execute(f"EXPLAIN {sql}", parameters)
        assert plan.fetchall(), name


def test_no_query_sets_a_delivery_or_send_but_from_a_state():
    for name, sql in load_queries().items():
        flat = " ".join(sql.split())
        if re.match(r"UPDATE (deliveries|sends) SET .*\bstate = ", flat.split(" WHERE ")[0]):
            assert "@" in name, f"{name} moves a row, but not along the table"
            start = name.partition("@")[2] if not name.startswith("undo_bounce@") else "bounced"
            assert f"AND state = '{start}'" in flat, name


def test_states_in_queries_are_states():
    known = {str(state) for kind in (State, SendState, SubscriptionState) for state in kind}
    for name, sql in load_queries().items():
        compared = re.findall(r"state (?:=|<>) '(\w+)'", sql)
        listed = [word for group in re.findall(r"state IN \(([^)]*)\)", sql) for word in re.findall(r"'(\w+)'", group)]
        assert set(compared) | set(listed) <= known, name


def test_the_queries_of_the_hot_path_use_the_small_indexes(world):
    queries = load_queries()
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
        parameters = dict.fromkeys(re.findall(r":(\w+)", queries[name]))
        plan = world.store.database._connection.execute(f"EXPLAIN QUERY PLAN {queries[name]}", parameters)
        text = "\n".join(str(row[-1]) for row in plan)
        assert all(index in text for index in indexes), f"{name}:\n{text}"
        assert "TEMP B-TREE" not in text or name == "list_owners", f"{name}:\n{text}"


def test_freezing_goes_through_the_list_in_the_order_of_the_ledger(world):
    sql = load_queries()["freeze_audience"]
    plan = world.store.database._connection.execute(
        f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(re.findall(r":(\w+)", sql))
    )
    text = [str(row[-1]) for row in plan]
    assert "SEARCH m USING PRIMARY KEY" in text[0]
    assert not any("TEMP B-TREE" in line for line in text), text


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
    assert sorted(RUNNING) == ["canary", "sending"]
    with pytest.raises(KeyError):
        dict(parse_queries("-- name: x\n-- move: VANISH\nSELECT 1"))
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1\n")
    (tmp_path / "b.sql").write_text("-- name: one\nSELECT 2\n")
    with pytest.raises(ValueError, match="defined twice"):
        load_queries(tmp_path)
