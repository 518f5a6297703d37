"""Write a difference as Markdown, for a comment on a pull request; what an issue says stands in code, never as markup.

So nobody is notified by an ``@`` in an issue, no picture is loaded, and no table breaks.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from newsletter.cli.context import printable, size
from newsletter.cli.diff import article_words, grown, rendering_words, restyled_words

if TYPE_CHECKING:
    from newsletter.comparing import Comparison
    from newsletter.differ import Difference

_LENGTH_MAX = 60_000
"""Characters that a comment may have: GitHub takes 65,536."""


def markdown_lines(found: "Difference") -> list[str]:
    """Return the difference as lines of Markdown, cut off where a comment would be too long."""
    comparison = found.comparison
    lines = [f"### {code(found.issue)} {'changed' if comparison else 'has not changed'} since {code(found.since)}"]
    lines += [f"> {code(note)}" for note in comparison.notes]
    for title, block in (
        ("Front matter", _front(comparison)),
        ("Text", _text(comparison, found.file)),
        ("Articles", [f"- {change.kind}: {code(article_words(change))}" for change in comparison.articles]),
        ("Links", list(_links(comparison))),
        ("Size", _sizes(comparison)),
        ("Rendering", _rendering(comparison)),
    ):
        if block:
            lines += ["", f"**{title}**", "", *block]
    return _cut(lines)


def _cut(lines: Sequence[str]) -> list[str]:
    length = 0
    kept: list[str] = []
    for line in lines:
        length += len(line) + 1
        if length > _LENGTH_MAX:
            is_open = sum(each.startswith("```") for each in kept) % 2
            fence = next(
                (each[: len(each) - len(each.lstrip("`"))] for each in reversed(kept) if each[:3] == "```"), ""
            )
            return [*kept, *([fence] if is_open else []), "", "… and more; `newsletter diff` shows all of it."]
        kept.append(line)
    return kept


def code(text: str) -> str:
    """Return ``text`` as a code span, whatever it holds (CommonMark 0.31 section 6.1)."""
    line = " ".join(printable(text).split()) or " "
    runs = [len(run) for run in re.findall("`+", line)]
    ticks = "`" * next(count for count in range(1, len(runs) + 2) if count not in runs)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _block(lines: Sequence[str]) -> list[str]:
    """Return lines as a fenced block whose fence none of them can close."""
    shown = [printable(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}diff", *shown, fence]


def _front(comparison: "Comparison") -> list[str]:
    lines = []
    for pair in comparison.front:
        lines += [f"- {pair.name}: {pair.before}"] if pair.before else []
        lines += [f"+ {pair.name}: {pair.after}"] if pair.after else []
    return _block(lines) if lines else []


def _text(comparison: "Comparison", file: str) -> list[str]:
    lines: list[str] = []
    for change in comparison.text:
        lines += [f"@@ {file}:{change.line} @@ {change.under}".rstrip()]
        lines += [f"- {line}".rstrip() for line in change.before] + [f"+ {line}".rstrip() for line in change.after]
    return _block(lines) if lines else []


def _links(comparison: "Comparison") -> Iterator[str]:
    for change in comparison.links:
        text = code(change.text or "(a picture)")
        if change.kind == "changed":
            yield f"- **leads elsewhere**: {text}, {code(change.before)} is now {code(change.after)}"
        else:
            yield f"- {change.kind}: {text}, {code(change.after or change.before)}"


def _sizes(comparison: "Comparison") -> list[str]:
    if not any(each.before != each.after for each in comparison.sizes):
        return []
    rows = [
        f"| {each.name} | {size(each.before)} | {size(each.after)} | {grown(each).strip('()')} |"
        for each in comparison.sizes
    ]
    return ["| | before | now | |", "|---|--:|--:|--:|", *rows]


def _rendering(comparison: "Comparison") -> list[str]:
    lines = [f"- {code(rendering_words(pair))}" for pair in comparison.rendering]
    if comparison.restyled_count:
        pieces = []
        for pair in comparison.restyled:
            pieces += [f"- {pair.before}"] if pair.before else []
            pieces += [f"+ {pair.after}"] if pair.after else []
        lines += [*([""] if lines else []), restyled_words(comparison), "", *_block(pieces)]
    return lines
