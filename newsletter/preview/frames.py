"""Make of a mail's HTML what a frame of the preview shows: in one colour scheme, its pictures from this machine.

Browsers ask the system for the scheme; here the question is answered in the style sheet, so that both can be seen side
by side. Nothing else of the mail is changed.
"""

import html
import re
from collections.abc import Mapping

LIGHT, DARK = "light", "dark"
_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_ALWAYS, _NEVER = "(min-width:0)", "(max-width:0)"
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def frame_html(mail: str, scheme: str, pictures: Mapping[str, str]) -> str:
    """Return the HTML for a frame; ``pictures`` says where each address of the mail's own images is found here."""
    shown = _SCHEME.sub(lambda found: _ALWAYS if found[1].lower() == scheme else _NEVER, mail)
    for address in sorted(pictures, key=len, reverse=True):
        shown = shown.replace(html.escape(address), html.escape(pictures[address]))
    # Links open beside the preview; without the style, the frame's ground and scroll bars would be the system's.
    own = f'<base target="_blank"><style>:root{{color-scheme:{scheme}}}</style>'
    found = _HEAD.search(shown)
    return f"{shown[: found.end()]}{own}{shown[found.end() :]}" if found else own + shown
