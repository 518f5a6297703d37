"""Write single mails: please confirm, you are subscribed already, your preferences, your address is to change.

A letter says a few lines and has one link, in the reader's language, as text and HTML. Nothing that a stranger typed
into a form stands in it, so nobody can make us carry words to somebody else. Equal input gives equal bytes, whenever a
letter is tried again. Not here: when one is written (``consent``), and carrying it to the relay (``mailer``).
"""

import datetime as dt
import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING

from newsletter.addresses import Mailbox
from newsletter.catalogs import Catalog
from newsletter.config import ThemeSection
from newsletter.dkim import Signer
from newsletter.edition import freeze
from newsletter.errors import InputError
from newsletter.headers import mailbox_header, structured_header, text_header
from newsletter.identity import SenderIdentity
from newsletter.model import Edition, Envelope, Message
from newsletter.pagetemplates import palette
from newsletter.parts import content_type, lay_out_body
from newsletter.plaintext import display_width, underline, wrap
from newsletter.tokens import Keys, Purpose, Token, sign, tagged_address, verp_address

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = "letter/letter.html.j2"
CONFIRM_SUBJECT = "confirm"
"""Subject of the mail that a ``mailto:`` confirmation link writes."""


class LetterKind(enum.StrEnum):
    """Name what a letter is for; the store keeps these words."""

    CONFIRM = "confirm"
    KNOWN = "known"
    PREFERENCES = "preferences"
    CHANGE = "change"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Letter:
    """Hold the words of a letter; ``button`` and ``url`` are ``""`` where there is nothing to press."""

    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    button: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPlan:
    """Say which letter goes to whom: all that its words and its envelope are made of.

    ``token`` is what its link carries. ``until`` is when the link ends, None for never.
    ``written_at`` is the instant of its wish: Date and Message-ID are made of it. ``shown`` is an address to show.
    """

    kind: LetterKind
    address: str
    list_id: int
    subscriber_id: int
    written_at: dt.datetime
    token: Token
    until: dt.datetime | None = None
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFrame:
    """Hold what all letters of a newsletter share; ``dkim`` signs them."""

    identity: SenderIdentity
    keys: Keys
    theme: ThemeSection
    templates: "ImmutableSandboxedEnvironment"
    postal_address: str = ""
    dkim: Signer | None = None


def write_letter(plan: LetterPlan, frame: LetterFrame, catalog: Catalog) -> Message:
    """Return the message of a letter, signed where there are keys; raise InputError where no header can hold it."""
    letter = letter_words(plan, frame, catalog)
    edition = freeze(
        Edition(
            issue=f"letter-{plan.kind}",
            subject=(letter.subject,),
            preheader="",
            html=(_html(letter, frame, catalog),),
            text=(_text(letter, frame),),
            date=plan.written_at.date(),
            language=catalog.tag,
            kind="letter",
        )
    )
    identity = frame.identity
    message_id = _message_id(plan, frame)
    header = [
        structured_header("Date", format_datetime(plan.written_at)),
        mailbox_header("From", identity.sender),
        mailbox_header("To", Mailbox("", plan.address)),
        text_header("Subject", letter.subject),
        structured_header("Message-ID", message_id),
        # A reader's own autoresponder must not answer (RFC 3834 section 5).
        structured_header("Auto-Submitted", "auto-generated"),
    ]
    if identity.reply_to:
        header.insert(2, mailbox_header("Reply-To", identity.reply_to))
    body = b"".join(lay_out_body(edition).pieces)
    bounce = Token(Purpose.BOUNCE, plan.list_id, plan.subscriber_id)
    envelope = Envelope(verp_address(frame.keys, identity.bounce_address, bounce), plan.address)
    content = b"".join(header) + content_type(edition) + body
    signature = frame.dkim.sign(content, plan.written_at) if frame.dkim else b""
    return Message(envelope, message_id, signature + content)


def letter_words(plan: LetterPlan, frame: LetterFrame, catalog: Catalog) -> Letter:
    """Return what the letter says, in the language of ``catalog``."""
    has_link = frame.identity.unsubscribe == "web" or plan.kind is not LetterKind.KNOWN
    url = link_of(plan.token, frame) if has_link else ""
    return _WORDS[plan.kind](catalog.text, frame.identity.title, url, plan, _ending(plan, catalog))


Say = Callable[..., str]


def _ending(plan: LetterPlan, catalog: Catalog) -> tuple[str, ...]:
    """Return the notes of a letter that asks for a confirmation."""
    say = catalog.text
    until = say("The link works until {date}.", date=catalog.date(plan.until.date())) if plan.until else ""
    note = say("If it was not you, do nothing: without your confirmation, nothing will come.")
    return tuple(filter(None, (note, until)))


