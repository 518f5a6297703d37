"""What the preview asks of its compiling child, and what that answers: one JSON object a line.

``Ask`` is answered with ``Shown`` or ``Failed``, ``Check`` with ``Checked``.
"""

import msgspec

from newsletter.model import Recipient

ERROR, WARNING, WAIVED = "error", "warning", "waived"
"""How grave a note is; an error keeps an issue from being approved."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Ask for the issue at ``path``, for a recipient who chose these topics (none for all)."""

    path: str
    recipient: Recipient
    topics: tuple[str, ...] = ()


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Ask what the checks find in the issue that was shown last."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Tell of one mistake or finding: how grave, what, how to mend it, and where; ``line`` 0 where no line is known."""

    severity: str
    words: str
    fix: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    rule: str = ""


class Picture(msgspec.Struct, frozen=True):
    """Hold an image of the mail, and the name by which the page asks for it: equal ones have the same."""

    name: str
    media_type: str
    content: bytes


class Field(msgspec.Struct, frozen=True):
    """Say what a merge field shows for the recipient; ``is_default`` where that is the issue's own default."""

    name: str
    value: str
    is_default: bool


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the bytes of a message and its parts, as they are before their encoding for the way."""

    html: int
    text: int
    pictures: int
    message: int


class Shown(msgspec.Struct, frozen=True, kw_only=True, tag="shown"):
    """Hold a compiled issue as one recipient gets it.

    ``pictures`` go by the address that the mail's HTML has for each; ``watched`` are files beside the issue that it was
    made of. ``seconds`` is what compiling took; ``send_at`` is in words.
    """

    slug: str
    title: str
    sender: str
    address: str
    subject: str
    snippet: str
    send_at: str
    html: str
    text: str
    headers: str
    sizes: Sizes
    pictures: dict[str, Picture]
    fields: tuple[Field, ...]
    variant: str
    watched: tuple[str, ...]
    seconds: float
    source: dict[str, str]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """Say why an issue does not compile; ``source`` holds the files that the notes name, by the name there."""

    notes: tuple[Note, ...]
    watched: tuple[str, ...] = ()
    source: dict[str, str] = {}


class Checked(msgspec.Struct, frozen=True, kw_only=True, tag="checked"):
    """Hold what the checks found in the issue that was shown last."""

    notes: tuple[Note, ...]
    source: dict[str, str] = {}


Question = Ask | Check
Answer = Shown | Failed | Checked
