"""Real newsletters as issues, to see what the checks say of them; run as a program, it writes the table of findings."""

import datetime as dt
import re
from collections import Counter
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


CONFIG = """\
[newsletter]
title = "A Real Newsletter"
from = "A Real Newsletter <weekly@example.org>"
url = "https://example.org"
postal_address = "A Real Newsletter, 1 Street, 12345 Town"
"""
VERDICTS = {
    "accessibility.link-purpose": "true: “Hacker News 读者” leads to three comments, and one event to four dates",
    "editorial.few-sources": "true: most items are pull requests of one project; such a newsletter turns it off",
    "editorial.lead-missing": "true: none has a lead section; such a newsletter turns it off, or names its first one",
    "editorial.no-articles": "true: headlines are not linked, so nothing is an article",
    "editorial.seen-before": "the list of RFCs and a contributor's page, linked in the issue of years before as well",
    "editorial.summary-length": "true: the question under a discussion was quoted as a whole",
    "images.alt-missing": "true: one of the three newsletters describes none of its pictures",
    "images.remote": "true: its pictures lie on a host for files",
    "images.type": "true: Outlook on Windows shows none of these WebP pictures",
    "links.duplicate": "true: a reader's name and a demo lead to the link before them; an event has two names",
    "links.generic-text": "true: “here”, “这里”, “Start now!”",
    "links.named-site": "“jsonstore.io” leads to the project's page on github.com; mail programs warn of that",
    "links.tracking": "true: utm_source; and chksm and scene, with which WeChat follows who passes an article on",
    "size.gmail-clip": "true: Gmail would cut a third of these two issues off",
    "size.near-clip": "true: 4 KB are left",
}
"""What somebody who looked at each of the findings says of them."""
TABLE = Path(__file__).parents[2] / "docs" / "notes" / "checks.md"
START, END = "<!-- table -->\n", "<!-- end of the table -->\n"


def findings_of(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each check finds something in each newsletter, as issues of a project in ``folder``."""
    from newsletter.checker import check_compiled
    from newsletter.compiler import compile_issue
    from newsletter.config import load_project
    from newsletter.render import Renderer
    from newsletter.sources import load_issue

    (folder / "issues").mkdir(parents=True)
    (folder / "newsletter.toml").write_text(CONFIG, encoding="utf-8")
    for path in FILES:
        (folder / "issues" / path.name).write_text(as_issue(path), encoding="utf-8")
    project = load_project(folder, {})
    renderer, found = Renderer(project), {}
    for path in sorted((folder / "issues").glob("*.md")):
        loaded = load_issue(project, path)
        compiled = compile_issue(project, loaded, renderer=renderer)
        report = check_compiled(project, loaded, compiled, today=dt.date(2026, 11, 28)).report
        found[path.stem] = Counter(finding.check for finding in report.findings)
    return found


def table_of(found: dict[str, Counter[str]]) -> str:
    """Return the findings as a table of Markdown: a row a check, a column a newsletter."""
    series = {"twir": "This Week in Rust", "haskell": "Haskell Weekly", "ruanyf": "ruanyf’s weekly"}
    heads = [f"{title} ({sum(name.startswith(key) for name in found)} issues)" for key, title in series.items()]
    lines = [f"| check | {' | '.join(heads)} | looked at |", "|---|--:|--:|--:|---|"]
    for id_ in sorted({id_ for counts in found.values() for id_ in counts}):
        cells = []
        for key in series:
            counts = [count[id_] for name, count in found.items() if name.startswith(key) and count[id_]]
            cells.append(f"{sum(counts)} in {len(counts)}" if counts else "")
        lines.append(f"| `{id_}` | {' | '.join(cells)} | {VERDICTS.get(id_, '')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        table = table_of(findings_of(Path(place) / "real"))
    before, _, rest = TABLE.read_text(encoding="utf-8").partition(START)
    TABLE.write_text(f"{before}{START}{table}{END}{rest.partition(END)[2]}", encoding="utf-8")
