"""Spam filters are asked, their answers are read, and whatever fails of it is passed over."""

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from newsroom import Newsroom

from newsletter import spamfilters
from newsletter.checks import SpamRule
from newsletter.spamfilters import ask_spam_filters, read_rspamd, read_spamassassin

GOLDEN = Path(__file__).parent / "golden" / "spam"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""What every filter takes for spam, made for tests of them."""
SPAM = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: test\r\n\r\n" + GTUBE + b"\r\n"
ASSASSIN = (GOLDEN / "spamassassin.txt").read_text()
RSPAMD = (GOLDEN / "rspamd.json").read_text()


def test_a_report_of_spamassassin_is_read():
    verdict = read_spamassassin(ASSASSIN)
    assert (verdict.filter, verdict.points, verdict.threshold) == ("SpamAssassin", 15.3, 5.0)
    assert verdict.rules[0] == SpamRule("MONEY_BACK", 2.9, "BODY: Money back guarantee")
    assert [rule.points for rule in verdict.rules] == sorted((rule.points for rule in verdict.rules), reverse=True)
    assert not any(rule.name in ("NO_RELAYS", "HTML_MESSAGE") for rule in verdict.rules)


def test_a_meaning_of_two_lines_is_read_whole():
    verdict = read_spamassassin((GOLDEN / "spamassassin-mild.txt").read_text())
    meaning = "BODY: HTML font color similar or identical to background"
    assert verdict.rules == (SpamRule("HTML_FONT_LOW_CONTRAST", 0.7, meaning),)


def test_an_answer_of_rspamd_is_read():
    verdict = read_rspamd(RSPAMD)
    assert (verdict.filter, verdict.points, verdict.threshold) == ("rspamd", 3.79, 15.0)
    assert [rule.name for rule in verdict.rules][:2] == ["HFILTER_HOSTNAME_UNKNOWN", "DATE_IN_PAST"]


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put programs of these names first, and no filter of this machine behind them."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(spamfilters, "shutil", replace_which(folder))

    def write(name: str, script: str) -> None:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


def replace_which(folder: Path) -> object:
    class Shutil:
        which = staticmethod(lambda name: shutil.which(name, path=str(folder)))

    return Shutil


def test_without_a_filter_nothing_is_said(programs):
    assert ask_spam_filters(SPAM, slow=True) == ()


def test_the_message_is_given_to_each_filter(programs, tmp_path):
    programs("rspamc", f"cat > {tmp_path}/rspamd.eml; cat {GOLDEN}/rspamd.json")
    programs("spamc", f"cat > {tmp_path}/spamc.eml; cat {GOLDEN}/spamassassin.txt")
    assert [verdict.filter for verdict in ask_spam_filters(SPAM)] == ["rspamd", "SpamAssassin"]
    assert (tmp_path / "rspamd.eml").read_bytes() == (tmp_path / "spamc.eml").read_bytes() == SPAM


def test_spamassassin_without_its_daemon_is_asked_on_request(programs):
    programs("spamc", "echo 0/0; exit 69")
    programs("spamassassin", f"cat {GOLDEN}/spamassassin.txt")
    assert ask_spam_filters(SPAM) == ()
    assert [verdict.points for verdict in ask_spam_filters(SPAM, slow=True)] == [15.3]


ODD = {
    "nothing": "exit 0",
    "no daemon": "echo 0/0",
    "an error": "cat {golden}/spamassassin.txt; exit 75",
    "another program": "echo hello",
    "no JSON": "echo '{{'",
    "another JSON": "echo '{{\"score\": []}}'",
    "a skipped message": 'echo \'{{"is_skipped": true, "score": 0, "required_score": 15, "symbols": {{}}}}\'',
    "bytes": "head -c 500 /dev/urandom",
}


@pytest.mark.parametrize("script", ODD.values(), ids=ODD)
def test_an_odd_answer_is_passed_over(programs, script):
    for name in ("rspamc", "spamc", "spamassassin"):
        programs(name, script.format(golden=GOLDEN))
    assert ask_spam_filters(SPAM, slow=True) == ()


def test_a_filter_that_hangs_is_left(programs, monkeypatch):
    programs("spamc", "exec sleep 30")
    monkeypatch.setattr(spamfilters, "_SPAMC", replace(spamfilters._SPAMC, seconds=0.2))
    assert ask_spam_filters(SPAM) == ()


def test_a_huge_message_is_not_given_away(programs):
    programs("spamc", f"cat {GOLDEN}/spamassassin.txt")
    assert ask_spam_filters(bytes(5_000_000)) == ()


def test_the_command_tells_the_rules_that_count(programs, tmp_path):
    programs("spamc", f"cat {GOLDEN}/spamassassin.txt")
    room = Newsroom(tmp_path / "room")
    (room.root / "mail.eml").write_bytes(SPAM)
    answer = room.run("check", str(room.root / "mail.eml"))
    assert (
        "SpamAssassin gives 15.3 points, and takes mail for spam from 5 on: MONEY_BACK 2.9 (BODY: Money" in answer.out
    )


@pytest.mark.proof
@pytest.mark.skipif(not shutil.which("spamassassin"), reason="no SpamAssassin: apt-get install spamassassin")
def test_the_real_spamassassin_knows_spam():
    verdict = spamfilters._ask(spamfilters._SPAMASSASSIN, SPAM)
    assert verdict.points >= 900
    assert verdict.rules[0].name == "GTUBE"
