"""Take the pictures of the preview that docs/preview.md shows, of the sample newsletter.

    python docs/preview_pictures.py docs/images

writes ``preview.png``, ``preview-dark.png``, ``preview-error.png`` and ``preview-phone-dark.png``. Chromium does the
drawing, driven as ``docs/screenshots.py`` drives it.
"""

import argparse
import base64
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from screenshots import Browser, find_browser, open_browser

REPOSITORY = Path(__file__).resolve().parents[1]
SLUG = "2026-11-25"
_WIDE = (1360, 850)
_SHOWN = "document.querySelector('iframe.coming') === null && document.querySelectorAll('iframe').length"
_CHECKED = "document.getElementById('findings-line').textContent === 'Nothing was found.'"
_BOTH, _ONE = f"{_SHOWN} === 2 && {_CHECKED}", f"{_SHOWN} === 1"
_WRONG = "document.querySelector('.lines li.error') !== null"
_NOTED = "document.querySelector('#problems button') !== null"


@contextmanager
def previewed(root: Path) -> Iterator[str]:
    """Run the preview of the newsletter in ``root`` and yield its address."""
    command = [sys.executable, "-m", "newsletter", "--project", str(root), "preview", SLUG, "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            yield found[0] if found else sys.exit("the preview did not start")
        finally:
            process.terminate()


def take(
    browser: Browser, url: str, size: tuple[int, int], scheme: str, keys: str = "", *, ready: str, until: str
) -> bytes:
    """Return a PNG of the page, ``size`` CSS pixels large: once ``ready``, press ``keys``, wait ``until``."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    width, height = size
    scale = 0.75 if width > 1000 else 1
    browser.call("Page.enable", session)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call(
        "Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=scale, mobile=False
    )
    browser.call("Page.navigate", session, url=url)
    browser.wait_for("Page.loadEventFired")
    wait_until(browser, session, ready)
    for key in keys:
        press = f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})), true"
        wait_until(browser, session, press)
    wait_until(browser, session, until)
    time.sleep(0.5)
    picture = browser.call("Page.captureScreenshot", session)["data"]
    browser.call("Target.closeTarget", targetId=target)
    return base64.b64decode(picture)


def wait_until(browser: Browser, session: str, script: str) -> None:
    for _ in range(200):
        if browser.call("Runtime.evaluate", session, expression=script, returnByValue=True)["result"].get("value"):
            return
        time.sleep(0.05)
    sys.exit(f"this did not come true: {script}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, open_browser(find_browser()) as browser:
        root = Path(place)
        shutil.copytree(REPOSITORY / "issues", root / "issues")
        shutil.copy(REPOSITORY / "newsletter.toml", root)
        with previewed(root) as url:
            take(browser, url, _WIDE, "light", ready=_BOTH, until=_BOTH)
            issue = root / "issues" / f"{SLUG}.md"
            text = issue.read_text(encoding="utf-8")
            issue.write_text(f"{text}\n", encoding="utf-8")  # a second save: the first compile is the slow one
            time.sleep(3)
            pictures = {
                "preview": take(browser, url, _WIDE, "light", ready=_BOTH, until=_BOTH),
                "preview-dark": take(browser, url, _WIDE, "dark", "d", ready=_BOTH, until=_BOTH),
                "preview-phone-dark": take(browser, url, (390, 844), "dark", "dpp", ready=_BOTH, until=_ONE),
            }
            issue.write_text(text.replace("Nobody had been", "Nobody {{ nme }} had been"), encoding="utf-8")
            pictures["preview-error"] = take(browser, url, _WIDE, "light", "n", ready=_NOTED, until=_WRONG)
    for name, picture in pictures.items():
        path = folder / f"{name}.png"
        path.write_bytes(picture)
        print(f"{path}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
