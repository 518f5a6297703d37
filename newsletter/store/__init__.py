"""Keep the list and the ledger: one interface over the database that ``[store] url`` names.

``open_store`` returns a ``Store``, whose parts say what each query means: ``subscribers``, ``editions``, ``issues``,
``sends``, ``ledger``. How a query is run is ``database``'s. One store serves one newsletter.

Every method takes ``now`` where it writes, takes and returns aware instants, and raises StoreUnavailableError where the
database is locked, full, read-only or gone (nothing of that call was written), or StoreError where it is damaged.
A store may be shared by threads, which take turns; it must not cross a fork. Not here: what a reply means and when
to try again (``delivery``), SMTP, and the reading of files.
"""

from types import TracebackType
from typing import Self

from newsletter.store.database import Database
from newsletter.store.editions import Editions
from newsletter.store.issues import Issues
from newsletter.store.ledger import Ledger
from newsletter.store.lock import RunLock, owner_name
from newsletter.store.records import (
    Advance,
    Change,
    Identity,
    IssueFile,
    LedgerRow,
    NewSubscriber,
    Recovery,
    Result,
    Send,
    SendPlan,
    StoredApproval,
    Subscriber,
    SubscriberList,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from newsletter.store.sends import Sends
from newsletter.store.subscribers import Subscribers

__all__ = [
    "Advance",
    "Change",
    "Identity",
    "IssueFile",
    "LedgerRow",
    "NewSubscriber",
    "Recovery",
    "Result",
    "RunLock",
    "Send",
    "SendPlan",
    "Store",
    "StoredApproval",
    "Subscriber",
    "SubscriberList",
    "SubscriptionState",
    "Suppression",
    "SuppressionReason",
    "open_store",
    "owner_name",
]


class Store:
    """Hold an open database and the parts that give its queries their meaning; a context manager that closes it."""

    def __init__(self, database: Database, address_key: bytes = b"") -> None:
        self.database = database
        self.subscribers = Subscribers(database, address_key)
        self.editions = Editions(database)
        self.issues = Issues(database)
        self.sends = Sends(database)
        self.ledger = Ledger(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; closing twice does nothing."""
        self.database.close()

    def run_lock(self, owner: str) -> RunLock:
        """Return the lock that a run must hold while it sends: one holder at a time for this store."""


def open_store(url: str, *, address_key: bytes = b"", timeout_s: float = 10.0) -> Store:
    """Open the store at ``url`` (``sqlite:///path``; ``Project.store_url`` gives it), made and set up where it is missing.

    ``address_key`` (``tokens.Keys.address_key``) is needed by what finds people by address, and only there; the first
    one given is remembered by its fingerprint. ``timeout_s`` is how long a statement waits for another run's transaction.

    Raises ConfigError for a URL that cannot be used or another address key than before, StoreUnavailableError where the
    database cannot be opened, and StoreError where it is damaged, older than this version (``newsletter migrate``) or newer.
    """
