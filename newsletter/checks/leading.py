"""Lead what was seen in the compiled mail back to the issue file or to a template, for the checks that look at it.

Pure; whatever cannot be found has no place, and a finding without one is still a finding.
"""

import re
from typing import Any

from newsletter.checks.subject import Subject
from newsletter.errors import Place

_WORDS = 6
"""Words of a text by which its place is looked for."""


def place_of_pattern(subject: Subject, pattern: str) -> Place | None:
    """Return where ``pattern`` stands first in a template, else in the issue; None where in neither."""
    compiled = re.compile(pattern, re.IGNORECASE)
    sources = dict(subject.templates)
    if subject.issue:
        sources[subject.issue.file] = subject.source
    for file, text in sources.items():
        if found := compiled.search(text):
            return Place(
                file, text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
            )
    return None


def place_of_element(subject: Subject, element: Any) -> Place | None:
    """Return where the issue has what ``element`` shows: by the links in and around it, its images, or its text."""
    for one in (element, *element.iter("a", "img"), *element.iterancestors("a")):
        place = subject.place_of_target(one.get("href") or one.get("src") or "")
        if place:
            return place
    pieces = [piece for piece in element.itertext() if piece.strip()]
    return place_of_text(subject, " ".join(pieces)) or place_of_text(subject, next(iter(pieces), ""))


def place_of_text(subject: Subject, text: str) -> Place | None:
    """Return where the issue has the first words of ``text``, else where a template has them."""
    words = " ".join(text.split()[:_WORDS])
    return (subject.find(words) if subject.issue and words else None) or subject.place_in_templates(words)
