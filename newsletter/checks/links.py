"""Check the links of an issue: what cannot work, what tracks, what misleads, and, where they were asked, what answers.

Pure. Asking is ``linklook``'s; the answers stand in ``Subject.answers``.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.checks.finding import Check, Found, Need, Severity, quoted
from newsletter.checks.subject import Link, Subject
from newsletter.checks.words import GENERIC_WORDS, SHORTENERS
from newsletter.weburls import counts_readers, url_key

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ALLOWED = frozenset(("http", "https", "mailto"))
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+([/?#].*)?")
_SHOWN_ADDRESS = re.compile(
    r"(?:https?://)?((?:[a-z0-9-]+\.)+(?:[a-z]{2,}|xn--[a-z0-9-]+))(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE
)
_AS_ADDRESS = re.compile(r"https?:|www\.", re.IGNORECASE)
_FILE_ENDINGS = frozenset("md py js ts rs go txt toml json yaml yml sh css html htm pdf c h cc hs rb java net".split())
"""What looks like a top-level domain behind a dot, and is more often the name of a file or a library."""
_NEAR_LINES = 3
"""Lines apart from which on two links in running text have nothing to do with each other."""
_NOT_WORDS = re.compile(r"[\W_]+")


def _web_links(subject: Subject) -> Iterator[tuple[Link, str]]:
    for link in subject.links:
        if link.target and re.match(r"https?://", link.target, re.IGNORECASE):
            yield link, link.target


# ---------------------------------------------------------------------------------------------------------------------
# What cannot work
# ---------------------------------------------------------------------------------------------------------------------


def _scheme(subject: Subject) -> Iterator[Found]:
    for link in subject.links:
        found = _SCHEME.match(link.target or "")
        if link.target is None:
            yield Found(f"the link on {quoted(link.words)} has an address that mail cannot have", link.place)
        elif found and found[1].lower() not in _ALLOWED:
            yield Found(f"the link {quoted(link.target)} begins with {found[1]}:", link.place)


def _empty(subject: Subject) -> Iterator[Found]:
    for link in subject.links:
        target = (link.target or "").strip()
        if link.target is not None and not target:
            yield Found(f"the link on {quoted(link.words)} has no address", link.place)
        elif target.startswith("#"):
            yield Found(f"the link on {quoted(link.words)} leads to {quoted(target)}, a place in the page", link.place)
        elif target and not link.words.strip() and not link.has_image:
            yield Found(f"the link to {quoted(target)} has no words", link.place, "write what it leads to: [words](…)")
        elif re.fullmatch(r"(?:https?|mailto):/*", target, re.IGNORECASE):
            yield Found(f"the link {quoted(target)} names no site", link.place)


def _relative(subject: Subject) -> Iterator[Found]:
    for link in subject.links:
        target = (link.target or "").strip()
        if not target or target.startswith("#") or _SCHEME.match(target):
            continue
        host = re.split(r"[/?#]", target)[0]
        is_host = _HOST.fullmatch(target) and host.rpartition(".")[2].lower() not in _FILE_ENDINGS
        fix = f"write https://{target}" if is_host else ""
        yield Found(f"the link {quoted(target)} leads nowhere from a mail", link.place, fix)


# ---------------------------------------------------------------------------------------------------------------------
# What tracks, and what comes twice
# ---------------------------------------------------------------------------------------------------------------------


def _tracking(subject: Subject) -> Iterator[Found]:
    for link, target in _web_links(subject):
        if names := counts_readers(target):
            listed = ", ".join(dict.fromkeys(names))
            yield Found(f"the link {quoted(target)} carries {listed}", link.place)


def _shortener(subject: Subject) -> Iterator[Found]:
    for link, target in _web_links(subject):
        host = _host_of(target)
        if host.removeprefix("www.") in SHORTENERS:
            yield Found(f"the link {quoted(target)} hides where it leads behind {host}", link.place)


def _duplicate(subject: Subject) -> Iterator[Found]:
    first: dict[str, Link] = {}
    for link, target in _web_links(subject):
        key = _page_key(target)
        known = first.setdefault(key, link) if key else link
        both_articles = known.article is not None and link.article is not None
        if known is link or both_articles or not _say_other_things(known, link):
            continue
        where = f"line {known.place.line} has it with {quoted(known.words)}"
        yield Found(f"{quoted(link.words)} leads to {quoted(target)}; {where}", link.place)


def _page_key(target: str) -> str:
    """Return the key of a page with the place in it, which two links may lead to; ``""`` for a site's front page."""
    key = url_key(target)
    fragment = urlsplit(target).fragment
    return f"{key}#{fragment}" if "/" in key or "?" in key else ""


def _say_other_things(one: Link, other: Link) -> bool:
    """Tell whether the words of two links promise two pages; the same words twice are a purpose, or a standing note."""
    first, second = (_NOT_WORDS.sub(" ", link.words).strip().casefold() for link in (one, other))
    if first in second or second in first or one.has_image or other.has_image:
        return False
    if any(words in GENERIC_WORDS or not re.search(r"[^\W\d_]", words) for words in (first, second)):
        return False
    is_near = abs(one.place.line - other.place.line) < _NEAR_LINES
    return is_near or one.article is not None or other.article is not None


# ---------------------------------------------------------------------------------------------------------------------
# What the words say
# ---------------------------------------------------------------------------------------------------------------------


