"""Know what the columns of a subscriber list mean: those of other programs' exports, and where they say who has left.

Mailchimp, Substack, Ghost, Buttondown and listmonk each write down in their own way who unsubscribed or bounced. Such a
row must never become somebody who is mailed, so a status that is not known is no status to send on: it is refused.
Pure: words in, meanings out. Reading files is ``listfile``'s.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GUARDED = "=+-@\t\r"
"""First characters that make a spreadsheet take a cell for a formula."""

# What a column means. Headings are compared in lower case, letters and digits only.
_EMAIL = (
    "email",
    "emailaddress",
    "subscriberemail",
    "mail",
    "courriel",
    "adresseemail",
    "adressemail",
    "邮箱",
    "address",
)
"""Headings of the column of addresses, the surest first; "address" may be a street where one of the others stands."""
_MEANINGS: Mapping[str, str] = {
    **dict.fromkeys(("name", "fullname", "nom", "姓名"), "name"),
    **dict.fromkeys(("firstname", "fname", "givenname", "prénom", "prenom"), "first_name"),
    **dict.fromkeys(("lastname", "lname", "surname", "familyname"), "last_name"),
    **dict.fromkeys(("language", "lang", "locale", "langue", "语言"), "language"),
    **dict.fromkeys(("timezone", "tz"), "time_zone"),
    **dict.fromkeys(("topics", "sujets", "话题"), "topics"),
    # An object of them: in listmonk's export, Buttondown's, and our own for keys that cannot be headings
    **dict.fromkeys(("attributes", "metadata"), "json"),
    # listmonk, our own export and most others
    **dict.fromkeys(("status", "subscriptionstatus", "confirmstatus", "emailmarketing", "statut"), "status"),
    # As Ghost writes it, then others
    **dict.fromkeys(("subscribedtoemails", "subscribed", "issubscribed", "optin", "optedin"), "is_subscribed"),
    # As Substack writes it, then others
    **dict.fromkeys(("emaildisabled", "unsubscribed", "isunsubscribed", "optedout", "optout"), "is_unsubscribed"),
    # As Mailchimp and Buttondown write it, then others
    **dict.fromkeys(("unsubtime", "unsubscriptiondate", "unsubscribedat", "unsubscribedate"), "unsubscribed_at"),
    # The same of bounces
    **dict.fromkeys(("cleantime", "bouncedat", "undeliverabilitydate", "bouncedate"), "bounced_at"),
    **dict.fromkeys(("bounced", "isbounced", "undeliverable"), "is_bounced"),
    **dict.fromkeys(("deletedat",), "deleted_at"),  # Ghost
    # Our own export.
    **dict.fromkeys(("suppressed",), "suppressed"),
    **dict.fromkeys(("origin",), "origin"),
    **dict.fromkeys(("joinedat",), "joined_at"),
    **dict.fromkeys(("pauseduntil",), "paused_until"),
}
_VAGUE = ("type", "subscribertype", "state")
"""Columns that may be anything, and count only where they say that somebody has left: Buttondown writes "type"."""

_STANDING_COLUMNS = frozenset(
    {
        "status",
        *_VAGUE,
        "is_subscribed",
        "is_unsubscribed",
        "unsubscribed_at",
        "bounced_at",
        "is_bounced",
        "deleted_at",
        "suppressed",
    }
)

ACTIVE, PENDING, UNSUBSCRIBED, REMOVED = "active", "pending", "unsubscribed", "removed"
_STATES = frozenset({ACTIVE, PENDING, UNSUBSCRIBED, REMOVED})
BOUNCED, COMPLAINED, BLOCKED, NEVER = "bounced", "complained", "blocked", "never subscribed"

_STATUSES: Mapping[str, str] = {
    **dict.fromkeys(("active", "subscribed", "enabled", "confirmed", "optedin", "live"), ACTIVE),
    **dict.fromkeys(("regular", "premium", "free", "paid"), ACTIVE),
    **dict.fromkeys(("pending", "unconfirmed", "unactivated", "awaitingconfirmation"), PENDING),
    **dict.fromkeys(("unsubscribed", "optedout", "inactive", "unsubscribe"), UNSUBSCRIBED),
    **dict.fromkeys(("removed", "deleted", "archived", "disabled"), REMOVED),  # listmonk: disabled
    **dict.fromkeys(("cleaned", "bounced", "undeliverable", "hardbounce", "hardbounced", "invalid"), BOUNCED),
    **dict.fromkeys(("complained", "complaint", "complaintreceived", "spamcomplaint", "markedasspam"), COMPLAINED),
    **dict.fromkeys(("blocklisted", "blacklisted", "blocked", "spammy", "banned", "suppressed", "erased"), BLOCKED),
    **dict.fromkeys(("nonsubscribed", "transactional", "neversubscribed", "noconsent"), NEVER),
}
_NO = frozenset({"false", "no", "0", "n", "f", "off", "non", "否"})
_FILE_NAME = re.compile(r"(unsubscribed|cleaned|nonsubscribed)[_ -]")
"""Mailchimp's export is one file for each status, named so; the status itself is no column of theirs."""


