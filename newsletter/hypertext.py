"""Read the HTML part of a message as a check sees it: what is shown, what is hidden, where links go, what is active.

Built on the standard library's tolerant parser, which never gives up; any text can be read. Style sheets are not
applied: only what an element's own attributes say counts as hiding. Conditional comments, which Outlook alone reads,
are searched for active tags. Not here: any judgement of what was found (``body_rules``).
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_UNSHOWN = frozenset(("head", "style", "script", "title", "template"))
_ACTIVE = frozenset("script form iframe frame frameset object embed applet base input button select textarea".split())
_URL_ATTRIBUTES = frozenset(("href", "src", "action", "background", "srcset", "poster", "formaction", "xlink:href"))
_ACTIVE_SCHEME = re.compile(r"(?:javascript|vbscript|data:(?!image/)[^,]*)(?=[:,])", re.IGNORECASE)
_ACTIVE_TAG = re.compile(rf"<\s*({'|'.join(sorted(_ACTIVE))})\b", re.IGNORECASE)
_IGNORED = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff]+"
)
"""Characters that show nothing: white space, and those used to pad a preheader."""
_ZERO = re.compile(r"0+(?:\.0*)?(?:px|pt|em|rem|%)?")


@dataclass(slots=True)
class Link:
    """Hold one link: where it goes, and the text or alternative text that is visibly in it."""

    href: str
    text: str = ""


@dataclass(slots=True)
class Hidden:
    """Hold the text of one hidden element, and whether visible text stands before it."""

    text: str
    after_visible: bool


@dataclass(slots=True)
class Hypertext:
    """Hold what was read from an HTML text; ``code`` is the part of ``text`` that stands in ``code`` or ``pre``."""

    text: str = ""
    code: str = ""
    links: list[Link] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)


def read_hypertext(html: str) -> Hypertext:
    """Return what ``html`` shows, hides, links to and would run; never raises, whatever ``html`` is."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    found = reader.found
    found.text, found.code = "".join(reader.visible), "".join(reader.code)
    return found


@dataclass(slots=True)
class _Open:
    """Hold an open element: is its text unshown, the outermost hidden element around it, is its font of size 0."""

    tag: str
    unshown: bool = False
    hidden_by: Hidden | None = None
    tiny: bool = False
    is_code: bool = False
    link: Link | None = None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Hypertext()
        self.visible: list[str] = []
        self.code: list[str] = []
        self._open = [_Open("")]
        self._seen_visible = False

    def updatepos(self, _start: int, end: int) -> int:
        """Count no lines: nobody asks for them, and counting takes a sixth of the time."""
        return end

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._note_active(tag, attributes)
        parent = self._open[-1]
        style = _declarations(attributes.get("style", ""))
        inner = _Open(
            tag,
            unshown=parent.unshown or tag in _UNSHOWN,
            hidden_by=parent.hidden_by,
            tiny=bool(_ZERO.fullmatch(style["font-size"])) if "font-size" in style else parent.tiny,
            is_code=parent.is_code or tag in ("code", "pre"),
            link=parent.link,
        )
        if inner.hidden_by is None and ("hidden" in attributes or _hides(style)):
            inner.hidden_by = Hidden("", self._seen_visible)
            self.found.hidden.append(inner.hidden_by)
        if tag == "a" and "href" in attributes:
            inner.link = Link(attributes["href"])
            self.found.links.append(inner.link)
        if tag == "img" and inner.link and inner.hidden_by is None:
            inner.link.text += attributes.get("alt", "")
        if tag in ("br", "p", "div", "td", "tr", "li", "h1", "h2", "h3", "h4"):
            self.visible.append("\n")
        if tag not in _VOID:
            self._open.append(inner)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # "<div/>" opens an element in HTML; only XML closes it there.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        for index in range(len(self._open) - 1, max(len(self._open) - 200, 0), -1):
            if self._open[index].tag == tag:
                del self._open[index:]
                return

    def handle_data(self, data: str) -> None:
        inner = self._open[-1]
        if inner.unshown:
            return
        shows_nothing = not _IGNORED.sub("", data)
        if inner.hidden_by:
            inner.hidden_by.text += "" if shows_nothing else data
        elif inner.tiny and not shows_nothing:
            self.found.hidden.append(Hidden(data, self._seen_visible))
        else:
            self.visible.append(data)
            self._seen_visible = self._seen_visible or not shows_nothing
            if inner.is_code:
                self.code.append(data)
            if inner.link:
                inner.link.text += data

    def handle_comment(self, data: str) -> None:
        if data.lstrip().startswith("[if"):
            self.found.active += [
                f"<{match[1].lower()}> in a conditional comment" for match in _ACTIVE_TAG.finditer(data)
            ]

    def unknown_decl(self, data: str) -> None:
        """Pass over ``<![if …]>``, which some templates write outside of comments."""

    def _note_active(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _ACTIVE:
            self.found.active.append(f"<{tag}>")
        if tag == "meta" and attributes.get("http-equiv", "").strip().lower() == "refresh":
            self.found.active.append("<meta http-equiv=refresh>")
        for name, value in attributes.items():
            if name.startswith("on"):
                self.found.active.append(f"attribute {name} of <{tag}>")
            if name in _URL_ATTRIBUTES:
                self.found.urls.append(value)
                # Browsers drop control characters and white space before and inside of the scheme.
                if _ACTIVE_SCHEME.match(re.sub(r"[\x00-\x20]+", "", value)):
                    self.found.active.append(f"{name}={value[:40]!r} of <{tag}>")


@functools.lru_cache(maxsize=1024)
def _declarations(style: str) -> Mapping[str, str]:
    """Return the declarations of a style attribute, names and values in lower case without ``!important``."""
    pairs = (declaration.partition(":") for declaration in style.lower().split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs if value}


def _hides(style: Mapping[str, str]) -> bool:
    """Tell whether these declarations hide an element's text from who reads the mail."""
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or style.get("mso-hide") == "all"
        or bool(_ZERO.fullmatch(style.get("opacity", "1")))
        or (
            style.get("overflow") == "hidden"
            and any(_ZERO.fullmatch(style.get(name, "1")) for name in ("height", "max-height", "width", "max-width"))
        )
        or style.get("text-indent", "").startswith("-999")
    )
