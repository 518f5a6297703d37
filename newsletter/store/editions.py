"""Keep frozen editions: written once, found by digest or number, never changed."""

import datetime as dt

from newsletter.edition import edition_from_json, edition_to_json
from newsletter.model import FORMAT, Edition
from newsletter.store.database import Database, to_micros


class Editions:
    """Read and write frozen editions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_edition(self, edition: Edition, now: dt.datetime) -> int:
        """Keep ``edition``, whose digest is set, and return its number; one of the same digest is kept once."""

    def load_edition(self, edition_id: int) -> Edition:
        """Return the edition with this number; raise StoreError where it is missing or not what was frozen."""

    def find_editions(self, issue: str, kind: str = "issue") -> dict[int, Edition]:
        """Return every edition that was frozen of the issue by its number, oldest first."""
