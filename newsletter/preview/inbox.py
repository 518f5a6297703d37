"""Say what an inbox shows of a mail before it is opened: the first words of its HTML, hidden ones included.

That is how Gmail and Apple Mail come to the line behind the subject. How much of it fits is for the page to show.
"""

import re
from html.parser import HTMLParser

SNIPPET_MAX = 300
"""Characters that no inbox shows more of."""
_UNREAD = frozenset({"head", "style", "script", "title", "template"})
_FILLER = re.compile("[\\s\u00ad\u034f\u061c\u180e\u2000-\u200f\u202f\u205f\u2060-\u2064\u2800\u3000\ufeff]{10,}")
"""Match a run of characters that show nothing: what themes put behind a preheader to keep other words away."""


def snippet_of(html: str) -> str:
    """Return the first words of a mail as one line, up to where the theme's filler begins."""
    reader = _FirstWords()
    reader.feed(html[html.lower().find("<body") :] if "<body" in html.lower() else html)
    text = reader.text
    filler = _FILLER.search(text.lstrip())
    words = text.lstrip()[: filler.start()] if filler else text
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
        """Add to the words while they are too few; blanks of the markup's own count once."""
        if len(self.text) < 4 * SNIPPET_MAX:
            self.text += re.sub("[ \t\r\n]+", " ", text)
