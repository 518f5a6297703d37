"""``newsletter diff``: say what changed in an issue since it was approved, or since a commit."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, printable, size

if TYPE_CHECKING:
    from newsletter.comparing import ArticleChange, Comparison, LinkChange, Pair, SizeChange, TextChange
    from newsletter.config import Project
    from newsletter.differ import Difference

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
_COLOURS = {"added": "green", "removed": "red", "changed": "yellow", "moved": "cyan"}


@click.command("diff")
@click.argument("issue")
@click.argument("rev", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="For a terminal, or for a comment on a pull request.",
)
@json_option
@click.pass_obj
def command(app: App, issue: str, rev: str | None, form: str, as_json: bool) -> None:
    """Say what changed in ISSUE since it was approved, or since the git commit REV: words, links, size and looks.

    REV is whatever git takes for a commit: HEAD, main, v1.2, 'HEAD@{yesterday}'. Nothing is changed.
    """
    found = _difference(app.project(), issue, rev)
    if as_json:
        echo_json({"issue": found.issue, "file": found.file, "since": found.since, **found.comparison.as_json()})
    elif form == "markdown":
        from newsletter.cli.diffmarkdown import markdown_lines

        app.print("\n".join(markdown_lines(found)))
    else:
        for line in text_lines(found, is_marked=sys.stdout.isatty()):
            click.echo(line)


def _difference(project: "Project", issue: str, rev: str | None) -> "Difference":
    from newsletter.config import find_issue
    from newsletter.differ import diff_approval, diff_commit
    from newsletter.worker import open_known_store

    path = find_issue(project, issue)
    if rev is not None:
        return diff_commit(project, path, rev)
    with open_known_store(project) as store:
        approval = store.issues.latest_approval(path.stem) if store else None
    return diff_approval(project, path, approval)


# ---------------------------------------------------------------------------------------------------------------------
# For a terminal
# ---------------------------------------------------------------------------------------------------------------------


def text_lines(found: "Difference", *, is_marked: bool = False) -> Iterator[str]:
    """Yield the difference as it is printed; ``is_marked`` sets off the words of a line that are others."""
    comparison = found.comparison
    yield printable(f"{found.issue}: {'changed' if comparison else 'nothing changed'} since {found.since}")
    for note in comparison.notes:
        yield printable(f"  note: {note}")
    for title, lines in (
        ("front matter", _front_lines(comparison.front, is_marked)),
        ("text", _text_lines(comparison.text, found.file, is_marked)),
        ("articles", map(_article_line, comparison.articles)),
        ("links", map(_link_line, comparison.links)),
        ("size", _size_lines(comparison)),
        ("rendering", _rendering_lines(comparison)),
    ):
        shown = list(lines)
        if shown:
            yield ""
            yield click.style(title, bold=True)
            yield from (f"  {line}" for line in shown)


def _front_lines(pairs: "Sequence[Pair]", is_marked: bool) -> Iterator[str]:
    for pair in pairs:
        yield f"{printable(pair.name)}:"
        yield from (f"  {line}" for line in _two_lines(pair.before, pair.after, is_marked))


def _text_lines(changes: "Sequence[TextChange]", file: str, is_marked: bool) -> Iterator[str]:
    for change in changes:
        under = f"  under {change.under!r}" if change.under else ""
        yield click.style(printable(f"{file}:{change.line}{under}"), dim=True)
        before, after = list(change.before), list(change.after)
        if len(before) == len(after):
            for was, is_now in zip(before, after, strict=True):
                yield from _two_lines(was, is_now, is_marked)
        else:
            yield from (_styled("removed", f"- {line}") for line in before)
            yield from (_styled("added", f"+ {line}") for line in after)


def _two_lines(before: str, after: str, is_marked: bool) -> Iterator[str]:
    """Yield a line as it was and as it is, with what is another set off; an empty one is left out."""
    from newsletter.comparing import marked_words

    pieces = marked_words(before, after)
    for kind, text, words in zip(("removed", "added"), (before, after), pieces, strict=True):
        if not text:
            continue
        sign = _SIGNS[kind]
        if is_marked and any(not changed for _, changed in words):
            styled = (click.style(printable(word), fg=_COLOURS[kind], underline=changed) for word, changed in words)
            yield click.style(f"{sign} ", fg=_COLOURS[kind]) + "".join(styled)
        else:
            yield _styled(kind, f"{sign} {text}")


def _styled(kind: str, text: str) -> str:
    return click.style(printable(text), fg=_COLOURS[kind])


def _article_line(change: "ArticleChange") -> str:
    return _styled(change.kind, f"{_SIGNS[change.kind]} {article_words(change)}")


def article_words(change: "ArticleChange") -> str:
    """Return what became of an article, in words."""
    if change.kind == "moved":
        return f"{change.headline}: from {change.before} to {change.after}"
    if change.kind == "changed":
        return f"{change.headline} ({change.after}): another {', '.join(change.parts)}"
    return f"{change.headline} ({change.after or change.before}) {change.url}"


def _link_line(change: "LinkChange") -> str:
    text = change.text or "(a picture)"
    where = f"{change.before} is now {change.after}" if change.kind == "changed" else change.after or change.before
    return _styled(change.kind, f"{_SIGNS[change.kind]} {text}: {where}")


def _size_lines(comparison: "Comparison") -> Iterator[str]:
    """Yield the sizes where one of them is another."""
    if not any(each.before != each.after for each in comparison.sizes):
        return
    for each in comparison.sizes:
        yield f"{each.name:<15} {size(each.before):>9} → {size(each.after):>9}  {grown(each)}".rstrip()


def grown(change: "SizeChange") -> str:
    """Return by how much something grew or shrank, ``""`` where it did not."""
    more = change.after - change.before
    if not more:
        return ""
    return f"({'+' if more > 0 else '−'}{size(abs(more))})"


def _rendering_lines(comparison: "Comparison") -> Iterator[str]:
    for pair in comparison.rendering:
        yield printable(rendering_words(pair))
    if comparison.restyled_count:
        yield restyled_words(comparison)
        for pair in comparison.restyled:
            yield from (_styled("removed", f"  - {line}") for line in filter(None, [pair.before]))
            yield from (_styled("added", f"  + {line}") for line in filter(None, [pair.after]))


def rendering_words(pair: "Pair") -> str:
    """Return which template, setting or image is another."""
    if not pair.before or not pair.after:
        return f"{pair.name}: {'new' if pair.after else 'gone'}, {pair.after or pair.before}"
    return f"{pair.name}: {pair.before} → {pair.after}"


def restyled_words(comparison: "Comparison") -> str:
    """Return how much of the same text is rendered otherwise."""
    count, shown = comparison.restyled_count, len(comparison.restyled)
    more = ", the first of them" if count > shown else ""
    return f"the same text is rendered otherwise, at {count:,} {'place' if count == 1 else 'places'}{more}:"
