"""Read headline, site, date and text off the page of an article, in a child process with limits.

The page is foreign: what parses it may take too long or too much, or crash, and that must cost one article and no more.
Fetching it is the caller's.
"""

import datetime as dt
import json
import resource
import subprocess
import sys
from dataclasses import dataclass

from newsletter.errors import InputError

CPU_S, MEMORY = 10, 1_000_000_000
"""Seconds of a processor, and bytes of address space, that reading one page may take."""
_PAGE_MAX = 5_000_000
_FIELD_MAX = 500
_TEXT_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """Hold what a page says about itself, as plain text; ``""`` or None for what it does not say."""

    headline: str
    site: str = ""
    date: dt.date | None = None
    description: str = ""
    text: str = ""
    language: str = ""


def read_page(content: bytes, url: str) -> PageFacts:
    """Return what the page says; raise InputError where no headline is found, or reading it takes too much."""
    if len(content) > _PAGE_MAX:
        raise InputError(f"{url}: the page has {len(content):,} bytes; {_PAGE_MAX:,} are read")
    command = [sys.executable, "-m", "newsletter.pagefacts", url]
    try:
        done = subprocess.run(  # noqa: S603 (this program itself)
            command, input=content, capture_output=True, timeout=CPU_S * 4, check=False, preexec_fn=_limit
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{url}: reading the page takes too long; write the article by hand") from None
    if done.returncode:
        raise InputError(f"{url}: the page cannot be read; write the article by hand")
    found = json.loads(done.stdout)
    if not found["headline"]:
        raise InputError(f"{url}: the page has no headline; write the article by hand")
    day = found.pop("date")
    found["text"] = found["text"].removeprefix(found["headline"]).lstrip()
    return PageFacts(**found, date=_day(day))


def _limit() -> None:  # pragma: no cover (between fork and exec)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return None


def _extract(content: bytes, url: str) -> dict[str, str]:
    """Return the facts of a page; runs in the child."""
    from trafilatura import bare_extraction, extract_metadata, load_html
    from trafilatura.settings import use_config

    config = use_config()
    config.set("DEFAULT", "EXTRACTION_TIMEOUT", "0")  # it would use signals; the child has limits of its own
    tree = load_html(content)
    if tree is None:
        return dict.fromkeys(("headline", "site", "date", "description", "text", "language"), "")
    found = bare_extraction(content, url=url, include_comments=False, include_tables=False, config=config)
    facts = {**extract_metadata(tree, default_url=url).as_dict()}
    body = found if isinstance(found, dict) else found.as_dict() if found else {}
    facts["text"] = body.get("text")

    def text(key: str, limit: int = _FIELD_MAX) -> str:
        return str(facts.get(key) or "")[:limit]

    return {
        "headline": text("title"),
        "site": text("sitename"),
        "date": text("date"),
        "description": text("description", 2000),
        "text": text("text", _TEXT_MAX),
        "language": text("language"),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_extract(sys.stdin.buffer.read(), sys.argv[1])))
