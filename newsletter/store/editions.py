"""Keep frozen editions: written once, found by digest or number, never changed."""

import datetime as dt

from newsletter.edition import edition_from_json, edition_to_json
from newsletter.errors import InputError, StoreError
from newsletter.model import FORMAT, Edition
from newsletter.store.database import Database, storable, to_micros


class Editions:
    """Read and write frozen editions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_edition(self, edition: Edition, now: dt.datetime) -> int:
        """Keep ``edition``, whose digest is set, and return its number; one of the same digest is kept once."""
        with self._database.transaction():
            self._database.change(
                "insert_edition",
                issue=storable(edition.issue),
                kind=edition.kind,
                language=edition.language,
                variant=edition.variant,
                revision=edition.revision,
                format=FORMAT,
                digest=edition.digest,
                content=edition_to_json(edition),
                now=to_micros(now),
            )
            row = self._database.row("find_edition", digest=edition.digest)
        assert row is not None
        return int(row[0])

    def load_edition(self, edition_id: int) -> Edition:
        """Return the edition with this number; raise StoreError where it is missing or not what was frozen."""
        row = self._database.row("load_edition", edition=edition_id)
        if row is None:
            raise StoreError(f"{self._database.where}: there is no edition {edition_id}; restore the latest backup")
        return self._read(edition_id, *row)

    def find_editions(self, issue: str, kind: str = "issue") -> dict[int, Edition]:
        """Return every edition that was frozen of the issue by its number, oldest first."""
        rows = self._database.rows("find_editions", issue=storable(issue), kind=kind)
        return {edition_id: self._read(edition_id, digest, content) for edition_id, digest, content in rows}

    def _read(self, edition_id: int, digest: str, content: str) -> Edition:
        """Return the edition in ``content``, proven to be what was frozen under ``digest``."""
        where = f"{self._database.where}: edition {edition_id}"
        try:
            edition = edition_from_json(content)
        except InputError as error:
            raise StoreError(f"{where} is damaged: {error}; restore the latest backup") from error
        if edition.digest != digest:
            raise StoreError(f"{where} does not have the digest {digest[:12]}…; restore the latest backup")
        return edition
