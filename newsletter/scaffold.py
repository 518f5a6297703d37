"""Write what a newsletter starts from: the folder of a new one, and an empty issue for the next date.

Use case: nothing that exists is overwritten, nothing is printed.
"""

import contextlib
import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path

from newsletter.cadence import next_day
from newsletter.config import (
    CONFIG_NAME,
    PLACEHOLDER_POSTAL_ADDRESS,
    NewsletterSection,
    Project,
    is_reserved_slug,
    list_slugs,
    refuse_slug,
)
from newsletter.curationsettings import ScheduleSection
from newsletter.errors import ConfigError, InputError, IssueError
from newsletter.identity import identity_of
from newsletter.issue import decode_issue, heading_key, read_head
from newsletter.model import ARTICLES, BRIEF, LEAD, QUOTE, TEXT

_DAY, _WEEK = dt.timedelta(days=1), dt.timedelta(days=7)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_CONFIG = """\
# {title}: who publishes, how the mail looks, which relay carries it.
# Every key can be set by the environment instead: NEWSLETTER_SMTP__HOST=mail.example.org stands for [smtp] host.

[newsletter]
# The name of the newsletter, shown at the top of every issue.
title = {title_toml}
# A line under the title; leave it empty for none.
tagline = ""
# The sender that readers see.
from = {sender_toml}
# Where answers go; without it, to "from".
reply_to = ""
# The newsletter's site, such as "https://news.example.org"; without one, mails link to no archive.
url = ""
# Anti-spam laws want your postal address in every mail: put it here before the first issue goes out.
postal_address = {postal_address}
# The language of the words around your text: en, fr or zh-Hans. An issue can name its own with 'lang'.
language = "en"
# "send_at: 2026-11-25 08:00" means eight o'clock in this IANA time zone.
time_zone = "UTC"
# "embedded": images travel inside the mail; "hosted": they lie under "url".
images = "embedded"
# Names the list to mail clients (RFC 2919), such as "weekly.example.org"; choose once and keep it.
list_id = ""
# Undeliverable mail comes back here, with a signed token behind a "+": the server must accept bounces+TOKEN@…
bounce_address = ""
# "mailto": readers leave by a mail to the bounce address; "web": by a page under "url", with one click.
unsubscribe = "mailto"
# The secret behind the unsubscribe links; keep a copy of it, never commit it.
secret_file = "newsletter.secret"

[sections]
# The heading of the section whose articles are ranked.
lead = "Most important news"
# Articles that it may have; 0 for no limit.
lead_max = 0

# Which heading opens which kind of section: lead, articles, brief, sponsor, quote or text.
[sections.kinds]
"In brief" = "brief"
"Sources" = "text"

[smtp]
# The relay that takes your mail. Port 0 is the usual one: 587 for starttls, 465 for tls, 25 for none.
host = "localhost"
port = 0
# "starttls" or "tls", always with a checked certificate; "none" for a relay on this machine.
security = "starttls"
username = ""
# The password comes from a file, or from NEWSLETTER_SMTP__PASSWORD; it does not belong here.
password_file = ""

[checks]
# What 'newsletter check' need not look for, such as ["links.tracking"], and which severity a check has here.
off = []
severity = {{}}
# Numbers that checks measure by, such as {{subject_max = 70}}, and names that are spelt so and no other way.
limits = {{}}
names = []
# How much each mail client matters to this list, such as {{gmail = 60, outlook = 5}}; an estimate, where it is empty.
clients = {{}}

[store]
# The list and the ledger. A relative path starts beside this file.
url = "sqlite:///newsletter.db"

[bounces]
# Where mail to bounce_address lies, for "newsletter bounces read": a Maildir, or an mbox, or an IMAP folder; or let the
# mail server pipe it into "newsletter bounces read --stdin".
maildir = ""
mbox = ""
imap_host = ""
imap_username = ""
# Or NEWSLETTER_BOUNCES__IMAP_PASSWORD in the environment.
imap_password_file = ""

# What follows has its defaults: take away the "#" before what you change.

[send]
# Connections to the relay, and what it and the readers' domains allow: "50/s", {{"gmail.com" = "10/s"}}.
# connections = 4
# rate = ""
# domains = {{}}
# So long before its time, like "15 minutes", these editors are mailed what goes out; 'newsletter hold' stops it.
# veto = ""
# editors = []
# A first share, like "1 %"; the rest follows after the wait, unless more were refused.
# canary = ""
# canary_wait = "10 minutes"
# canary_refusals = "5 %"
# Where a connection broke before the answer: "resend" once, or "hold" until you decide.
# doubt = "resend"

[web]
# Where 'newsletter serve' listens; behind nginx, proxies = 1.
# host = "127.0.0.1"
# port = 8080
# proxies = 0
# What readers may choose: {{weekly = "Every week"}}, and {{retail = "Shops", beauty = "Beauty"}}.
# lists = {{}}
# topics = {{}}

[schedule]
# When issues appear, such as ["wednesday"]: 'newsletter new' writes the next one.
# days = []
# time = "08:00"

[digest]
# An issue with rules that 'newsletter digest' fills, approves in this name and sends by itself (docs/curation.md).
# template = ""
# ahead = "1 hour"
# by = "digest"
# min_articles = 1

[feeds]
# How long a feed is left alone once it was asked, and how long its entries stay.
# every = "30 minutes"
# keep = "180 days"
# Ports beside 80 and 443, like ["8080"], and hosts of your own network that may be asked.
# ports = []
# private_hosts = []

[ranking]
# Points of a story: for its sources, for being new (halved every half_life), for each topic, for being told already.
# sources = 3.0
# recency = 2.0
# half_life = "36 hours"
# source_weight = 1.0
# topic = 1.5
# seen = -10.0
# topics = {{}}

[monitoring]
# A file for Prometheus' node_exporter, and an address that is asked for after each run.
# textfile = ""
# ping = ""
"""

