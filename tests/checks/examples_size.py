"""A bad and a good example for each check of what the mail weighs."""

from dataclasses import replace

from newsletter.checks import ImageFacts
from newsletter.model import Edition, Slot

from .mails import LOREM, page, shown_as
from .subjects import TODAY, Example, answered

_ISSUE = "## Lead\n\n### [A story](https://example.com/a)\nShort.\n\n### [Another](https://example.com/b)\nShort.\n"


def _mail(first: int, second: int = 100) -> str:
    """Return a mail of two articles with summaries of so many bytes."""
    rows = (
        f'<tr><td><h3><a href="https://example.com/{name}">{words}</a></h3><p>{(LOREM * 2000)[:size]}</p></td></tr>'
        for name, words, size in (("a", "A story", first), ("b", "Another", second))
    )
    return f"<h1>Weekly</h1><h2>Lead</h2><table>{''.join(rows)}</table>"


def _edition(fields: int) -> Edition:
    html = tuple(Slot("name") for _ in range(fields))
    return Edition(issue="2026-11-25", subject=(), preheader="", html=html, text=(), date=TODAY, language="en")


EXAMPLES = {
    # With 30 names in it, a mail that fits for Ann does not fit for everybody.
    "size.gmail-clip": Example(
        lambda: replace(shown_as(_ISSUE, _mail(101_000))(), edition=_edition(30)), shown_as(_ISSUE, _mail(101_000))
    ),
    "size.near-clip": Example(shown_as(_ISSUE, _mail(96_000)), shown_as(_ISSUE, _mail(90_000))),
    "size.article": Example(shown_as(_ISSUE, _mail(20_000)), shown_as(_ISSUE, _mail(10_000, 10_000))),
    "size.message": Example(page("<p>x</p>", message=bytes(1_100_000)), page("<p>x</p>", message=bytes(900_000))),
    "size.images": Example(
        answered("![A](a.png) ![B](b.png)", images={f"{n}.png": ImageFacts("image/png", 600_000, 9, 9) for n in "ab"}),
        answered("![A](a.png)", images={"a.png": ImageFacts("image/png", 600_000, 9, 9)}),
    ),
}
