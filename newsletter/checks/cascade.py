"""Work out how each text of a compiled mail looks, in light and in dark mode and on phones: colours, size, weight.

Style attributes, the rules of ``<style>`` with their media, presentational attributes and what mail clients do by
themselves count, in the order of CSS. ``:hover`` and its like do not, nor do the attributes with which Outlook's apps
recolour mail (``[data-ogsc]``), nor what other clients make of a mail in their own dark modes: nobody can compute that.
Not here: whether it can be read (``accessibility``).
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from newsletter.checks.colours import BLACK, WHITE, Colour, background_colour, lay_over, luminance, parse_colour
from newsletter.checks.stylesheets import Declaration, StyleRule, parse_declarations

LIGHT, DARK, PHONE = "light", "dark", "phone"
MODES = (LIGHT, DARK, PHONE)
"""How a mail is seen: on a desktop in light mode, there in dark mode, and in light mode on a phone."""

_DARK_CANVAS = Colour(0.07, 0.07, 0.07)
_LINK, _DARK_LINK = Colour(0, 0, 0.933), Colour(0.62, 0.62, 1)
_DIM = 0.18
"""Luminance of a ground from which on mail clients show links that have no colour in the blue for light mode."""
_RELEVANT = frozenset(
    "color background-color background background-image font font-size font-weight display visibility opacity".split()
)
_DECISIVE = ("style", "bgcolor", "background", "hidden", "href", "color", "size", "text")
"""Attributes on which an element's look depends, beside those that rules ask for."""
_PRELUDE_MAX = 2000
"""Characters that the selectors of a rule may have; a longer one is left out."""
_CLASS = re.compile(r"\.([A-Za-z_][\w-]*)")
_ATTRIBUTE = re.compile(r"\[\s*([\w-]+)")
_LENGTH = re.compile(r"([\d.]+)(px|pt|em|rem|%)?")
_FONT = re.compile(r"((?:[a-z-]+ +|[1-9]00 +)*?)((?:x{1,2}-)?(?:small|large)|medium|[\d.]+(?:px|pt|em|rem|%))(?=[ /])")
_PIXELS = {"px": 1.0, "pt": 4 / 3, "rem": 16.0, None: 1.0}
_KEYWORDS = {
    "xx-small": 9.0,
    "x-small": 10.0,
    "small": 13.0,
    "medium": 16.0,
    "large": 18.0,
    "x-large": 24.0,
    "xx-large": 32.0,
}
_FONT_SIZES = ("", "x-small", "small", "medium", "large", "x-large", "xx-large")
"""What ``<font size=1>`` and so on mean."""
_OWN_SIZES = {"h1": 2.0, "h2": 1.5, "h3": 1.17, "h5": 0.83, "h6": 0.67, "small": 5 / 6, "sub": 5 / 6, "sup": 5 / 6}
_BOLD_TAGS = frozenset(("b", "strong", "th", "h1", "h2", "h3", "h4", "h5", "h6"))
_UNSHOWN = frozenset(("head", "style", "script", "title", "template", "noscript"))
_SPECIAL_TAGS = _BOLD_TAGS | _UNSHOWN | {*_OWN_SIZES, "a", "font", "body"}
_PRESENTATIONAL = frozenset(("bgcolor", "background", "hidden"))
_NOTHING = re.compile(r"[\s\u00a0\u00ad\u034f\u2007\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff]+")


class Look(NamedTuple):
    """Hold how a text is seen in one mode; ``ground`` is None where it stands on an image, ``size`` is in pixels."""

    colour: Colour
    ground: Colour | None
    size: float
    bold: bool
    hidden: bool


class Shown(NamedTuple):
    """Hold a text that an element itself holds, and how it is seen in each of ``MODES``."""

    element: Any
    text: str
    looks: Mapping[str, Look]


_Specificity = tuple[int, int, int]


class _Winner(NamedTuple):
    """Hold a declaration's value and what it wins by: importance, style attribute, specificity, order."""

    rank: tuple[bool, bool, _Specificity, int]
    value: str


_Matches = tuple[tuple[int, _Specificity], ...]
_Values = dict[str, _Winner]
_Looks = Mapping[str, Look]


def shown_texts(root: Any, rules: Sequence[StyleRule]) -> Iterator[Shown]:
    """Yield each text that is seen in ``root``, an lxml tree, in document order, with its looks under ``rules``."""
    matched = _match(root, rules)
    first = _canvas(root)
    states: dict[Any, _Looks] = {}
    # Most elements of a mail are like others before them: equal tag, style and rules in equal surroundings look equal.
    known: dict[tuple[object, ...], _Looks] = {}
    for element in root.iter("*"):
        outer = states.get(element.getparent(), first)
        attributes = element.attrib
        ruled = matched.get(element, ())
        key = (id(outer), element.tag, ruled, *map(attributes.get, _DECISIVE))
        looks = known.get(key)
        if looks is None:
            looks = known[key] = _looks(element, outer, _ruled_values(ruled, rules))
        states[element] = looks
        text = _own_text(element)
        if text and not all(look.hidden for look in looks.values()):
            yield Shown(element, text, looks)


