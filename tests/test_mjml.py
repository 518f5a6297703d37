import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import mjml
from newsletter.errors import Place, TemplateError
from newsletter.mjml import DEPTH_MAX, check_mjml, compile_mjml, guard_attributes


def place_in(source):
    def place_at(offset):
        before = source[:offset]
        return Place("main.mjml.j2", before.count("\n") + 1, offset - before.rfind("\n"))

    return place_at


def check(source, forbidden=""):
    check_mjml(source, place_in(source), forbidden)


def problems(source, forbidden=""):
    with pytest.raises(TemplateError) as raised:
        check(source, forbidden)
    return raised.value.problems


def document(body="", head=""):
    return f'<mjml lang="en" dir="ltr"><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>'


def column(content):
    return document(f"<mj-section><mj-column>{content}</mj-column></mj-section>")


# The check


EVERY_COMPONENT = document(
    head="""
  <mj-title>T</mj-title><mj-preview>P</mj-preview><mj-breakpoint width="480px" />
  <mj-attributes><mj-all font-family="Georgia" /><mj-class name="x" color="red" />
  <mj-text padding="0px" /></mj-attributes>
  <mj-style>@media (max-width: 9px) { a > b { color: red !important; } }</mj-style>
  <mj-raw><meta name="color-scheme" content="light dark" /></mj-raw>
  <mj-font name="Raleway" href="https://example.com/font.css" />""",
    body="""
  <!-- a comment -->
  <mj-wrapper css-class="w"><mj-section><mj-column>
    <mj-text mj-class="x">t &nbsp; &copy;<br /></mj-text><mj-table><tr><td>x</td></tr></mj-table>
    <mj-raw><tr><td>r</td></tr></mj-raw>
    <mj-image src="a.png" alt="x" /><mj-button href="https://example.com">b</mj-button><mj-divider />
    <mj-spacer height="9px" />
    <mj-social><mj-social-element name="github" href="https://example.com">x</mj-social-element></mj-social>
    <mj-navbar><mj-navbar-link href="https://example.com">x</mj-navbar-link></mj-navbar>
    <mj-accordion><mj-accordion-element><mj-accordion-title>a</mj-accordion-title><mj-accordion-text>b</mj-accordion-text>
    </mj-accordion-element></mj-accordion>
    <mj-carousel><mj-carousel-image src="a.png" /></mj-carousel>
  </mj-column></mj-section></mj-wrapper>
  <mj-section><mj-group><mj-column /></mj-group></mj-section>
  <mj-hero><mj-text>h</mj-text></mj-hero><mj-raw><p>x</p></mj-raw>""",
)


def test_every_component_of_the_table_is_accepted_and_compiles():
    check(EVERY_COMPONENT)
    assert set(mjml._ATTRIBUTES) <= set(re.findall(r"<(mj[a-z-]*)", EVERY_COMPONENT))
    assert "&copy;" in compile_mjml(EVERY_COMPONENT)


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        (document("\n  <mj-sektion></mj-sektion>"), 2, 3, "<mj-sektion> is no MJML tag (did you mean 'mj-section'?)"),
        (document("\n<p>x</p>"), 2, 1, "<p> is no MJML tag"),
        (
            document("\n\n <mj-text>x</mj-text>"),
            3,
            2,
            "<mj-text> cannot stand in <mj-body> (it stands in mj-column, mj-hero)",
        ),
        (document("\n<mj-section colour='red' />"), 2, 1, "<mj-section> has no attribute 'colour'"),
        (column('\n<mj-text font-size="9px" fontsize="9px">x</mj-text>'), 2, 1, "did you mean 'font-size'?"),
        (column('\n<mj-text\n  color="red"\n  href="x">x</mj-text>'), 2, 1, "no attribute 'href' (it takes: align,"),
        (
            document("\n<mj-include path='/etc/passwd' />"),
            2,
            1,
            "<mj-include> cannot be used (no file is included by MJML",
        ),
        (column("<mj-raw>\n<p><mj-include path='x' /></p></mj-raw>"), 2, 4, "<mj-include> cannot stand in <p>"),
        (
            column("<mj-text>\n<mj-button>x</mj-button></mj-text>"),
            2,
            1,
            "<mj-button> cannot stand in <mj-text>, which holds HTML",
        ),
        (document("<mj-wrapper>\n<mj-raw>x</mj-raw></mj-wrapper>"), 2, 1, "<mj-raw> cannot stand in <mj-wrapper>"),
        (
            document("<mj-section>\n  lost words <mj-column /></mj-section>"),
            2,
            3,
            "text directly in <mj-section> would be lost",
        ),
        (document("<mj-section><mj-column />\n lost</mj-section>"), 2, 2, "text directly in <mj-section>"),
        (document(head="\n<mj-style inline='inline'>p{}</mj-style>"), 2, 1, "put the rules into email/inline.css"),
        (document(head="\n<mj-html-attributes />"), 2, 1, "<mj-html-attributes> cannot be used"),
        (
            document(head="<mj-attributes>\n<mj-class name='x'><mj-text /></mj-class></mj-attributes>"),
            2,
            1,
            "close it at once",
        ),
        (document(head="<mj-attributes>\n<mj-txt color='x' /></mj-attributes>"), 2, 1, "did you mean 'mj-text'?"),
        (document(head="<mj-attributes>\n<mj-text colour='x' /></mj-attributes>"), 2, 1, "did you mean 'color'?"),
        (column("<mj-text>\n <![CDATA[x]]></mj-text>"), 2, 2, "'<![CDATA[x]]' cannot stand in MJML"),
        ("<p>\n</p>", 1, 1, "<p> is no MJML tag"),
        ("<mj-body />", 1, 1, "<mj-body> cannot be the outermost tag (write <mjml> around the whole)"),
        ("<?xml version='1.0'?>\n<mjml />", 1, 1, "cannot stand in MJML"),
        ("<!DOCTYPE mjml>\n<mjml />", 1, 1, "cannot stand in MJML"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_may_stand_there(source, line, column, words):
    first = problems(source)[0]
    assert first.place == Place("main.mjml.j2", line, column)
    assert words in str(first)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        (column("<mj-text>\n<b>x</mj-text>"), 2, "mismatch: b (opened in main.mjml.j2:2) and mj-text"),
        (column("<mj-text>\n<br></mj-text>"), 2, "write <br /> and <img"),
        (column("<mj-text>\na & b</mj-text>"), 2, "write & as &amp;"),
        (column("<mj-text>\n&nosuchname;</mj-text>"), 2, "nosuchname"),
        (column("<mj-text>\n<p title=x>y</p></mj-text>"), 2, "AttValue"),
        (column("<mj-text>\n\x0bx</mj-text>"), 2, "PCDATA"),
        ("<mjml>\n", 2, "in tag mjml (opened in main.mjml.j2:1) (close every tag"),
        ("", 1, "empty"),
        ("no tags", 1, "Start tag"),
    ],
)
def test_what_is_not_well_formed_is_told_with_its_line(source, line, words):
    (first,) = problems(source)
    assert first.place is not None
    assert first.place.line == line
    assert words in str(first)


