"""Read durations and shares as people write them: ``15 minutes``, ``1 %``. Pure; which may stand where is others'."""

import datetime as dt
import re
from dataclasses import dataclass

_DURATION = re.compile(r"(\d{1,4})\s*(minute|hour|day)s?")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s*%")
_COUNT = re.compile(r"\d{1,9}")


def parse_duration(text: str) -> dt.timedelta | None:
    """Return ``15 minutes``, ``36 hours`` or ``2 days`` as a duration, None for anything else."""
    match = _DURATION.fullmatch(text.strip())
    return dt.timedelta(**{f"{match[2]}s": int(match[1])}) if match else None


def parse_percent(text: str) -> float | None:
    """Return ``1 %`` or ``0.5%`` as a number between 0 and 100, None for anything else."""
    match = _SHARE.fullmatch(text.strip())
    return float(match[1]) if match and float(match[1]) <= 100 else None


@dataclass(frozen=True, slots=True)
class Share:
    """Hold a part of a whole: ``percent`` of it, or ``count`` where that is not None."""

    percent: float = 0.0
    count: int | None = None

    def of(self, whole: int, at_least: int) -> int:
        """Return how many of ``whole`` that is, rounded up; a percentage gives ``at_least`` at the least."""
        if self.count is not None:
            return min(self.count, whole)
        return min(max(-int(-whole * self.percent // 100), at_least), whole)


def parse_share(text: str) -> Share | None:
    """Return ``1 %`` or ``200`` as a share, None for anything else and for nothing at all."""
    if _COUNT.fullmatch(text.strip()):
        count = int(text)
        return Share(count=count) if count else None
    percent = parse_percent(text)
    return Share(percent=percent) if percent else None
