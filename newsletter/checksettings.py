"""Know the keys of ``[checks]``: their types and defaults, and which values may not stand; pure.

Which checks and limits there are is ``checks``' to know; an id or a limit that nothing has is told when checks run.
"""

import math
from collections.abc import Iterator

import msgspec

SEVERITIES = ("error", "warning", "off")


class ChecksSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say how issues are checked: ``[checks]``.

    ``off`` names checks that are not run, ``severity`` gives some another one, ``limits`` are numbers by their names.
    ``clients`` says how much each mail client matters to this list, ``names`` are spelt so and no other way.
    """

    off: tuple[str, ...] = ()
    severity: dict[str, str] = {}
    limits: dict[str, float] = {}
    clients: dict[str, float] = {}
    names: tuple[str, ...] = ()


def checks_problems(checks: ChecksSection) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong with it, or ``""``."""
    for check, severity in checks.severity.items():
        known = ", ".join(SEVERITIES)
        is_known = severity in SEVERITIES
        yield "checks", "severity", "" if is_known else f"{check}: {severity!r} is no severity; write one of {known}"
    for key in ("limits", "clients"):
        for name, number in getattr(checks, key).items():
            is_number = math.isfinite(number) and number >= 0
            yield "checks", key, "" if is_number else f"{name}: {number} does not fit; write 0 or more"
    for name in checks.names:
        yield "checks", "names", "" if name.strip() else "holds an empty name"
