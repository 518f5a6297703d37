"""Feeds of every kind are read, ill-formed ones as far as they go; a hostile entry costs itself alone."""

import datetime as dt
import json
import time
from pathlib import Path

import pytest
from feed_server import ITEM, RSS, rss

from newsletter.errors import FeedError
from newsletter.feedchild import FeedReaders
from newsletter.feedparse import parse_feed
from newsletter.plainwords import plain_words

SHARED = Path(__file__).parents[2] / "shared" / "data" / "feeds"
FILES = sorted(path for path in SHARED.glob("*") if path.suffix in (".xml", ".json"))
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><title>Un fil</title><link href="/"/>
<entry><id>tag:a,1</id><title type="html">Le &amp;lt;b&amp;gt; &lt;b&gt;gras&lt;/b&gt;</title>
<link href="/un?utm_source=x"/>
<updated>2026-11-25T08:00:00+01:00</updated><author><name>Ann</name><email>ann@a.example</email></author>
<content type="html">&lt;p&gt;Un.&lt;/p&gt;&lt;p&gt;Deux&amp;nbsp;!&lt;img src="/i.png"&gt;
&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</content>
<category term="mode"/></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="x"><title>R</title><link>http://r.example</link></channel>
<item rdf:about="http://r.example/1"><title>One</title><link>http://r.example/1</link><dc:date>2026-11-25</dc:date></item>
</rdf:RDF>"""


@pytest.fixture(scope="module")
def readers():
    with FeedReaders(1) as readers:
        yield readers


@pytest.mark.skipif(not FILES, reason="no real feeds here")
def test_every_real_feed_gives_entries_with_titles_addresses_and_identity():
    for path in FILES:
        feed = parse_feed(path.read_bytes(), url="https://feed.example/")
        assert feed.entries, path.name
        assert feed.title, path.name
        for entry in feed.entries:
            assert entry.title, path.name
            assert entry.guid, path.name
            assert entry.url.startswith("http"), path.name
            assert not set("<>") & set(entry.author), path.name
        assert len({entry.guid for entry in feed.entries}) == len(feed.entries)


def test_atom_gives_plain_words_and_canonical_addresses():
    feed = parse_feed(ATOM.encode(), url="https://a.example/feed")
    (entry,) = feed.entries
    assert (feed.kind, feed.title, feed.language, feed.site) == ("atom10", "Un fil", "fr", "https://a.example/")
    assert (entry.guid, entry.url, entry.title) == ("tag:a,1", "https://a.example/un", "Le <b> gras")
    assert entry.summary == "Un. Deux !"
    assert (entry.author, entry.image, entry.tags) == ("Ann", "https://a.example/i.png", ("mode",))
    assert entry.published_at == dt.datetime(2026, 11, 25, 7, tzinfo=dt.UTC)


def test_rdf_and_old_rss_are_read():
    feed = parse_feed(RDF.encode())
    assert (feed.kind, feed.entries[0].url) == ("rss10", "http://r.example/1")
    old = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://x.example/r.dtd"><rss version="0.91"><channel>'
    old += (
        "<title>T</title><item><title>A &eacute; &nbsp; B</title><link>http://o.example/</link></item></channel></rss>"
    )
    assert parse_feed(old.encode()).entries[0].title == "A é B"


def test_json_feeds_are_read_and_broken_ones_as_far_as_they_go():
    items = [
        {"id": 7, "url": "https://j.example/1", "content_html": "<p>Hello <b>you</b></p>", "authors": [{"name": "Jo"}],
         "date_published": "2026-11-25T08:00:00Z", "tags": ["a", 3], "image": "https://j.example/i.png"},
        {"id": "x", "content_text": "1 < 2 & more", "title": "\ud800T"},
        "no object", {"id": "empty"},
    ]  # fmt: skip
    text = json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "J", "language": "de", "items": items})
    feed = parse_feed(text.encode())
    first, second = feed.entries
    assert (first.guid, first.title, first.author, first.tags) == ("7", "Hello you", "Jo", ("a",))
    assert (second.title, second.summary, second.url) == ("\ufffdT", "1 < 2 & more", "")
    broken = parse_feed(text[: text.index('"no object"')].encode())
    assert [entry.guid for entry in broken.entries] == ["7", "x"]
    assert (broken.title, "not well-formed" in broken.warnings[0]) == ("J", True)


@pytest.mark.parametrize(
    ("encoding", "declared", "header"),
    [
        ("utf-8", "", ""), ("utf-8", "iso-8859-1", ""), ("utf-8", "", "text/xml; charset=iso-8859-1"),
        ("utf-16", "utf-16", ""), ("utf-16-le", "", ""), ("utf-8-sig", "", ""), ("gb18030", "gb2312", ""),
        ("gbk", "", "text/xml; charset=GBK"), ("big5", "big5", ""), ("shift_jis", "shift_jis", ""),
        ("iso2022_jp", "iso-2022-jp", ""), ("gb18030", "utf-8", "text/xml;charset=gb2312"),
    ],
)  # fmt: skip
def test_encodings_are_read_as_declared_or_as_they_are(encoding, declared, header):
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = head + rss("日本 中文").decode().partition("?>")[2]
    assert parse_feed(text.encode(encoding), header).entries[0].title == "日本 中文"


def test_western_encodings_are_read_and_what_does_not_fit_is_told():
    text = '<?xml version="1.0" encoding="{}"?>' + rss("Café “x”").decode().partition("?>")[2]
    assert parse_feed(text.format("iso-8859-1").encode("cp1252")).entries[0].title == "Café “x”"
    undeclared = rss("Café").decode().encode("cp1252")
    feed = parse_feed(undeclared)
    assert (feed.entries[0].title, feed.warnings) == ("Café", ("its encoding is not declared",))
    odd = parse_feed(text.format("utf-8").encode("cp1252"))
    assert "not utf-8 at byte" in odd.warnings[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"), (b"\x00\x00", "is empty"), (b"<!doctype html><html>", "is a web page"),
        (b"hello", "no feed"),
        (b'{"a": 1}', "no JSON Feed"), (b"\x1f\x8bxx", "broken"), (b"\x89PNG\r\n", "no feed"),
    ],
)  # fmt: skip
def test_what_is_no_feed_is_told(content, words):
    with pytest.raises(FeedError, match=words):
        parse_feed(content)


def test_ill_formed_feeds_give_what_can_be_had():
    feed = parse_feed(
        b"<rss version=2.0><channel><title>A & B < C</title><item><title>One</title><link>http://a.example/1</link><b>"
    )
    assert feed.warnings
    assert "One" in feed.entries[0].title


def test_identity_is_the_guid_else_the_page_else_the_words():
    def guid(xml: str) -> str:
        return parse_feed(RSS.format(title="T", items=f"<item>{xml}</item>").encode()).entries[0].guid

    assert guid("<guid>g</guid><link>http://a.example/</link><title>t</title>") == "g"
    assert guid("<link>http://www.a.example/x/?utm_source=1</link><title>t</title>") == "a.example/x"
    assert guid("<title>only words</title>") == "only words"
    assert guid(f"<guid>{'g' * 5000}</guid><title>t</title>").startswith("sha256:")


def test_a_feed_of_many_sources_names_them_and_feedburner_is_undone():
    more = '<source url="http://s.example/feed">The Source</source>'
    more += "<feedburner:origLink xmlns:feedburner='http://rssnamespace.org/feedburner/ext/1.0'>http://o.example/a</feedburner:origLink>"
    (entry,) = parse_feed(rss("x", more=more)).entries
    assert (entry.source, entry.url) == ("The Source", "http://o.example/a")


# ---------------------------------------------------------------------------------------------------------------------
# Hostile feeds
# ---------------------------------------------------------------------------------------------------------------------

GOOD = ITEM.format("Good", "good", "")


def hostile(inner: str, head: str = "") -> bytes:
    """Make a feed of a hostile entry between two good ones."""
    items = f"{GOOD}<item><guid>bad</guid>{inner}</item>{GOOD.replace('good', 'last')}"
    return (head + RSS.partition("?>")[2].format(title="T", items=items)).encode("utf-8", "surrogatepass")


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
LAUGHS += "".join(f'<!ENTITY {chr(n + 1)} "{f"&{chr(n)};" * 10}">' for n in range(ord("b"), ord("m"))) + "]>"
PAYLOADS = {
    "xxe": hostile("<title>&xxe;</title>", '<!DOCTYPE r [<!ENTITY xxe SYSTEM "file:///etc/passwd">]>'),
    "xxe parameter": hostile("<title>t</title>", '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>'),
    "laughs": hostile("<title>&m;</title>", LAUGHS),
    "one large entity": hostile(f"<title>{'&z;' * 20_000}</title>", f'<!DOCTYPE r [<!ENTITY z "{"z" * 50_000}">]>'),
    "nested tags": hostile("<title>t</title>" + "<a>" * 100_000),
    "nested and closed": hostile("<title>t</title>" + "<a>" * 9_000 + "</a>" * 9_000),
    "nested html": hostile(f"<title>t</title><description><![CDATA[{'<div>' * 30_000}]]></description>"),
    "escaped html": hostile(f"<title>t</title><description>{'&lt;b&gt;&lt;p&gt;' * 10_000}</description>"),
    "a million signs": hostile(f"<title>{'<' * 1_000_000}</title>"),
    "fewer signs": hostile(f"<title>{'<' * 150_000}</title>"),
    "signs in html": hostile(f"<title>t</title><description><![CDATA[{'<' * 150_000}]]></description>"),
    "open tags": hostile(f"<title>{'<a ' * 50_000}</title>"),
    "open quotes": hostile(f"<title>{'<a b=' + chr(34)}{'<' * 60_000}</title>"),
    "ampersands": hostile(f"<title>{'&' * 150_000}</title>"),
    "open cdata": hostile(f"<title>t</title>{'<![CDATA[' * 20_000}"),
    "open comments": hostile(f"<title>t</title>{'<!--' * 40_000}"),
    "script": hostile("<title>&lt;script&gt;alert(1)&lt;/script&gt;Ti&lt;img src=x onerror=alert(1)&gt;tle</title>"),
    "header": hostile("<title>A\r\nBcc: x@example.com\x85B &#10; &#13;Cc: y</title>"),
    "surrogates": hostile("<title>a\ud800 &#xD800; &#0; &#x1F; &#1114112; b</title>"),
    "url": hostile("<title>t</title><link>javascript:alert(1)</link>"),
    "attributes": hostile("<title>t</title><x " + " ".join(f"a{n}='1'" for n in range(20_000)) + "/>"),
    "namespaces": hostile("<title>t</title><x " + " ".join(f"xmlns:a{n}='u{n}'" for n in range(8_000)) + "/>"),
    "dates": hostile(f"<title>t</title><pubDate>{'9' * 100_000}</pubDate>"),
    "many spaces": hostile(f"<title>t{' ' * 150_000}u</title><author>{'@' * 60_000}</author>"),
    "many addresses": hostile(f"<title>t</title><author>{'a@a' * 50_000}</author>"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_hostile_entry_costs_at_most_itself(readers, name):
    feed = readers.parse(PAYLOADS[name])
    guids = [entry.guid for entry in feed.entries]
    assert [guid for guid in guids if guid != "bad"][:1] == ["good"]
    if not name.startswith("open "):  # what stands open in an entry may swallow what follows
        assert "last" in guids
    for entry in feed.entries:
        texts = (entry.title, entry.summary, entry.author, *entry.tags)
        assert all(text.isprintable() or not set(text) & set("\r\n\x00\x85") for text in texts)
        assert not any(0xD800 <= ord(character) < 0xE000 for text in texts for character in text)
        assert entry.url == "" or entry.url.startswith("https://")
        assert "alert" not in entry.title
        assert "root:" not in entry.title
        assert len(entry.title) <= 400


def test_a_feed_that_costs_too_much_ends_its_child_and_the_next_one_is_read(monkeypatch):
    with FeedReaders(1, cpu_s=0.02) as readers, pytest.raises(FeedError, match="costs too much time"):
        readers.parse(rss(*(f"Title {number}" for number in range(4000))))
    with FeedReaders(1) as readers:
        with pytest.raises(FeedError, match="head nests"):
            readers.parse(b"<rss><channel>" + b"<a>" * 50_000)
        assert readers.parse(rss("One")).entries[0].title == "One"


def test_memory_is_bounded_and_the_child_stays_warm(readers):
    for name in ("laughs", "one large entity", "a million signs", "namespaces"):
        readers.parse(PAYLOADS[name])
    readers.parse(rss("x"))
    began = time.monotonic()
    for _ in range(20):
        readers.parse(rss("x"))
    assert time.monotonic() - began < 20
    with pytest.raises(FeedError):
        readers.parse(b"<rss><channel><title>" + b"\xff\xfe" * 10 + b"<a" * 1_000_000)
    assert all(peak < 200_000 for peak in readers.peaks_kb())


def test_words_are_cut_behind_a_word():
    assert plain_words("<p>one two three</p>", 9) == "one two…"
    assert plain_words("a<br>b<li>c&amp;d&lt;e") == "a b c&d<e"
    assert plain_words("x" * 70_000 + "&amp;", 10) == "xxxxxxxxx…"
