"""Boil a mail down to one element of each kind, so that CSS is matched once for all elements of a kind.

What a rule without sibling selectors matches depends on an element and on those that it stands in, on nothing else. So
elements of equal tag, class and style, in elements of equal tag, class and style, get equal styles; a mail of a
thousand elements has about a hundred such kinds. ``Skeleton`` holds one element of each, without text, and writes the
styles that an inliner gives them into the mail, of which nothing else changes: no text, address or style sheet. Nothing
here reads CSS.
"""

import re
from dataclasses import dataclass, field

_MARKUP = re.compile(
    r"(<!--.*?-->|<(?:head|style|script)\b.*?</(?:head|style|script)\s*>"
    r"""|<[!/]?[a-z](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>)""",
    re.DOTALL | re.IGNORECASE,
)
"""Match a tag, a comment, or an element that shows nothing, with its content."""
_UNSHOWN = re.compile(r"<(?:!|(?:head|style|script)\b)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s=>"'/]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_NUMBER = re.compile(r' data-kind="([0-9]+)"')
_STYLE = re.compile(r' style="[^"]*"')
_TELLING = re.compile(r' (?:class|style)="[^"]*"')
_IN_ONE_WAY = re.compile(r'<[a-z][a-z0-9]*+(?: [a-z:-]++="[^"]*+")*+>')


@dataclass(slots=True, eq=False)
class _Kind:
    """Hold an element of the skeleton with what it contains: kinds by what tells them apart, tags as they are written.

    ``number`` finds it again in the inlined skeleton.
    """

    name: str
    attributes: str
    number: int
    kinds: "dict[tuple[str, str], _Kind]" = field(default_factory=dict)
    tags: "dict[str, _Tag]" = field(default_factory=dict)

    def write(self, pieces: list[str]) -> None:
        """Add the element and all in it to ``pieces`` as HTML."""
        pieces.append(f'<{self.name}{self.attributes} data-kind="{self.number}">')
        for kind in self.kinds.values():
            kind.write(pieces)
        if self.name not in _VOID:
            pieces.append(f"</{self.name}>")


@dataclass(slots=True, eq=False)
class _Tag:
    """Hold a start tag of the mail as two pieces, between which its style goes."""

    kind: _Kind
    before: str
    after: str


class Skeleton:
    """Hold a mail in pieces, and one element for each kind of its elements."""

    def __init__(self, mail: str, *, with_attributes: bool) -> None:
        """Take ``mail`` (an HTML document) apart; ``with_attributes`` tells kinds apart by all attributes."""
        self._with_attributes = with_attributes
        self._root = _Kind("", "", 0)
        self._count = 0
        self._pieces: list[str] = _MARKUP.split(mail)
        self._tags = self._read_tags()

    @property
    def html(self) -> str:
        """Return an HTML document of one element of each kind."""
        pieces: list[str] = []
        for kind in self._root.kinds.values():
            kind.write(pieces)
        return "".join(pieces)

    def fill(self, inlined: str) -> str:
        """Return the mail with the styles that the skeleton has in ``inlined``.

        Raises ValueError where an element of the skeleton was lost.
        """
        styles: dict[int, str] = {}
        for markup in _MARKUP.findall(inlined):
            if number := _NUMBER.search(markup):
                style = _STYLE.search(markup)
                styles.setdefault(int(number[1]), style[0] if style else "")
        written: dict[_Tag, str] = {}
        pieces = self._pieces.copy()
        for index, tag in self._tags.items():
            if tag not in written:
                if tag.kind.number not in styles:
                    raise ValueError(f"{tag.before}{tag.after} is lost")
                written[tag] = f"{tag.before}{styles[tag.kind.number]}{tag.after}"
            pieces[index] = written[tag]
        return "".join(pieces)

    def _read_tags(self) -> dict[int, _Tag]:
        """Return the start tags by their place among the pieces, walking them with a stack of those that are open."""
        tags: dict[int, _Tag] = {}
        is_open = [self._root]
        for index in range(1, len(self._pieces), 2):
            markup = self._pieces[index]
            if markup[1] == "/":
                _close(is_open, markup[2:-1].strip().lower())
            elif (tag := is_open[-1].tags.get(markup) or self._new_tag(is_open[-1], markup)) is not None:
                tags[index] = tag
                if tag.kind.name not in _VOID:
                    is_open.append(tag.kind)
        return tags

    def _new_tag(self, parent: _Kind, markup: str) -> _Tag | None:
        """Return a start tag in ``parent`` that is met for the first time, None for what shows nothing."""
        if _UNSHOWN.match(markup):
            return None
        written = markup if _IN_ONE_WAY.fullmatch(markup) else _in_one_way(markup)
        name, space, attributes = written[1:-1].partition(" ")
        telling = space + attributes if self._with_attributes else "".join(_TELLING.findall(written))
        kind = parent.kinds.get((name, telling))
        if kind is None:
            self._count += 1
            kind = parent.kinds[name, telling] = _Kind(name, telling, self._count)
        start, end = found.span() if (found := _STYLE.search(written)) else (len(written) - 1,) * 2
        tag = parent.tags[markup] = _Tag(kind, written[:start], written[end:])
        return tag


def _in_one_way(markup: str) -> str:
    """Return a start tag in lower case, with its attributes in double quotes and one space before each."""
    (name, _), *attributes = ((found[1].lower(), found[2]) for found in _ATTRIBUTE.finditer(markup, 1))
    return f"<{name}{''.join(f' {key}={_quoted(value)}' if value else f' {key}' for key, value in attributes)}>"


def _quoted(value: str) -> str:
    """Return an attribute's value, as it is written, in double quotes."""
    bare = value[1:-1] if value[0] in "'\"" else value
    return '"' + bare.replace('"', "&quot;") + '"'


def _close(is_open: list[_Kind], name: str) -> None:
    """Close the innermost open element of that name with all in it; a tag that closes nothing is ignored."""
    if is_open[-1].name != name and all(kind.name != name for kind in is_open):
        return
    while is_open.pop().name != name:
        pass