_ISSUE = """\
---
{number}subject: {subject}
preheader: The line that mail clients show after the subject.
date: {date}
{send_at}---
Open with a word to your readers: a paragraph or three, any Markdown.
"""
_ARTICLES = """\
### [A headline that says what happened](https://example.com/story "Source")

One to three sentences: what happened, and why it matters to your readers.
"""
_BRIEF = """\
- [A short piece of news](https://example.com/other)
  > One line more, where it needs one.
"""
_BODIES = {LEAD: _ARTICLES, ARTICLES: _ARTICLES, BRIEF: _BRIEF, QUOTE: "> A line that says it all.\n"}

_IGNORED = "newsletter.secret\nnewsletter.host\nnewsletter.db*\nbuild/\n"


def write_project(folder: Path, title: str, sender: str, today: dt.date) -> Path:
    """Write configuration, a first issue and ``.gitignore`` into ``folder``; return the issue's path.

    What is there stays as it is. Raises InputError where ``title`` or ``sender`` cannot be used, or a file cannot be
    written.
    """
    title = " ".join(title.split())
    _refuse_unusable(title, sender)
    config = _CONFIG.format(
        title=title,
        title_toml=_toml(title),
        sender_toml=_toml(sender),
        postal_address=_toml(PLACEHOLDER_POSTAL_ADDRESS),
    )
    issue = folder / "issues" / f"{today.isoformat()}.md"
    for path, content in (
        (folder / CONFIG_NAME, config),
        (folder / ".gitignore", _IGNORED),
        (issue, _issue_text(today, "1", "The first issue", {"In brief": BRIEF}, "Most important news")),
    ):
        with contextlib.suppress(FileExistsError):
            write_new(path, content)
    return issue


def _refuse_unusable(title: str, sender: str) -> None:
    """Raise InputError for what the configuration could not hold, or no mail could carry."""
    if not title or _CONTROLS.search(title):
        raise InputError(f"{title!r} is no title; write a line of text with --title")
    if _CONTROLS.search(sender):
        raise InputError(f"{sender!r} is no sender; write 'Name <me@example.org>' with --from")
    try:
        identity_of(NewsletterSection(title=title, from_=sender))
    except ConfigError as error:
        raise InputError(f"--title or --from cannot be used: {error}") from None


