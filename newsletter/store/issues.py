"""Keep what is known about issue files: approvals with the text that was approved, and a cache of their front matter."""

import datetime as dt
from collections.abc import Iterable, Mapping

from newsletter.store.database import Database
from newsletter.store.records import IssueFile, StoredApproval


class Issues:
    """Read and write approvals and the cache of issue files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_approval(self, approval: StoredApproval) -> None:
        """Keep an approval; one that repeats the issue's latest (same digest) changes nothing."""

    def latest_approval(self, issue: str) -> StoredApproval | None:
        """Return the issue's latest approval, or None."""

    def load_issue_files(self) -> Mapping[str, IssueFile]:
        """Return every remembered issue file by its name."""

    def remember_issue_files(self, files: Iterable[IssueFile], gone: Iterable[str] = ()) -> None:
        """Remember ``files``, each in place of what was known of its name, and forget the names in ``gone``."""