def _own_text(element: Any) -> str:
    pieces = [element.text, *(child.tail for child in element)] if len(element) else [element.text]
    text = " ".join(piece for piece in pieces if piece)
    return _NOTHING.sub(" ", text).strip() if text else ""


def _canvas(root: Any) -> _Looks:
    """Return what a text looks like before anything is said about it."""
    metas = (meta for meta in root.iter("meta") if meta.get("name", "").lower() == "color-scheme")
    is_dark = any("dark" in meta.get("content", "").lower() for meta in metas)
    light = Look(BLACK, WHITE, 16.0, bold=False, hidden=False)
    return {LIGHT: light, DARK: light._replace(colour=WHITE, ground=_DARK_CANVAS) if is_dark else light, PHONE: light}


# ---------------------------------------------------------------------------------------------------------------------
# Which declarations are for which element
# ---------------------------------------------------------------------------------------------------------------------


def _match(root: Any, rules: Sequence[StyleRule]) -> Mapping[Any, _Matches]:
    """Return which rules are for each element, in order, with their specificity: those that matter here."""
    found: dict[Any, _Matches] = {}
    by_class, attributes = _index(root)
    for order, rule in enumerate(rules):
        if not modes_of(rule.conditions) or not any(declared.name in _RELEVANT for declared in rule.declarations):
            continue
        for selector in _selectors(rule.selector):
            if not (selector.classes <= by_class.keys() and selector.attributes <= attributes):
                continue
            for element in by_class[selector.only] if selector.only else selector.path(root):
                found[element] = (*found.get(element, ()), (order, selector.specificity))
    return found


def _index(root: Any) -> tuple[Mapping[str, list[Any]], frozenset[str]]:
    """Return the elements of each class, and the names of all attributes."""
    by_class: dict[str, list[Any]] = {}
    attributes: set[str] = set()
    for element in root.iter("*"):
        attributes.update(element.attrib)
        for name in dict.fromkeys(element.get("class", "").split()):
            by_class.setdefault(name, []).append(element)
    return by_class, frozenset(attributes)


def _ruled_values(matches: _Matches, rules: Sequence[StyleRule]) -> Mapping[str, _Values] | None:
    """Return what the rules say, by mode and property."""
    if not matches:
        return None
    values: dict[str, _Values] = {mode: {} for mode in MODES}
    for order, specificity in matches:
        for mode in modes_of(rules[order].conditions):
            _add(values[mode], rules[order].declarations, (False, specificity, order))
    return values


def _add(values: _Values, declarations: Sequence[Declaration], rest: tuple[bool, _Specificity, int]) -> None:
    for shorthand, whole, important in declarations:
        for name, value in _longhands(whole) if shorthand == "font" else ((shorthand, whole),):
            winner = _Winner((important, *rest), value)
            if name in _RELEVANT and (name not in values or winner.rank >= values[name].rank):
                values[name] = winner


@functools.lru_cache(maxsize=256)
def _longhands(font: str) -> tuple[tuple[str, str], ...]:
    """Return the size and the weight in the value of a ``font``; none where it names a font of the system."""
    found = _FONT.match(font.lower())
    weights = found[1].split() if found else []
    weight = next((word for word in weights if word.isdecimal() or word.startswith("bold")), "normal")
    return (("font-size", found[2]), ("font-weight", weight)) if found else ()


