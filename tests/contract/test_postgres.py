"""PostgreSQL itself: durability, who may write when, lost connections, and every message for what cannot be used."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest

from newsletter.errors import BusyError, ConfigError, NewsletterError, StoreError, StoreUnavailableError
from newsletter.store import NewSubscriber, Store, SubscriptionState, SuppressionReason, find_store, open_store
from newsletter.store.batches import Batches
from newsletter.store.database import load_queries
from newsletter.store.dialect import POSTGRESQL, postgres_query, postgres_schema
from newsletter.store.postgres import _RUN
from newsletter.store.postgres_errors import connection_error, connection_parts, shown_url, store_error
from newsletter.store.schema import latest_schema

from .conftest import KEY, NOW, World
from .kinds import Postgres
from .test_safety import READS, WRITES, named, scene

__all__ = ["scene"]


@pytest.fixture
def kind(postgres: Postgres) -> Iterator[Postgres]:
    yield postgres
    postgres.drop_bare()


@pytest.fixture
def store(world) -> Store:
    return world.store


@contextlib.contextmanager
def session(url: str) -> Iterator[psycopg.Connection]:
    """Open a session of somebody else."""
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


def setting(store: Store, name: str) -> str:
    return store.database._connection.execute(f"SHOW {name}").fetchone()[0]


def end_session(world: World) -> None:
    """End the store's session as an administrator would, or a server that starts anew."""
    world.kind._admin.execute(
        "SELECT pg_terminate_backend(%s, 5000)", [world.store.database._connection.info.backend_pid]
    )


# -- the SQL --------------------------------------------------------------------------------------------------------


def test_a_query_gets_the_parameters_of_the_driver():
    assert (
        postgres_query("SELECT :a, x::text, ':b' LIKE '%' || :c_d")
        == "SELECT %(a)s, x::text, '%(b)s' LIKE '%%' || %(c_d)s"
    )


def test_queries_differ_only_where_they_must():
    common, own = load_queries(), load_queries(dialect=POSTGRESQL)
    differing = {name for name in own if own[name] != common[name]}
    assert differing == {"claimable_deliveries", "claimable_canaries", "lock_unstarted", "freeze_audience"}
    for name in ("claimable_deliveries", "claimable_canaries"):
        assert own[name] == common[name] + "\n   FOR NO KEY UPDATE OF d SKIP LOCKED"
    assert own["lock_unstarted"] == common["lock_unstarted"] + " FOR UPDATE"
    unless_there = "ON CONFLICT (send_id, subscriber_id) DO NOTHING"
    looked_first = (
        "   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.send_id = :send AND d.subscriber_id = m.subscriber_id)\n"
    )
    assert own["freeze_audience"].replace(looked_first, "") + f"\n{unless_there}" == common["freeze_audience"]


def test_a_migration_gets_types_of_postgresql():
    table = "CREATE TABLE x (\n    id INTEGER PRIMARY KEY,\n    hash BLOB REFERENCES y (id)\n) WITHOUT ROWID"
    assert postgres_schema(table) == (
        "CREATE TABLE x (\n    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    hash BYTEA REFERENCES y (id)\n)"
    )
    assert postgres_schema("CREATE TABLE deliveries (a BIGINT NOT NULL REFERENCES b (id), c TEXT)") == (
        "CREATE TABLE deliveries (a BIGINT NOT NULL, c TEXT)"
    )


# -- the session ----------------------------------------------------------------------------------------------------


def test_commits_survive_a_power_cut_whatever_the_role_says(kind, url):
    with session(url) as other:
        database = other.info.dbname
        for weak in ("off", "local", "remote_apply"):
            other.execute(f"ALTER DATABASE {database} SET synchronous_commit = {weak}")
            with open_store(url) as store:
                assert setting(store, "synchronous_commit") == ("remote_apply" if weak == "remote_apply" else "on")
        other.execute(f"ALTER DATABASE {database} RESET synchronous_commit")


