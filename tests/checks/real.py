"""Real newsletters as issues, to see what the checks say of them; run as a program, it writes the table of findings."""

import re
from pathlib import Path

REAL = Path(__file__).parents[3] / "shared" / "data" / "newsletters"
FILES = sorted(REAL.glob("*.md"))
DATES = {
    "haskell-1": "2016-05-05",
    "haskell-100": "2018-03-29",
    "haskell-250": "2021-02-11",
    "haskell-400": "2023-12-28",
    "haskell-520": "2026-04-16",
    "ruanyf-1": "2018-04-20",
    "ruanyf-60": "2019-06-14",
    "ruanyf-120": "2020-08-14",
    "ruanyf-200": "2022-03-18",
    "ruanyf-280": "2023-11-24",
}
"""The days of issues whose names do not tell them."""
_METADATA = re.compile(r"\A(?:(?:Title|Number|Date|Category): .*\n)+")


def as_issue(path: Path) -> str:
    """Return a newsletter with the front matter that an editor would have written."""
    body = _METADATA.sub("", path.read_text(encoding="utf-8"))
    day = DATES.get(path.stem) or path.stem.removeprefix("twir-")
    lang = "zh-Hans" if path.stem.startswith("ruanyf") else "en"
    head = f"subject: What is new, issue of {day}\npreheader: All that was worth telling this week, in one mail\n"
    return f"---\n{head}date: {day}\nlang: {lang}\n---\n{body}"
