import datetime as dt
import re
from pathlib import Path

import pytest

from newsletter.catalogs import CATALOGS, KINDS, WORDS, direction, load_catalog, match_catalog

ROOT = Path(__file__).parents[1]
OF_THE_WEB = [path for folder in ("web", "letter") for path in (ROOT / "templates" / folder).glob("*.j2")]
"""Templates whose words are in the catalogs of the web pages."""


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR", "fr"),
        ("fr_BE", "fr"),
        ("zh", "zh_Hans"),
        ("zh-CN", "zh_Hans"),
        ("zh-Hans", "zh_Hans"),
        ("zh-SG", "zh_Hans"),
        ("zh-Hans-HK", "zh_Hans"),
        ("zh-TW", "en"),
        ("zh-Hant", "en"),
        ("zh-HK", "en"),
        ("de", "en"),
        ("x-nothing", "en"),
        ("", "en"),
        ("ar", "en"),
    ],
)
def test_a_tag_finds_the_nearest_catalog(tag, name):
    assert match_catalog(tag) == name
    assert load_catalog(tag).name == name


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("ar", "rtl"),
        ("ar-EG", "rtl"),
        ("he", "rtl"),
        ("fa", "rtl"),
        ("ur", "rtl"),
        ("yi", "rtl"),
        ("ps", "rtl"),
        ("az-Arab", "rtl"),
        ("en", "ltr"),
        ("zh-Hans", "ltr"),
        ("ar-Latn", "ltr"),
        ("ku-Latn-TR", "ltr"),
        ("", "ltr"),
    ],
)
def test_direction_follows_the_script(tag, expected):
    assert direction(tag) == expected
    assert load_catalog(tag).direction == expected


@pytest.mark.parametrize("name", CATALOGS)
def test_every_catalog_has_every_word_with_its_values_and_no_other(name):
    messages = load_catalog(name).messages
    assert set(messages) == set(WORDS)
    for msgid, words in messages.items():
        assert words.strip(), msgid
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", msgid))


def test_every_word_that_templates_and_code_ask_for_is_in_the_catalogs():
    asked = set()
    for path in set((ROOT / "templates").rglob("*.j2")) - set(OF_THE_WEB):
        asked |= set(re.findall(r"""\bt\(\s*"([^"]+)\"""", path.read_text(encoding="utf-8")))
    for path in (ROOT / "newsletter").rglob("*.py"):
        asked |= set(re.findall(r"""catalog\.text\(\s*"([^"]+)\"""", path.read_text(encoding="utf-8")))
    assert "Unsubscribe" in asked
    assert asked <= set(WORDS)


def test_values_are_filled_once_and_never_read_as_a_format():
    catalog = load_catalog("fr")
    assert catalog.text("Issue {number}", number="{title}") == "Numéro {title}"
    assert catalog.text("Issue {number}") == "Numéro {number}"
    assert catalog.text("Issue {number}", number="{0.__class__}") == "Numéro {0.__class__}"


def test_an_unknown_msgid_comes_back_as_it_is():
    assert load_catalog("fr").text("Our partners") == "Our partners"


def test_kinds_have_a_word_and_others_stay_as_written():
    assert load_catalog("zh-CN").kind("video") == "视频"
    assert load_catalog("en").kind("podcast") == "Podcast"
    assert load_catalog("en").kind("long read") == "long read"
    assert all(kind in WORDS for kind in KINDS)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", "November 25, 2026"),
        ("en-GB", "25 November 2026"),
        ("fr", "25 novembre 2026"),
        ("zh-Hans", "2026年11月25日"),
        ("zh", "2026年11月25日"),
        ("de", "25. November 2026"),
        ("tlh", "November 25, 2026"),
        ("fr-ZZ-x-a", "25 novembre 2026"),
    ],
)
def test_dates_are_written_as_the_language_writes_them(tag, expected):
    assert load_catalog(tag).date(dt.date(2026, 11, 25)) == expected


def test_every_kind_that_an_article_may_have_has_a_word():
    from newsletter.articles import ARTICLE_KINDS

    assert set(ARTICLE_KINDS) <= set(KINDS)


def words_of_the_web() -> set[str]:
    """Return every msgid that web pages and single mails ask for."""
    asked = set()
    for path in OF_THE_WEB:
        asked |= set(re.findall(r"""\bt\(\s*"([^"]+)\"""", path.read_text(encoding="utf-8")))
    for path in (ROOT / "newsletter" / "letters.py", *(ROOT / "newsletter" / "web").rglob("*.py")):
        asked |= set(re.findall(r"""\bsay\(\s*"([^"]+)\"""", path.read_text(encoding="utf-8")))
    return asked


@pytest.mark.parametrize("name", CATALOGS)
def test_every_catalog_of_the_web_has_every_word_with_its_values_and_no_other(name):
    messages = load_catalog(name, "web").messages
    assert set(messages) == words_of_the_web()
    for msgid, words in messages.items():
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", msgid)), msgid
        assert (words == msgid) == (name == "en"), msgid