def test_a_session_waits_as_long_as_it_was_told_and_may_idle(url):
    with open_store(url, timeout_s=2.5) as store:
        assert setting(store, "lock_timeout") == "2500ms"
        assert setting(store, "idle_session_timeout") == "0"
        assert setting(store, "idle_in_transaction_session_timeout") == "1min"
        assert setting(store, "application_name") == "newsletter"
        assert setting(store, "client_encoding") == "UTF8"


def test_what_the_url_says_of_the_connection_counts(url):
    with open_store(f"{url}&application_name=mine&connect_timeout=7&keepalives_idle=99") as store:
        assert setting(store, "application_name") == "mine"
        parameters = store.database._connection.info.get_parameters()
        assert (parameters["connect_timeout"], parameters["keepalives_idle"]) == ("7", "99")
        assert parameters["tcp_user_timeout"] == "60000"


def test_a_short_name_of_the_scheme_will_do(url):
    open_store(url.replace("postgresql://", "postgres://")).close()
    assert find_store(url.replace("postgresql://", "postgres://")) is not None


# -- writers take turns -----------------------------------------------------------------------------------------------


def test_a_transaction_has_its_turn_before_its_first_statement(world, store):
    with open_store(world.url, timeout_s=0.05) as other, store.database.transaction():
        assert store.subscribers.find_list("second") is None
        with pytest.raises(StoreUnavailableError, match=r"held by another command for over 0\.05 s"):
            other.subscribers.ensure_list("second", NOW)
        store.subscribers.ensure_list("third", NOW)
    assert [found.name for found in store.subscribers.load_lists()] == ["main", "third"]


def test_a_transaction_inside_another_is_part_of_it(store):
    def add_and(error):
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            raise error

    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            add_and(error)
        assert store.subscribers.find_list("second") is None, "rolled back as a whole"
    store.subscribers.ensure_list("second", NOW)


LEAVING = {
    "unsubscribed": lambda s, row: s.subscribers.change_subscription(
        row.recipient.list_id, row.subscriber_id, SubscriptionState.UNSUBSCRIBED, NOW
    ),
    "suppressed": lambda s, row: s.subscribers.suppress_address(row.recipient.address, SuppressionReason.REQUEST, NOW),
    "erased": lambda s, row: s.subscribers.erase_subscriber(row.subscriber_id, NOW),
    "paused": lambda s, row: s.sends.pause_send(row.send_id, "stop", NOW),
    "cancelled": lambda s, row: s.sends.cancel_send(row.send_id, "stop", NOW),
}


@pytest.mark.parametrize("how", LEAVING)
def test_a_mark_waits_for_whoever_leaves_and_sees_that_they_left(world, store, how):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    marked = []
    with open_store(world.url, address_key=KEY) as other, open_store(world.url, timeout_s=30) as sender:
        thread = threading.Thread(
            target=lambda: marked.append(sender.ledger.mark_transmitting(send_id, "me", [ann], NOW))
        )
        with other.database.transaction():
            LEAVING[how](other, ann)
            thread.start()
            wait_for_waiting(world)
        thread.join()
    assert marked == [frozenset()], "no dot after the commit"


def wait_for_waiting(world: World) -> None:
    """Wait until a session waits for its turn."""
    query = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    deadline = time.monotonic() + 30
    while world.kind._admin.execute(query).fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_claim_passes_over_rows_that_somebody_has_locked(world, store):
    send_id = world.sending("ann", "bob", "cyd")
    with session(world.url) as other:
        other.execute("BEGIN; UPDATE deliveries SET reason = 'by hand' WHERE subscriber_id = 2")
        assert [row.recipient.name for row in world.claim(send_id)] == ["Ann", "Cyd"]
        other.execute("ROLLBACK")
    assert [row.recipient.name for row in world.claim(send_id)] == ["Bob"]


class Undone(Exception):
    """Take back what a block wrote."""


