import html
import re
import socket
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from newsletter.errors import ConfigError, TemplateError
from newsletter.inliner import (
    CssInlineInliner,
    PremailerInliner,
    check_inline_css,
    inline_css,
    inliner_named,
)
from newsletter.mjml import compile_mjml

CSS = """
/* plain rules */
td.pad { padding: 0 32px; }
td.top { padding-top: 10px; color: #5f6672; }
p.a, p.b { margin: 0; }
div.rich p { margin: 16px 0 0; }
div.rich .f { margin: 0; }
div.rich a { color: #b3261e; text-decoration: underline; }
p.b { font-family: 'Iowan Old Style', Georgia, serif; }
img { border: 0; width: 50%; }
h6 { color: red; }
"""
DARK = (
    "@media (prefers-color-scheme: dark) { .pad > b { color: #fff !important; } } "
    "[data-ogsc] .pad { color: #eee !important; } @font-face { font-family: X; src: url(https://example.com/x.woff); }"
)
MJML = f"""<mjml lang="fr" dir="ltr"><mj-head><mj-style>{DARK}</mj-style></mj-head><mj-body css-class="bg"><mj-section>
<mj-column><mj-raw><tr><td class="pad top" style="color:#1f2328"><p class="b">A &amp; B &lt; C</p>
<div class="rich"><p class="f">one <a href="https://example.com/?a=1&amp;b=%20x#é">link</a></p>
<p>two “é” 中文 🌉</p></div>
<img src="cid:1@x" alt="a &quot;b&quot; &gt; c" width="168" height="90" /></td></tr></mj-raw>
</mj-column></mj-section></mj-body></mjml>"""


