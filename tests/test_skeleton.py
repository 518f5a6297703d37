import re

import pytest

from newsletter.skeleton import Skeleton

HEAD = "<!doctype html><html><head><title>a &lt; b</title><style>p > b { color: red }</style></head>"


def skeleton_of(html, *, with_attributes=False):
    """Return the skeleton's document without the numbers of its elements."""
    return re.sub(r' data-kind="[0-9]+"', "", Skeleton(html, with_attributes=with_attributes).html)


def filled(html):
    """Return ``html`` with a style on each element that has none, the number of its kind."""
    skeleton = Skeleton(html, with_attributes=False)
    return skeleton.fill(re.sub(r'(?<!0")( data-kind=("[0-9]+"))>', r"\1 style=\2>", skeleton.html))


@pytest.mark.parametrize(
    ("html", "skeleton"),
    [
        ("<p>a</p><p>b</p>", "<p></p>"),
        ("<p>a</p><div><p>b</p></div>", "<p></p><div><p></p></div>"),
        ('<p>a</p><p class="x">b</p><p>c</p>', '<p></p><p class="x"></p>'),
        ('<p style="margin:0">a</p><p>b</p>', '<p style="margin:0"></p><p></p>'),
        ('<i><a href="1">a</a></i><i><b>b</b><a href="2">c</a></i>', "<i><a></a><b></b></i>"),
        ("a<br>b<br />c<img src='x'><b>d</b>", "<br><img><b></b>"),
        ("<P Class='x y'>a</P><p class=\"x y\">b</p>", '<p class="x y"></p>'),
        ('<a title="a > b" class="c">x</a>', '<a class="c"></a>'),
        ("<!--[if mso]><table><tr><![endif]--><p>a</p><!--[if mso]></tr></table><![endif]-->", "<p></p>"),
        ("<!--[if !mso]><!--><p>a</p><!--<![endif]-->", "<p></p>"),
        (HEAD + "<body><p>x</p></body></html>", "<html><body><p></p></body></html>"),
        ("<p>a</i></b></p><p>b</p>", "<p></p>"),
        ("<div><p><b>a</div><p>b</p>", "<div><p><b></b></p></div><p></p>"),
        ("5 < 6 <p>a</p> 7 > 6", "<p></p>"),
        ("", ""),
    ],
)
def test_one_element_stands_for_all_of_its_kind(html, skeleton):
    assert skeleton_of(html) == skeleton


def test_attributes_tell_kinds_apart_where_css_asks_for_them():
    html = '<a href="1">a</a><a href="2">b</a><a href="1">c</a>'
    assert skeleton_of(html) == "<a></a>"
    assert skeleton_of(html, with_attributes=True) == '<a href="1"></a><a href="2"></a>'


def test_every_element_gets_the_style_of_its_kind():
    html = '<p>a</p><p class="x" title="t">b<br/></p><p >c</p><DIV><p>d</p></DIV>'
    assert filled(html) == (
        '<p style="1">a</p><p class="x" title="t" style="2">b<br style="3"></p>'
        '<p style="1">c</p><div style="4"><p style="5">d</p></DIV>'
    )


def test_a_style_keeps_its_place():
    assert filled('<p id="a" style="margin:0" class="x">a</p>') == '<p id="a" style="margin:0" class="x">a</p>'


def test_tags_are_written_in_one_way():
    html = '<TD  Title=\'say "x"\' nowrap\n width=5 alt="it\'s > 4" />'
    assert filled(html) == '<td title="say &quot;x&quot;" nowrap width="5" alt="it\'s > 4" style="1">'


def test_all_else_stays_as_it_is():
    html = HEAD + "<body>é &nbsp;&amp; 5 < 6<!-- <p> --><script>if (a < b) '<p>'</script></body></html>"
    assert re.sub(r' style="[0-9]"', "", filled(html)) == html


def test_an_element_that_is_lost_is_an_error():
    skeleton = Skeleton('<p>a</p><p class="x">b</p>', with_attributes=False)
    with pytest.raises(ValueError, match='<p class="x"> is lost'):
        skeleton.fill("<p data-kind='1'></p>".replace("'", '"'))
