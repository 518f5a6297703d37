"""Postfix's log tells what became of a message: every form of line, every end, and what must not be believed."""

import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.postfixlog import LINE_MAX, Fate, PostfixLog, parse_stamp, stamp_of

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
ID = "<8f0e6d1c5b7a49382736455463728190@news.example.org>"
OTHER = "<00000000000000000000000000000000@news.example.org>"
SYSLOG, ISO, RFC5424 = "syslog", "iso", "rfc5424"


def line(daemon: str, rest: str, form: str = SYSLOG, second: int = 1) -> str:
    return {
        SYSLOG: f"Nov 25 08:00:{second:02} mx postfix/{daemon}[4711]: {rest}",
        ISO: f"2026-11-25T08:00:{second:02}.123456+01:00 mx postfix/{daemon}[4711]: {rest}",
        RFC5424: f"<22>1 2026-11-25T08:00:{second:02}.123Z mx postfix/{daemon} 4711 - - {rest}",
    }[form]


def story(*ends: str, queue_id: str = "4XyZ1b2C3dz1f", message_id: str = ID, form: str = SYSLOG) -> list[str]:
    """Return the log of one message: taken, then these lines of whoever delivers it (``daemon: rest``)."""
    lines = [
        line("smtpd", f"{queue_id}: client=weekly.example.org[192.0.2.7]", form),
        line("cleanup", f"{queue_id}: message-id={message_id}", form),
        line("qmgr", f"{queue_id}: from=<bounces+x@news.example.org>, size=57000, nrcpt=1 (queue active)", form, 2),
    ]
    for end in ends:
        daemon, _, rest = end.partition(": ")
        lines.append(line(daemon, f"{queue_id}: {rest}", form, 3))
    return lines


def delivery(
    status: str, dsn: str = "2.0.0", words: str = "250 2.0.0 Ok", daemon: str = "smtp", to: str = "ann"
) -> str:
    where = "relay=mx.example.com[198.51.100.5]:25, delay=1.2, delays=0.1/0/0.5/0.6"
    return f"{daemon}: to=<{to}@example.com>, {where}, dsn={dsn}, status={status} ({words})"


def read(*lines: str, wanted: tuple[str, ...] = (ID,)):
    log = PostfixLog(wanted, NOW)
    log.feed(lines)
    return log


@pytest.mark.parametrize("form", [SYSLOG, ISO, RFC5424])
@pytest.mark.parametrize("daemon", ["smtp", "lmtp", "local", "virtual", "pipe", "relay/smtp", "submission/smtp"])
def test_a_delivery_is_found_in_every_form_of_line(form, daemon):
    verdict = read(*story(delivery("sent", daemon=daemon), "qmgr: removed", form=form)).verdict(ID)
    assert (verdict.fate, verdict.dsn, verdict.words) == (Fate.SENT, "2.0.0", "250 2.0.0 Ok")
    assert verdict.relay == "mx.example.com[198.51.100.5]:25"


@pytest.mark.parametrize(
    ("ends", "fate"),
    [
        ([], Fate.QUEUED),
        ([delivery("deferred", "4.7.1", "host mx said: 450 4.7.1 later")], Fate.DEFERRED),
        ([delivery("deferred", "4.2.2"), delivery("sent"), "qmgr: removed"], Fate.SENT),
        ([delivery("bounced", "5.1.1", "host mx said: 550 5.1.1 no such user"), "qmgr: removed"], Fate.BOUNCED),
        ([delivery("SOFTBOUNCE", "5.1.1")], Fate.DEFERRED),
        ([delivery("deferred", "4.4.1"), "qmgr: from=<x@y.z>, status=expired, returned to sender"], Fate.EXPIRED),
        ([delivery("deferred", "4.4.1"), "qmgr: from=<x@y.z>, status=force-expired, returned to sender"], Fate.EXPIRED),
        (["cleanup: milter-reject: END-OF-MESSAGE from weekly[192.0.2.7]: 5.7.1 spam; from=<x@y.z>"], Fate.REFUSED),
        (["cleanup: reject: header Subject: X from weekly[192.0.2.7]; from=<a@b.c>: 5.7.1 no"], Fate.REFUSED),
        ([delivery("deliverable")], Fate.QUEUED),
    ],
)
def test_every_end_has_its_fate(ends, fate):
    assert read(*story(*ends)).verdict(ID).fate is fate


