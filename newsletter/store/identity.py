"""Tell one store from its copies: its own id, the host it belongs to, its epoch; and guard the address key.

A store that was copied to another host, or restored from an old snapshot, would mail again what its original sent. What
this module keeps makes that visible; who compares it, and when, is the sender's business.
"""

import hashlib
import os

from newsletter.errors import ConfigError
from newsletter.store.database import Database
from newsletter.store.records import Identity


class Identities:
    """Read and write the facts that identify a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_identity(self) -> Identity:
        """Return who the store is; its id is made when it is first asked for."""
        facts = self._facts()
        if "store_id" not in facts:
            with self._database.transaction():
                for key, value in (("store_id", os.urandom(16).hex()), ("host_id", ""), ("epoch", "1")):
                    self._database.change("add_fact", key=key, value=value)
                facts = self._facts()
        return Identity(facts["store_id"], facts["host_id"], int(facts["epoch"]))

    def bind_host(self, former: str, host_id: str) -> bool:
        """Make ``host_id`` the store's host if it is ``former`` now (``""``: none yet); tell whether it was."""
        self.load_identity()
        return self._database.change("change_fact", key="host_id", value=host_id, former=former) > 0

    def advance_epoch(self, former: int) -> bool:
        """Count the epoch up by one if it is ``former`` now; tell whether it was."""
        self.load_identity()
        return self._database.change("change_fact", key="epoch", value=str(former + 1), former=str(former)) > 0

    def check_address_key(self, address_key: bytes) -> None:
        """Remember the key's fingerprint the first time; raise ConfigError where it is not the same later.

        Under another key nobody would be found, and every suppression and unsubscription would be void.
        """
        fingerprint = hashlib.sha256(b"newsletter/1/address-key-fingerprint\0" + address_key).hexdigest()[:16]
        known = self._facts().get("address_key")
        if known is None:
            self._database.change("add_fact", key="address_key", value=fingerprint)
            known = self._facts()["address_key"]
        if known != fingerprint:
            raise ConfigError(
                f"{self._database.where}: the first secret of [newsletter] secret_file is not the one this store was "
                "made with; put the first line back (to rotate keys, append a line, never change the first)"
            )

    def _facts(self) -> dict[str, str]:
        return dict(self._database.rows("load_facts"))