def test_tables_that_somebody_has_locked_are_unavailable(scene):
    """Each call fails, leaves everything as it was, and works as soon as the tables are free."""
    before = scene.kind.content(scene.url)
    scene.kind.hurry(scene.store)
    with session(scene.url) as other:
        tables = ", ".join(
            row[0] for row in other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        for name, call in (READS | WRITES).items():
            with named(name):
                other.execute(f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(StoreUnavailableError, match="try again"):
                    call(scene.store, scene)
                other.execute("ROLLBACK")
                assert scene.kind.is_idle(scene.store)
                with contextlib.suppress(Undone), scene.store.database.transaction():
                    call(scene.store, scene)
                    raise Undone
                assert scene.kind.content(scene.url) == before


def test_threads_share_a_store_in_turns(store):
    def add(start):
        for n in range(start, start + 30):
            store.subscribers.add_subscriber(1, NewSubscriber(address=f"p{n}@example.org"), NOW, origin="x")

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.subscribers.list_subscribers(1))) == 70


def test_several_imports_of_the_same_people_at_once_add_each_once(world):
    people = [NewSubscriber(address=f"p{n}@example.org") for n in range(60)]
    changes: list[str] = []

    def run(order):
        with open_store(world.url, address_key=KEY, timeout_s=30) as store:
            changes.extend(store.subscribers.import_subscribers(world.list_id, order, NOW, origin="x", batch=5))

    threads = [
        threading.Thread(target=run, args=(order,)) for order in (people, people[::-1], people[30:] + people[:30])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changes) == ["added"] * 60 + ["unchanged"] * 120


def test_several_processes_may_make_the_same_store_at_once(kind):
    url = kind.bare()
    code = "import sys; from newsletter.store import open_store; open_store(sys.argv[1], address_key=b'k').close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    with open_store(url, address_key=b"k") as store:
        assert store.subscribers.load_lists() == ()


# -- connections that are lost ----------------------------------------------------------------------------------------


def test_a_connection_that_was_lost_meanwhile_is_opened_anew(world, store):
    end_session(world)
    assert store.subscribers.find_list("main") is not None
    end_session(world)
    assert store.subscribers.ensure_list("second", NOW).name == "second"
    world.kind.run(store, "UPDATE meta SET value = '999' WHERE key = 'schema'")
    end_session(world)
    with pytest.raises(StoreError, match="made by a newer version"):
        store.subscribers.find_list("main")
    world.kind.run(store, f"UPDATE meta SET value = '{latest_schema()}' WHERE key = 'schema'")


def test_a_connection_that_is_lost_in_a_transaction_takes_it_along(world, store):
    def add_and_lose():
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            end_session(world)
            store.subscribers.ensure_list("third", NOW)

    with pytest.raises(StoreUnavailableError, match="see whether it runs"):
        add_and_lose()
    assert [found.name for found in store.subscribers.load_lists()] == ["main"]
    store.subscribers.ensure_list("third", NOW)


def test_a_connection_that_is_lost_in_the_commit_says_that_nobody_knows(world, store):
    def add_and_lose():
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            end_session(world)

    with pytest.raises(StoreUnavailableError, match="either all of it was written or nothing"):
        add_and_lose()
    assert [found.name for found in store.subscribers.load_lists()] == ["main"]


def test_a_commit_that_is_refused_is_no_lost_connection(store, monkeypatch):
    # A constraint that is checked by the commit stands for whatever a server may refuse then.
    store.database._connection.execute(
        "CREATE TEMP TABLE late (x BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1)"
    )

    def add_twice():
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            store.database._connection.execute("INSERT INTO late VALUES (1)")

    with pytest.raises(StoreError, match="duplicate key"):
        add_twice()
    assert store.subscribers.find_list("second") is None


def test_a_failed_statement_cannot_be_committed_unnoticed(store):
    def add_and_hide():
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            with contextlib.suppress(psycopg.Error):
                store.database._connection.execute("SELECT nothing FROM nowhere")

    with pytest.raises(StoreError, match="unnoticed"):
        add_and_hide()
    assert store.subscribers.find_list("second") is None