def _confirm(say: Say, title: str, url: str, _plan: LetterPlan, ending: tuple[str, ...]) -> Letter:
    paragraphs = [say("Somebody, we hope you, asked for {title} to be sent to this address.", title=title)]
    if url.startswith("mailto:"):
        paragraphs.append(say("The button writes a mail to us: just send it, as it is."))
    return Letter(
        say("Please confirm your subscription to {title}", title=title),
        say("Please confirm your subscription"),
        tuple(paragraphs),
        ending,
        say("Yes, subscribe me"),
        url,
    )


def _known(say: Say, title: str, url: str, _plan: LetterPlan, _ending: tuple[str, ...]) -> Letter:
    return Letter(
        say("You are subscribed to {title} already", title=title),
        say("You are subscribed already"),
        (
            say("Somebody, probably you, asked for {title} to be sent to this address.", title=title),
            say("It is already: there is nothing for you to do."),
        ),
        (say("If issues do not reach you, look into your spam folder, and add our address to your contacts."),),
        say("Change my preferences") if url else "",
        url,
    )


def _preferences(say: Say, title: str, url: str, _plan: LetterPlan, _ending: tuple[str, ...]) -> Letter:
    return Letter(
        say("Your preferences for {title}", title=title),
        say("Here is your link"),
        (say("It leads to your preferences: language, topics, a pause, your address, or leaving altogether."),),
        (say("Keep this mail to yourself: whoever has the link can change your subscription."),),
        say("Open my preferences"),
        url,
    )


def _change(say: Say, title: str, url: str, _plan: LetterPlan, ending: tuple[str, ...]) -> Letter:
    return Letter(
        say("Please confirm your new address for {title}", title=title),
        say("Please confirm your new address"),
        (say("A subscriber, we hope you, asked for {title} to come to this address from now on.", title=title),),
        ending,
        say("Yes, use this address"),
        url,
    )


def _notice(say: Say, title: str, url: str, plan: LetterPlan, _ending: tuple[str, ...]) -> Letter:
    return Letter(
        say("Your address for {title} is about to change", title=title),
        say("Your address is about to change"),
        (
            say(
                "Somebody with a link of yours asked for {title} to go to {address} instead.",
                title=title,
                address=plan.shown,
            ),
            say("If it was you, open the mail that we sent there. If it was not, keep things as they are:"),
        ),
        (),
        say("Keep my address"),
        url,
    )


_WORDS = {
    LetterKind.CONFIRM: _confirm,
    LetterKind.KNOWN: _known,
    LetterKind.PREFERENCES: _preferences,
    LetterKind.CHANGE: _change,
    LetterKind.NOTICE: _notice,
}
_PATHS = {
    Purpose.CONFIRM: "confirm",
    Purpose.PREFERENCES: "preferences",
    Purpose.CHANGE_ADDRESS: "change",
    Purpose.UNSUBSCRIBE: "unsubscribe",
    Purpose.RESUBSCRIBE: "rejoin",
}
"""Where the page of each purpose stands below the newsletter's URL. Mails of years ago hold them: fixed for good."""


def link_of(token: Token, frame: LetterFrame) -> str:
    """Return the link that carries ``token``: to its page, or a ``mailto:`` for a newsletter without pages.

    Without pages only a confirmation has a link; raises InputError for another.
    """
    signed = sign(frame.keys, token)
    if frame.identity.unsubscribe == "web":
        return f"{frame.identity.url}/{_PATHS[token.purpose]}/{signed}"
    if token.purpose is Purpose.CONFIRM:
        return f"mailto:{tagged_address(frame.identity.bounce_address, signed)}?subject={CONFIRM_SUBJECT}"
    raise InputError(f'a link to {token.purpose.name} needs the web pages; set [newsletter] unsubscribe = "web"')


def _message_id(plan: LetterPlan, frame: LetterFrame) -> str:
    who = "\0".join((plan.kind, plan.address, plan.written_at.astimezone(dt.UTC).isoformat()))
    left = hashlib.blake2s(b"newsletter/1/letter\0" + who.encode(), key=frame.keys.message_key, digest_size=16)
    return f"<{left.hexdigest()}@{frame.identity.domain}>"


def _html(letter: Letter, frame: LetterFrame, catalog: Catalog) -> str:
    return frame.templates.get_template(TEMPLATE).render(
        letter=letter,
        title=frame.identity.title,
        lang=catalog.tag,
        dir=catalog.direction,
        theme=palette(frame.theme),
        address_lines=frame.postal_address.splitlines(),
    )


def _text(letter: Letter, frame: LetterFrame) -> str:
    """Set the letter as plain text, its link on a line of its own."""
    blocks = [underline(wrap(letter.heading, display_width), "=", display_width)]
    blocks += [wrap(paragraph, display_width) for paragraph in letter.paragraphs]
    if letter.button:
        blocks.append([*wrap(letter.button, display_width), letter.url])
    blocks += [wrap(note, display_width) for note in letter.notes]
    blocks.append(["-- ", frame.identity.title, *frame.postal_address.splitlines()])
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"
