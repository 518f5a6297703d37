"""Tell whether a store may send from here: it is no copy from elsewhere, and no backup older than what was sent.

Such a store would mail again what its original sent. Two things give it away. The store keeps which hosts it belongs
to, by a fingerprint of their machine id; another host is refused. And it counts an *epoch*, at the start and the end of
each run that sends; a small file beside ``newsletter.toml``, the *witness*, keeps the latest one, and a store that is
behind its witness was restored. A file without any witness was copied; a server's database may be used from several
hosts, each of which was let in once, and from containers that keep no file.

Not noticed: a backup from before the store's very first run, one that was made amid a run which died before its end,
and a copy of the whole folder on a host that has no machine id. ``adopt`` makes a copy the store of this host; its
unfinished sends then wait for an operator.
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from newsletter.delivery import RUNNING, SendState
from newsletter.errors import NotAllowedError, StoreUnavailableError
from newsletter.store import Identity, Send, Store, owner_name

WITNESS_NAME = "newsletter.host"
ADOPTED = "the store was adopted: a copy may lack what its original sent since"
"""Why sends of an adopted store wait."""
_MACHINE_ID = Path("/etc/machine-id")
_ADVICE = (
    "mail that its original sent would go out again. Where this one is to send from now on, and no other does, run "
    "'newsletter migrate --adopt'; docs/operating.md says what to look at then"
)


@dataclass(frozen=True, slots=True)
class Witness:
    """Hold which store sent last from here, and its epoch then."""

    store_id: str
    epoch: int


def judge(identity: Identity, witness: Witness | None, host_id: str, *, is_shared: bool) -> str:
    """Return why the store may not send from this host, ``""`` where it may.

    ``host_id`` is ``""`` where the host has no identity; ``is_shared`` says that the store is a server's.
    """
    hosts = identity.host_id.split()
    own = witness if witness and witness.store_id == identity.store_id else None
    if own and own.epoch > identity.epoch:
        return "it was restored from a backup that is older than its latest run"
    if identity.epoch == 1 and not hosts:
        return ""  # it never sent
    if host_id and hosts and host_id not in hosts:
        return "it belongs to another host, from which it was copied or moved"
    if own is None and not is_shared:
        return "it was copied to this folder: no run was seen here before"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGuard:
    """Let a store send from one host and folder; ``root`` is the newsletter's, where the witness is kept."""

    root: Path
    host_id: str
    is_shared: bool

    def admit(self, store: Store) -> None:
        """Raise NotAllowedError where the store may not send from here; call it under the run's lock."""
        if reason := self.refusal(store):
            raise NotAllowedError(f"{store.database.where}: this store does not send from here: {reason}; {_ADVICE}")

    def refusal(self, store: Store) -> str:
        """Return why the store may not send from here, ``""`` where it may."""
        return judge(store.identity.load_identity(), self.read_witness(), self.host_id, is_shared=self.is_shared)

    def count(self, store: Store) -> None:
        """Count the epoch up, in the store and then in the witness, and bind a store that has no host yet."""
        identity = store.identity.load_identity()
        if self.host_id and not identity.host_id:
            store.identity.bind_host("", self.host_id)
        store.identity.advance_epoch(identity.epoch)
        # After the store: a run that dies in between leaves a witness that is behind, which is no reason to refuse.
        self._write(Witness(identity.store_id, identity.epoch + 1))

    def adopt(self, store: Store, now: dt.datetime) -> tuple[Send, ...]:
        """Make the store this host's, and let its unfinished sends wait for an operator; return those.

        Raises BusyError where a run holds the lock.
        """
        with store.run_lock(owner_name(now)):
            waiting = tuple(self._stay(store, send, now) for send in store.sends.load_sends() if _may_move(send))
            identity = store.identity.load_identity()
            if self.host_id and self.host_id not in identity.host_id.split():
                store.identity.bind_host(identity.host_id, f"{identity.host_id} {self.host_id}".strip())
            self.count(store)
        return waiting

    def read_witness(self) -> Witness | None:
        """Return what the witness says, None where there is none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads((self.root / WITNESS_NAME).read_text(encoding="utf-8"))
            return Witness(str(content["store"]), int(content["epoch"]))
        return None

    def _write(self, witness: Witness) -> None:
        path = self.root / WITNESS_NAME
        new = path.with_name(f"{WITNESS_NAME}.{os.getpid()}")
        try:
            new.write_text(json.dumps({"store": witness.store_id, "epoch": witness.epoch}) + "\n", encoding="utf-8")
            new.replace(path)
        except OSError as error:
            if not self.is_shared:  # else it is a container's, which need not keep anything
                raise StoreUnavailableError(
                    f"{path}: cannot be written: {error.strerror}; let the user who sends write into the folder"
                ) from None

    def _stay(self, store: Store, send: Send, now: dt.datetime) -> Send:
        if send.state is SendState.FROZEN:
            return store.sends.hold_send(send.send_id, ADOPTED, now)
        return store.sends.pause_send(send.send_id, ADOPTED, now)


def _may_move(send: Send) -> bool:
    return send.state in RUNNING or send.state is SendState.FROZEN


def find_host_id(path: Path = _MACHINE_ID) -> str:
    """Return a fingerprint of this machine's id (machine-id(5)), ``""`` where it has none, as most containers."""
    try:
        machine_id = path.read_bytes().strip()
    except OSError:
        return ""
    # Keyed by what it is for, as machine-id(5) asks: the id itself is to be told to nobody.
    return hashlib.blake2s(machine_id, key=b"newsletter/1/host", digest_size=12).hexdigest() if machine_id else ""
