"""Read from Postfix's log what became of messages, by Message-ID: taken, passed on, put off, returned or refused.

The daemon cleanup ties a queue id to a Message-ID; qmgr says that the message is in the queue, hence taken; whoever
delivers it says how that ended; a milter or a header check may refuse it at the dot. A line before all that, and none
behind it, says nothing: cleanup logs the header of a message whose final dot never comes as well.

Lines may begin as syslog has it (``Nov 25 08:00:01 mx``), as rsyslog, journalctl and Postfix itself may write it (an
ISO 8601 time), or as RFC 5424 section 6 says; the name of the instance and of the service do not matter. Pure: lines
in, values out. Not here: opening files (``logfile``), and what a fate means for the ledger (``resolution``).
"""

import datetime as dt
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from newsletter.messageids import left_of

LINE_MAX = 8192
"""Characters of a line that are looked at; what a server on the other side says may be long."""
_WORDS_MAX = 300
_HEADER = re.compile(
    r"(?:<\d{1,3}>(?:1 )?)?"
    r"(?P<stamp>[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
    r" \S+ (?:\S+/)?(?P<daemon>[a-z]+)(?:\[\d+\]:| \S+ \S+ (?:-|\[[^\]]*\]))"
    r" \ufeff?(?P<queue_id>[0-9A-Za-z]{5,20}): (?P<rest>.*)",
    re.DOTALL,
)
_MESSAGE_ID = re.compile(r"message-id=(<[^>]*>|\S+)")
_DELIVERY = re.compile(r"relay=(?P<relay>[^,]*),.*? dsn=(?P<dsn>[\d.]+), status=(?P<status>[\w-]+)(?P<words> \(.*)?")
_RECIPIENT = re.compile(r"to=<([^>]*)>")
_EXPIRED = re.compile(r"status=(?:force-)?expired, returned to sender")
_REFUSED = re.compile(r"(?:milter-)?reject: (?P<words>.*)")
_NEXT_ID = re.compile(r"\bqueued as ([0-9A-Za-z]{5,20})")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Fate(enum.StrEnum):
    """Say what became of a message, as far as a log tells; earlier ones tell more, and win over later ones."""

    SENT = "sent"
    DEFERRED = "deferred"
    QUEUED = "queued"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    REFUSED = "refused"
    SEEN = "seen"


