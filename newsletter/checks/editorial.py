"""Check what makes an issue one: its lead, its summaries, its sources, its memory, what is paid for; pure."""

import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from newsletter.checks.finding import Check, Found, Severity, quoted
from newsletter.checks.subject import Subject, plain, width
from newsletter.checks.words import SPONSOR_WORDS
from newsletter.cleanhtml import prose_of
from newsletter.errors import Place
from newsletter.model import LEAD, SPONSOR, Article, Section
from newsletter.weburls import url_key

_SPONSOR = re.compile(SPONSOR_WORDS, re.IGNORECASE)
_TITLE_MIN = 25
"""Letters from which on the same headline is the same story; Chinese has fewer, and is known by its address."""
_WORDS = re.compile(r"\w+")
_STANDING = 2
"""Past issues in which a story may have been; what was in more is a standing link."""
_PLATFORMS = frozenset(
    "github.com gitlab.com medium.com youtube.com x.com twitter.com reddit.com mp.weixin.qq.com zhihu.com bsky.app"
    " mastodon.social linkedin.com facebook.com".split()
)
"""Sites where many publish; the first part of the path tells who."""
_URL_DAY = re.compile(r"(?<!\d)(20\d\d)[/-]?(0[1-9]|1[0-2])[/-]?(0[1-9]|[12]\d|3[01])(?!\d)")
_EMBARGO = re.compile(
    r"\b(?:under embargo|embargoed) (?:until|till)\b|^embargo\s*:|\bnot for release before\b|\bsous embargo jusqu",
    re.IGNORECASE | re.MULTILINE,
)


def _articles(subject: Subject) -> Iterator[tuple[Section, Article]]:
    for section in subject.written.sections:
        for article in section.articles:
            yield section, article


def _no_articles(subject: Subject) -> Iterator[Found]:
    if not subject.written.articles:
        yield Found("the issue has no articles", Place(subject.written.file))


def _lead_missing(subject: Subject) -> Iterator[Found]:
    issue = subject.written
    if issue.articles and not any(section.kind == LEAD for section in issue.sections):
        yield Found(f"no lead section: no heading reads {subject.config.sections.lead!r}", Place(issue.file))


def _lead_cap(subject: Subject) -> Iterator[Found]:
    most = subject.config.sections.lead_max
    for section in subject.written.sections:
        if section.kind == LEAD and 0 < most < len(section.articles):
            message = f"the lead section has {len(section.articles)} articles; [sections] lead_max is {most}"
            yield Found(message, section.place)


def _summary_length(subject: Subject) -> Iterator[Found]:
    most = subject.limits["summary_max"]
    for section, article in _articles(subject):
        if SPONSOR in (section.kind, article.kind):
            continue
        columns = width(" ".join(prose_of(article.summary.html).split())) if article.summary else 0
        if columns > most:
            message = f"the summary of {_title(article)} is {columns:,} columns long; {most:g} may be"
            yield Found(message, article.place)
        elif not columns and section.kind == LEAD and not article.bare:
            yield Found(f"{_title(article)} has no summary", article.place, "say in a sentence or two why it matters")


def _bare(subject: Subject) -> Iterator[Found]:
    for _, article in _articles(subject):
        if article.bare:
            yield Found(f"{article.url[:70]!r} has no headline", article.place)


def _few_sources(subject: Subject) -> Iterator[Found]:
    sources = Counter(_source(article) for section, article in _articles(subject) if section.kind != SPONSOR)
    sources.pop("", None)
    total, most = sources.total(), subject.limits["source_share_max"]
    if total < subject.limits["sources_from"]:
        return
    source, count = sources.most_common(1)[0]
    if count > most * total / 100:
        message = f"{count} of {total} articles are from {source}; {most:g} % may be"
        yield Found(message, next(article.place for article in subject.written.articles if _source(article) == source))


def _source(article: Article) -> str:
    host, _, path = url_key(article.url).partition("/")
    name = f"{host}/{path.partition('/')[0]}" if host in _PLATFORMS else host
    return " ".join(article.source.split()) or name


def _old_story(subject: Subject) -> Iterator[Found]:
    most = subject.limits["story_days_max"]
    for _, article in _articles(subject):
        day = article.date or _day_in(article.url)
        age = (subject.sent_on - day).days if day else 0
        if most and age > most and not article.follow_up:
            yield Found(f"{_title(article)} is of {day}, {age} days before the issue", article.place)


def _day_in(url: str) -> dt.date | None:
    """Return the day that an address names, as those of newspapers and blogs do."""
    found = _URL_DAY.search(url)
    try:
        return dt.date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _embargo(subject: Subject) -> Iterator[Found]:
    issue = subject.written
    zone = subject.zone
    goes_out = issue.send_at or dt.datetime.combine(issue.date, dt.time(23, 59), zone)
    for _, article in _articles(subject):
        if article.embargo and article.embargo.replace(tzinfo=zone) > goes_out:
            message = f"{_title(article)} may not go out before {article.embargo:%Y-%m-%d %H:%M}"
            yield Found(message, article.place, "send the issue later, or take the article out")
        elif article.date and article.date > goes_out.astimezone(zone).date():
            message = f"{_title(article)} is dated {article.date}, after the issue goes out"
            yield Found(message, article.place, "correct the date, or hold the article back")
    for prose in subject.prose:
        if found := _EMBARGO.search(prose.text):
            yield Found(f"the text speaks of an embargo: {found[0]!r}", subject.place_of(found[0], prose.place))