def test_an_interrupt_while_a_transaction_is_rolled_back_leaves_none_open(store, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    def add_and_fail():
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            monkeypatch.setattr(store.database._connection, "execute", interrupt, raising=False)
            raise RuntimeError

    with pytest.raises(KeyboardInterrupt):
        add_and_fail()
    assert store.subscribers.find_list("second") is None, "on a new connection"


def test_a_closed_store_says_so_and_may_be_closed_again(world, store):
    world.is_checked = False
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed") as caught:
        store.subscribers.load_lists()
    assert not isinstance(caught.value, StoreUnavailableError)


def test_a_bug_in_a_query_is_no_trouble_of_the_server(store):
    with pytest.raises(StoreError, match="bug") as caught:
        store.database.rows("find_list")  # without its parameter
    assert not isinstance(caught.value, StoreUnavailableError)


# -- the lock of a run ------------------------------------------------------------------------------------------------


def test_the_lock_of_a_run_goes_with_its_connection_and_so_does_the_run(world, store):
    def run():
        with store.run_lock("me"):
            end_session(world)
            with open_store(world.url) as other, other.run_lock("the next"):
                pass
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match=r"lost|ended"):
                    store.subscribers.load_lists()
            store.subscribers.ensure_list("second", NOW)

    with pytest.raises(StoreUnavailableError):
        run()
    assert store.subscribers.find_list("second") is None, "works again, without the lock"
    with store.run_lock("me again"):
        pass


def test_whoever_comes_too_late_is_told_who_has_the_lock(world, store):
    with store.run_lock("host:123:2026-11-25T08:00:00+00:00"), open_store(world.url) as other:
        with pytest.raises(BusyError, match="host:123:2026"), other.run_lock("late"):
            pass
        other.database._connection.execute("SET application_name = ''")
    with nameless_run(world.url), pytest.raises(BusyError, match="its name is not known"), store.run_lock("late"):
        pass
    assert setting(store, "application_name") == "newsletter"


@contextlib.contextmanager
def nameless_run(url: str) -> Iterator[None]:
    """Hold the lock of a run in a session that does not say who it is."""
    with open_store(url) as other, session(url) as nameless:
        nameless.execute("SELECT pg_advisory_lock(%s)", [other.database._key(_RUN)])
        yield


def test_behind_a_pooler_no_run_can_have_its_lock(world, store, monkeypatch):
    monkeypatch.setattr(store.database, "_backend_pid", 1)
    with pytest.raises(ConfigError, match="name the server itself"), store.run_lock("me"):
        pass


def test_stores_in_two_schemas_of_a_database_do_not_wait_for_each_other(kind):
    url = kind.bare()
    with session(url) as other:
        other.execute("CREATE SCHEMA weekly; CREATE SCHEMA daily")
    weekly, daily = (f"{url}&options={quote(f'-csearch_path={name}')}" for name in ("weekly", "daily"))
    with open_store(weekly, timeout_s=0.05) as first, open_store(daily, timeout_s=0.05) as second:
        with first.run_lock("one"), second.run_lock("two"), first.database.transaction():
            second.subscribers.ensure_list("main", NOW)
        assert first.subscribers.load_lists() == ()
        assert len(second.subscribers.load_lists()) == 1


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.fixture
def server(kind):
    return kind.server


def test_a_wrong_password_is_a_mistake_of_configuration_and_never_shown(server, kind):
    url = kind.bare()
    database = url.split("/")[3].split("?")[0]
    role = f"guarded_{database}"
    server.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'", f"ALTER DATABASE {database} OWNER TO {role}")
    with guarded(server, role):
        for password in ("wr0ng", ""):
            bad = url.replace("postgres@", f"{role}:{password}@")
            with pytest.raises(ConfigError, match="does not let us in") as caught:
                open_store(bad)
            assert "wr0ng" not in str(caught.value)
            assert role in str(caught.value)
            assert "NEWSLETTER_STORE__URL" in str(caught.value)
        with open_store(url.replace("postgres@", f"{role}:right@")) as store:
            assert "right" not in store.database.where
            assert store.subscribers.load_lists() == ()
    kind.drop_bare()
    server.run(f"DROP ROLE {role}")