_STATUSES = {"sent": Fate.SENT, "deferred": Fate.DEFERRED, "bounced": Fate.BOUNCED, "softbounce": Fate.DEFERRED}
_RANKS = {fate: rank for rank, fate in enumerate(Fate)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what a log tells of one message; ``stamp`` is the time as the log writes it, ``words`` may quote a server."""

    fate: Fate
    queue_id: str
    stamp: str
    relay: str = ""
    dsn: str = ""
    words: str = ""

    def __str__(self) -> str:
        where = f" by {self.relay}" if self.relay and self.relay != "none" else ""
        said = " ".join(filter(None, (self.dsn, self.words)))
        return f"{self.stamp} {self.queue_id}: {self.fate}{where}" + (f": {said}" if said else "")


@dataclass(slots=True)
class _Copy:
    """Hold what is known of one message in a queue: one Message-ID may have several, sent again or passed on."""

    verdict: Verdict
    by_recipient: dict[str, Verdict] = field(default_factory=dict)
    next_ids: set[str] = field(default_factory=set)

    def ending(self) -> Verdict:
        """Return what the copy came to: the best of its recipients, should an alias have made several of one."""
        if self.verdict.fate in (Fate.EXPIRED, Fate.REFUSED) or not self.by_recipient:
            return self.verdict
        return min(self.by_recipient.values(), key=_rank)


class PostfixLog:
    """Follow the messages whose Message-IDs are ``wanted`` through lines fed in the order of time.

    Takes memory for these alone, whatever the length of the log. ``now`` gives the years that syslog leaves out, and
    the zone of times without one. ``first_at`` and ``last_at`` are the instants that the log covers.
    """

    def __init__(self, wanted: Iterable[str], now: dt.datetime) -> None:
        self._wanted = frozenset(map(left_of, wanted))
        self._now = now
        self._copies: dict[str, list[_Copy]] = {}
        self._queue: dict[str, _Copy] = {}
        self._first = self._last = ""
        self.lines = 0

    @property
    def first_at(self) -> dt.datetime | None:
        """Return the time of the first line that has one."""
        return parse_stamp(self._first, self._now)

    @property
    def last_at(self) -> dt.datetime | None:
        """Return the time of the last line that has one."""
        return parse_stamp(self._last, self._now)

    def feed(self, lines: Iterable[str]) -> None:
        """Read lines; what is none of Postfix's is passed over."""
        for line in lines:
            match = _HEADER.match(line[:LINE_MAX].rstrip("\r\n"))
            if match is None:
                continue
            self.lines += 1
            self._first = self._first or match["stamp"]
            self._last = match["stamp"]
            if match["daemon"] == "cleanup":
                self._read_cleanup(match)
            elif match["queue_id"] in self._queue:
                self._read_fate(match)

    def verdict(self, message_id: str) -> Verdict | None:
        """Return what the log tells of a message, None where it never saw it."""
        copies = self._copies.get(left_of(message_id), ())
        # A copy that went on as another one, through a filter, say, ended as that one did.
        ids = {copy.verdict.queue_id for copy in copies}
        endings = [copy.ending() for copy in copies if not copy.next_ids & (ids - {copy.verdict.queue_id})]
        return min(endings, key=_rank, default=None)

    def _read_cleanup(self, match: re.Match[str]) -> None:
        queue_id, rest = match["queue_id"], match["rest"]
        if found := _MESSAGE_ID.match(rest):
            self._queue.pop(queue_id, None)  # ids are used again once a message is gone
            left = left_of(found[1])
            if left in self._wanted:
                copy = _Copy(Verdict(Fate.SEEN, queue_id, match["stamp"]))
                self._copies.setdefault(left, []).append(copy)
                self._queue[queue_id] = copy
        elif queue_id in self._queue and (refused := _REFUSED.match(rest)):
            copy = self._queue.pop(queue_id)
            copy.verdict = Verdict(Fate.REFUSED, queue_id, match["stamp"], words=refused["words"][:_WORDS_MAX])

    def _read_fate(self, match: re.Match[str]) -> None:
        queue_id, stamp, rest = match["queue_id"], match["stamp"], match["rest"]
        copy = self._queue[queue_id]
        if match["daemon"].endswith("qmgr"):
            if rest == "removed":
                del self._queue[queue_id]
            elif _EXPIRED.search(rest):
                copy.verdict = Verdict(Fate.EXPIRED, queue_id, stamp)
            elif rest.endswith("(queue active)") and copy.verdict.fate is Fate.SEEN:
                copy.verdict = Verdict(Fate.QUEUED, queue_id, stamp)
            return
        delivery, recipient = _DELIVERY.search(rest), _RECIPIENT.match(rest)
        fate = _STATUSES.get(delivery["status"].lower()) if delivery else None
        if delivery is None or recipient is None or fate is None:
            return
        words = (delivery["words"] or "").strip().removeprefix("(").removesuffix(")").strip()
        copy.by_recipient[recipient[1]] = Verdict(
            fate, queue_id, stamp, delivery["relay"], delivery["dsn"], words[:_WORDS_MAX]
        )
        if fate is Fate.SENT:
            copy.next_ids.update(_NEXT_ID.findall(words))


def _rank(verdict: Verdict) -> int:
    return _RANKS[verdict.fate]


def parse_stamp(stamp: str, now: dt.datetime) -> dt.datetime | None:
    """Return the instant that a log's ``stamp`` names, None where it names none.

    A time without zone is taken to be in the zone of ``now``; one without year is the latest that is not more than a
    day ahead of it (clocks differ, and a log of December is read in January).
    """
    text = stamp.replace(",", ".")
    if text[:4].isdigit():
        try:
            found = dt.datetime.fromisoformat(text)
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
    words = text.split()
    if len(words) < 3 or words[0] not in _MONTHS:
        return None
    years = (int(words[2]),) if len(words) == 4 else range(now.year + 1, now.year - 4, -1)
    for year in years:
        try:
            hour, minute, second = map(int, words[-1].split(":"))
            month, day = _MONTHS.index(words[0]) + 1, int(words[1])
            found = dt.datetime(year, month, day, hour, minute, second, tzinfo=now.tzinfo)
        except ValueError:
            continue  # 29 February of another year
        if len(words) == 4 or found <= now + dt.timedelta(days=1):
            return found
    return None


def stamp_of(line: str, now: dt.datetime) -> dt.datetime | None:
    """Return the instant of a line of Postfix's about a message, None for any other line; see ``parse_stamp``."""
    match = _HEADER.match(line[:LINE_MAX])
    return parse_stamp(match["stamp"], now) if match else None
