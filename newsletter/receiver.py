"""Receive mail on this machine: an embedded SMTP server on aiosmtpd that keeps what it is given and answers as told.

For ``demo``, rehearsals and tests, never for the network: it listens on 127.0.0.1 alone, without TLS or login. It
answers each recipient as scripted; it does not deliver, sort or store anything beyond the ``with`` block.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from newsletter.config import SmtpSection
from newsletter.model import Envelope

_SIZE_MAX = 50_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """Hold one accepted message as it came: its envelope, and its bytes with CRLF line ends and dots unstuffed."""

    envelope: Envelope
    content: bytes


class Receiver:
    """Listen on a free port of 127.0.0.1 while the ``with`` block lasts; ``messages`` holds what was accepted.

    >>> with Receiver() as receiver:
    ...     receiver.refuse("bob@example.org", 550, "5.1.1 no such user")
    ...     receiver.section.port == receiver.port
    True
    """

    host = "127.0.0.1"

    def __init__(self, on_message: Callable[[Received], None] | None = None) -> None:
        self.port = 0
        self.messages: list[Received] = []
        self._on_message = on_message
        self._scripted: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receiver", daemon=True)

    @property
    def section(self) -> SmtpSection:
        """Return the ``[smtp]`` that sends here."""
        return SmtpSection(host=self.host, port=self.port, security="none", helo="localhost")

    def refuse(self, address: str, code: int = 550, text: str = "5.1.1 no such mailbox") -> None:
        """Answer RCPT TO for ``address`` with the permanent ``code`` from now on."""
        self._scripted[address] = f"{code} {text}"

    def defer(self, address: str, code: int = 451, text: str = "4.2.1 try again later") -> None:
        """Answer RCPT TO for ``address`` with the transient ``code`` from now on."""
        self._scripted[address] = f"{code} {text}"

    def accept(self, address: str) -> None:
        """Take mail for ``address`` again."""
        self._scripted.pop(address, None)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except BaseException:
            self._stop()
            raise
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._stop()

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answer one RCPT TO, for aiosmtpd."""
        if address in self._scripted:
            return self._scripted[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Keep one message for each of its recipients, for aiosmtpd."""
        for address in envelope.rcpt_tos:
            received = Received(Envelope(envelope.mail_from, address), bytes(envelope.content))
            self.messages.append(received)
            if self._on_message:
                self._on_message(received)
        return "250 2.0.0 OK"

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._open_session, self.host, 0)

    def _open_session(self) -> asyncio.BaseProtocol:
        """Return what answers one connection."""
        from aiosmtpd.smtp import SMTP

        return SMTP(self, data_size_limit=_SIZE_MAX, enable_SMTPUTF8=True, hostname="localhost", ident="receiver")

    async def _close(self) -> None:
        """Stop listening, and end the sessions that a client left open."""
        self._server.close()
        rest = [task for task in asyncio.all_tasks(self._loop) if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