@contextlib.contextmanager
def guarded(server, role: str) -> Iterator[None]:
    """Let the server ask this role for its password."""
    path = server.folder / "data" / "pg_hba.conf"
    open_to_all = path.read_text()
    path.write_text(f"local all {role} scram-sha-256\n{open_to_all}")
    server.run("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + 30
        while can_connect(server.url("postgres", user=role)):
            assert time.monotonic() < deadline
        yield
    finally:
        path.write_text(open_to_all)
        server.run("SELECT pg_reload_conf()")


def can_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_an_unknown_database_or_role_is_a_mistake_of_configuration(server):
    with pytest.raises(ConfigError, match=r"no such database \(.*\"nowhere\".*\); make it"):
        open_store(server.url("nowhere"))
    with pytest.raises(ConfigError, match="does not let us in"):
        open_store(server.url("postgres", user="nobody_here"))


def test_a_server_that_is_down_is_unavailable():
    for url in ("postgresql://ann:s3cret@127.0.0.1:1/news", "postgresql:///news?host=/nonexistent"):
        with pytest.raises(StoreUnavailableError, match="check that the server runs") as caught:
            open_store(url, timeout_s=0.1)
        assert "s3cret" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p4ss/w@h/db",
        "postgresql://h:port/db",
        "postgresql://h/db?nonsense=p4ss",
        "postgresql://%zz@h/",
        "postgresql://u:4/p4ss@h/db",
    ],
)
def test_a_url_that_cannot_be_read_is_a_mistake_of_configuration_and_not_shown(url):
    with pytest.raises(ConfigError, match=r"\[store\] url: cannot be read; write 'postgresql://") as caught:
        open_store(url)
    assert "p4ss" not in str(caught.value)


def test_without_the_driver_the_extra_is_named(url, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "newsletter.store.postgres")
    monkeypatch.delitem(sys.modules, "newsletter.store.postgres_errors")
    with pytest.raises(ConfigError, match=r"pip install 'newsletter\[postgres\]'"):
        open_store(url)


