"""Merge fields in Markdown, places, and what Markdown would lose or take too long over."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import IssueError, Place
from newsletter.markup import (
    NESTING_LIMIT,
    TEXT_LIMIT,
    FieldSource,
    Source,
    build_parser,
    escape_markdown,
    mark_fields,
    parse_blocks,
    parse_field,
)
from newsletter.model import MARKER, Slot, marker

HERE = Place("f.md", 7, 1)


def parse(text: str) -> str:
    source = mark_fields(text, "f.md", 7)
    parser = build_parser()
    return str(parser.renderer.render(parse_blocks(parser, source), parser.options, {}))


def refused(text: str) -> str:
    with pytest.raises(IssueError) as caught:
        parse(text)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Merge fields
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a {{ name }} b", ["{{ name }}"]),
        ("{{name}}{{ email }}", ["{{name}}", "{{ email }}"]),
        ('| {{ name | default("a|b") }} |', ['{{ name | default("a|b") }}']),
        (r"\{{ name }}", []),
        (r"\\{{ name }}", ["{{ name }}"]),
        (r"\\\{{ name }}", []),
        ("{{{ name }}}", ["{{ name }}"]),
        ("{{ a } b }}", []),
        ("{{ a\n}}", []),
        ("{{ `x` }}", []),
        ("{{ 7*7 }}", ["{{ 7*7 }}"]),
        ("{% include 'x' %}", []),
        ("{ { name } }", []),
    ],
)
def test_fields_are_found_before_markdown(text: str, fields: list[str]) -> None:
    source = mark_fields(text, "f.md")
    assert [field.text for field in source.fields] == fields
    assert len(source.text) == len(text)
    assert len(MARKER.findall(source.text)) == len(fields)


def test_each_field_knows_its_place_and_its_number() -> None:
    source = mark_fields("a {{ b }}\n\n  {{ c }} {{ d }}", "f.md", 7, offset=40)
    assert source.fields == (
        FieldSource("{{ b }}", Place("f.md", 7, 3)),
        FieldSource("{{ c }}", Place("f.md", 9, 3)),
        FieldSource("{{ d }}", Place("f.md", 9, 11)),
    )
    assert source.text == f"a {marker(40, 7)}\n\n  {marker(41, 7)} {marker(42, 7)}"


def test_markers_in_the_source_are_none() -> None:
    source = mark_fields(f"{marker(0)} {{{{ name }}}} \ufdd0", "f.md")
    assert source.text == f"\ufffd\ufffd\ufffd {marker(0, 10)} \ufffd"


@pytest.mark.parametrize(
    ("field", "slot"),
    [
        ("{{ name }}", Slot("name")),
        ("{{name}}", Slot("name")),
        ('{{ name | default("dear reader") }}', Slot("name", "dear reader")),
        ("{{name|default('\"x\"')}}", Slot("name", '"x"')),
        ('{{ email | default("") }}', Slot("email")),
        ("{{ unsubscribe_url }}", Slot("unsubscribe_url")),
        ("{{ browser_url }}", Slot("browser_url")),
        ('{{ attributes.city | default("your city") }}', Slot("city", "your city")),
        ("{{ attributes.ville-natale }}", Slot("ville-natale")),
        ("{{ attributes.城市 }}", Slot("城市")),
    ],
)
def test_a_field_is_one_of_a_fixed_set_or_an_attribute_by_its_own_name(field: str, slot: Slot) -> None:
    assert parse_field(FieldSource(field, HERE)) == slot


@pytest.mark.parametrize(
    "field",
    [
        "{{ nme }}",
        "{{ 7*7 }}",
        "{{ }}",
        "{{}}",
        "{{ city }}",
        "{{ attributes }}",
        "{{ attributes. }}",
        "{{ attributes.a.b }}",
        "{{ attributes.a b }}",
        "{{ name.upper() }}",
        "{{ name | upper }}",
        "{{ name | default(x) }}",
        "{{ name | default('x) }}",
        "{{ name default('x') }}",
        "{{ NAME }}",
        "{{ ''.__class__ }}",
    ],
)
def test_any_other_field_is_an_error_that_lists_what_there_is(field: str) -> None:
    with pytest.raises(IssueError) as caught:
        parse_field(FieldSource(field, Place("f.md", 3, 5)))
    assert str(caught.value) == (
        f'f.md:3:5: unknown merge field {field} (write {{{{ FIELD }}}} or {{{{ FIELD | default("…") }}}} with one of '
        "name, email, unsubscribe_url, preferences_url, browser_url, attributes.COLUMN; "
        "or \\{{ for two braces as they are)"
    )


def test_a_place_is_where_words_stand_from_a_line_on() -> None:
    source = mark_fields("a b\n  b\n\nb c", "f.md", 7)
    near = Place("f.md", 7, 1)
    assert source.place_of("b", near) == Place("f.md", 7, 3)
    assert source.place_of("b", Place("f.md", 8, 1)) == Place("f.md", 8, 3)
    assert source.place_of("b c", near) == Place("f.md", 10, 1)
    assert source.place_of("d", near) == near
    assert source.place_of("", near) == near
    assert source.place_of("a", Place("f.md", 10, 1)) == Place("f.md", 10, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Markdown
# ---------------------------------------------------------------------------------------------------------------------


def test_every_link_is_a_link_whatever_its_address() -> None:
    assert parse("[x](javascript:alert(1)) ![y](data:x)") == (
        '<p><a href="javascript:alert(1)">x</a> <img src="data:x" alt="y" /></p>\n'
    )


def test_an_encoded_marker_in_an_address_is_not_decoded() -> None:
    encoded = "https://e.com/%EF%B7%90%EF%B7%92%EF%B7%91"
    assert parse(f"<{encoded}>") == f'<p><a href="{encoded}">{encoded}</a></p>\n'
    assert ">https://e.com/海<" in parse("<https://e.com/%E6%B5%B7>")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<!-- c --> *a*", "<p><!-- c --> <em>a</em></p>\n"),
        ("b\n<!-- c --> *a*", "<p>b\n<!-- c --> <em>a</em></p>\n"),
        ("<!-- c\nd --> *a*", "<p><!-- c\nd --> <em>a</em></p>\n"),
        ("- <!-- c --> *a*", "<ul>\n<li><!-- c --> <em>a</em></li>\n</ul>\n"),
        ("<!-- c -->\n*a*", "<!-- c -->\n<p><em>a</em></p>\n"),
        ("<!-- c\n\nd -->\n*a*", "<!-- c\n\nd -->\n<p><em>a</em></p>\n"),
        ("    <!-- c --> *a*", "<pre><code>&lt;!-- c --&gt; *a*\n</code></pre>\n"),
    ],
)
def test_what_stands_behind_a_comment_is_markdown(text: str, wanted: str) -> None:
    assert parse(text) == wanted


def test_references_to_control_characters_become_spaces() -> None:
    assert parse('a&#12;b&#13;c [d&#12;e](https://e.com/ "f&#12;g") ![h&#12;i](j)') == (
        '<p>a b c <a href="https://e.com/" title="f g">d e</a> <img src="j" alt="h i" /></p>\n'
    )


DEEP = "lists or quotes are nested more than 50 deep (take some of the '>' or indentation away)"
OPEN = "more than 100 brackets '[' are left open (close them, or write \\[ for a bracket as it is)"
CELLS = "a table row has 3 cells, its head 2 (give the head as many cells)"
HIDES = "is not closed, and would hide what follows (close it, or write it as code)"
LONG = "a paragraph of 32,769 characters; 32,768 may stand (split it with blank lines)"
TARGETS = (
    "the addresses of all links have 3,001,400 characters together; 2,000,000 may stand (use shorter ones, or fewer "
    "links)"
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n\n" + "> " * 60 + "x", 9, DEEP),
        ("- " * 10_000 + "x", 7, DEEP),
        ("> " * 10_000 + "x", 7, DEEP),
        ("x" * 32_769, 7, LONG),
        ("```\n" + "x\n" * 16_385 + "```", 7, LONG.replace("32,769", "32,770")),
        ("a\n\n" + "[" * 10_000, 9, OPEN),
        ("![" * 200, 7, OPEN),
        ("| a | b |\n|---|---|\n| 1 | 2 | 3 |", 7, CELLS),
        ("a\n\n|a|b|\n|-|-|\n||1|2|", 9, CELLS),
        ("a|b\n-|-\n1|2|3", 7, CELLS),
        ("> |a|b|\n> |-|-|\n> |1|2|3|", 7, CELLS),
        ("- |a|b|\n  |-|-|\n  |1|2|3|", 7, CELLS),
        ("a\n\n<!-- b\n\nc", 9, f"'<!--' {HIDES}"),
        ("<script>\nb", 7, f"'<script' {HIDES}"),
        ("> <style>\n\nb", 7, f"'<style' {HIDES}"),
        (f"[a]: https://e.com/{'x' * 30_000}\n\n" + "[a]\n\n" * 100, 7, TARGETS),
    ],
)
def test_what_markdown_would_lose_or_take_too_long_over_is_an_error(text: str, line: int, message: str) -> None:
    assert refused(text) == f"f.md:{line}:1: {message}"


@pytest.mark.parametrize(
    "text",
    [
        "> " * (NESTING_LIMIT // 2) + "x",
        "x" * TEXT_LIMIT,
        "[" * 100 + "]" * 100,
        "[x] " * 1_000,
        "\\[" * 1_000,
        "`" + "[" * 50 + "`",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 1 |\n| \\| | `x` |\n",
        "a|b\n-|-\n1|2\n|1|2|\n",
        "- |a|b|\n  |-|-|\n  |1|2|\n",
        "> a|b\n> -|-\n> 1|2\n",
        "<!-- a --> b\n\n<script>x</script>",
        "a &lt;!-- b `<!--`",
    ],
)
def test_what_is_well_within_bounds_is_read(text: str) -> None:
    assert parse(text)


def test_the_bounds_hold_for_recursion_too(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = build_parser()
    monkeypatch.setattr(parser.core, "process", _too_deep)
    with pytest.raises(IssueError, match="nested too deeply to be read"):
        parse_blocks(parser, Source("x", (), "f.md", 7))


def _too_deep(_: object) -> None:
    raise RecursionError


# ---------------------------------------------------------------------------------------------------------------------
# Foreign text as Markdown
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ email }}", r"\{\{ email \}\}"),
        ("<b>&amp;\n# x", r"\<b>\&amp; # x"),
        ("# x", r"\# x"),
        ("2026. A year", r"2026\. A year"),
        ('The U.S. "wins" (again) - 50%! R&D at a_b.', 'The U.S. "wins" (again) - 50%! R&D at a_b.'),
        ("a\x08b\ufdd0", "a b\ufffd"),
        ("  x  ", "x"),
    ],
)
def test_foreign_text_is_escaped(text: str, wanted: str) -> None:
    assert escape_markdown(text) == wanted


SIGNS = "*_`[]()<>#&\\{}|~!+-.:'\"\n "
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp")) | st.sampled_from(SIGNS)


@given(st.text(CHARACTERS, max_size=80))
def test_escaped_text_shows_as_it_is_and_is_no_field(text: str) -> None:
    escaped = escape_markdown(text)
    assert escape_markdown(" ".join(text.split())) == escaped
    assert mark_fields(escaped, "f.md").fields == ()
    shown = re.sub(r"^<p>|</p>\n$", "", parse(escaped))
    assert html.unescape(shown) == " ".join(text.split())
