"""One test over every method of the store: against a PostgreSQL that is killed before a call, and in its middle."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, missing_reason

from newsletter.errors import StoreUnavailableError
from newsletter.store import open_store
from newsletter.store.postgres import PostgresDatabase

from .kinds import Postgres
from .test_safety import READS, WRITES, let_a_newer_send_begin, scene

__all__ = ["scene"]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """Yield databases on a server that may be killed."""
    if reason := missing_reason():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="newsletter-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder) / "server")
        server.start()
        try:
            kind = Postgres(server)
            yield kind
            kind.close()
        finally:
            server.stop()


@pytest.fixture
def kind(mortal) -> Postgres:
    return mortal


@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_server_is_killed_before_the_commit_leaves_nothing_and_is_done_by_the_next(
    scene, name, monkeypatch
):
    if name == "ledger.resend_failed":
        WRITES["ledger.skip_deliveries"](scene.store, scene)
        scene.kind.run(scene.store, "UPDATE deliveries SET state = 'failed' WHERE state = 'skipped'")
        scene.kind.run(scene.store, "DELETE FROM watch.seen")
    if name == "ledger.supersede_deliveries":
        let_a_newer_send_begin(scene)
    before = scene.kind.content(scene.url)
    commit = PostgresDatabase._commit

    def kill_and_commit(database: PostgresDatabase) -> None:
        scene.kind.server.kill()
        commit(database)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresDatabase, "_commit", kill_and_commit)
        with pytest.raises(StoreUnavailableError, match="during a commit"):
            WRITES[name](scene.store, scene)
    scene.kind.server.start()
    assert scene.kind.content(scene.url) == before
    WRITES[name](scene.store, scene)
    assert scene.kind.content(scene.url) != before


def test_every_method_says_that_the_server_is_gone_and_works_when_it_is_back(scene):
    calls = READS | {name: WRITES[name] for name in ("subscribers.ensure_list", "ledger.claim_deliveries")}
    scene.kind.server.kill()
    for name, call in calls.items():
        with pytest.raises(StoreUnavailableError, match="check that the server runs") as caught:
            call(scene.store, scene)
        assert scene.store.database.where in str(caught.value), name
    with pytest.raises(StoreUnavailableError, match="check that the server runs"):
        open_store(scene.url)
    scene.kind.server.start()
    for call in calls.values():
        call(scene.store, scene)


def test_a_run_whose_server_is_killed_has_lost_its_lock_and_ends(scene):
    def run():
        with scene.store.run_lock("me"):
            scene.kind.server.kill()
            scene.kind.server.start()
            with open_store(scene.url) as other, other.run_lock("the next"):
                pass
            WRITES["ledger.mark_transmitting"](scene.store, scene)

    with pytest.raises(StoreUnavailableError, match=r"lost|ended"):
        run()
    with scene.store.run_lock("me again"):
        WRITES["ledger.mark_transmitting"](scene.store, scene)
