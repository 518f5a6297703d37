"""Take pictures of a compiled mail: on a desktop and on a phone, in light and in dark mode.

    python docs/screenshots.py build-out/2026-11-25/email.html docs/images

writes ``email-desktop.png``, ``email-phone.png``, ``email-desktop-dark.png`` and ``email-phone-dark.png``, each as long
as the mail. Chromium (``chromium``, ``google-chrome`` or ``CHROME=path``) does the drawing; it is driven over a pipe
with the DevTools protocol, so nothing else is needed. Nothing is fetched but what the mail itself names.
"""

import argparse
import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SHOTS = {"desktop": (700, "light"), "phone": (375, "light"), "desktop-dark": (700, "dark"), "phone-dark": (375, "dark")}
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()


class Browser:
    """Speak the DevTools protocol over a pair of pipes: one JSON object, then a NUL."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = os.fdopen(to_browser, "wb", 0), os.fdopen(from_browser, "rb")
        self._numbers = itertools.count(1)
        self._rest = b""

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Call ``method`` and return its result; raises RuntimeError when the browser refuses or is gone."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._to.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def wait_for(self, event: str) -> None:
        """Return when the browser reports ``event``."""
        while self._read().get("method") != event:
            pass

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            received = os.read(self._from.fileno(), 1 << 20)
            if not received:
                raise RuntimeError("the browser ended; run it by hand to see why")
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """Start Chromium without a window, with a new empty profile, and end it afterwards."""
    to_read, to_write = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in os.pipe())
    from_read, from_write = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in os.pipe())

    def connect() -> None:
        os.dup2(to_read, 3)
        os.dup2(from_write, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, preexec_fn=connect, pass_fds=(3, 4), stderr=subprocess.DEVNULL) as process:  # noqa: PLW1509 - one thread
            os.close(to_read)
            os.close(from_write)
            try:
                browser = Browser(to_write, from_read)
                yield browser
                browser.call("Browser.close")
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()


def take_picture(browser: Browser, page: Path, width: int, scheme: str, scale: float = 1) -> bytes:
    """Return a PNG of the whole of ``page``, ``width`` CSS pixels wide, in the colour scheme ``light`` or ``dark``."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Page.enable", session)
    browser.call("Emulation.setEmulatedMedia", session, features=features)
    size = {"width": width, "height": 600, "deviceScaleFactor": scale, "mobile": width < 600}
    browser.call("Emulation.setDeviceMetricsOverride", session, **size)
    browser.call("Page.navigate", session, url=page.absolute().as_uri())
    browser.wait_for("Page.loadEventFired")
    height = browser.call("Page.getLayoutMetrics", session)["cssContentSize"]["height"]
    browser.call("Emulation.setDeviceMetricsOverride", session, **{**size, "height": height})
    picture = browser.call("Page.captureScreenshot", session)["data"]
    browser.call("Target.closeTarget", targetId=target)
    return base64.b64decode(picture)


def find_browser() -> str:
    """Return the path of Chromium; exits with a word of advice where there is none."""
    names = (os.environ.get("CHROME", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or sys.exit("no Chromium found; install it, or set CHROME to its path")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--name", help="what their names begin with (default: that of the HTML file)")
    parser.add_argument("--scale", type=float, default=1, help="device pixels to a CSS pixel (default: 1)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with open_browser(find_browser()) as browser:
        for name, (width, scheme) in SHOTS.items():
            picture = take_picture(browser, options.page, width, scheme, options.scale)
            path = options.folder / f"{options.name or options.page.stem}-{name}.png"
            path.write_bytes(picture)
            print(f"{path}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