def _generic(subject: Subject) -> Iterator[Found]:
    for link in subject.links:
        words = _NOT_WORDS.sub(" ", link.words).strip().casefold()
        if words in GENERIC_WORDS and link.target:
            yield Found(f"the link to {quoted(link.target)} reads {quoted(link.words)}", link.place)


def _misleading(subject: Subject) -> Iterator[Found]:
    for link, words, host in _other_sites(subject):
        if _AS_ADDRESS.match(words) or "/" in words:
            yield Found(f"the link reads {quoted(words)} and leads to {host}", link.place)


def _named_site(subject: Subject) -> Iterator[Found]:
    for link, words, host in _other_sites(subject):
        if not (_AS_ADDRESS.match(words) or "/" in words):
            yield Found(f"the link reads {quoted(words)} and leads to {host}", link.place)


def _other_sites(subject: Subject) -> Iterator[tuple[Link, str, str]]:
    """Yield each link whose words are the address of another site than it leads to, with words and host."""
    for link, target in _web_links(subject):
        words = link.words.strip().rstrip(".,;:…")
        shown = _SHOWN_ADDRESS.fullmatch(words)
        if shown is None or (shown[1].rpartition(".")[2].lower() in _FILE_ENDINGS and "/" not in words):
            continue
        said, real = _site_of(shown[1].lower()), _site_of(_host_of(target))
        if real and said != real and not real.endswith(f".{said}") and not said.endswith(f".{real}"):
            yield link, words, real


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _site_of(host: str) -> str:
    return re.sub(r"^(?:www\d?|m|amp)\.", "", host.rstrip("."))


# ---------------------------------------------------------------------------------------------------------------------
# What answers
# ---------------------------------------------------------------------------------------------------------------------


def _gone(subject: Subject) -> Iterator[Found]:
    for link, target in _web_links(subject):
        answer = (subject.answers or {}).get(target)
        if answer and answer.status in (404, 410):
            yield Found(f"the link {quoted(target)} {answer.words}", link.place)


def _unreachable(subject: Subject) -> Iterator[Found]:
    for link, target in _web_links(subject):
        answer = (subject.answers or {}).get(target)
        if answer and answer.words and answer.status not in (404, 410):
            yield Found(f"the link {quoted(target)} {answer.words}", link.place)


def _insecure(subject: Subject) -> Iterator[Found]:
    for link, target in _web_links(subject):
        answer = (subject.answers or {}).get(target)
        if answer and answer.https:
            yield Found(f"the link {quoted(target)} works with https: as well", link.place, f"write https{target[4:]}")


_ONLINE = frozenset({Need.ISSUE, Need.ONLINE})

CHECKS = (
    Check(
        id="links.scheme",
        severity=Severity.ERROR,
        why="Mail programs open http, https and mailto; any other link does nothing, or is taken for an attack.",
        fix="write an address with https:// or mailto:",
        run=_scheme,
    ),
    Check(
        id="links.empty",
        severity=Severity.ERROR,
        why="A link without an address or without words, or to a place in the page, does nothing in a mail.",
        fix="write the whole address, or take the link out",
        run=_empty,
    ),
    Check(
        id="links.relative",
        severity=Severity.ERROR,
        why="A mail lies on no site, so an address without one leads nowhere.",
        fix="write the whole address, with https://",
        run=_relative,
    ),
    Check(
        id="links.tracking",
        severity=Severity.WARNING,
        why="Parameters such as utm_source say of your readers that they came from somebody else's mailing.",
        fix="take the parameters out of the address",
        run=_tracking,
    ),
    Check(
        id="links.shortener",
        severity=Severity.WARNING,
        why="Spam filters distrust shortened addresses, readers cannot see where they lead, and they die early.",
        fix="write the address that it leads to",
        run=_shortener,
    ),
    Check(
        id="links.duplicate",
        severity=Severity.WARNING,
        why="Words that promise two pages and lead to one are mostly a line that was copied and not finished.",
        fix="write the other address, or take one of the two out",
        run=_duplicate,
    ),
    Check(
        id="links.generic-text",
        severity=Severity.WARNING,
        why="Screen readers list links by their words, and 'click here' says nothing there (WCAG 2.2, 2.4.4).",
        fix="let the words say what the link leads to",
        run=_generic,
    ),
    Check(
        id="links.misleading-text",
        severity=Severity.ERROR,
        why="Words that show another address than the link's own are the mark of phishing; mail programs warn of it.",
        fix="write words instead of the address, or the address that it leads to",
        run=_misleading,
    ),
    Check(
        id="links.named-site",
        severity=Severity.WARNING,
        why="A name such as Booking.com looks like an address, and mail programs warn where it leads to another site.",
        fix="link other words, or write the name without its ending",
        run=_named_site,
    ),
    Check(
        id="links.gone",
        severity=Severity.ERROR,
        why="Readers who follow the link find nothing.",
        fix="write the address where it is now",
        run=_gone,
        needs=_ONLINE,
    ),
    Check(
        id="links.unreachable",
        severity=Severity.WARNING,
        why="Readers may find nothing there either; it may as well be that the site turns programs away.",
        fix="open it in a browser; where it works there, waive this",
        run=_unreachable,
        needs=_ONLINE,
    ),
    Check(
        id="links.insecure",
        severity=Severity.WARNING,
        why="An http: link can be read and changed on its way, and browsers warn of it.",
        fix="write the address with https:",
        run=_insecure,
        needs=_ONLINE,
    ),
)
