"""Keep what token buckets gave out, so that a run that starts anew does not burst; what it means is ``pace``'s."""

import datetime as dt
from collections.abc import Mapping

from newsletter.store.database import Database, from_micros, storable, to_micros


class Buckets:
    """Read and write the instants at which buckets are full again, by the bucket's name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_buckets(self, now: dt.datetime) -> Mapping[str, dt.datetime]:
        """Return when each bucket is full again that is not full at ``now``."""
        return {name: from_micros(full_at) for name, full_at in self._database.rows("load_buckets", now=to_micros(now))}

    def save_buckets(self, buckets: Mapping[str, dt.datetime]) -> None:
        """Keep when these buckets are full again; the others stay as they are."""
        self._database.change_each(
            "save_bucket",
            ({"name": storable(name), "full_at": to_micros(full_at)} for name, full_at in buckets.items()),
        )

    def forget_full_buckets(self, now: dt.datetime) -> int:
        """Forget the buckets that are full at ``now``, and return how many."""
        return self._database.change("forget_full_buckets", now=to_micros(now))
