"""Find the refused recipients in reports that were written for people, with what is said of each.

Pure. Two tables: ``OPENINGS``, by which a report of a mail server is told from a letter, and ``PATTERNS``, which say
where the many servers put an address and the reason. A server that writes like any of them is understood too. Not
here: fields (``dsn_fields``), and what the words mean (``dsn_verdict``).
"""

import re
from dataclasses import dataclass

from newsletter.dsn_fields import address_in, addresses_in
from newsletter.dsn_verdict import plain
from newsletter.mailparts import Mail, read_fields
from newsletter.phrase_table import one_of, phrases

_REPORT_MAX = 24_000
"""Characters of a report that are read; what follows is the message that it returns."""
_RECIPIENTS_MAX = 200
_WORDS_MAX = 3000

_DAEMON = re.compile(
    one_of(
        r"""
mailer-?daemon
mail ?daemon
postmaster
\bmta-?admin
mail delivery (sub)?system
mail ?delivery
delivery-?(status|notif)
system administrator
mail administrator
mail ?system
smtp ?gateway
bounce
mail gateway
\bmdaemon
returned-?mail
no-?reply@[^\s>]*(dion|ezweb)
system attendant
daemon@
"""
    )
)
_SUBJECT = re.compile(
    one_of(
        r"""
undeliver
returned (mail|to sender)
delivery (status|fail|problem|error|report|notif|has failed|incomplete|delay)
fail(ed|ure) (notice|delivery|to deliver)
delivery failed
(mail|message|e-?mail)[^:]{0,20} (delivery|fail|error|could|status|not (be )?deliver|returned|rejected|bounced|delayed)
non[- ]?deliver
not? delivered
could not be (sent|deliver)
unable to deliver
cannot be delivered
can't be delivered
user unknown
unknown user
mail system error
bounce
error (sending|in your mail|while)
there was an error
warning: (message|could not)
still being retried
rejected
unzustellbar
nicht zugestellt
non remis
non distribu
no entregado
niet bezorgd
mancata consegna
nondeliverable
不達
配信不能
配送できま
送信できま
エラー通知
退信
无法投递
не доставлен
недоставлен
duplicated message-id
mail could not be
address (unknown|not found)
mail ?error
^delivery$
problem delivering
"""
    )
)
OPENINGS = phrases(
    """
a message that you sent could not be delivered
a message that you have sent could not be delivered
could not be delivered to one or more
could not be delivered to the following
could not be delivered to:
could not deliver your message
couldn't be delivered
delivery failed
delivery has failed to
delivery to the following recipient
delivery to these recipients
did not reach the following recipient
has not yet been delivered
i wasn't able to deliver your message
invalid final delivery userid
message could not be delivered
not able to deliver
our mail server could not
duplicated message-id in <
returned mail
sent <<< rcpt to
sorry, we were unable to deliver
the following address
the following message to
the following recipient
the group you tried to contact
there was an error delivering your mail
this is the mail system at
this message was created automatically by mail
transcript of session follows
unable to deliver
undeliverable to
undelivered
user not listed in
was undeliverable
was not delivered
we had trouble delivering your message
your message was not delivered
your message wasn't delivered
"""
)
"""What reports of mail servers say first, in lower case."""

