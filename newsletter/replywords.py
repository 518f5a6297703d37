"""Say in words what a server's answer means for an operator: what happened, whom it is about, what comes of it.

The words for enhanced status codes follow their registry (RFC 3463 and those that add to it, RFC 7372 and 7505 among
them); where a server gives none, its three digits are told. Pure. Not here: the decision (``delivery.classify``).
"""

from dataclasses import dataclass

from newsletter.delivery import About, Event, classify
from newsletter.model import Reply, Stage

_DETAILS = {
    "1.0": "something is wrong with the address",
    "1.1": "there is no such mailbox",
    "1.2": "there is no such domain",
    "1.3": "the address is malformed",
    "1.4": "the address means several mailboxes",
    "1.6": "the mailbox has moved, and left no address",
    "1.7": "our sender address is malformed",
    "1.8": "our sender address has no working domain",
    "1.10": "the domain takes no mail at all",
    "2.0": "something is wrong with the mailbox",
    "2.1": "the mailbox is disabled, or gets too much mail",
    "2.2": "the mailbox is full",
    "2.3": "the message is too big for the mailbox",
    "3.1": "the receiver's disk is full",
    "3.2": "the receiver takes no mail at present",
    "3.4": "the message is too big for the receiver",
    "4.1": "the receiver's host does not answer",
    "4.2": "the receiver's connection is bad",
    "4.3": "the receiver's directory does not answer",
    "4.4": "no way leads to the receiver",
    "4.5": "the receiver has too much to do",
    "4.6": "the mail goes round in circles behind the relay",
    "4.7": "the relay gave up in time",
    "5.0": "the receiver did not like the dialogue",
    "5.1": "the receiver does not know this command",
    "5.2": "the receiver did not understand the command",
    "5.3": "too many recipients at once",
    "6.0": "the receiver does not take such content",
    "6.7": "the relay cannot carry an address beyond ASCII",
    "7.0": "a rule of the receiver's is against it",
    "7.1": "a policy of the receiver's is against it",
    "7.7": "the message was changed on its way",
    "7.8": "the relay does not accept the login",
    "7.9": "the relay finds the login too weak",
    "7.11": "the relay wants encryption",
    "7.17": "the mailbox belongs to somebody else now",
    "7.18": "the domain belongs to somebody else now",
    "7.20": "no DKIM signature passed",
    "7.21": "no DKIM signature of ours passed",
    "7.22": "the DKIM signature is not by From's domain",
    "7.23": "SPF does not let this address send for us",
    "7.24": "our SPF record cannot be used",
    "7.25": "the sending address has no name in reverse DNS",
    "7.26": "several checks of the sender failed",
    "7.27": "our domain takes no mail (null MX)",
    "7.28": "the receiver sees a flood of mail",
}
_GREYLISTED = "put off, as greylisting does"
_CODES = {
    421: "the server closes the connection",
    450: "the mailbox cannot be used at present",
    451: "the server has trouble of its own",
    452: "the server is full",
    454: "the login or TLS does not work at present",
    521: "the server takes no mail at all",
    535: "the relay does not accept the login",
    550: "refused, without a code that says why",
    552: "the mailbox is full",
    553: "the address is not allowed",
    554: "refused, without a code that says why",
    556: "the domain takes no mail at all",
}
_KINDS = {2: "accepted", 4: "deferred", 5: "refused"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Say what an answer is (accepted, deferred, refused), what it means, and what comes of it, each in words."""

    kind: str
    words: str
    outcome: str


def explain(reply: Reply) -> Explanation:
    """Explain an answer; its own text, which a stranger wrote, is not repeated."""
    kind = _KINDS.get(reply.code // 100, "no answer")
    if kind == "accepted":
        return Explanation(kind, "the relay took the message", "")
    outcome = classify(reply)
    return Explanation(kind, _words(reply), _OUTCOMES.get((outcome.event, outcome.about, outcome.hard), ""))


_OUTCOMES = {
    (Event.DEFER, About.RECIPIENT, False): "tried again",
    (Event.DEFER, About.SENDER, False): "about us; tried again",
    (Event.DEFER, About.CONNECTION, False): "charged to nobody; tried again",
    (Event.REFUSE, About.RECIPIENT, True): "suppressed: never mailed again",
    (Event.REFUSE, About.RECIPIENT, False): "stays on the list",
    (Event.REFUSE, About.SENDER, False): "about us, not the reader; stays on the list",
    (Event.LOSE, About.CONNECTION, False): "tried again",
}


def _words(reply: Reply) -> str:
    detail = reply.enhanced.partition(".")[2]
    if detail == "7.1" and reply.code < 500 and reply.stage is Stage.RCPT:
        return _GREYLISTED
    if detail in _DETAILS:
        return _DETAILS[detail]
    return _CODES.get(reply.code, f"the server said {reply.code}")
