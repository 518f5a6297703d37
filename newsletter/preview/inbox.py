"""Say what an inbox shows of a mail before it is opened: the first words of its HTML, hidden ones included.

That is how Gmail and Apple Mail come to the line behind the subject. How much of it fits is for the page to show.
"""

import re
from html.parser import HTMLParser

SNIPPET_MAX = 300
"""Characters that no inbox shows more of."""
_PIECE = 4096
_UNREAD = frozenset({"head", "style", "script", "title", "template"})
_FILLER = re.compile("[\\s\u00ad\u034f\u061c\u180e\u2000-\u200f\u202f\u205f\u2060-\u2064\u2800\u3000\ufeff]{10,}")
"""Match a run of characters that show nothing: what themes put behind a preheader to keep other words away."""


def snippet_of(html: str) -> str:
    """Return the first words of a mail as one line, up to where the theme's filler begins."""
    reader = _FirstWords()
    start = max(html.lower().find("<body"), 0)
    for at in range(start, len(html), _PIECE):  # most of a mail is never looked at
        reader.feed(html[at : at + _PIECE])
        if len(reader.text) >= 2 * SNIPPET_MAX:
            break
    text = reader.text.lstrip()
    filler = _FILLER.search(text)
    words = text[: filler.start()] if filler else text
    return " ".join(words.split())[:SNIPPET_MAX]


class _FirstWords(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in _UNREAD
        self._add(" ")

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in _UNREAD and self._unread > 0

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._add(data)

    def _add(self, text: str) -> None:
        """Add to the words; blanks of the markup's own count once."""
        self.text += re.sub("[ \t\r\n]+", " ", text)
