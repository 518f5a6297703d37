"""Ask the links of an issue whether they answer: a few sites at once, one link of each after the other, kept for a day.

Edge: the network, by ``fetcher`` with its checks of addresses, and a small file of answers. What answers mean is
``checks``' to say.
"""

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from newsletter.checks import LinkAnswer
from newsletter.errors import FeedError
from newsletter.fetcher import Fetcher, Policy

SITES_AT_ONCE = 8
PAUSE_S = 0.5
"""Seconds between two links of one site."""
TIMEOUT_S = 10.0
"""Seconds that one link may take."""
KEPT_S, KEPT_BAD_S = 86_400, 3_600
"""Seconds for which a good answer is kept, and any other."""
_KEPT_MAX = 5_000
_WORDS = {
    401: "wants a password",
    403: "refuses programs, or everybody",
    404: "there is nothing at this address",
    410: "it is gone for good",
    429: "is busy",
    503: "is busy",
}


def ask_links(
    urls: Sequence[str],
    policy: Policy,
    *,
    kept: Path | None = None,
    clock: Callable[[], float] = time.time,
    pause_s: float = PAUSE_S,
) -> dict[str, LinkAnswer]:
    """Return what each of ``urls`` answers; those that ``kept`` knows from the last day are not asked again.

    A file that cannot be read or written is no error: then everything is asked.
    """
    known = _read_kept(kept, clock()) if kept else {}
    fetcher = Fetcher(policy)
    sites: defaultdict[str, list[str]] = defaultdict(list)
    for url in dict.fromkeys(urls):
        if url not in known:
            sites[_host_of(url)].append(url)

    def ask_site(links: Sequence[str]) -> dict[str, LinkAnswer]:
        answers = {}
        for number, url in enumerate(links):
            time.sleep(pause_s if number else 0)
            answers[url] = _look(fetcher, url)
        return answers

    fresh: dict[str, LinkAnswer] = {}
    with ThreadPoolExecutor(max_workers=SITES_AT_ONCE) as pool:
        for answers in pool.map(ask_site, sites.values()):
            fresh |= answers
    if kept and fresh:
        _write_kept(kept, fresh, clock())
    return {url: found for url in urls if (found := fresh.get(url) or known.get(url))}


def _look(fetcher: Fetcher, url: str) -> LinkAnswer:
    try:
        answer = fetcher.look(url)
    except FeedError as error:
        return LinkAnswer(0, str(error))
    words = "" if answer.status < 400 else f"answers {answer.status}"
    if answer.status in _WORDS:
        words += f": {_WORDS[answer.status]}"
    works = not words and url.lower().startswith("http:") and _works_with_https(fetcher, url, answer.url)
    return LinkAnswer(answer.status, words, answer.url, works)


def _works_with_https(fetcher: Fetcher, url: str, led_to: str) -> bool:
    """Tell whether an ``http:`` link works with ``https:``: it led there, or answers there as well."""
    if led_to.lower().startswith("https:"):
        return True
    try:
        secure = fetcher.look(f"https{url[4:]}")
    except FeedError:
        return False
    return secure.status < 400 and secure.url.lower().startswith("https:")


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


# ---------------------------------------------------------------------------------------------------------------------
# Answers that are kept
# ---------------------------------------------------------------------------------------------------------------------


def _read_kept(path: Path, now: float) -> dict[str, LinkAnswer]:
    return {url: LinkAnswer(**answer["answer"]) for url, answer in _entries(path) if _is_fresh(answer, now)}


def _entries(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [(str(url), dict(entry)) for url, entry in content["answers"].items()]
        for _, entry in entries:
            LinkAnswer(**entry["answer"])
            float(entry["at"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
    return entries


def _is_fresh(entry: Mapping[str, Any], now: float) -> bool:
    lasts = KEPT_BAD_S if entry["answer"]["words"] else KEPT_S
    return bool(0 <= now - entry["at"] < lasts)


def _write_kept(path: Path, fresh: Mapping[str, LinkAnswer], now: float) -> None:
    entries = {url: entry for url, entry in _entries(path) if _is_fresh(entry, now)}
    entries |= {url: {"at": now, "answer": asdict(answer)} for url, answer in fresh.items()}
    newest = dict(sorted(entries.items(), key=lambda entry: -entry[1]["at"])[:_KEPT_MAX])
    part = path.with_name(f".{path.name}.{os.getpid()}.new")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"format": 1, "answers": newest}, ensure_ascii=False), encoding="utf-8")
        part.replace(path)