def _repeated(subject: Subject) -> Iterator[Found]:
    first: dict[str, tuple[Section, Article]] = {}
    for section, article in _articles(subject):
        key = url_key(article.url)
        known = first.setdefault(key, (section, article)) if "/" in key or "?" in key else (section, article)
        is_other = known[0] is section and plain(known[1].headline) != plain(article.headline)
        if known[1] is not article and not is_other:  # several dates of one page in a list are a purpose
            where = f"in line {known[1].place.line}"
            where += f", in {known[0].name!r}" if known[0] is not section and known[0].name else ""
            yield Found(f"{_title(article)} stands there already {where}", article.place)


def _seen_before(subject: Subject) -> Iterator[Found]:
    pages, titles = _told_before(subject)
    for section, article in _articles(subject):
        if article.follow_up or section.kind == SPONSOR:
            continue
        key, title = url_key(article.url), _title_key(plain(article.headline))
        for slugs, what in (
            (pages.get(key, set()) if _is_story(key) else set(), "was"),
            (titles.get(title, set()) if len(title) >= _TITLE_MIN else set(), "was, by its headline,"),
        ):
            # What stands in issue after issue is a note of the house, and no story.
            if 0 < len(slugs) <= _STANDING:
                fix = f"take it out, or mark it with {{follow-up={max(slugs)}}}"
                yield Found(f"{_title(article)} {what} in the issue of {max(slugs)}", article.place, fix)
                break


def _told_before(subject: Subject) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """Return in which past issues each page was, and each headline."""
    pages: defaultdict[str, set[str]] = defaultdict(set)
    titles: defaultdict[str, set[str]] = defaultdict(set)
    for seen in subject.past:
        pages[url_key(seen.url)].add(seen.slug)
        titles[_title_key(seen.title)].add(seen.slug)
    return pages, titles


def _title_key(title: str) -> str:
    return " ".join(_WORDS.findall(title.casefold()))


def _is_story(key: str) -> bool:
    """Tell whether an address is that of one story, and not of a site, a person or a project."""
    path = key.partition("/")[2]
    return "/" in path or "-" in path or "?" in key or any(map(str.isdigit, path))


def _sponsor(subject: Subject) -> Iterator[Found]:
    for section in subject.written.sections:
        if section.kind == SPONSOR:
            continue
        if _SPONSOR.search(section.name):
            message = f"the section {quoted(section.name)} seems to be paid for, and is not marked as such"
            yield Found(
                message, section.place, "write {kind=sponsor} behind its heading, or name it in [sections.kinds]"
            )
            continue
        for article in section.articles:
            said = (*article.labels, plain(article.byline) if article.byline else "", article.source)
            if article.kind != SPONSOR and (any(map(_SPONSOR.search, said)) or _is_paid(article.url)):
                message = f"{_title(article)} seems to be paid for, and is not marked as such"
                yield Found(message, article.place, "write {kind=sponsor} behind its headline")


def _is_paid(url: str) -> bool:
    return bool(re.search(r"[?&](?:utm_medium|utm_source|ref)=[^&]*sponsor", url, re.IGNORECASE))


def _title(article: Article) -> str:
    return quoted(plain(article.headline))


CHECKS = (
    Check(
        id="editorial.no-articles",
        severity=Severity.WARNING,
        why="An issue without articles is a letter; it may be meant, and mostly is not.",
        fix="write articles as ### headings or list items that begin with a link",
        run=_no_articles,
    ),
    Check(
        id="editorial.lead-missing",
        severity=Severity.WARNING,
        why="The lead section is what readers in a hurry read, and it is ranked.",
        fix="give one section the heading of [sections] lead, or {kind=lead}",
        run=_lead_missing,
    ),
    Check(
        id="editorial.lead-cap",
        severity=Severity.WARNING,
        why="Where everything leads, nothing does.",
        fix="move the weaker ones to another section",
        run=_lead_cap,
    ),
    Check(
        id="editorial.summary-length",
        severity=Severity.WARNING,
        why="A summary that is as long as the story is not read; a leading story without one is not opened.",
        fix="shorten it, or move the text to the editorial",
        run=_summary_length,
        limits={"summary_max": 700},
    ),
    Check(
        id="editorial.bare-link",
        severity=Severity.WARNING,
        why="An article of which only the address stands there shows readers the name of a site.",
        fix="write its headline, or let 'newsletter fill' complete it",
        run=_bare,
    ),
    Check(
        id="editorial.few-sources",
        severity=Severity.WARNING,
        why="Readers subscribe to a selection; one source they could read themselves.",
        fix="look for another view of some of the stories",
        run=_few_sources,
        limits={"source_share_max": 60, "sources_from": 10},
    ),
    Check(
        id="editorial.old-story",
        severity=Severity.WARNING,
        why="News that is weeks old is taken for a mistake.",
        fix="take it out, or mark it as a follow-up: {follow-up=SLUG}",
        run=_old_story,
        limits={"story_days_max": 60},
    ),
    Check(
        id="editorial.embargo",
        severity=Severity.ERROR,
        why="A story that may not be told yet costs the source's trust, and cannot be called back.",
        fix="take the note out once the embargo is over, or hold the story back",
        run=_embargo,
    ),
    Check(
        id="editorial.repeated-article",
        severity=Severity.ERROR,
        why="The same article twice in one issue is a mistake that everybody sees.",
        fix="keep it in the section where it belongs",
        run=_repeated,
    ),
    Check(
        id="editorial.seen-before",
        severity=Severity.WARNING,
        why="Readers remember what they were told last week.",
        fix="take it out, or mark it as a follow-up",
        run=_seen_before,
    ),
    Check(
        id="editorial.sponsor-unmarked",
        severity=Severity.WARNING,
        why="Advertising must be recognisable as such, by law in most countries.",
        fix="mark it with {kind=sponsor}",
        run=_sponsor,
    ),
)
