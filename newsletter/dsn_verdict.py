"""Decide what a refusal means, from its words, its codes, the stage and the host: reason, enhanced status, and weight.

Pure. Words come before the status where they say that a mailbox is there (full, disabled, protected) or that we are
meant (relay, sender, list of blocked hosts): servers put 5.1.1 beside all of these. Hard needs three things: words or a
code that name the address as dead, nothing that names us, and a refusal for good. In doubt it is soft, which removes
nobody. Not here: finding the words (``dsn_fields``, ``dsn_prose``), and what a bounce does to a subscriber.
"""

import enum
import re
from dataclasses import dataclass

from newsletter.bounce import Weight
from newsletter.dsn_codes import HARD, HARD_STATUS, HOSTS, LOOKUP, POLICY, STATUS, SUBJECTS
from newsletter.phrase_table import find_reason, is_said
from newsletter.phrases_address import DEAD
from newsletter.phrases_mailbox import MAILBOX
from newsletter.phrases_sender import SENDER
from newsletter.phrases_system import SYSTEM

TEXT_MAX = 4000
"""Characters of a reply that are read; what a server says is shorter."""
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?<![\d.#])([45]\d\d)(?=[ \-_:]|$)")
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_WRAPPED = re.compile(r"\b5\.\d\.\d - (?:unknown address error|other mail system problem) (?=\d{3})")
"""What IronPort puts before every reply that it passes on."""
_VAGUE = frozenset({"0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "7.0", ""})


class Stage(enum.StrEnum):
    """Name what the server answered to, as far as the report says."""

    UNKNOWN = ""
    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what a report says of one recipient.

    ``text`` is the server's reply or the report's words, ``status`` the report's own field, ``host`` whoever refused,
    with the domain of the recipient; ``is_final`` is False for a notice of delay.
    """

    text: str
    status: str = ""
    host: str = ""
    stage: Stage = Stage.UNKNOWN
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what a refusal means; ``status`` is ``""`` where none is known, ``code`` the reply's three digits or 0."""

    reason: str
    weight: Weight
    status: str = ""
    code: int = 0


def judge(evidence: Evidence) -> Verdict:
    """Decide what ``evidence`` means."""
    raw = _WRAPPED.sub("", plain(evidence.text[:TEXT_MAX]))
    words = _ADDRESS.sub("@", _LINK.sub("", raw))
    status, code = find_status(raw, evidence.status), _find_code(raw)
    detail = status.partition(".")[2]
    reason = _reason(evidence, raw, words, detail, code)
    is_final = evidence.is_final and not _is_temporary(status, code)
    return Verdict(reason, _weight(reason, is_final), status, code)


def plain(text: str) -> str:
    """Return ``text`` in lower case, on one line, with straight quotes."""
    return " ".join(text.lower().replace("\u2019", "'").replace("\u2018", "'").replace("`", "'").split())


def find_status(text: str, field: str = "") -> str:
    """Return the most telling enhanced status: one of the reply's words before the report's own field."""
    found = [".".join(match) for match in _STATUS.findall(text) if match[0] != "2"]
    own = _STATUS.search(field)
    known = [*found, *([own[0]] if own else [])]
    telling = [status for status in known if status.partition(".")[2] not in _VAGUE]
    if telling and telling[0].endswith(".1.0") and len(telling) > 1:
        return telling[1]
    return (telling or known or [""])[0]


def find_stage(text: str) -> Stage:
    """Return what the server answered to, by the words of reports that say so."""
    lowered = plain(text[:TEXT_MAX])
    return next((stage for pattern, stage in _STAGES if re.search(pattern, lowered)), Stage.UNKNOWN)


_STAGES = (
    (r"in reply to (?:end of )?data command|after (?:end of )?data|end of message|after i sent", Stage.DATA),
    (r"smtp command data|\] failed with: \d{3}", Stage.DATA),  # m-FILTER; MailFoundry, which has taken the text before
    (r"\bin reply to rcpt to|after rcpt to|did not like our rcpt|does not like recipient|\[rcpt_to\]", Stage.RCPT),
    (r"error following rcpt|after rcpt command|in response to rcpt|rcpt to:<", Stage.RCPT),
    (r"did not like our (?:end of )?data|did not like our eom|following data|\[data\]|\[eom\]", Stage.DATA),
    (r"in reply to mail from|after mail from|sender was rejected|\[mail_from\]|did not like our mail from", Stage.MAIL),
    (r"after initial connection|in reply to (?:helo|ehlo)|after (?:helo|ehlo)|refused to talk|greeting", Stage.CONNECT),
)


def _reason(evidence: Evidence, raw: str, words: str, detail: str, code: int) -> str:
    """Return the reason, by the first of these that tells: the host's own words, words, status, code."""
    if told := _by_host(evidence, raw):
        return told
    dead = "" if LOOKUP.search(words) else find_reason(DEAD, words)
    if full := find_reason(MAILBOX, words):
        return full
    # Where code and words agree that nobody is there, a word like "policy" beside them is an address or a link's text.
    if dead and detail in HARD_STATUS:
        return _dead(dead, words, evidence, detail)
    if told := find_reason(SENDER, words):
        return told
    if dead:
        return _dead(dead, words, evidence, detail)
    return _by_code(words, detail, code, evidence)


def _dead(reason: str, words: str, evidence: Evidence, detail: str) -> str:
    """Return what words of a dead address come to: theirs, or a filter's, or about our own name.

    Filters that stand before or behind a mailbox say "user unknown" as well, of people who are there. It is believed
    with a status of its own, in reply to RCPT TO, or where a server says it of itself and names no policy.
    """
    if evidence.stage in (Stage.MAIL, Stage.CONNECT):  # no recipient was named yet
        return "rejected" if evidence.stage is Stage.MAIL else "blocked"
    if detail in HARD_STATUS:
        return reason
    if detail.startswith("7.") and reason != "userunknown":
        return "rejected"
    if reason == "userunknown":
        is_coded = (detail == "2.1" or detail.startswith("1.")) and detail not in _VAGUE
        is_coded = is_coded and evidence.stage is not Stage.DATA
        is_told = evidence.stage is Stage.RCPT or is_coded or bool(_OWN_WORDS.search(words))
        return reason if is_told else "filtered"
    if reason != "hostunknown":
        return reason
    is_ours = bool(_OUR_NAME.search(words)) or evidence.stage is Stage.DATA
    # A name is looked up by whoever sends on. A reply with a code is another server's, who may mean our name.
    is_own = (
        not _CODE.search(words) or detail == "4.4" or evidence.stage is Stage.RCPT or bool(_LOOKED_UP.search(words))
    )
    return reason if is_own and not is_ours else "rejected"


_OWN_WORDS = re.compile(
    r"invalid final delivery userid|000c05a6|the recipient name is not recognized"  # IMail, Exchange 5.5
    r"|--- the following addresses had delivery problems|not listed in (?:public name|domino)|no such user here\)"
    r"|unknown in (?:local|relay) recipient table|unknown in virtual|sorry, no mailbox here by that name"
)
"""Words that a server says of its own mailboxes only."""
_LOOKED_UP = re.compile(r"host unknown|unroute?able|name serv(?:er|ice)|couldn't find")
"""Words by which a server says that it looked a name up itself."""
_OUR_NAME = re.compile(
    r"\b(?:helo|ehlo|sender|client|reverse|ptr)\b|your (?:domain|host|hostname|server|ip|mail server|address)"
    r"|\bfrom:|valid from\b|from (?:domain|address)|(?:sending|return|envelope|originating)[ -](?:domain|path|from)"
)
"""Words by which an unknown domain is ours, not theirs."""


def _by_host(evidence: Evidence, raw: str) -> str:
    for host, phrases in HOSTS:
        if re.search(host, evidence.host):
            for phrase, reason in phrases:
                if is_said(raw, phrase):
                    return reason
    return ""


def _by_code(words: str, detail: str, code: int, evidence: Evidence) -> str:
    """Return the reason where no words of an address or a sender were found: the first of these that there is."""
    told = STATUS.get(detail) or SUBJECTS.get(detail.partition(".")[0], "")
    return next(
        filter(
            None,
            (
                told if detail in HARD_STATUS else "",
                "networkerror" if LOOKUP.search(words) else "",
                find_reason(SYSTEM, words),
                told if detail not in _VAGUE else "",
                _CODES.get(code, ""),
                "" if evidence.is_final else "expired",
                _STAGE_REASONS.get(evidence.stage, ""),
                told,
                "undefined" if words.strip() else "onhold",
            ),
        )
    )


_CODES = {552: "mailboxfull", 521: "notaccept", 556: "notaccept"}  # RFC 5321 section 4.2.3, RFC 7504
_STAGE_REASONS = {Stage.CONNECT: "blocked", Stage.MAIL: "rejected"}


def _weight(reason: str, is_final: bool) -> Weight:
    if reason in HARD and is_final:
        return Weight.HARD
    return Weight.POLICY if reason in POLICY else Weight.SOFT


def _is_temporary(status: str, code: int) -> bool:
    """Tell whether one of the codes speaks of now only."""
    return 400 <= code < 500 or status.startswith("4.")


def _find_code(text: str) -> int:
    found = _CODE.search(text)
    return int(found[1]) if found else 0
