"""Web addresses: what only counts readers goes, what leads to the article stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.weburls import canonical_url, counts_readers, url_key

A = "https://example.com/a"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        # RFC 3986 section 6.2
        ("HTTPS://Example.COM:443/a", A),
        ("http://example.com:80", "http://example.com/"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("https://example.com/x/../a", A),
        ("https://example.com/./a/./b/..", "https://example.com/a/"),
        ("https://example.com/%61%2fb%c3%a9", "https://example.com/a%2Fb%C3%A9"),
        ("https://example.com/é q", "https://example.com/%C3%A9%20q"),
        ("https://例え.jp/パ", "https://xn--r8jz45g.jp/%E3%83%91"),
        (f"{A}#part", A),
        ("https://example.com/#!/page", "https://example.com/#!/page"),
        (" https://exam\nple.com/a ", A),
        # parameters
        (f"{A}?utm_source=feed&utm_medium=rss", A),
        (f"{A}?UTM_Source=x&b=2&fbclid=1&a=1", f"{A}?b=2&a=1"),
        (f"{A}?id=7&ref=main&source=x&session=2", f"{A}?id=7&ref=main&source=x&session=2"),
        (f"{A}?q=a+b%20c&gclid=1", f"{A}?q=a+b%20c"),
        (f"{A}?partner=rss&emc=rss", A),
        (f"{A}?flag&utm_id=1", f"{A}?flag"),
        ("https://www.youtube.com/watch?v=abc&feature=youtu.be&si=9&t=30", "https://www.youtube.com/watch?v=abc&t=30"),
        ("https://example.com/watch?si=9", "https://example.com/watch?si=9"),
        (
            "https://mp.weixin.qq.com/s?__biz=M==&mid=1&idx=2&sn=f&chksm=8&scene=21",
            "https://mp.weixin.qq.com/s?__biz=M==&mid=1&idx=2&sn=f",
        ),
        # AMP and mobile
        ("https://example.com/a/amp/", A),
        ("https://example.com/a/amp", A),
        ("https://example.com/amp/a", A),
        ("https://example.com/a.amp.html", "https://example.com/a.html"),
        (f"{A}?amp=1&outputType=amp", A),
        (f"{A}?outputType=full", f"{A}?outputType=full"),
        ("https://example.com/amplifier", "https://example.com/amplifier"),
        ("https://amp.example.com/a", A),
        ("https://m.example.com/a", A),
        ("https://mobile.example.com/a", A),
        ("https://en.m.wikipedia.org/wiki/A", "https://en.wikipedia.org/wiki/A"),
        ("https://m.com/a", "https://m.com/a"),
        ("https://example-com.cdn.ampproject.org/c/s/example.com/a", A),
        ("https://www.google.com/amp/s/example.com/a", A),
        # redirectors
        ("https://www.google.com/url?rct=j&sa=t&url=https://example.com/a&ct=ga", A),
        ("https://www.google.co.uk/url?q=https%3A%2F%2Fexample.com%2Fa", A),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Fexample.com%2Fa%3Ffbclid%3D1&h=2", A),
        ("https://out.reddit.com/?url=https://example.com/a", A),
        ("https://link.zhihu.com/?target=https%3A//example.com/a", A),
        ("https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2Fa&data=x", A),
        ("http://us.rd.yahoo.com/dailynews/rss/*https://example.com/a", A),
        ("https://href.li/?https://example.com/a", A),
        ("https://urldefense.com/v3/__https://example.com/a__;!!x$", A),
        ("https://l.facebook.com/l.php?u=https://www.google.com/url?url=https%253A%252F%252Fexample.com%252Fa", A),
        ("https://www.google.com/url?url=javascript:alert(1)", "https://www.google.com/url?url=javascript:alert(1)"),
        ("https://www.google.com/search?q=https://example.com", "https://www.google.com/search?q=https://example.com"),
        # nothing of the web
        ("", ""),
        ("mailto:a@example.com", ""),
        ("javascript:alert(1)", ""),
        ("//example.com/a", ""),
        ("http://", ""),
        ("http://[bad", ""),
        ("http://exa mple.com:port/", ""),
        ("http://ex<a>mple.com/", ""),
        ("http://example.com/" + "a" * 5000, ""),
    ],
)
def test_an_address_is_what_it_leads_to(url, wanted):
    assert canonical_url(url) == wanted
    assert canonical_url(wanted) == wanted


@pytest.mark.parametrize(
    "url",
    [
        "http://www.example.com/a",
        "https://example.com/a/",
        "https://m.example.com/a/index.html",
        "https://example.com/a/?utm_source=x",
        "https://example.com/a#top",
        "https://example.com/a/index.php",
    ],
)
def test_addresses_of_one_page_have_one_key(url):
    assert url_key(url) == url_key(A) == "example.com/a"


def test_the_order_of_parameters_is_not_of_the_key_but_their_values_are():
    assert url_key(f"{A}?a=1&b=2") == url_key(f"{A}?b=2&a=1") != url_key(f"{A}?a=1&b=3")
    assert url_key("https://example.com/") == "example.com"
    assert url_key("nothing") == ""


def test_what_counts_readers_is_named():
    assert counts_readers(f"{A}?utm_source=x&id=1&fbclid=2") == ("utm_source", "fbclid")
    assert counts_readers("mailto:x") == ()


@given(st.text(max_size=60) | st.builds("https://example.com/{}?{}#{}".format, st.text(), st.text(), st.text()))
def test_any_text_gives_an_address_that_stays(text):
    once = canonical_url(text)
    assert canonical_url(once) == once
    assert once == "" or once.isascii()
    url_key(text)
    counts_readers(text)
