"""Check which features of HTML and CSS the compiled mail uses that readers' mail clients do not understand.

Features are weighed by what happens without them. A theme's refinements (rounded corners, what is under a media query,
what has a fallback) may be missing anywhere, so they are not told unless asked for. Not here: the features
(``clientfeatures``), and who understands them (``clientsupport``). Images' types are ``images``'.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from newsletter.checks.clientfeatures import Use
from newsletter.checks.clientsupport import Support, client_weights, support_of, table_date
from newsletter.checks.finding import Check, Found, Need, Severity
from newsletter.checks.leading import place_of_pattern
from newsletter.checks.subject import Subject

_LOST = frozenset(
    f"html-{name}"
    for name in (
        *("video", "audio", "svg", "object", "form", "select", "textarea", "button-submit", "button-reset"),
        *("input-checkbox", "input-hidden", "input-radio", "input-reset", "input-submit", "input-text"),
        *("dialog", "popover", "meter", "progress", "image-maps", "base", "link", "background", "anchor-links"),
    )
) | frozenset(
    f"css-{name}"
    for name in (
        *("background-image", "at-import", "pseudo-class-checked", "pseudo-element-before", "pseudo-element-after"),
    )
)
"""Features without which something that the mail says is not there, or cannot be read."""
_BROKEN = frozenset(
    f"css-{name}"
    for name in (
        *("display-flex", "display-grid", "grid-template", "flex-direction", "flex-wrap", "align-items"),
        *("justify-content", "gap", "position", "left-right-top-bottom", "inset", "z-index", "float", "clear"),
        *("transform", "column-count", "aspect-ratio", "object-fit", "writing-mode", "text-orientation", "nesting"),
        *("variables", "function-clamp", "function-max", "function-min", "function-light-dark", "unit-calc"),
        *("unit-vw", "unit-vh", "unit-vmin", "unit-vmax", "unit-ch", "modern-color", "mask-image", "clip-path"),
        *("linear-gradient", "radial-gradient", "conic-gradient", "shape-outside", "inline-size", "block-inline-size"),
        *("margin-inline-block", "margin-inline-start-end", "margin-block-start-end"),
        *("padding-inline-block", "padding-inline-start-end", "padding-block-start-end"),
    )
)
"""Features without which the layout falls apart, or a whole declaration is dropped."""
_NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class _Kind:
    """Say which features a check is about, and from which share of the readers on it tells them."""

    limit: str
    is_one: Callable[[str], bool]


_KINDS: Mapping[str, _Kind] = {
    "content": _Kind("clients_content", _LOST.__contains__),
    "layout": _Kind("clients_layout", _BROKEN.__contains__),
    "refinement": _Kind("clients_refinement", lambda slug: slug not in _LOST | _BROKEN),
}


def _content(subject: Subject) -> Iterator[Found]:
    return _unsupported(subject, _KINDS["content"])


def _layout(subject: Subject) -> Iterator[Found]:
    return _unsupported(subject, _KINDS["layout"])


def _refinement(subject: Subject) -> Iterator[Found]:
    return _unsupported(subject, _KINDS["refinement"])


def _unsupported(subject: Subject, kind: _Kind) -> Iterator[Found]:
    shares = client_weights(subject.config.checks.clients)
    uses = [use for use in subject.features if use.needed and kind.is_one(use.slug)]
    supports = {use.slug: support_of(use.slug, shares) for use in uses}
    for use in sorted(uses, key=lambda use: -supports[use.slug].unsupported):
        support = supports[use.slug]
        if support.unsupported * 100 >= subject.limits[kind.limit] and not _is_told_by_links(subject, use):
            place = place_of_pattern(subject, use.pattern)
            yield Found(_sentence(use, support), place, f"see what can be done: {support.url}", use.count)


def _is_told_by_links(subject: Subject, use: Use) -> bool:
    """Tell whether the use stands in the issue itself, and the check of its links says so."""
    in_issue = subject.links if subject.issue else ()
    return use.slug == "html-anchor-links" and any((link.target or "").startswith("#") for link in in_issue)


def _sentence(use: Use, support: Support) -> str:
    names = list(support.clients[:_NAMES_SHOWN])
    names += [f"{len(support.clients) - _NAMES_SHOWN} more"] if len(support.clients) > _NAMES_SHOWN else []
    return f"{support.title} does not work for {support.unsupported:.0%} of the readers: {', '.join(names)}"


_SOURCE = f"The shares are by caniemail.com's tests of {table_date()} and the weights of [checks] clients."
_HTML = frozenset({Need.HTML})

CHECKS = (
    Check(
        id="clients.content",
        severity=Severity.WARNING,
        why=f"Without this feature a mail client leaves out something that the mail says. {_SOURCE}",
        fix="say it in plain HTML: text, links and images",
        run=_content,
        limits={"clients_content": 5},
        needs=_HTML,
    ),
    Check(
        id="clients.layout",
        severity=Severity.WARNING,
        why=f"Without this feature the mail's layout falls apart. {_SOURCE}",
        fix="lay it out with tables, or write a declaration before it that works everywhere",
        run=_layout,
        limits={"clients_layout": 5},
        needs=_HTML,
    ),
    Check(
        id="clients.refinement",
        severity=Severity.OFF,
        why=f"Where a refinement is missing the mail is plainer, and all of it is there. {_SOURCE}",
        fix="leave it if the mail is good without it",
        run=_refinement,
        limits={"clients_refinement": 20},
        needs=_HTML,
    ),
)
