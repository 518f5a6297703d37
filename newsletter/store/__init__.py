"""Keep the list and the ledger: one interface over the database that ``[store] url`` names.

``open_store`` returns a ``Store``, whose parts say what each query means: ``subscribers``, ``choices``, ``editions``,
``issues``, ``sends``, ``openings``, ``ledger``, ``identity``, ``buckets``, ``outbox``, ``feeds``. How a query is run is
``database``'s. One store serves one newsletter.

Every method takes ``now`` where it writes, takes and returns aware instants, and raises StoreUnavailableError where the
database is locked, full, read-only or gone, or StoreError where it is damaged. Nothing of that call was written then,
or all of it, where a server was lost while it committed; the error says so. A store may be shared by threads, which
take turns; it must not cross a fork. Not here: what a reply means and when to try again (``delivery``), SMTP, and the
reading of files.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from newsletter.errors import ConfigError
from newsletter.store.bounces import Bounces
from newsletter.store.buckets import Buckets
from newsletter.store.choices import Choices
from newsletter.store.database import Database
from newsletter.store.editions import Editions
from newsletter.store.feeds import Feeds, Saved
from newsletter.store.identity import Identities
from newsletter.store.issues import Issues
from newsletter.store.ledger import Ledger
from newsletter.store.lock import HeldLock, RunLock, owner_name
from newsletter.store.openings import Openings
from newsletter.store.outbox import AddressChange, Allowance, Outbox, QueuedMail
from newsletter.store.records import (
    BY_OPERATOR,
    Advance,
    Attempt,
    BounceFate,
    Change,
    Consent,
    ConsentEvent,
    DoubtfulRow,
    Evidence,
    Identity,
    IssueFile,
    LedgerRow,
    LoggedBounce,
    NewSubscriber,
    Notice,
    Preferences,
    Recovery,
    Result,
    Send,
    SendPlan,
    Standing,
    StoredApproval,
    Subscriber,
    SubscriberList,
    SubscriptionState,
    Suppression,
    SuppressionReason,
    Way,
)
from newsletter.store.schema import latest_schema
from newsletter.store.segments import EVERYBODY_ASKED, Segment
from newsletter.store.sends import Sends
from newsletter.store.subscribers import Subscribers
from newsletter.store.tallies import (
    DomainTally,
    EditionTally,
    FailedTally,
    Pace,
    ReasonTally,
    ReplyTally,
    Tallies,
    Trouble,
)

if TYPE_CHECKING:
    from newsletter.store.postgres import PostgresDatabase

__all__ = [
    "BY_OPERATOR",
    "EVERYBODY_ASKED",
    "AddressChange",
    "Advance",
    "Allowance",
    "Attempt",
    "BounceFate",
    "Change",
    "Consent",
    "ConsentEvent",
    "DomainTally",
    "DoubtfulRow",
    "EditionTally",
    "Evidence",
    "FailedTally",
    "Identity",
    "IssueFile",
    "LedgerRow",
    "LoggedBounce",
    "NewSubscriber",
    "Notice",
    "Pace",
    "Preferences",
    "QueuedMail",
    "ReasonTally",
    "Recovery",
    "ReplyTally",
    "Result",
    "RunLock",
    "Saved",
    "Segment",
    "Send",
    "SendPlan",
    "Standing",
    "Store",
    "StoredApproval",
    "Subscriber",
    "SubscriberList",
    "SubscriptionState",
    "Suppression",
    "SuppressionReason",
    "Trouble",
    "Way",
    "find_store",
    "migrate_store",
    "open_store",
    "owner_name",
]


class Store:
    """Hold an open database and the parts that give its queries their meaning; a context manager that closes it."""

    def __init__(self, database: Database, address_key: bytes = b"") -> None:
        self.database = database
        self.subscribers = Subscribers(database, address_key)
        self.choices = Choices(database, address_key)
        self.identity = Identities(database)
        self.editions = Editions(database)
        self.issues = Issues(database)
        self.sends = Sends(database)
        self.openings = Openings(database, self.sends)
        self.ledger = Ledger(database)
        self.buckets = Buckets(database)
        self.outbox = Outbox(database, address_key)
        self.tallies = Tallies(database)
        self.bounces = Bounces(database)
        self.feeds = Feeds(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction: what is written in its block, by whatever methods, is written together or not at all."""
        return self.database.transaction()

    def close(self) -> None:
        """Close the database; closing twice does nothing."""
        self.database.close()

    def run_lock(self, owner: str) -> HeldLock:
        """Return the lock that a run must hold while it sends: one holder at a time for this store.

        Claim nothing without it. Whoever holds it may treat every other owner of rows as dead.
        """
        return self.database.run_lock(owner)


def open_store(url: str, *, address_key: bytes = b"", timeout_s: float = 10.0) -> Store:
    """Open the store at ``url`` (as ``Project.store_url`` gives it); set it up where it is missing.

    ``url`` is ``sqlite:///path`` or ``postgresql://user@host/database``. ``address_key`` (``tokens.Keys.address_key``)
    is needed by what finds people by address, and only there; the first one given is remembered by its fingerprint.
    ``timeout_s`` is how long to wait for another run's transaction.

    Raises ConfigError for a URL that cannot be used or another address key than before, StoreUnavailableError where the
    database cannot be opened, and StoreError where it is damaged, newer than this version, or older: for that there is
    ``migrate_store``.
    """
    return _store(_open_database(url, timeout_s), address_key)


def find_store(url: str, *, address_key: bytes = b"", timeout_s: float = 10.0) -> Store | None:
    """Open the store at ``url`` as ``open_store`` does, but return None where there is none, and make none."""
    if _is_postgres(url):
        database = _open_postgres(url, timeout_s, make=False)
        if database.is_empty:
            database.close()
            return None
        return _store(database, address_key)
    return _store(_open_database(url, timeout_s), address_key) if _sqlite_path(url).exists() else None


def migrate_store(url: str, *, timeout_s: float = 10.0) -> int:
    """Bring the store at ``url`` to this version's schema, and return its number; doing it twice does nothing."""
    _open_database(url, timeout_s, migrate=True).close()
    return latest_schema()


def _store(database: Database, address_key: bytes) -> Store:
    store = Store(database, address_key)
    try:
        if address_key:
            store.identity.check_address_key(address_key)
    except BaseException:
        store.close()
        raise
    return store


def _open_database(url: str, timeout_s: float, *, migrate: bool = False) -> Database:
    if _is_postgres(url):
        return _open_postgres(url, timeout_s, migrate=migrate)
    from newsletter.store.sqlite import SqliteDatabase

    return SqliteDatabase(_sqlite_path(url), timeout_s, migrate=migrate)


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def _sqlite_path(url: str) -> Path:
    scheme, separator, path = url.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        shown = "" if "@" in url else f"{url!r} "  # else it may hold a password
        raise ConfigError(
            f"[store] url: {shown}cannot be used; write 'sqlite:///newsletter.db' or 'postgresql://user@host/database'"
        )
    return Path(path)


def _open_postgres(url: str, timeout_s: float, *, migrate: bool = False, make: bool = True) -> "PostgresDatabase":
    try:
        from newsletter.store.postgres import PostgresDatabase
    except ImportError as error:
        raise ConfigError(
            f"[store] url: PostgreSQL needs a driver ({error}); run pip install 'newsletter[postgres]'"
        ) from None
    return PostgresDatabase(url, timeout_s, migrate=migrate, make=make)
