"""Write what a newsletter starts from: the folder of a new one, and an empty issue for the next date.

Use case: nothing that exists is overwritten, nothing is printed.
"""

import datetime as dt
import json
import re
from pathlib import Path

from newsletter.addresses import parse_mailbox
from newsletter.config import CONFIG_NAME, Project, list_slugs
from newsletter.errors import InputError, IssueError
from newsletter.issue import decode_issue, read_head

_WEEK = dt.timedelta(days=7)

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
# Anti-spam laws want a postal address in every mail; 'approve' and 'send' insist on it.
postal_address = ""
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

[store]
# The list and the ledger. A relative path starts beside this file.
url = "sqlite:///newsletter.db"
"""

_ISSUE = """\
---
{number}subject: {subject}
preheader: The line that mail clients show after the subject.
date: {date}
---
Open with a word to your readers: a paragraph or three, any Markdown.

## Most important news

### [A headline that says what happened](https://example.com/story "Source")

One to three sentences: what happened, and why it matters to your readers.

## In brief

- [A short piece of news](https://example.com/other)
  > One line more, where it needs one.
"""

_IGNORED = "newsletter.secret\nnewsletter.db*\nbuild/\n"


def write_project(folder: Path, title: str, sender: str) -> Path:
    """Write configuration, a first issue and ``.gitignore`` into ``folder``; return the issue's path.

    Raises InputError where ``sender`` is no address or a file cannot be written.
    """
    parse_mailbox(sender)
    clean = " ".join(title.split())
    config = _CONFIG.format(title=clean, title_toml=_toml(clean), sender_toml=_toml(sender))
    today = dt.datetime.now(dt.UTC).date()
    issue = folder / "issues" / f"{today.isoformat()}.md"
    _write(folder / CONFIG_NAME, config)
    _write(folder / ".gitignore", _IGNORED)
    _write(issue, _issue_text(today, "1", "The first issue"))
    return issue


def write_issue(project: Project, slug: str | None, subject: str, today: dt.date) -> Path:
    """Write an empty issue and return its path: ``slug``, or the date a week after the newest issue's.

    Raises InputError where the issue exists, its slug cannot be a file's name, or it cannot be written.
    """
    newest = _newest(project)
    day = max(newest + _WEEK, today) if newest else today
    slug = slug or day.isoformat()
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", slug):
        raise InputError(f"{slug!r} is no slug; write letters, digits and hyphens, best a date like {day.isoformat()}")
    path = project.issues_dir / f"{slug}.md"
    if path.exists():
        raise InputError(f"{path} exists already; name another slug")
    numbers = [number for number in _numbers(project) if number]
    number = str(max(numbers) + 1) if numbers else ""
    try:
        day = dt.date.fromisoformat(slug)
    except ValueError:
        pass
    _write(path, _issue_text(day, number, subject or "What this issue is about"))
    return path


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


def _issue_text(day: dt.date, number: str, subject: str) -> str:
    return _ISSUE.format(
        number=f"number: {number}\n" if number else "", subject=json.dumps(subject, ensure_ascii=False), date=day
    )


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
