"""Receive mail on this machine as badly as it is received in life: an embedded receiver that carries out faults.

It greylists, refuses, hangs up before and after the dot, answers late, and goes away for a while. What it took it
remembers by digest alone: a rehearsal compares that with what the ledger says. Which recipient meets which fault is
``faults``' to deal; every wait but that of a slow answer is by the clock that is given.
"""

import asyncio
import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP

from newsletter.faults import AWAY_MINUTES, FULL_MINUTES, GREY_MINUTES, Fault
from newsletter.receiver import Receiver

_MESSAGE_ID = re.compile(rb"^Message-ID:[ \t\r\n]*(<[^>]*>)", re.MULTILINE | re.IGNORECASE)
_ONCE = frozenset({Fault.SWALLOWED, Fault.LOST, Fault.CUT, Fault.BUSY, Fault.SLOW})
"""Faults that happen to a recipient's mail once; the next attempt is served."""
_SLOW_S = 0.1
_SIZE_MAX = 50_000_000
_CLOSED = "421 4.3.2 closed for maintenance"


@dataclass(frozen=True, slots=True)
class Taken:
    """Hold what identifies a message that was taken: its Message-ID in angle brackets, and the SHA-256 of its bytes."""

    message_id: str
    digest: bytes


class UnreliableReceiver(Receiver):
    """Receive as ``faults`` says for each address; be away once, when ``away_after`` recipients have been named.

    ``clock`` is the rehearsal's. ``taken`` holds every message that was taken for an address, also those whose sender
    was not told; ``answers`` counts what was answered to recipients that met each fault.
    """

    def __init__(self, faults: Mapping[str, Fault], clock: Callable[[], dt.datetime], *, away_after: int = 0) -> None:
        super().__init__()
        self.taken: dict[str, list[Taken]] = {}
        self.sessions = 0
        self.turned_away = 0
        self._faults = faults
        self._clock = clock
        self._away_after = away_after
        self._away_until: dt.datetime | None = None
        self._named = 0
        self._first_seen: dict[str, dt.datetime] = {}
        self._done: Counter[str] = Counter()

    # -- for aiosmtpd -------------------------------------------------------------------------------------------------

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING (RFC 2920), as relays do, so that the sender's way is the one of a real send."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answer one RCPT TO, or hang up."""
        self._named += 1
        if self._named == self._away_after:
            self._away_until = self._clock() + dt.timedelta(minutes=AWAY_MINUTES)
        if self._is_away:
            await self._close_with(server, _CLOSED)
        fault = self._next_fault(address)
        if fault is Fault.CUT:
            self._hang_up(server)
        if fault is Fault.BUSY:
            await self._close_with(server, "421 4.3.2 shutting down")
        if refusal := self._refusal(fault, address):
            return refusal
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take the message, or not; and tell the sender so, or not."""
        [address] = envelope.rcpt_tos
        fault = self._next_fault(address, at_dot=True)
        if fault is Fault.POLICY:
            return "550 5.7.1 this message is against our policy"
        if fault is not Fault.LOST:
            self._take(address, bytes(envelope.content))
        if fault in (Fault.LOST, Fault.SWALLOWED):
            self._hang_up(server)
        if fault is Fault.SLOW:
            await asyncio.sleep(_SLOW_S)
        return "250 2.0.0 OK"

    # -- what happens to whom -----------------------------------------------------------------------------------------

    def _next_fault(self, address: str, *, at_dot: bool = False) -> Fault | None:
        """Return the fault that ``address`` meets now; one that happens once is used up."""
        fault = self._faults.get(address)
        if fault in (Fault.SWALLOWED, Fault.LOST, Fault.SLOW) and not at_dot:
            return None
        if fault in _ONCE:
            self._done[address] += 1
            return fault if self._done[address] == 1 else None
        return fault

    def _refusal(self, fault: Fault | None, address: str) -> str:
        """Return the 4yz or 5yz that RCPT gets, ``""`` for none."""
        now = self._clock()
        since = now - self._first_seen.setdefault(address, now) if fault else dt.timedelta(0)
        if fault is Fault.GREYLISTED and since < dt.timedelta(minutes=GREY_MINUTES):
            return f"451 4.7.1 greylisted, come back in {GREY_MINUTES} minutes"
        if fault is Fault.FULL and since < dt.timedelta(minutes=FULL_MINUTES):
            return "452 4.2.2 mailbox full"
        if fault is Fault.DEFERRED:
            return "451 4.4.1 no answer from the mailbox's host"
        return "550 5.1.1 no such mailbox" if fault is Fault.UNKNOWN else ""

    def _take(self, address: str, content: bytes) -> None:
        match = _MESSAGE_ID.search(content)
        message_id = match[1].decode("ascii", "replace") if match else ""
        self.taken.setdefault(address, []).append(Taken(message_id, hashlib.sha256(content).digest()))

    # -- connections --------------------------------------------------------------------------------------------------

    @property
    def _is_away(self) -> bool:
        return self._away_until is not None and self._clock() < self._away_until

    def _hang_up(self, server: Any) -> None:
        """End a session without a word."""
        server.transport.abort()
        raise asyncio.CancelledError

    async def _close_with(self, server: Any, words: str) -> None:
        """Say 421, and end a session."""
        await server.push(words)
        server.transport.close()
        raise asyncio.CancelledError

    def _open_session(self) -> asyncio.BaseProtocol:
        if self._is_away:
            self.turned_away += 1
            return _TurnedAway()
        self.sessions += 1
        return _Session(self, enable_SMTPUTF8=True, hostname="localhost", ident="receiver")


class _Session(SMTP):
    """Answer one connection; messages are read in one piece, four times as fast as line by line."""

    line_length_limit = _SIZE_MAX

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 (aiosmtpd's)
        """Read a message up to its final dot, and have it answered."""
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
            return
        await self.push("354 end with a dot")
        octets = await self._reader.readuntil(b"\r\n.\r\n")
        self.envelope.content = octets.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)


class _TurnedAway(asyncio.Protocol):
    """Answer a connection with 421, and close it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so at once."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(f"{_CLOSED}\r\n".encode())
        transport.close()