@functools.lru_cache(maxsize=256)
def modes_of(conditions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modes in which rules under these conditions count."""
    modes = list(MODES)
    for condition in conditions:
        query = condition.lower()
        if not query.startswith("@media") or "print" in query or "(-ms-" in query:
            return ()
        if "prefers-color-scheme" in query:
            modes = [mode for mode in modes if (mode == DARK) == bool(re.search(r"scheme\s*:\s*dark", query))]
        if "max-width" in query or "max-device-width" in query:
            modes = [mode for mode in modes if mode == PHONE]
        elif "min-width" in query:
            modes = [mode for mode in modes if mode != PHONE]
    return tuple(modes)


class _Selector(NamedTuple):
    """Hold one selector: an XPath, its specificity, what must be in a mail for it; ``only`` where it is one class."""

    path: Any
    specificity: _Specificity
    classes: frozenset[str]
    attributes: frozenset[str]
    only: str


@functools.lru_cache(maxsize=1024)
def _selectors(prelude: str) -> tuple[_Selector, ...]:
    """Return the selectors of a rule, without those that cssselect cannot read, and those of pseudo-elements."""
    import cssselect
    from lxml import etree

    found = []
    if len(prelude) > _PRELUDE_MAX:
        return ()
    for text in prelude.split(",") if "(" not in prelude else [prelude]:
        try:
            for parsed in cssselect.parse(text):
                if parsed.pseudo_element:
                    continue
                path = etree.XPath(cssselect.HTMLTranslator().selector_to_xpath(parsed))
                whole, names = _CLASS.fullmatch(text.strip()), "" if "(" in text else text
                classes, attributes = frozenset(_CLASS.findall(names)), frozenset(_ATTRIBUTE.findall(names))
                found.append(_Selector(path, parsed.specificity(), classes, attributes, whole[1] if whole else ""))
        except (cssselect.SelectorError, etree.XPathSyntaxError, RecursionError):
            continue
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# How an element looks
# ---------------------------------------------------------------------------------------------------------------------


def _looks(element: Any, outer: _Looks, ruled: Mapping[str, _Values] | None) -> _Looks:
    inline = _inline_values(element.get("style", ""))
    if not ruled and not inline and element.tag not in _SPECIAL_TAGS and _PRESENTATIONAL.isdisjoint(element.attrib):
        return outer
    if not ruled and outer[LIGHT] == outer[DARK] == outer[PHONE]:
        return dict.fromkeys(MODES, _look(element, outer[LIGHT], inline))
    return {mode: _look(element, outer[mode], _merged(inline, ruled[mode]) if ruled else inline) for mode in MODES}


@functools.lru_cache(maxsize=4096)
def _inline_values(style: str) -> _Values:
    """Return the declarations of a style attribute that matter here."""
    values: _Values = {}
    _add(values, parse_declarations(style), (True, (0, 0, 0), 0))
    return values


def _merged(inline: _Values, ruled: _Values) -> _Values:
    merged = dict(ruled)
    for name, winner in inline.items():
        if name not in merged or winner.rank > merged[name].rank:
            merged[name] = winner
    return merged


def _look(element: Any, outer: Look, values: _Values) -> Look:
    return Look(
        colour=_text_colour(element, outer, values),
        ground=_ground(element, outer.ground, values),
        size=_size(element, outer.size, values["font-size"].value if "font-size" in values else ""),
        bold=_is_bold(element, outer.bold, values["font-weight"].value if "font-weight" in values else ""),
        hidden=outer.hidden or element.tag in _UNSHOWN or "hidden" in element.attrib or _hides(values),
    )


def _text_colour(element: Any, outer: Look, values: _Values) -> Colour:
    if "color" in values:
        return parse_colour(values["color"].value) or outer.colour
    named = element.get("color") if element.tag == "font" else element.get("text") if element.tag == "body" else None
    if element.tag == "a" and element.get("href"):
        named = str(_LINK if luminance(outer.ground or WHITE) > _DIM else _DARK_LINK)
    return (parse_colour(named) if named else None) or outer.colour


def _ground(element: Any, outer: Colour | None, values: _Values) -> Colour | None:
    image = values.get("background-image")
    if element.get("background") or (image and image.value.lower() != "none"):
        return None
    whole, colour = values.get("background"), values.get("background-color")
    if whole and (not colour or whole.rank > colour.rank):
        found = background_colour(whole.value)
        if not found:
            return None
    else:
        found = parse_colour(colour.value if colour else element.get("bgcolor", ""))
    if not found:
        return outer
    return lay_over(found, outer) if outer else found if found.alpha >= 1 else None


def _size(element: Any, outer: float, value: str) -> float:
    if not value:
        if element.tag == "font" and re.fullmatch("[1-7]", element.get("size", "")):
            return _KEYWORDS[_FONT_SIZES[min(int(element.get("size")), len(_FONT_SIZES) - 1)]]
        return outer * _OWN_SIZES.get(element.tag, 1.0)
    match = _LENGTH.fullmatch(value.lower())
    try:
        number, unit = (float(match[1]), match[2]) if match else (0.0, "")
    except ValueError:
        match = None
    if not match:
        return _KEYWORDS.get(value.lower(), outer)
    if unit in ("em", "%"):
        return outer * number / (1 if unit == "em" else 100)
    return number * _PIXELS[unit]


def _is_bold(element: Any, outer: bool, value: str) -> bool:
    if not value:
        return outer or element.tag in _BOLD_TAGS
    return (
        value >= "600"
        if re.fullmatch("[1-9]00", value)
        else value.lower() in ("bold", "bolder") or (value == "inherit" and outer)
    )


def _hides(values: _Values) -> bool:
    return (
        ("display" in values and values["display"].value.lower() == "none")
        or ("visibility" in values and values["visibility"].value.lower() in ("hidden", "collapse"))
        or ("opacity" in values and values["opacity"].value in ("0", "0.0", "0%"))
    )