_DASHED = one_of(
    r"""
below this line is a copy
this is a copy of
original message
returned message
the header of
the body of
unsent message
message header
the unsent
included is
undelivered message
header of
forwarded message
the transcript of the original
copy of
"""
)
_RETURNED = re.compile(
    r"^[ \t>]*(?:-{2,}[ \t]*(?:"
    + _DASHED
    + ")|"
    + one_of(
        r"""
included is a copy of the message
original message (?:follows|headers?|header follows)
message headers? follows?
original mail as follows
[*]{3,} +(?:end of message|original message)
your original message
the original message was:
the attachment contains the original
this is a copy of the
here is a copy of
----- original message
return-path: ?<
the body of the original message
_{5,} +original
={5,}end
-+ *original headers
content-type: *message/rfc822
received: (?:from|by)
received: \(
"""
    )
    + ")",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a report ends and the returned message begins."""

_A = r"<?(?P<address>(?<![^\s<>()\[\]\"',;:])[^\s<>()\[\]\"',;:]{1,80}@[A-Za-z0-9._-]{1,120}[A-Za-z0-9])>?"
_FLAGS = re.IGNORECASE | re.MULTILINE
_BEFORE = one_of(
    r"""
delivering your (?:mail|message) to
undeliverable to
delivered to:?
delivery userid:?
attempts:
rejected recipient
unable to deliver (?:the )?(?:message|mail|your message) to:?
following recipient:?
failed to deliver to
was not delivered to:?
message to
message for
could not deliver (?:mail|message)? ?to
delivery to
rcpt to:
recipient:
recipient address:
failed recipient:
public name & address book
no such user:?
user unknown:?
unknown user:?
unknown address:?
sent to:?
addressed to:?
mail to
"""
)
"""Words that stand right before the address."""
_SENDMAIL = re.compile(rf"^(?:\d{{3}} )?(?:\d\.\d\.\d )?{_A}[ ]?\.\.\. ", _FLAGS)
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a line that holds the address and a colon: qmail, postfix, courier", re.compile(rf"^[ \t]*\"?{_A}\"?:", _FLAGS)),
    ("the line below what was said: sendmail", _SENDMAIL),
    ("an address and what is wrong in brackets: McAfee", re.compile(rf"^[ \t]*{_A}[ \t]+\(", _FLAGS)),
    ("an address and a date: Exchange", re.compile(rf"^[ \t]*{_A} on \w{{3}}, ", _FLAGS)),
    ("the address alone on its line: exim, gmail, yahoo", re.compile(rf"^[ \t>*-]*\"?{_A}\"?[ \t]*$", _FLAGS)),
    (
        "a sentence with the address in it",
        re.compile(
            f"(?:{_BEFORE})"
            rf"[ \t]*\n?[ \t]*['\"]?{_A}",
            _FLAGS,
        ),
    ),
    ("an address at the start of a line", re.compile(rf"^[ \t]*{_A}[ \t]", _FLAGS)),
    ("an address anywhere", re.compile(_A, _FLAGS)),
)
"""Where servers put the address, the surest first; the words between one address and the next say what happened."""

_TRANSCRIPT = re.compile(r"^[ \t]*>>> ?(?P<command>RCPT TO|DATA|MAIL FROM|EHLO|HELO|QUIT|\.)", _FLAGS)


@dataclass(frozen=True, slots=True)
class Found:
    """Hold one recipient of a report with the words about it; ``address`` is ``""`` where none is named."""

    address: str
    words: str


def is_report(mail: Mail) -> bool:
    """Tell whether a mail server wrote this mail to say that something was not delivered."""
    subject, report = mail.subject.lower(), plain(report_of(mail)[:4000])
    is_opening = any(opening in report for opening in OPENINGS)
    is_daemon = bool(_DAEMON.search(mail.sender)) or not mail.sender.strip(" <>")
    is_empty_path = mail.fields.value("return-path").strip() == "<>"
    is_subject = bool(_SUBJECT.search(subject))
    if "x-failed-recipients" in {name for name, _ in mail.fields.items}:
        return True
    signs = is_daemon + is_subject + is_opening + (is_empty_path or is_daemon)
    return signs >= (3 if is_daemon or is_empty_path else 2) and (is_opening or is_subject)


def looks_like_report(mail: Mail) -> bool:
    """Tell whether a mail may be a report of a kind that is not known here: a machine's, about mail that came back."""
    is_daemon = bool(_DAEMON.search(mail.sender)) or mail.fields.value("return-path").strip() == "<>"
    return is_daemon and bool(_SUBJECT.search(mail.subject.lower()))


def report_of(mail: Mail) -> str:
    """Return the words of the report, up to where the returned message begins."""
    text = mail.text[:_REPORT_MAX]
    found = _RETURNED.search(text)
    return text[: found.start()] if found and text[: found.start()].strip() else text


def find_recipients(mail: Mail) -> list[Found]:
    """Return the recipients that the report names, in order; one without an address where it names none."""
    report = report_of(mail)
    failed = [address.lower() for value in mail.fields.values("x-failed-recipients") for address in addresses_in(value)]
    strangers = _not_recipients(mail)
    for _, pattern in PATTERNS:
        found = _blocks(report, pattern, strangers, failed)
        if found:
            return found
    named = failed or [original_recipient(mail)]
    return [Found(address, report[:_WORDS_MAX]) for address in dict.fromkeys(named)]


def words_about(report: str, address: str) -> str:
    """Return what the words of a report say of ``address``: from where it stands first; all where it does not."""
    start = report.lower().find(address.lower()) if address else -1
    return report[max(start, 0) :][:_WORDS_MAX]


def original_recipient(mail: Mail) -> str:
    """Return the recipient that the returned message names, ``""`` where it names none."""
    returned = mail.returned or mail.text[len(report_of(mail)) :]
    fields = read_fields(returned.lstrip("\n")[:20_000])
    return next(filter(None, (address_in(fields.value(name)) for name in ("x-original-to", "delivered-to", "to"))), "")


def _blocks(report: str, pattern: re.Pattern[str], strangers: frozenset[str], failed: list[str]) -> list[Found]:
    matches = [
        match
        for match in pattern.finditer(report)
        if match["address"].lower() not in strangers and (not failed or match["address"].lower() in failed)
    ][:_RECIPIENTS_MAX]
    merged: dict[str, str] = {}
    for number, match in enumerate(matches):
        end = matches[number + 1].start() if number + 1 < len(matches) else len(report)
        address = match["address"].lower()
        start = report.rfind("\n", 0, match.start()) + 1
        if pattern is _SENDMAIL:  # what was said stands above
            start = matches[number - 1].end() if number else 0
            end = report.find("\n", match.end()) if "\n" in report[match.end() :] else len(report)
        merged[address] = (merged.get(address, "") + "\n" + report[start:end])[:_WORDS_MAX]
    return [Found(address, words) for address, words in merged.items()]


def _not_recipients(mail: Mail) -> frozenset[str]:
    """Return the addresses that a report holds without meaning a recipient: its sender's and its own recipient's."""
    names = ("from", "to", "reply-to", "return-path", "delivered-to", "x-original-to", "envelope-to", "errors-to")
    own = {address.lower() for name in names for value in mail.fields.values(name) for address in addresses_in(value)}
    return frozenset(own)