def write_issue(project: Project, slug: str | None, subject: str, today: dt.date) -> Path:
    """Write an empty issue and return its path: ``slug``, or the next date of the schedule, else a week on.

    It gets the sections of ``[sections]``, and where there is a schedule its ``send_at``.

    Raises InputError where the issue exists, its slug or subject cannot be used, or it cannot be written.
    """
    day = next_issue_day(project, today)
    slug = slug or day.isoformat()
    refuse_slug(slug)
    if is_reserved_slug(slug):
        raise InputError(f"{slug!r}: a dot is kept for language editions of one issue; name it like {day.isoformat()}")
    if _CONTROLS.search(subject):
        raise InputError(f"{subject!r} is no subject; write one line of text with --subject")
    path = project.issues_dir / f"{slug}.md"
    number = next_number(project)
    with contextlib.suppress(ValueError):
        day = dt.date.fromisoformat(slug)
    try:
        schedule, sections = project.config.schedule, project.config.sections
        text = _issue_text(day, number, subject or "What this issue is about", sections.kinds, sections.lead)
        write_new(path, text.replace("---\nOpen", f"{send_at_line(schedule, day)}---\nOpen", 1))
    except FileExistsError:
        raise InputError(f"{path} exists already; name another slug") from None
    return path


def next_issue_day(project: Project, today: dt.date) -> dt.date:
    """Return the day of the next issue: the schedule's next behind the newest issue, else a week behind that."""
    newest, schedule = _newest(project), project.config.schedule
    if schedule.days:
        return next_day(schedule, max(newest or today - _DAY, today - _DAY))
    return max(newest + _WEEK, today) if newest and newest < dt.date.max - _WEEK else today


def send_at_line(schedule: ScheduleSection, day: dt.date) -> str:
    """Return the line of the front matter that says when the issue of a day goes out, ``""`` without a schedule."""
    return f"send_at: {day.isoformat()} {schedule.time}\n" if schedule.days else ""


def next_number(project: Project) -> str:
    """Return the number of the next issue, ``""`` where issues have none."""
    numbers = [number for number in _numbers(project) if number]
    return str(max(numbers) + 1) if numbers else ""


def _newest(project: Project) -> dt.date | None:
    days = []
    for slug in list_slugs(project):
        try:
            days.append(dt.date.fromisoformat(slug[:10]))
        except ValueError:
            continue
    return max(days, default=None)


def _numbers(project: Project) -> list[int]:
    """Return the numbers of the newest issues; a file that cannot be read has none."""
    found = []
    for slug in list_slugs(project)[-20:]:
        path = project.issues_dir / f"{slug}.md"
        try:
            head = read_head(decode_issue(path.read_bytes(), str(path)), slug=slug, file=str(path), zone=project.zone)
        except (IssueError, OSError):
            continue
        found.append(int(head.number) if head.number.isascii() and head.number.isdigit() else 0)
    return found


def _issue_text(day: dt.date, number: str, subject: str, kinds: Mapping[str, str], lead: str) -> str:
    head = _ISSUE.format(
        number=f"number: {number}\n" if number else "",
        subject=json.dumps(subject, ensure_ascii=False),
        date=day,
        send_at="",
    )
    headings = {lead: LEAD, **{heading: kind for heading, kind in kinds.items() if kind != TEXT}}
    known = {heading_key(lead)}
    sections = [f"\n## {lead}\n\n{_ARTICLES}"]
    for heading, kind in headings.items():
        if heading_key(heading) not in known and kind in _BODIES:
            known.add(heading_key(heading))
            sections.append(f"\n## {heading}\n\n{_BODIES[kind]}")
    return head + "".join(sections)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def write_new(path: Path, content: str) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises FileExistsError where it is there, InputError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:  # a full disk: a piece of it would be taken for the whole next time
                path.unlink()
                raise
    except OSError as error:
        if isinstance(error, FileExistsError) and path.is_file():
            raise
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