def test_a_message_whose_dot_never_came_is_seen_and_no_more():
    """As Postfix 3.7 logs it: cleanup has the header, the client is gone, and nothing was queued."""
    log = read(
        "Nov 28 03:11:12 mail postfix/smtpd[1]: lost connection after DATA (122 bytes) from localhost[127.0.0.1]",
        f"Nov 28 03:11:12 mail postfix/cleanup[2]: CF9832108F1: message-id={ID}",
        "Nov 28 03:11:13 mail postfix/qmgr[3]: CEC34210913: from=<b@example.org>, size=323, nrcpt=1 (queue active)",
    )
    assert log.verdict(ID).fate is Fate.SEEN


def test_the_domain_of_a_message_id_and_its_case_do_not_matter():
    assert read(*story(message_id=ID.upper().replace("NEWS", "OLD"))).verdict(ID).fate is Fate.QUEUED


def test_what_nobody_asked_for_is_not_kept():
    log = read(*story(delivery("sent"), message_id=OTHER))
    assert log.verdict(ID) is None
    assert log.verdict(OTHER) is None
    assert log.lines == 4


def test_a_queue_id_that_is_used_again_belongs_to_the_new_message():
    first = story(delivery("deferred", "4.4.1"), "qmgr: removed", queue_id="ABCDEF123")
    second = story(delivery("bounced", "5.1.1"), queue_id="ABCDEF123", message_id=OTHER)
    assert read(*first, *second).verdict(ID).fate is Fate.DEFERRED
    unremoved = first[:-1]
    assert read(*unremoved, *second).verdict(ID).fate is Fate.DEFERRED, "also where the line 'removed' is missing"


def test_the_best_of_two_copies_counts():
    lost = story(delivery("bounced", "5.7.1"), queue_id="AAAAAAAAA")
    kept = story(delivery("sent"), queue_id="BBBBBBBBB")
    assert read(*lost, *kept).verdict(ID).queue_id == "BBBBBBBBB"
    assert read(*kept, *lost).verdict(ID).queue_id == "BBBBBBBBB"


def test_a_message_that_went_through_a_filter_ended_as_its_second_copy_did():
    to_filter = delivery("sent", words="250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBBBBBBB")
    first = story(to_filter, "qmgr: removed", queue_id="AAAAAAAAA")
    assert read(*first).verdict(ID).fate is Fate.SENT, "the id may be another machine's"
    second = story(delivery("bounced", "5.1.1"), queue_id="BBBBBBBBB")
    assert read(*first, *second).verdict(ID).fate is Fate.BOUNCED
    loop = delivery("sent", words="Ok: queued as AAAAAAAAA")
    assert read(*story(loop, queue_id="AAAAAAAAA")).verdict(ID).fate is Fate.SENT, "one that names itself"


def test_an_alias_with_one_good_recipient_is_sent():
    ends = [delivery("bounced", "5.1.1", to="old"), delivery("sent", to="new")]
    assert read(*story(*ends)).verdict(ID).fate is Fate.SENT


@pytest.mark.parametrize(
    "forged",
    [
        # A server on the other side says what it likes, behind the words that are Postfix's own.
        delivery("deferred", "4.0.0", "host mx said: 450 dsn=2.0.0, status=sent (250 Ok) (in reply to RCPT TO)"),
        delivery("deferred", "4.0.0", "x): relay=y, dsn=2.0.0, status=sent (250 Ok"),
    ],
)
def test_words_of_other_servers_change_no_fate(forged):
    assert read(*story(forged)).verdict(ID).fate is Fate.DEFERRED


def test_lines_of_other_programs_and_rubbish_are_passed_over():
    log = read(
        "",
        "\x00\x01\x02",
        "Nov 25 08:00:01 mx sshd[1]: Failed password",
        "Nov 25 08:00:01 mx postfix/smtpd[1]: connect from x[1.2.3.4]",
        f"postfix/cleanup[1]: ABCDEF123: message-id={ID}",
        f"Nov 25 08:00:01 mx postfix/smtp[1]: ABCDEF123: message-id={ID}",
    )
    assert log.verdict(ID) is None
    assert log.lines == 1