def test_all_mistakes_are_told_at_once_in_order():
    found = problems(document("\n<mj-text />\n<mj-foo />\n<mj-section x='1' y='2' />"))
    assert [problem.place.line for problem in found if problem.place] == [2, 3, 4, 4]


def test_content_in_an_attribute_is_refused():
    assert "rich text in an attribute" in str(problems(column('<mj-image alt="tokenc1x" />'), "tokenc")[0])
    assert "rich text in an attribute" in str(
        problems(column('<mj-raw><p title="tokenc1x">x</p></mj-raw>'), "tokenc")[0]
    )
    check(column("<mj-raw><p>tokenc1x</p></mj-raw>"), "tokenc")


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 300, 10_000, 200_000])
def test_deep_nesting_never_reaches_the_compiler(depth):
    source = column("<mj-text>" + "<div>" * depth + "x" + "</div>" * depth + "</mj-text>")
    assert "100 tags" in problems(source)[0].hint


def test_nesting_up_to_the_limit_compiles():
    depth = DEPTH_MAX - 5
    source = column("<mj-text>" + "<div>" * depth + "x" + "</div>" * depth + "</mj-text>")
    check(source)
    assert compile_mjml(source).count("<div>") == depth


def test_an_entity_bomb_is_refused():
    bomb = '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><mjml>&b;</mjml>'
    assert problems(bomb)


# The guard


def test_what_the_compiler_would_corrupt_comes_out_as_it_went_in():
    alt = "❤️ हिन्दी ไทย \u00a0 back\\slash \n \"q\" 'r' <b> & © \u200b"
    source = column(f'<mj-image src="a.png" alt="{html.escape(alt)}" />')
    check(source)
    (written,) = re.findall(r'alt="([^"]*)"', compile_mjml(source))
    assert html.unescape(written) == alt


def test_attributes_of_html_are_guarded_and_its_text_is_not():
    source = column('<mj-raw><tr><td title="é&nbsp;\\">é &lt; \\ "padding: 0"</td></tr></mj-raw>')
    assert 'title="&#233;&#160;&#92;">é &lt; \\ "padding: 0"</td>' in compile_mjml(source)


def test_comments_are_left_alone():
    assert guard_attributes('<a b="é"/><!-- <p title="é"> -->') == '<a b="&#233;"/><!-- <p title="é"> -->'


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",), min_codepoint=32)))
def test_any_attribute_value_survives(value):
    fit = re.sub("[\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", "", value)
    source = column(f"<mj-image src=\"a.png\" alt='{html.escape(fit)}' />")
    (written,) = re.findall(r' alt="([^"]*)"', compile_mjml(source))
    assert html.unescape(written) == fit


@pytest.mark.parametrize(
    ("written", "guarded"),
    [
        ("0 20px", "0px 20px"),
        ("0", "0px"),
        ("10px 0 0 20px", "10px 0px 0px 20px"),
        ("0px 0%", "0px 0%"),
        ("100px", "100px"),
    ],
)
def test_a_padding_without_a_unit_gets_one(written, guarded):
    assert f'padding="{guarded}"' in guard_attributes(f'<mj-section padding="{written}">')
    assert f'inner-padding-left="{guarded}"' in guard_attributes(f'<mj-hero inner-padding-left="{written}">')


def test_outlooks_width_subtracts_the_padding():
    source = document('<mj-section padding="0 20px"><mj-column><mj-text>x</mj-text></mj-column></mj-section>')
    assert "width:560px" in compile_mjml(source)


def test_no_font_is_fetched_and_lang_and_dir_are_kept():
    written = compile_mjml(column("<mj-text>x</mj-text>"))
    assert "fonts.googleapis" not in written
    assert '<html lang="en" dir="ltr"' in written


def test_what_the_compiler_refuses_is_a_template_error():
    with pytest.raises(TemplateError, match="the MJML compiler refuses the theme"):
        compile_mjml("<mjml><mj-body><mj-section><mj-nothing /></mj-section></mj-body>")
