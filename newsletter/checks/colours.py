"""Read CSS colours, lay one over another, and tell how well one can be read on another (WCAG 2.2).

Not here: which colours a text has (``cascade``), and how much contrast is enough (``accessibility``).
"""

import functools
import re
from typing import NamedTuple

_VALUE_MAX = 200
"""Characters of a value that are looked at for a colour."""
_WORD = re.compile(r"\S+\([^()]*\)|[^\s(),]+")


class Colour(NamedTuple):
    """Hold a colour: red, green and blue of sRGB and its opacity, each from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def __str__(self) -> str:
        return "#" + "".join(f"{round(min(max(channel, 0), 1) * 255):02x}" for channel in self[:3])


BLACK, WHITE = Colour(0, 0, 0), Colour(1, 1, 1)


@functools.lru_cache(maxsize=1024)
def parse_colour(text: str) -> Colour | None:
    """Return the colour that ``text`` is in CSS; None for ``currentColor``, and for what is no colour."""
    from tinycss2.color4 import parse_color

    colour = parse_color(text.strip()) if len(text) <= _VALUE_MAX else None
    if colour is None or isinstance(colour, str):
        return None
    try:
        red, green, blue = (colour if colour.space == "srgb" else colour.to("srgb")).coordinates
    except (NotImplementedError, TypeError):
        return None
    return Colour(red or 0.0, green or 0.0, blue or 0.0, colour.alpha)


def background_colour(value: str) -> Colour | None:
    """Return the colour in the value of a ``background``, transparent where it names none; None under an image."""
    if re.search(r"url\(|gradient\(|image-set\(", value, re.IGNORECASE):
        return None
    found = (parse_colour(word) for word in _WORD.findall(value[:_VALUE_MAX]))
    return next((colour for colour in found if colour), Colour(0, 0, 0, 0))


def lay_over(colour: Colour, ground: Colour) -> Colour:
    """Return what is seen of ``colour`` on an opaque ``ground``."""
    if colour.alpha >= 1:
        return colour
    red, green, blue = (
        over * colour.alpha + under * (1 - colour.alpha) for over, under in zip(colour[:3], ground[:3], strict=True)
    )
    return Colour(red, green, blue)


@functools.lru_cache(maxsize=1024)
def luminance(colour: Colour) -> float:
    """Return the relative luminance of an opaque colour, 0 for black and 1 for white (WCAG 2.2)."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in colour[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two opaque colours, from 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