def test_sqlite_needs_no_driver_of_postgresql(tmp_path):
    code = (
        "import sys; from newsletter.store import *; open_store(sys.argv[1]).close(); print('psycopg' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'x.db'}"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_tables_of_something_else_are_left_alone(kind):
    for statement in (
        "CREATE TABLE recipes (x TEXT)",
        "CREATE TABLE meta (k TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT)",
    ):
        url = kind.bare()
        with session(url) as other:
            other.execute(statement)
        for call in (open_store, find_store):
            with pytest.raises(StoreError, match="something else"):
                call(url)


def test_an_encoding_that_cannot_hold_every_name_is_refused(server):
    server.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(ConfigError, match="LATIN1; make one with ENCODING 'UTF8'"):
            open_store(server.url("latin"))
    finally:
        server.drop_database("latin")


def test_a_search_path_without_a_schema_is_a_mistake_of_configuration(url):
    with pytest.raises(ConfigError, match="CREATE SCHEMA"):
        open_store(f"{url}&options={quote('-csearch_path=nowhere')}")


def test_a_role_without_permissions_is_told_so(server, kind):
    url = kind.bare()
    role = "stranger_" + url.split("/")[3].split("?")[0]
    server.run(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(StoreUnavailableError, match=r"permission denied for schema public.*check the permissions"):
            open_store(url.replace("postgres@", f"{role}@"))
    finally:
        server.run(f"DROP ROLE {role}")


def test_an_old_server_is_refused(url, monkeypatch):
    monkeypatch.setattr("newsletter.store.postgres._OLDEST", 99)
    with pytest.raises(StoreError, match="version 99 or newer"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db.example:5433/news?sslmode=require", "postgresql://ann@db.example:5433/news"),
        ("postgresql:///news?host=/run/pg&user=ann&password=s3cret", "postgresql://ann@/news?host=/run/pg"),
        ("postgresql://[::1]/news?passfile=/etc/s3cret", "postgresql://[::1]/news"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert shown_url(connection_parts(url)) == shown


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("55P03", "held by another command for over 3 s; try again"),
        ("40P01", "another transaction went first (oh); nothing was written, try again"),
        ("40001", "another transaction went first (oh); nothing was written, try again"),
        ("57014", "statement_timeout"),
        ("25006", "read only; name the primary"),
        ("42501", "check the permissions"),
        ("53100", "the server's disk is full; free some space"),
        ("53300", "try again when it is less busy"),
        ("58030", "check that its disk is there and sound"),
        ("25P03", "took too long"),
        ("57P01", "see whether it runs"),
        ("08006", "the connection to the server is lost"),
    ],
)
def test_an_error_of_the_server_says_what_to_do(code, words):
    error = store_error(psycopg.errors.lookup(code)("oh"), "here", 3.0)
    assert isinstance(error, StoreUnavailableError)
    assert str(error).startswith("here: ")
    assert words in str(error)


def test_damage_and_bugs_are_no_passing_trouble():
    for code, words in (("XX001", "restore the latest backup"), ("23505", "bug"), ("42601", "bug")):
        error = store_error(psycopg.errors.lookup(code)("oh"), "here", 3.0)
        assert type(error) is StoreError
        assert words in str(error)


def test_an_error_without_a_code_is_told_by_its_kind():
    assert isinstance(
        store_error(psycopg.OperationalError("the connection is closed"), "here", 1), StoreUnavailableError
    )
    assert isinstance(store_error(psycopg.InterfaceError("gone"), "here", 1), StoreUnavailableError)
    assert type(store_error(psycopg.ProgrammingError("no parameter"), "here", 1)) is StoreError


@pytest.mark.parametrize(
    ("words", "kind_of_error"),
    [
        ('FATAL:  password authentication failed for user "ann"', ConfigError),
        ("fe_sendauth: no password supplied", ConfigError),
        ('FATAL:  no pg_hba.conf entry for host "::1"', ConfigError),
        ('FATAL:  database "x" does not exist', ConfigError),
        ("FATAL:  sorry, too many clients already", StoreUnavailableError),
        ("FATAL:  the database system is starting up", StoreUnavailableError),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen", StoreUnavailableError),
    ],
)
def test_a_connection_that_fails_is_told_by_the_words_of_the_server(words, kind_of_error):
    error: NewsletterError = connection_error(psycopg.OperationalError(words), "here")
    assert type(error) is kind_of_error
    assert words.split(": ")[-1].strip()[:20] in str(error)


def test_a_batch_takes_numbers_texts_bytes_and_nothing_and_goes_on_after_a_failure(store):
    database, sql = store.database, "UPDATE meta SET value = %(value)s WHERE key = %(key)s AND 7 = %(number)s"
    batches = Batches(database._connection)
    with database.transaction():
        sets = [{"value": "é'\\", "key": key, "number": number} for key, number in (("schema", 7), ("no", 7))]
        assert batches.run([(sql, sets)]) == [[True, False]]
        assert database._connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("é'\\",)
        with pytest.raises(TypeError, match="float: only numbers"):
            batches.run([(sql, [{"value": 1.5, "key": "schema", "number": 7}])])
        raw = "UPDATE meta SET value = encode(%(raw)s, 'hex') || coalesce(%(none)s::text, '!') WHERE key = 'schema'"
        assert batches.run([(raw, [{"raw": b"\x00'\xff", "none": None}] * 2), (sql, [])]) == [[True, True], []]
        assert database._connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("0027ff!",)
        database._connection.execute("UPDATE meta SET value = %s WHERE key = 'schema'", [str(latest_schema())])


def test_a_failed_batch_rolls_back_and_the_next_one_runs(store):
    database = store.database
    database._queries["raise_value"] = "UPDATE meta SET value = (1 / %(by)s)::text WHERE key = 'nothing' OR %(by)s = 0"
    for _ in range(2):
        assert database.change_each("raise_value", [{"by": 1}, {"by": 2}]) == [False, False]
        with pytest.raises(StoreError, match="division by zero"):
            database.change_each("raise_value", [{"by": 1}, {"by": 0}, {"by": 2}])


def test_a_batch_whose_server_is_gone_closes_the_connection(world):
    database = world.store.database
    database._queries["touch"] = "UPDATE meta SET value = value WHERE key = %(key)s"
    assert database.change_each("touch", [{"key": "a"}]) == [False]

    def lose_the_server() -> None:
        with database.transaction():
            end_session(world)
            database.change_each("touch", [{"key": "a"}, {"key": "b"}])

    with pytest.raises(StoreUnavailableError):
        lose_the_server()
    assert database.change_each("touch", [{"key": "a"}]) == [False]
