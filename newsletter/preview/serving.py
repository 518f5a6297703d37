"""Open the preview: the child that compiles, the thread that watches, and the server of the page."""

import datetime as dt
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.config import Project
from newsletter.preview.compiling import CompilingChild
from newsletter.preview.studio import Studio

HOST = "127.0.0.1"
_THREADS = 16
"""Requests at once: each page that is open holds one, waiting for news."""
_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Preview:
    """Hold a running preview; ``url`` is the page's address, with the secret of this run in it."""

    url: str
    run: Callable[[threading.Event], None]


@contextmanager
def open_preview(
    project: Project,
    issue: Path,
    *,
    port: int,
    clock: Callable[[], dt.datetime],
    send_proof: Callable[[Path, str], tuple[bool, str]],
) -> Iterator[Preview]:
    """Start everything, and end it with the block; ``Preview.run`` answers requests until it is told to stop.

    ``send_proof`` mails an issue to an address and returns whether it was accepted, with the words of the answer.
    Raises ConfigError where the port cannot be had.
    """
    with CompilingChild(project.root) as child, Studio(project, issue, child, clock) as studio:
        # Flask takes a while: by then the child has begun.
        from newsletter.preview.app import BODY_MAX, Front, make_app
        from newsletter.web.listening import Server

        token = secrets.token_urlsafe(_TOKEN_BYTES)
        front = Front(
            studio=studio,
            token=token,
            frame_token=secrets.token_urlsafe(_TOKEN_BYTES),
            send_proof=send_proof,
            proof_to=next(iter(project.config.send.editors), ""),
        )
        server = Server(make_app(front), HOST, port, _THREADS, max_request_body_size=BODY_MAX)

        def let_go(stop: threading.Event) -> None:
            stop.wait()
            studio.stop()

        def run(stop: threading.Event) -> None:
            threading.Thread(target=let_go, args=(stop,), daemon=True).start()
            server.run(stop)

        try:
            yield Preview(f"http://{HOST}:{server.port}/{token}/", run)
        finally:
            server.close()