@given(st.lists(st.text() | st.builds(lambda rest: line("smtp", rest), st.text())))
def test_no_line_breaks_it(lines):
    assert read(*story(), *lines).verdict(ID).fate is Fate.QUEUED


def test_a_long_line_is_looked_at_as_far_as_any_other():
    """Were it not so, these would take hours."""
    rest = "Nov 25 08:00:01 mx postfix/smtp[1]: ABCDEF123: to=<a@b.c>, relay=" + "relay=x, dsn=" * 400_000
    log = read(*story(queue_id="ABCDEF123"), rest, "a" * 5_000_000, "[" * 5_000_000)
    assert log.verdict(ID).fate is Fate.QUEUED
    assert len(rest) > LINE_MAX


def test_the_words_of_a_verdict_are_one_short_line():
    text = str(read(*story(delivery("bounced", "5.1.1", "said: " + "x" * 5000))).verdict(ID))
    assert text.startswith("Nov 25 08:00:03 4XyZ1b2C3dz1f: bounced by mx.example.com[198.51.100.5]:25: 5.1.1 said: xxx")
    assert len(text) < 420


def test_memory_is_that_of_the_wanted_alone():
    log = PostfixLog([ID], NOW)
    log.feed(row for number in range(5000) for row in story(queue_id=f"Q{number:08}", message_id=f"<{number}@x.y>"))
    assert not log._queue
    assert not log._copies


# -- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("Nov 25 08:00:01", "2026-11-25T08:00:01+01:00"),
        ("Nov  5 08:00:01", "2026-11-05T08:00:01+01:00"),
        ("Nov 29 11:59:59", "2026-11-29T11:59:59+01:00"),  # a clock ahead by less than a day
        ("Dec 24 08:00:01", "2025-12-24T08:00:01+01:00"),
        ("Feb 29 08:00:01", "2024-02-29T08:00:01+01:00"),
        ("Nov 25 2025 08:00:01", "2025-11-25T08:00:01+01:00"),
        ("2026-11-25T08:00:01.123456+01:00", "2026-11-25T08:00:01.123456+01:00"),
        ("2026-11-25T08:00:01Z", "2026-11-25T08:00:01+00:00"),
        ("2026-11-25T08:00:01+0100", "2026-11-25T08:00:01+01:00"),
        ("2026-11-25 08:00:01,123", "2026-11-25T08:00:01.123000+01:00"),
        ("2026-13-25T08:00:01Z", None),
        ("Foo 25 08:00:01", None),
        ("Nov 31 08:00:01", None),
        ("", None),
    ],
)
def test_stamps_name_instants(stamp, instant):
    assert parse_stamp(stamp, NOW) == (dt.datetime.fromisoformat(instant) if instant else None)


def test_in_january_december_is_last_years():
    now = dt.datetime(2027, 1, 1, 0, 5, tzinfo=dt.UTC)
    assert parse_stamp("Dec 31 23:59:59", now) == dt.datetime(2026, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def test_the_log_knows_what_time_it_covers():
    log = read(*story(delivery("sent")), "rubbish")
    assert (log.first_at.isoformat(), log.last_at.isoformat()) == (
        "2026-11-25T08:00:01+01:00",
        "2026-11-25T08:00:03+01:00",
    )
    assert read("rubbish").first_at is None
    assert stamp_of(story()[0], NOW) == log.first_at
    assert stamp_of("rubbish", NOW) is None


def test_many_messages_at_once_keep_their_own_fates():
    dice = random.Random(7)
    fates = {f"<{number:032x}@news.example.org>": dice.choice(["sent", "deferred", "bounced"]) for number in range(300)}
    stories = [
        story(delivery(status), queue_id=f"Q{number:08}", message_id=message_id)
        for number, (message_id, status) in enumerate(fates.items())
    ]
    mixed: list[str] = []
    while stories:
        chosen = dice.choice(stories)
        mixed.append(chosen.pop(0))
        stories = [each for each in stories if each]
    log = read(*mixed, wanted=tuple(fates))
    assert {message_id: str(log.verdict(message_id).fate) for message_id in fates} == fates
