"""Clean HTML: what stays, what goes, what is refused, and what can be read from it."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.cleanhtml import (
    ALLOWED_TAGS,
    ATTRIBUTE,
    build_cleaner,
    clean_html,
    fields_in_tags,
    fields_in_url,
    fields_used,
    image_sources,
    is_visible,
    link_targets,
    prose_of,
    restore_code,
    unclosed_markup,
    unknown_tags,
)
from newsletter.errors import IssueError, Place
from newsletter.model import RESERVED_CHARACTERS, marker

HERE = Place("f.md", 3, 1)
CLEANER = build_cleaner()


def clean(html: str) -> str:
    return clean_html(CLEANER, html, HERE)


# ---------------------------------------------------------------------------------------------------------------------
# Tags
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("<p>a <b>b</b> <em>c</em></p>", "<p>a <b>b</b> <em>c</em></p>"),
        ('<p style="x" class="y" onclick="z">a</p>', "<p>a</p>"),
        ('<td align="right" style="x">a', "a"),
        ('<table><td align="right" colspan="2" bgcolor="red">a</table>', '<td align="right" colspan="2">a '),
        ('<img src=a alt=b width=3 height=4 border=0>', '<img src="a" alt="b" width="3" height="4">'),
        ('<ol start="3" type="a"><li>x</ol>', '<ol start="3"><li>x</li></ol>'),
        ('<abbr title="t">a</abbr>', '<abbr title="t">a</abbr>'),
        ("<h1>a</h1><H2 id=x>b</H2>", "<h3>a</h3><h3>b</h3>"),
        ("<span>a</span><font>b</font>c<wbr>d", "abcd"),
        ("<section>a</section><ARTICLE class=x>b</ARTICLE>", "<div>a</div><div>b</div>"),
        ("<details><summary>a</summary>b</details>", "<div><div>a</div>b</div>"),
        ("<textarea>b <b>c</b></textarea><title>d</title>", "<div>b <b>c</b></div><div>d</div>"),
        ("<noscript><b>a</b></noscript><plaintext>b<xmp>c</xmp>", "<div><b>a</b></div><div>b<div>c</div></div>"),
        ("<template>a</template><select><option>b</option></select>", "<div>a</div><div><div>b</div></div>"),
        ("<svg><text>a</text><path d='x'/></svg><math><mi>b</mi></math>", "ab"),
        ("<set>a <text>b</set> c", "a b c"),
        ("<foo-bar x='1'>a</foo-bar><o:p>b</o:p>", "ab"),
        ("a<!-- b -->c<!---->d<!-->e<!--->f<!-- g --!>h", "acdefh"),
        ("<!DOCTYPE x>a<?php b ?>c<![CDATA[d]]>e</>f</ g>h", "ac&lt;![CDATA[d]]&gt;efh"),
        ("<script>a<b></script>b<STYLE x='>'>c</style >d", "bd"),
        ("a < b <3 c<", "a &lt; b &lt;3 c&lt;"),
        ("<b a='x>y'>c</b>", "<b>c</b>"),
        ("<a href='https://e.com/' title='a < b'>c</a>", '<a href="https://e.com/" title="a &lt; b">c</a>'),
        ('<div class="x>a <b>c</b>', '&lt;div class="x&gt;a <b>c</b>'),
        ("<b", "&lt;b"),
        ("<b a=>c</b><b =a>d</b><b a = b/>e", "<b>c</b><b>d</b><b>e</b>"),
        ("<script>a<style></script>b</style>c", "bc"),
        ("<script>a", "a"),
        ("<!-- a > b", "&lt;!-- a &gt; b"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<caption>a</caption>", "<div>a</div>"),
        ("&amp; &lt; &copy; &nbsp;", "&amp; &lt; © &nbsp;"),
    ],
)  # fmt: skip
def test_tags_that_mail_keeps_stay_and_others_leave_their_words(html: str, wanted: str) -> None:
    assert wanted in clean(html) if "<td" in wanted else clean(html) == wanted


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='java&#115;cript:alert(1)'>x</a>",
        "<a href=' jAvAsCrIpT:alert(1)'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<img src=x onerror=alert(1)>",
        "<img src='javascript:alert(1)'>",
        "<svg onload=alert(1)>",
        "<svg/onload=alert(1)>",
        "<b style='background:url(javascript:x)'>x</b>",
        "<mj-include path='/etc/passwd' />",
        "</mj-text></mj-column><mj-raw>",
        "<iframe srcdoc='<script>x</script>'></iframe>",
        "<form action='https://e.com/'><input name=a></form>",
        "<meta http-equiv=refresh content='0'><base href='//e.com'><link rel=stylesheet href=x>",
        "<object data=x></object><embed src=x>",
        "<<script>alert(1)//<</script>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "<style><style /><img src=x onerror=alert(1)>",
        "<!--[if mso]><script>x</script><![endif]-->",
    ],
)
def test_nothing_active_is_left(html: str) -> None:
    for tag, attributes in re.findall(r"</?([a-z0-9-]+)([^>]*)>", clean(html)):
        assert tag in ALLOWED_TAGS
        values = dict(ATTRIBUTE.findall(attributes))
        assert values.keys() <= {"href", "src", "alt", "title"}
        assert not any(re.match(r"\s*(?:javascript|data):", value) for value in values.values())


PIECES = (
    "< > </ /> \" ' = a b p div table td script style svg !-- --> <b> </b> <p> <td> <script> </script> on text &#"
    " xfdd0; href= javascript:x"
).split()


@settings(max_examples=300)
@example(["&#", "<script>", "</script>", "xfdd0;"])
@example(["&#", "<script>", "xfdd0;"])
@given(st.lists(st.sampled_from([*PIECES, " ", "<a href="]), max_size=40))
def test_cleaning_yields_clean_html_that_stays_as_it_is(pieces: list[str]) -> None:
    cleaned = clean("".join(pieces))
    assert clean(cleaned) == cleaned
    assert not RESERVED_CHARACTERS.search(cleaned)


# ---------------------------------------------------------------------------------------------------------------------
# Depth and cost
# ---------------------------------------------------------------------------------------------------------------------


def test_a_hundred_elements_may_stand_inside_one_another() -> None:
    assert clean("<div>" * 100 + "x" + "</div>" * 100).count("<div>") == 100
    with pytest.raises(IssueError) as caught:
        clean("<div>" * 101)
    assert str(caught.value) == (
        "f.md:3:1: HTML tags or emphasis are nested more than 100 deep (close the tags that are left open)"
    )


@pytest.mark.parametrize(
    "html",
    [
        "<b>" * 10_000,
        "<div>" * 10_000,
        "<table><tr><td>" * 3_000,
        "<table>" * 200,
        "<ul><li>" * 200,
        "<b><div></b>" * 200,
        "<blockquote><p></blockquote></b><blockquote>" * 200,
        "<div><table></div>" * 200,
        "<dl><dd>" * 200,
        "<p>" + "".join(f"<b a={n}>" for n in range(99)) + "<p>x" * 7_000,
        "<p><a><b><i><u><s>" * 2_000,
        "<svg><div>" * 200,
        "<select>" * 10_000,
    ],
)
def test_what_nests_deeply_or_would_grow_is_refused_before_it_costs_anything(html: str) -> None:
    with pytest.raises(IssueError, match="nested more than 100 deep"):
        clean(html)


@pytest.mark.parametrize(
    "html",
    [
        "<p>x" * 1_000,
        "<ul>" + "<li>x" * 1_000,
        "<dl>" + "<dt>x<dd>y" * 1_000,
        "<table>" + "<tr><td>a<td>b<th>c" * 1_000,
        "<table>" + "<thead><tr><td>a<tbody><tr><td>b" * 300,
        "<table><tr><td><p>a" + "</table><table><tr><td><p>a" * 300,
        "<p><b>a</p><p>b</b>" * 300,
        "</div>" * 1_000,
        "<b>x</b>" * 1_000,
        "<T>" * 1_000,
        "<br>" * 1_000,
        "<ul><li><p>a</ul>" * 300,
    ],
)
def test_elements_that_html_closes_by_itself_do_not_count_as_nested(html: str) -> None:
    assert clean(html) is not None


# ---------------------------------------------------------------------------------------------------------------------
# Characters
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("&#65;&#x42;&#X43", "ABC"),
        ("&#8;&#xFDD0;&#64977;&#x0000FDD1;", "\ufffd" * 4),
        ("&#xD800;&#x110000;&#0;&#x1FFFE;", "\ufffd" * 4),
        ("&#150;&#x85;", "–…"),
        ("&#" + "9" * 5_000 + ";", "\ufffd"),
        ("&amp;#8;", "&amp;#8;"),
        ("<b title='&#xFDD0;&#xFDD2;&#xFDD1;'>x</b>", "<b>x</b>"),
        ("<abbr title='&#xFDD0;&#xFDD2;&#xFDD1'>x</abbr>", '<abbr title="\ufffd\ufffd\ufffd">x</abbr>'),
    ],
)
def test_references_cannot_write_what_no_mail_may_hold(html: str, wanted: str) -> None:
    assert clean(html) == wanted


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def test_unknown_tags_are_those_that_html_never_had() -> None:
    assert unknown_tags("<T> <b> </T> <foo-bar a='1'> <marquee> <svg> <H1> <text> <!-- <X> -->") == [
        "<T>",
        "<foo-bar a='1'>",
        "<text>",
        "<X>",
    ]


@pytest.mark.parametrize(
    ("html", "start"),
    [
        ("<!-- a --> <script>b</script> <style>c</style>", ""),
        ("<p>a</p> < b", ""),
        ("<div title='<!-- a'>", "<!--"),
        ("<!-- a", "<!--"),
        ("<!-- a --> <!-- b", "<!--"),
        ("<!-- a > b", "<!--"),
        ("<SCRIPT src='x'>b", "<SCRIPT"),
        ("<style>a{} </script>", "<style"),
        ("<scripted>", ""),
    ],
)
def test_what_would_hide_the_rest_is_found(html: str, start: str) -> None:
    assert unclosed_markup(html) == start


def test_fields_are_found_in_text_in_tags_and_in_addresses() -> None:
    text, value, encoded = marker(1), marker(2), "%EF%B7%90%ef%b7%95%EF%B7%91"
    html = f'<p>{text}<a href="https://e.com/{encoded}" title="{value}">x</a></p>'
    assert fields_used(html) == [1, 2]
    assert fields_in_tags(html) == [3, 2]
    assert fields_in_url(f"{value}{encoded}") == [2, 3]
    assert fields_in_tags(f"<p>{text}</p>") == []


def test_code_shows_its_fields_as_they_were_written() -> None:
    one, two = marker(0), marker(1)
    html = f"<p>{one}<code>{one}&lt;{two}</code></p><pre><code>{two}</code></pre>"
    assert restore_code(html, ["{{ a }}", '{{ b | default("<") }}']) == (
        f'<p>{one}<code>{{{{ a }}}}&lt;{{{{ b | default("&lt;") }}}}</code></p>'
        '<pre><code>{{ b | default("&lt;") }}</code></pre>'
    )


def test_prose_is_the_text_without_tags_and_code_its_blocks_apart() -> None:
    prose = prose_of("<p>a&amp;<b>b</b><br>c</p>\n<ul><li>d <code>e</code>f</li></ul>")
    assert [part.strip() for part in prose.split("\n\n") if part.strip()] == ["a&bc", "d  f"]


@pytest.mark.parametrize(
    ("html", "visible"),
    [("", False), ("<p> </p>", False), ("<p>a</p>", True), ("<img>", True), ("<hr>", True), ('<a href="x"></a>', True)],
)
def test_visible_is_what_shows_anything(html: str, visible: bool) -> None:
    assert is_visible(html) is visible


def test_images_and_links_are_listed_with_what_is_missing() -> None:
    images = clean('<img src="a&amp;b.png" alt="&quot;x&quot;"><img src="data:x">')
    links = clean('<a href="https://e.com/?a&amp;b">x</a><a href="tel:1">')
    assert image_sources(images) == [("a&b.png", '"x"'), ("", "")]
    assert link_targets(links) == ["https://e.com/?a&b", None]
    assert ATTRIBUTE.findall(' src="a" alt=""') == [("src", "a"), ("alt", "")]
