"""Make the input of the benchmarks: issues and projects, the same on every run and every machine.

A generator with a fixed seed draws the words from short lists; pictures and settings are the sample newsletter's.
"""

import datetime as dt
import random
import shutil
from pathlib import Path

from measure import REPOSITORY

from newsletter.config import CONFIG_NAME, Project, load_project

SEED = 212
LONG_PAST = dt.date(2016, 1, 6)
"""The first Wednesday of a year whose issues are long sent."""
_SUBJECTS = "Regulators,Retailers,Three brands,City officials,Platforms,Young buyers,A court in Shanghai,Food makers"
_VERBS = (
    "rewrite the rules for,take a second look at,move away from,put a price on,open the door to,ask questions about"
)
_OBJECTS = "facial recognition,live-stream shopping,loyalty programmes,cross-border parcels,short video,battery leases"
_SOURCES = ("Market Notes", "Policy Desk", "Retail Notes", "Law Ledger", "City File")
_SENTENCES = (
    "The draft asks every shop to say, in plain words, what it records and for how long it keeps it.",
    "Sales in the third quarter grew by 4.2%, less than analysts had expected, and mostly in smaller cities.",
    "Brands that sell “privately”, through groups of regular buyers, seem to mind the least.",
    "Two of the largest platforms said that they would follow, without naming a date.",
    "The word of the season is 性价比: value for money, and a reason to compare once more.",
    "What counts, a buyer from Chengdu told the paper, is whether the thing is still there after a year.",
    "A fine is possible, though few expect one before the [new guidelines](https://example.org/guidelines) are out.",
    "None of it is new; that it is written down, and *checked*, is.",
)


class Writer:
    """Write texts that differ from each other and are the same each time."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._count = 0

    def headline(self) -> str:
        """Return a headline of about seven words."""
        choose = self._random.choice
        return f"{choose(_SUBJECTS.split(','))} {choose(_VERBS.split(','))} {choose(_OBJECTS.split(','))}"

    def summary(self, sentences: int) -> str:
        """Return a paragraph."""
        return " ".join(self._random.sample(_SENTENCES, sentences))

    def link(self) -> str:
        """Return a headline that is a link, with its source."""
        self._count += 1
        source = self._random.choice(_SOURCES)
        return f'[{self.headline()}](https://example.com/2026/11/story-{self._count:03} "{source}")'

    def article(self, image: str) -> str:
        """Return an article with a picture beside its summary."""
        picture = f"![{self.headline()}: a drawing](images/{image})\n" if image else ""
        return f"### {self.link()}\n{picture}{self.summary(2)}\n"

    def brief(self) -> str:
        """Return an item of a compact list."""
        return f"- {self.link()}\n  {self.summary(1)}\n"


def illustrated_issue(articles: int, front_matter: str = "") -> str:
    """Return an issue with an editorial, a lead section of five and sections of five; every article has a picture."""
    writer = Writer()
    images = image_names()
    pieces = [_opening(writer, front_matter)]
    for number in range(articles):
        if number % 5 == 0:
            pieces.append(f"## {'Most important news' if number == 0 else f'Section {number // 5}'}\n")
        pieces.append(writer.article(images[number % len(images)]))
    return "\n".join(pieces)


def brief_issue(links: int) -> str:
    """Return an issue with an editorial and compact lists of ten links."""
    writer = Writer()
    pieces = [_opening(writer, "")]
    for number in range(links):
        if number % 10 == 0:
            pieces.append(f"\n## In brief{' {kind=brief}' if number else ''}\n")
        pieces.append(writer.brief())
    return "\n".join(pieces)


def mixed_issue(illustrated: int, briefs: int) -> str:
    """Return an issue as editors write them: articles with pictures in sections of five, then compact lists."""
    writer = Writer()
    images = image_names()
    pieces = [_opening(writer, "")]
    for number in range(illustrated):
        if number % 5 == 0:
            pieces.append(f"## {'Most important news' if number == 0 else f'Section {number // 5}'}\n")
        pieces.append(writer.article(images[number % len(images)]))
    for number in range(briefs):
        if number % 10 == 0:
            pieces.append(f"\n## In brief{' {kind=brief}' if number else ''}\n")
        pieces.append(writer.brief())
    return "\n".join(pieces)


def plain_issue(number: int, day: dt.date) -> str:
    """Return one of many old issues: two articles, a ``send_at``."""
    writer = Writer()
    front_matter = f"number: {number}\nsend_at: {day} 08:00\n"
    return "\n".join([_opening(writer, front_matter, day), "## Digital\n", writer.article(""), writer.article("")])


def _opening(writer: Writer, front_matter: str, day: dt.date = dt.date(2026, 11, 25)) -> str:
    paragraphs = "\n\n".join(writer.summary(4) for _ in range(3))
    return (
        f"---\nsubject: {writer.headline()}\npreheader: {writer.headline()}\ndate: {day}\nauthor: Margaux Lin\n"
        f'{front_matter}---\nGood morning, {{{{ name | default("reader") }}}}.\n\n{paragraphs}\n'
    )


def image_names() -> list[str]:
    """Return the names of the sample newsletter's pictures."""
    return sorted(path.name for path in (REPOSITORY / "issues" / "images").glob("*.png"))


def make_project(folder: Path, issues: dict[str, str], *, hosted: bool = False) -> Project:
    """Write a project into ``folder``: the sample newsletter's settings and pictures, and ``issues`` by their slugs."""
    (folder / "issues").mkdir(parents=True)
    shutil.copytree(REPOSITORY / "issues" / "images", folder / "issues" / "images")
    settings = (REPOSITORY / CONFIG_NAME).read_text(encoding="utf-8")
    if hosted:
        settings = settings.replace('images = "embedded"', 'images = "hosted"')
    (folder / CONFIG_NAME).write_text(settings, encoding="utf-8")
    for slug, text in issues.items():
        (folder / "issues" / f"{slug}.md").write_text(text, encoding="utf-8")
    return load_project(folder, {})
