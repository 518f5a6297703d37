"""Check whether everybody can read the compiled mail: contrast, size, headings, tables, language, names of links.

By WCAG 2.2, as far as it can be told without looking; contrast is computed for light mode and for the dark mode that
the mail's own rules make. Not here: alternative texts and words of links in the issue (``images``, ``links``).
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from newsletter.catalogs import direction
from newsletter.checks.cascade import DARK, LIGHT, PHONE, Look, Shown
from newsletter.checks.colours import BLACK, WHITE, Colour, contrast, lay_over
from newsletter.checks.finding import Check, Found, Need, Severity, quoted
from newsletter.checks.leading import place_of_element, place_of_pattern, place_of_text
from newsletter.checks.subject import Subject
from newsletter.checks.words import GENERIC_WORDS
from newsletter.errors import Place

_LARGE, _LARGE_BOLD = 24.0, 18.66
"""CSS pixels from which on text is large: 18 points, or 14 points in bold (WCAG 2.2, 1.4.3)."""
_UNREADABLE = 2.0
_STEPS = 40
_WORD = re.compile(r"\w")
_NOT_LAYOUT = frozenset(("presentation", "none"))
_SMALL_TAGS = frozenset(("sub", "sup"))


# ---------------------------------------------------------------------------------------------------------------------
# Colours and size
# ---------------------------------------------------------------------------------------------------------------------


def _unreadable(subject: Subject) -> Iterator[Found]:
    for mode in (LIGHT, DARK):
        yield from _low_contrast(subject, mode, lambda ratio: ratio < _UNREADABLE)


def _contrast_light(subject: Subject) -> Iterator[Found]:
    return _low_contrast(subject, LIGHT, lambda ratio: ratio >= _UNREADABLE)


def _contrast_dark(subject: Subject) -> Iterator[Found]:
    return _low_contrast(subject, DARK, lambda ratio: ratio >= _UNREADABLE)


class _Weak(NamedTuple):
    """Hold a text that has too little contrast: its colour, its ground, the contrast, and what is needed."""

    shown: Shown
    colour: Colour
    ground: Colour
    ratio: float
    needed: float


def _low_contrast(subject: Subject, mode: str, is_meant: Callable[[float], bool]) -> Iterator[Found]:
    """Yield each colour that has too little contrast in ``mode``, by its worst case, where that ``is_meant``."""
    by_colour: dict[Colour, list[_Weak]] = {}
    for weak in _weak_texts(subject, mode):
        if is_meant(weak.ratio):
            by_colour.setdefault(weak.colour, []).append(weak)
    for colour, texts in by_colour.items():
        worst = min(texts, key=lambda weak: weak.ratio / weak.needed)
        where = f"in {mode} mode: {quoted(worst.shown.text)}"
        message = f"{colour} on {worst.ground} has a contrast of {worst.ratio:.1f}:1 {where}"
        fix = f"{_readable(worst, texts)} would have the {worst.needed:g}:1 that is needed"
        yield Found(message, _place_of_colour(subject, colour, worst.shown), fix, len(texts))


def _weak_texts(subject: Subject, mode: str) -> Iterator[_Weak]:
    for shown in subject.shown:
        look = shown.looks[mode]
        is_said = mode != LIGHT and look == shown.looks[LIGHT]
        if is_said or look.hidden or look.ground is None or not _WORD.search(shown.text):
            continue
        needed = subject.limits["contrast_large" if _is_large(look) else "contrast"]
        colour = lay_over(look.colour, look.ground)
        ratio = contrast(colour, look.ground)
        if ratio < needed:
            yield _Weak(shown, colour, look.ground, ratio, needed)


def _is_large(look: Look) -> bool:
    return look.size >= _LARGE or (look.bold and look.size >= _LARGE_BOLD)


def _readable(worst: _Weak, texts: Sequence[_Weak]) -> Colour:
    """Return the colour nearest to that of the texts, on the way to black or white, that has the contrast they need.

    Where they stand on grounds so different that none has it, the one for the worst case.
    """
    end = max(BLACK, WHITE, key=lambda extreme: contrast(extreme, worst.ground))
    steps = [lay_over(Colour(*end[:3], alpha=step / _STEPS), worst.colour) for step in range(_STEPS + 1)]
    colours = [Colour(*(round(channel * 255) / 255 for channel in step[:3])) for step in steps]
    for wanted in (texts, [worst]):
        for colour in colours:
            if all(contrast(colour, weak.ground) >= weak.needed for weak in wanted):
                return colour
    return end


def _place_of_colour(subject: Subject, colour: Colour, shown: Shown) -> Place | None:
    long = str(colour)
    short = f"#{long[1::2]}" if long[1::2] == long[2::2] else long
    return place_of_pattern(subject, rf"(?:{long}|{short})\b") or place_of_text(subject, shown.text)


def _text_size(subject: Subject) -> Iterator[Found]:
    least = subject.limits["text_px"]
    small: dict[float, list[Shown]] = {}
    for shown in subject.shown:
        looks = [look for look in (shown.looks[LIGHT], shown.looks[PHONE]) if not look.hidden]
        size = round(min((look.size for look in looks), default=least), 1)
        if size < least and _WORD.search(shown.text) and shown.element.tag not in _SMALL_TAGS:
            small.setdefault(size, []).append(shown)
    for size, texts in sorted(small.items()):
        place = place_of_pattern(subject, rf"font-size\s*:\s*{size:g}px") or place_of_text(subject, texts[0].text)
        yield Found(f"text of {size:g} px is too small: {quoted(texts[0].text)}", place, count=len(texts))


# ---------------------------------------------------------------------------------------------------------------------
# Structure
# ---------------------------------------------------------------------------------------------------------------------


def _heading_order(subject: Subject) -> Iterator[Found]:
    headings = list(subject.tree.iter("h1", "h2", "h3", "h4", "h5", "h6"))
    mains = [heading for heading in headings if heading.tag == "h1"]
    if not mains:
        yield Found("the mail has no heading of the first level", fix="make the mail's title an <h1> in the theme")
    for heading in mains[1:]:
        message = f"{_words(heading)} is another heading of the first level"
        yield Found(message, place_of_element(subject, heading), "make it an <h2>; one <h1> names the whole mail")
    for before, heading in itertools.pairwise(headings):
        if int(heading.tag[1]) > int(before.tag[1]) + 1:
            message = f"{_words(heading)}, an {heading.tag}, follows an {before.tag}: a level is left out"
            yield Found(message, place_of_element(subject, heading))


def _words(element: Any) -> str:
    return quoted(element.text_content())


def _table_roles(subject: Subject) -> Iterator[Found]:
    bare = [
        table
        for table in subject.tree.iter("table")
        if table.get("role", "").lower() not in _NOT_LAYOUT and next(_own_heads(table), None) is None
    ]
    if bare:
        message = f"a table has neither header cells nor a role: {_words(bare[0])}"
        yield Found(message, place_of_element(subject, bare[0]), count=len(bare))


def _own_heads(table: Any) -> Iterator[Any]:
    """Yield the header cells and captions of a table, not those of tables in it."""
    for cell in table.iter("th", "caption"):
        if next(cell.iterancestors("table")) is table:
            yield cell


def _language(subject: Subject) -> Iterator[Found]:
    root, place = subject.tree, place_of_pattern(subject, r"<mjml\b|<html\b")
    declared = root.get("lang", "")
    inside = [element for element in root.iter("*") if element is not root and element.get("lang")]
    if not declared:
        yield Found("the mail does not say in which language it is", place)
    elif subject.issue and declared.partition("-")[0].lower() != subject.language.partition("-")[0].lower():
        yield Found(f"the mail says that its language is {declared}, the issue's is {subject.language}", place)
    elif not inside:
        yield Found("only <html> says the language, and Gmail drops that tag", place)


def _direction(subject: Subject) -> Iterator[Found]:
    root, place = subject.tree, place_of_pattern(subject, r"<mjml\b|<html\b")
    language = root.get("lang", "") or subject.language
    wanted = direction(language)
    declared = root.get("dir", "").lower()
    if (declared or "ltr") != wanted:
        said = f"dir={declared}" if declared else "no dir"
        yield Found(f"text in {language} runs from {_ENDS[wanted]}, and the mail has {said}", place)


_ENDS = {"rtl": "right to left", "ltr": "left to right"}


def _title(subject: Subject) -> Iterator[Found]:
    title = subject.tree.find(".//title")
    if title is None or not (title.text or "").strip():
        yield Found("the mail has no <title>", place_of_pattern(subject, r"<mj-head\b|<head\b"))


def _zoom(subject: Subject) -> Iterator[Found]:
    for meta in subject.tree.iter("meta"):
        content = meta.get("content", "").replace(" ", "").lower()
        if meta.get("name", "").lower() == "viewport" and re.search(r"user-scalable=(no|0)|maximum-scale=1\b", content):
            yield Found("the viewport keeps readers from enlarging the text", place_of_pattern(subject, "viewport"))


# ---------------------------------------------------------------------------------------------------------------------
# Links and images of the theme
# ---------------------------------------------------------------------------------------------------------------------


def _link_names(subject: Subject) -> Iterator[Found]:
    nameless = [
        href
        for link in subject.tree.iter("a")
        if (href := link.get("href", "")) and not _name_of(link) and not _is_written(subject, href)
    ]
    if nameless:
        place = place_of_pattern(subject, re.escape(nameless[0]))
        yield Found(f"the link to {nameless[0][:70]!r} has no words", place, count=len(nameless))


def _is_written(subject: Subject, href: str) -> bool:
    """Tell whether the link stands in the issue, where the check of its links sees it."""
    return bool(subject.issue and subject.place_of_target(href))


def _name_of(link: Any) -> str:
    alternatives = (image.get("alt", "") for image in link.iter("img"))
    return "".join((link.get("aria-label", ""), link.get("title", ""), link.text_content(), *alternatives)).strip()


def _link_purpose(subject: Subject) -> Iterator[Found]:
    targets: dict[str, dict[str, Any]] = {}
    for link in subject.tree.iter("a"):
        words = " ".join(_name_of(link).split())
        if link.get("href") and _WORD.search(words) and words.casefold() not in GENERIC_WORDS:
            targets.setdefault(words.casefold(), {}).setdefault(link.get("href"), link)
    for links in targets.values():
        if len(links) >= subject.limits["link_targets"]:
            _, second, *_ = links.values()
            message = f"{len(links)} links read {quoted(_name_of(second))}, and lead to different pages"
            yield Found(message, place_of_element(subject, second), count=len(links))


def _image_alt(subject: Subject) -> Iterator[Found]:
    sources = [image.get("src", "") for image in subject.tree.iter("img") if image.get("alt") is None]
    if sources:
        place = place_of_pattern(subject, re.escape(sources[0] or "<img"))
        yield Found(f"the image {sources[0][:70]!r} has no alt attribute", place, count=len(sources))


_HTML = frozenset({Need.HTML})

CHECKS = (
    Check(
        id="accessibility.unreadable",
        severity=Severity.ERROR,
        why="Text whose colour is nearly that of its ground is not there for anybody.",
        fix="choose another colour in [theme] or in the theme's style sheet",
        run=_unreadable,
        needs=_HTML,
    ),
    Check(
        id="accessibility.contrast-light",
        severity=Severity.WARNING,
        why="One reader in twelve sees little contrast, and all do in the sun (WCAG 2.2, 1.4.3).",
        fix="choose a darker colour in [theme] or in the theme's style sheet",
        run=_contrast_light,
        limits={"contrast": 4.5, "contrast_large": 3},
        needs=_HTML,
    ),
    Check(
        id="accessibility.contrast-dark",
        severity=Severity.WARNING,
        why="In dark mode the mail's own rules change the colours, and a colour that they forget is hard to read.",
        fix="set the colour for dark mode as well: [theme] text_dark, muted_dark, accent_dark",
        run=_contrast_dark,
        needs=_HTML,
    ),
    Check(
        id="accessibility.text-size",
        severity=Severity.WARNING,
        why="Small text is not read on a phone, and iOS enlarges it until the layout breaks.",
        fix="set a larger font-size in the theme's style sheet",
        run=_text_size,
        limits={"text_px": 12},
        needs=_HTML,
    ),
    Check(
        id="accessibility.heading-order",
        severity=Severity.WARNING,
        why="Screen readers jump from heading to heading, and a level left out is taken for text that was missed.",
        fix="use the next level: ### below ##",
        run=_heading_order,
        needs=_HTML,
    ),
    Check(
        id="accessibility.table-roles",
        severity=Severity.WARNING,
        why="Screen readers read a table cell by cell, with rows and columns, unless it says that it is mere layout.",
        fix='give a layout table role="presentation", and a table of facts a first row of headings',
        run=_table_roles,
        needs=_HTML,
    ),
    Check(
        id="accessibility.language",
        severity=Severity.WARNING,
        why="Screen readers choose their voice by the language that the mail says it has (WCAG 2.2, 3.1.1).",
        fix='write lang="{{ lang }}" on <mjml> in the theme, and "lang" in the issue if it is in another language',
        run=_language,
        needs=_HTML,
    ),
    Check(
        id="accessibility.direction",
        severity=Severity.ERROR,
        why="Text that runs from right to left falls apart where the mail does not say so, punctuation first.",
        fix='write dir="{{ dir }}" on <mjml> in the theme',
        run=_direction,
        needs=_HTML,
    ),
    Check(
        id="accessibility.title",
        severity=Severity.WARNING,
        why="The title names the page in the browser's tab, and to screen readers (WCAG 2.2, 2.4.2).",
        fix="write <mj-title>{{ issue.subject }}</mj-title> in the theme",
        run=_title,
        needs=_HTML,
    ),
    Check(
        id="accessibility.zoom",
        severity=Severity.WARNING,
        why="Whoever sees badly enlarges the text; a mail should not forbid it (WCAG 2.2, 1.4.4).",
        fix="take user-scalable and maximum-scale out of the viewport",
        run=_zoom,
        needs=_HTML,
    ),
    Check(
        id="accessibility.link-names",
        severity=Severity.ERROR,
        why="A link without words is read out as its address, letter by letter (WCAG 2.2, 2.4.4).",
        fix="put words in the link, or an alternative text in its image",
        run=_link_names,
        needs=_HTML,
    ),
    Check(
        id="accessibility.link-purpose",
        severity=Severity.WARNING,
        why="Screen readers list a mail's links; equal words should lead to one place (WCAG 2.2, 2.4.4 and 2.4.9).",
        fix="say in the words what differs: the date, the place, the author",
        run=_link_purpose,
        limits={"link_targets": 3},
        needs=_HTML,
    ),
    Check(
        id="accessibility.image-alt",
        severity=Severity.WARNING,
        why='Screen readers read out the file\'s name where an image has no alt attribute; alt="" passes over it.',
        fix='write alt="…" with what the image says, alt="" for mere ornament',
        run=_image_alt,
        needs=_HTML,
    ),
)