@dataclass(frozen=True, slots=True)
class RowStanding:
    """Say where a person stood where a list comes from.

    ``state`` is ``active``, ``pending``, ``unsubscribed`` or ``removed``, ``""`` for who is only suppressed;
    ``suppressed`` says why nothing may be mailed to them: ``bounced``, ``complained`` or ``blocked``, or the words of
    our own export.
    """

    state: str = ACTIVE
    suppressed: str = ""


AS_ACTIVE = RowStanding()
_GONE = {BOUNCED: RowStanding("", BOUNCED), COMPLAINED: RowStanding("", COMPLAINED), BLOCKED: RowStanding("", BLOCKED)}


def find_meanings(cells: Sequence[str], plain_cells: Sequence[str]) -> list[str]:
    """Return what each column means; its heading as ``plain_cells`` gives it where nothing is known of it."""
    plain = [_plain(cell) for cell in cells]
    email = next((plain.index(heading) for heading in _EMAIL if heading in plain), -1)
    return [
        "email" if index == email else _MEANINGS.get(plain[index]) or plain_cells[index] for index in range(len(cells))
    ]


def is_meaning(heading: str) -> bool:
    """Tell whether a column with this heading may be more than an attribute."""
    plain = _plain(heading)
    return plain in _EMAIL or plain in _MEANINGS or plain in _VAGUE


def has_standing(meanings: Sequence[str]) -> bool:
    """Tell whether one of the columns says where people stand."""
    return not _STANDING_COLUMNS.isdisjoint(meanings)


def standing_of_file(name: str) -> RowStanding:
    """Return where everybody in a file of this name stands: ``cleaned_members_export_….csv`` holds no active ones."""
    match = _FILE_NAME.match(name.casefold())
    if match is None:
        return AS_ACTIVE
    return _standing(_STATUSES[match[1]])


def take_standing(values: dict[str, str]) -> RowStanding:
    """Take out of a row's values what says where the person stood, and return that.

    Raises ValueError with the reason where nothing may be made of it. The worst that any column says holds.
    """
    found = [_standing(_STATUSES[word]) for word in _marks(values)]
    own = values.pop("suppressed", "")
    status = values.pop("status", "")
    if status:
        found.append(_read_status(status))
    for column in _VAGUE:
        word = _STATUSES.get(_plain(values.get(column, "")), ACTIVE)
        if word != ACTIVE:
            found.append(_standing(word))
    if own:
        state = next((each.state for each in found if each.state in _STATES), ACTIVE)
        return RowStanding(state, own)
    return max(found, key=_severity, default=AS_ACTIVE)


def _marks(values: dict[str, str]) -> list[str]:
    """Return a status for each column of a yes, a no or a day that says that somebody has left."""
    found = []
    if _says_no(values.pop("is_subscribed", "")):
        found.append("unsubscribed")
    if _says_yes(values.pop("is_unsubscribed", "")) or _says_yes(values.pop("unsubscribed_at", "")):
        found.append("unsubscribed")
    if _says_yes(values.pop("is_bounced", "")) or _says_yes(values.pop("bounced_at", "")):
        found.append("bounced")
    if _says_yes(values.pop("deleted_at", "")):
        found.append("removed")
    return found


def _read_status(status: str) -> RowStanding:
    word = _STATUSES.get(_plain(status))
    if word is None:
        known = "active, pending, unsubscribed, removed, bounced"
        raise ValueError(
            f"status {status[:40]!r} is not known, so nobody is mailed on it; write {known}, or rename the column"
        )
    return _standing(word)


def _standing(word: str) -> RowStanding:
    if word == NEVER:
        raise ValueError("has never subscribed where the list comes from")
    return _GONE.get(word) or RowStanding(word)


def _severity(standing: RowStanding) -> int:
    order = (ACTIVE, PENDING, UNSUBSCRIBED, REMOVED)
    return len(order) if standing.suppressed else order.index(standing.state)


def _says_yes(cell: str) -> bool:
    """Tell whether a cell says yes, or names a day: anything but a no."""
    return bool(cell) and _plain(cell) not in _NO


def _says_no(cell: str) -> bool:
    return _plain(cell) in _NO


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


# ---------------------------------------------------------------------------------------------------------------------
# Cells
# ---------------------------------------------------------------------------------------------------------------------


def guard_cell(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a single quote goes before it."""
    return f"'{cell}" if cell[:1] and (cell[0] in GUARDED or _looks_guarded(cell)) else cell


def unguard_cell(cell: str) -> str:
    """Return the cell that ``guard_cell`` was given."""
    return cell[1:] if _looks_guarded(cell) else cell


def _looks_guarded(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == "'" and (cell[1] in GUARDED or cell[1] == "'")


def read_instant(cell: str) -> dt.datetime | None:
    """Return the instant that a cell of our own export names; None for anything else, and without a time zone."""
    try:
        instant = dt.datetime.fromisoformat(cell)
    except ValueError:
        return None
    return instant if instant.tzinfo else None
