"""Find out whether mail that comes back is read: the place of ``[bounces]`` is there, lets us in, and can be marked.

The first mail that waits is fetched as ``bounces read`` would fetch it; none is marked, moved or acted on.
"""

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

from newsletter.config import BouncesSection
from newsletter.diagnosis import Finding, broken, error, ok, unchecked
from newsletter.errors import ConfigError, InputError, MailboxUnavailableError
from newsletter.mailbox import Waiting, names_place, read_configured

CHECK = "bounces"
_TIMEOUT_S = 10.0
_WHY = "who is gone or complained is mailed again and again, and who wants to leave by mail is not heard"


def examine_bounces(section: BouncesSection, root: Path, *, offline: bool) -> Iterator[Finding]:
    """Yield whether mail to the bounce address can be read where the configuration says that it lies."""
    if not names_place(section):
        found = "[bounces] names no place"
        fix = "set maildir, mbox or imap_host there, unless the mail server pipes it into 'bounces read --stdin'"
        yield unchecked(CHECK, found, _WHY, fix)
        return
    if offline and section.imap_host:
        yield unchecked(CHECK, f"{section.imap_host} was not asked (--offline)", _WHY)
        return
    try:
        mails = cast("Generator[Waiting]", read_configured(section, root, timeout_s=_TIMEOUT_S))
        with contextlib.closing(mails):
            first = next(mails, None)
    except (ConfigError, InputError, MailboxUnavailableError) as trouble:
        yield broken(CHECK, trouble, _WHY)
        return
    locked = [folder for folder in _marked_in(section, root) if not os.access(folder, os.W_OK | os.X_OK)]
    if locked:
        found = f"{locked[0]} cannot be written, so no mail in it can be marked as read"
        yield error(CHECK, found, _WHY, "let the user who runs 'bounces read' write there")
        return
    place = section.maildir or section.mbox or f"{section.imap_host}, folder {section.imap_folder!r}"
    yield ok(CHECK, f"{place} can be read; {'mail waits' if first else 'no mail waits'}", _WHY)


def _marked_in(section: BouncesSection, root: Path) -> list[Path]:
    return [root / section.maildir / name for name in ("new", "cur")] if section.maildir else []
