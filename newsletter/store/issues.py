"""Keep what is known about issue files: approvals, what was compiled then, and a cache of their front matter."""

import json
from collections.abc import Iterable, Mapping

from newsletter.store.database import (
    Database,
    from_micros,
    from_micros_or_none,
    storable,
    to_micros,
    to_micros_or_none,
)
from newsletter.store.records import IssueFile, StoredApproval


class Issues:
    """Read and write approvals, what they were compiled to, and the cache of issue files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_approval(self, approval: StoredApproval) -> None:
        """Keep an approval; one that repeats the issue's latest (same digest) changes nothing."""
        with self._database.transaction():
            latest = self.latest_approval(approval.issue)
            if latest is not None and latest.source_digest == approval.source_digest:
                return
            self._database.change(
                "insert_approval",
                issue=storable(approval.issue),
                source_digest=approval.source_digest,
                content=storable(approval.text),
                approved_by=storable(approval.by),
                approved_at=to_micros(approval.at),
                sources=json.dumps(dict(approval.sources), ensure_ascii=True) if approval.sources else "",
            )

    def latest_approval(self, issue: str) -> StoredApproval | None:
        """Return the issue's latest approval, or None."""
        row = self._database.row("latest_approval", issue=storable(issue))
        if row is None:
            return None
        return StoredApproval(
            issue=row[0],
            source_digest=row[1],
            text=row[2],
            by=row[3],
            at=from_micros(row[4]),
            sources=json.loads(row[5]) if row[5] else {},
        )

    def keep_compiled(self, issue: str, source_digest: str, content: str) -> None:
        """Keep what an issue was compiled to when this digest was approved, in place of what was kept of it before."""
        self._database.change(
            "keep_compiled", issue=storable(issue), source_digest=source_digest, content=storable(content)
        )

    def find_compiled(self, issue: str, source_digest: str) -> str:
        """Return what was kept under this digest, ``""`` where nothing was."""
        row = self._database.row("find_compiled", issue=storable(issue), source_digest=source_digest)
        return str(row[0]) if row else ""

    def drop_compiled(self, issue: str) -> None:
        """Forget what an issue was compiled to: its send has it now."""
        self._database.change("drop_compiled", issue=storable(issue))

    def load_issue_files(self) -> Mapping[str, IssueFile]:
        """Return every remembered issue file by its name."""
        return {
            row[0]: IssueFile(
                name=row[0], mtime_ns=row[1], size=row[2], send_at=from_micros_or_none(row[3]), verdict=row[4]
            )
            for row in self._database.rows("load_issue_files")
        }

    def remember_issue_files(self, files: Iterable[IssueFile], gone: Iterable[str] = ()) -> None:
        """Remember ``files``, each in place of what was known of its name, and forget the names in ``gone``."""
        with self._database.transaction():
            self._database.change_each("forget_issue_file", ({"name": storable(name)} for name in gone))
            self._database.change_each("remember_issue_file", map(_parameters, files))


def _parameters(file: IssueFile) -> dict[str, object]:
    return {
        "name": storable(file.name),
        "mtime_ns": file.mtime_ns,
        "size": file.size,
        "send_at": to_micros_or_none(file.send_at),
        "verdict": storable(file.verdict),
    }