@pytest.fixture(params=["premailer", "css-inline"])
def inliner(request):
    if request.param == "css-inline":
        pytest.importorskip("css_inline")
    return inliner_named(request.param)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("an inliner opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Styles(HTMLParser):
    """Collect (tag, class, declarations in force) of every tag with a style attribute."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "style" in values:
            declared = {}
            for declaration in filter(None, (part.strip() for part in values["style"].split(";"))):
                name, _, value = declaration.partition(":")
                name, value = name.strip(), re.sub(r"\s*,\s*", ",", value.strip()).replace('"', "'")
                if name in ("margin", "padding"):  # a shorthand resets what went before
                    declared = {key: kept for key, kept in declared.items() if not key.startswith(name + "-")}
                declared.pop(name, None)
                declared[name] = value
            self.found.append((tag, values.get("class", ""), declared))


def html_of(body="<p>x</p>", head=""):
    return f'<!doctype html><html lang="en" dir="ltr"><head>{head}</head><body>{body}</body></html>'


# The same for both


def test_both_write_the_same_declarations():
    pytest.importorskip("css_inline")
    html = compile_mjml(MJML)
    one, other = (Styles(inline_css(inliner_named(name), html, CSS)).found for name in ("premailer", "css-inline"))
    assert one == other
    assert ("p", "f", {"margin": "0"}) in one


def test_rules_reach_their_elements_and_a_style_attribute_wins(inliner):
    found = Styles(inline_css(inliner, compile_mjml(MJML), CSS)).found
    (cell,) = [declared for _, name, declared in found if name == "pad top"]
    assert cell == {"padding": "0 32px", "padding-top": "10px", "color": "#1f2328"}
    (paragraph,) = [declared for _, name, declared in found if name == "b"]
    assert paragraph == {"margin": "0", "font-family": "'Iowan Old Style',Georgia,serif"}


def test_style_sheets_with_media_and_dark_rules_stay_as_they_are(inliner):
    html = compile_mjml(MJML)
    inlined = inline_css(inliner, html, CSS)
    sheets = re.compile(r"<style\b[^>]*>(.*?)</style>", re.DOTALL)
    assert sheets.findall(inlined) == sheets.findall(html)
    assert DARK in inlined


def test_nothing_but_styles_and_the_form_of_tags_changes(inliner):
    html = compile_mjml(MJML)
    inlined = inline_css(inliner, html, CSS)
    without = re.sub(r' style="[^"]*"', "", inlined)
    assert without == re.sub(r' style="[^"]*"', "", html).replace(" />", ">")
    assert len(re.findall(r"<!--\[if.*?\[endif\]-->", inlined, re.DOTALL)) > 1


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/?a=1&amp;b=%20x#é",
        "https://zh.wikipedia.org/wiki/中国",
        "https://example.com/a b[c]|{d}$",
        "https://example.com/?q=%C3%A9&amp;copy=1",
        "mailto:a@example.com?subject=é",
        "cid:x@example.com",
    ],
)
def test_addresses_come_out_as_they_went_in(inliner, address):
    inlined = inline_css(inliner, html_of(f'<p><a href="{address}">x</a><img src="{address}" alt=""></p>'), CSS)
    assert f'href="{address}"' in inlined
    assert f'src="{address}"' in inlined


@pytest.mark.parametrize("text", ["<!-->", "a > b < c", "<h2>x</h2>", "é 中文 ❤️", "\"q\" & 'r'", "value0x", "&amp;lt;"])
def test_descriptions_come_out_as_they_went_in(inliner, text):
    body = f'<p title="{html.escape(text)}"><img src="a.png" alt="{html.escape(text)}"></p>'
    inlined = inline_css(inliner, html_of(body), CSS)
    assert f'alt="{html.escape(text)}"' in inlined
    assert f'title="{html.escape(text)}"' in inlined


def test_nothing_is_fetched(inliner, no_network, tmp_path):
    secret = tmp_path / "secret.css"
    secret.write_text("p { color: rebeccapurple; }")
    head = (
        f"<style>@import url(file://{secret}); @import 'http://127.0.0.1:9/x.css';</style>"
        f'<link rel="stylesheet" href="http://127.0.0.1:9/y.css"><link rel="stylesheet" href="file://{secret}">'
    )
    inlined = inline_css(inliner, html_of(head=head), "p { margin: 0; }")
    assert "rebeccapurple" not in inlined
    assert re.search(r"margin: ?0", inlined)


def test_the_same_input_gives_the_same_bytes(inliner):
    html = compile_mjml(MJML)
    assert len({inline_css(inliner, html, CSS) for _ in range(3)}) == 1
    assert inline_css(inliner_named("premailer"), html, CSS) == inline_css(inliner_named("premailer"), html, CSS)


def test_deep_content_is_kept_or_an_error_never_lost(inliner):
    html = html_of("<div>" * 400 + "deep words" + "</div>" * 400)
    try:
        inlined = inline_css(inliner, html, CSS)
    except TemplateError as error:
        assert "<div> is lost while CSS is inlined" in str(error)
    else:
        assert inlined.count("<div>") == 400
        assert "deep words" in inlined


def test_premailer_says_what_it_would_lose():
    html = html_of("<p>before</p>" + "<div>" * 400 + "deep words" + "</div>" * 400)
    with pytest.raises(TemplateError, match=r"<div> is lost while CSS is inlined \(nest tags less deeply"):
        inline_css(PremailerInliner(), html, CSS)


def test_an_inliner_that_drops_an_element_is_caught():
    class Dropping:
        def inline(self, html, css):
            return re.sub("<b class.*</b>", "", html)

    with pytest.raises(TemplateError, match='<b class="x"> is lost'):
        inline_css(Dropping(), html_of('<p>first <b class="x">second</b> third</p>'), CSS)


def test_a_style_attribute_that_is_no_css_is_an_error_or_harmless(inliner):
    try:
        inlined = inline_css(inliner, html_of('<p style="p">x</p>'), CSS + "p { margin: 0; }")
    except TemplateError as error:
        assert "style" in str(error)
    else:
        assert ">x</p>" in inlined


# What may be inlined


@pytest.mark.parametrize(
    ("css", "words"),
    [
        ("@import 'http://127.0.0.1/x.css';", "@import cannot be inlined"),
        ("@media print { p { color: red; } }", "@media cannot be inlined"),
        ("a:hover { color: red; }", "'a:hover' cannot be inlined"),
        ("p + p { color: red; }", "'p + p' cannot be inlined"),
        ("p ~ p, b { color: red; }", "'p ~ p, b' cannot be inlined"),
        ("p:first-child { color: red; }", "'p:first-child' cannot be inlined"),
        ("p { color: red !important; }", "!important"),
        ("p { color: red;", "cannot be read"),
        ("p { color: red; } }", "cannot be read"),
    ],
)
def test_what_no_tag_can_hold_is_refused(css, words):
    with pytest.raises(TemplateError) as raised:
        check_inline_css(css)
    assert words in str(raised.value)
    assert "email/screen.css" in str(raised.value)


def test_comments_and_nothing_are_fine(inliner):
    check_inline_css("/* @import 'x'; a:hover {} */")
    assert inline_css(inliner, html_of(), "") == html_of()


def test_ids_attributes_and_children_select_as_well(inliner):
    css = '#a { color: red; } [href="a+1~"] { color: green; } div > b { color: blue; }'
    body = '<p id="a">x</p><p id="b">y</p><a href="a+1~">z</a><a href="b">z</a>'
    inlined = inline_css(inliner, html_of(body + "<div><b>1</b><i><b>2</b></i></div>"), css)
    assert [declared for _, _, declared in Styles(inlined).found] == [{"color": c} for c in ("red", "green", "blue")]
    assert '<p id="b">y</p>' in inlined
    assert '<a href="b">z</a>' in inlined


def test_css_inline_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "css_inline", None)
    with pytest.raises(ConfigError, match=r"install newsletter\[fast\]"):
        CssInlineInliner().inline(html_of(), CSS)


def test_values_come_out_as_the_theme_wrote_them(inliner):
    css = "p { background-color: #FFF; font: 15px/1.5 'A B', \"C\"; width: calc(100% - 0.50px); } b { color: #FFF; }"
    body = '<p style="margin:0px; mso-line-height-rule:exactly;">x</p>'
    assert Styles(inline_css(inliner, html_of(body), css)).found == [
        (
            "p",
            "",
            {
                "background-color": "#FFF",
                "font": "15px/1.5 'A B','C'",
                "width": "calc(100% - 0.50px)",
                "margin": "0px",
                "mso-line-height-rule": "exactly",
            },
        )
    ]


@pytest.mark.parametrize("css", ["p { color: url(x; }", "p { color: 'x; }", "p { color }"])
def test_premailer_refuses_what_is_no_declaration(css):
    with pytest.raises(TemplateError, match=r"cannot read a style of the theme: .+ is no declaration"):
        inline_css(PremailerInliner(), html_of(), css)


def test_a_selector_that_is_none_is_an_error():
    with pytest.raises(TemplateError, match="cannot read a style of the theme"):
        inline_css(PremailerInliner(), html_of('<p class="x">x</p>'), "p..x { color: red; }")


def test_premailer_is_loaded_alone_and_leaves_no_stand_in():
    code = (
        "import sys; from newsletter.inliner import PremailerInliner; "
        "PremailerInliner().inline('<html><body><p>x</p></body></html>', 'p { margin: 0 }'); "
        "assert 'premailer' in sys.modules and not {'requests', 'cssutils'} & set(sys.modules); "
        "import requests, cssutils; assert requests.get and cssutils.parseString"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
