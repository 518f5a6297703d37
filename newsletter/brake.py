"""Count what tells of a fault that is not the recipients', and say when a send must pause for it.

Pure but for its counting. Not here: what a reply means (``delivery``), pausing (``run``).
"""

from collections import Counter

from newsletter.delivery import About, Event
from newsletter.model import Stage
from newsletter.store import Result

PAUSE_COUNT, PAUSE_SHARE = 10, 0.02
"""A send pauses at so many equal refusals of one domain, or at this share of it, but never fewer than the count."""


class Brake:
    """Count refusals that are about us, and answers that never came, of one run of a send to ``planned`` people."""

    def __init__(self, planned: int) -> None:
        self._share = max(PAUSE_COUNT, round(planned * PAUSE_SHARE))
        self._equal: Counter[tuple[str, int, str]] = Counter()
        self._refused = 0
        self._doubted = 0

    def count(self, result: Result) -> str:
        """Return why the send must pause after ``result``, ``""`` where it need not."""
        event = result.outcome.event
        if event is Event.ACCEPT:
            return ""
        if event is Event.LOSE and result.marked:
            self._doubted += 1
            if self._doubted >= self._share:
                return (
                    f"{self._doubted} messages were sent to the final dot and never answered; look into the relay's log"
                    " before the send goes on"
                )
        return self._count_refusal(result) if event is Event.REFUSE else ""

    def _count_refusal(self, result: Result) -> str:
        reply = result.reply
        if result.outcome.about is not About.SENDER or reply is None:
            return ""
        if reply.stage is Stage.RCPT and reply.enhanced == "5.6.7":
            return ""  # an address beyond ASCII (RFC 6531 section 3.5): its form is at fault, neither we nor the person
        key = result.delivery.domain, reply.code, reply.enhanced
        self._refused += 1
        self._equal[key] += 1
        if self._equal[key] >= PAUSE_COUNT:
            return f"{self._equal[key]} times {key[0]} refused us: '{reply}'; mend the cause before the send goes on"
        if self._refused >= self._share:
            return (
                f"{self._refused} refusals are about us, the latest: '{reply}'; mend the cause before the send goes on"
            )
        return ""
