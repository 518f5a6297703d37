"""The text part: its layout in golden files, its lines by rule and property."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from issue_files import FRAME, day, parse, parse_text, shown, text_body, text_part

from newsletter.catalogs import load_catalog
from newsletter.model import Slot
from newsletter.plaintext import COLUMNS, TextFrame, display_width, render_text, wrap

GOLDEN = Path(__file__).parent / "golden" / "issue"
WHOLE_FRAME = TextFrame(
    title="Harbour Weekly",
    tagline="What the tide brought",
    dateline="Issue 7 · 25 November 2026",
    byline="by Ines Moreau",
    footer=(
        ("You receive this mail because you subscribed to Harbour Weekly.", ""),
        ("Unsubscribe:", "unsubscribe_url"),
        ("View in browser:", "browser_url"),
    ),
    date=load_catalog("en-GB").date,
)

# ---------------------------------------------------------------------------------------------------------------------
# The whole
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["everything"])
def test_a_whole_issue_is_set_as_it_was_looked_at(name: str, golden: Callable[[str, bytes], None]) -> None:
    issue = parse_text((GOLDEN / f"{name}.md").read_text(encoding="utf-8"))
    golden(f"issue/{name}.txt", text_part(issue, WHOLE_FRAME).encode())


def test_slots_of_the_issue_and_of_the_footer_are_pieces_of_their_own() -> None:
    part = render_text(parse('Hello {{ name | default("you") }}, {{ attributes.city }}!'), FRAME, str)
    assert [piece for piece in part if isinstance(piece, Slot)] == [
        Slot("name", "you"),
        Slot("city"),
        Slot("unsubscribe_url"),
    ]
    assert shown(part).endswith("Unsubscribe:\n<unsubscribe_url>\n")


def test_the_subject_heads_the_text_with_its_fields_and_the_byline_follows() -> None:
    issue = parse_text('---\nsubject: "News, {{ name }}"\ndate: 2026-11-25\n---\nText.\n')
    text = text_part(issue, replace(FRAME, byline="by A"))
    assert text.split("=" * 72)[1].startswith("\n\nNews, <name>\nby A\n\nText.\n\n----")


def test_an_issue_without_an_editorial_goes_from_its_subject_to_its_sections() -> None:
    assert text_body("## S\n\ntext") == "S\n-\n\ntext"


def test_the_frame_speaks_the_language_of_the_issue() -> None:
    issue = parse("## From our sponsor\n\n![Karte](a.png)\n\n- [x](https://e.com/x) {kind=video}\n")
    text = text_part(issue, language="fr")
    assert "(Sponsorisé)" in text or f"({load_catalog('fr').text('Sponsored')})" in text
    assert f"[{load_catalog('fr').text('Image: {alt}', alt='Karte')}]" in text
    assert f"- [{load_catalog('fr').text('video')}] x" in text


# ---------------------------------------------------------------------------------------------------------------------
# Articles
# ---------------------------------------------------------------------------------------------------------------------


def test_an_article_shows_source_date_and_byline_under_its_headline() -> None:
    body = '## S\n\n- [T](https://e.com/t "Post") by A {date=2026-11-20}\n'
    assert text_body(body).endswith("- T\n  Post · 2026-11-20 · by A\n  https://e.com/t")


def test_the_frame_says_how_a_date_is_written() -> None:
    issue = parse("## S\n\n- [T](https://e.com/t) {date=2026-11-20}\n")
    assert "  20 Nov 2026\n" in text_part(
        issue, replace(FRAME, date=lambda date: load_catalog("en-GB").date(date, "medium"))
    )
    assert "  2026-11-20\n" in text_part(issue)
    assert issue.articles[0].date == day("2026-11-20") != dt.date(2026, 11, 25)


def test_articles_of_a_line_or_two_stand_close_and_longer_ones_apart() -> None:
    body = "## S\n\n- [A](https://e.com/a)\n- [B](https://e.com/b) by X\n- [C](https://e.com/c)\n  Sum.\n- [D](https://e.com/d)\n"
    assert text_body(body).split("-\n\n", 1)[1] == (
        "- A\n  https://e.com/a\n- B\n  by X\n  https://e.com/b\n\n- C\n  Sum.\n  https://e.com/c\n\n- D\n  https://e.com/d"
    )


def test_ranks_number_the_lead_section_and_indent_by_their_width() -> None:
    items = "\n".join(f"- [T{n}](https://e.com/{n})" for n in range(1, 12))
    text = text_body(f"## Most important news\n\n{items}\n  Summary of the last.\n")
    assert "1. T1\n   https://e.com/1\n2. T2\n" in text
    assert text.endswith("11. T11\n    Summary of the last.\n    https://e.com/11")


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ("[T](https://e.com/t) {kind=video}", "- [Video] T"),
        ("[video] [T](https://e.com/t)", "- [video] T"),
        ("[Video] [T](https://e.com/t) {kind=video}", "- [Video] T"),
        ("[ZH] [T](https://e.com/t) {kind=report}", "- [Report] [ZH] T"),
        ("[T](https://e.com/t) {kind=article}", "- T"),
        ("[T](https://e.com/t) {kind=brief}", "- T"),
        ("[T](https://e.com/t) {kind=sponsor}", "- [Sponsored] T"),
    ],
)
def test_a_kind_is_a_word_before_the_headline_where_it_says_something(item: str, line: str) -> None:
    assert line in text_body(f"## S\n\n- {item}\n").split("\n")


def test_a_summary_that_is_all_one_quote_is_plain_and_a_quote_in_it_is_not() -> None:
    quoted = text_body("## S\n\n- [T](https://e.com/t)\n  > all of it\n")
    assert "  all of it\n" in quoted
    partly = text_body("## S\n\n- [T](https://e.com/t)\n  Said:\n\n  > some of it\n")
    assert "  > some of it\n" in partly
    twice = text_body("## S\n\n- [T](https://e.com/t)\n\n  > one\n\n  text\n\n  > two\n")
    assert "  > one\n\n  text\n\n  > two\n" in twice


def test_a_long_summary_is_parted_from_the_address_below() -> None:
    assert text_body("## S\n\n- [T](https://e.com/t)\n\n  One.\n\n  Two.\n").endswith(
        "  One.\n\n  Two.\n\n  https://e.com/t"
    )


def test_a_picture_shows_its_description_and_a_reference_where_it_is_on_the_network() -> None:
    body = "## S\n\n### [T](https://e.com/t)\n![{alt}]({src})\nSum.\n"
    assert "- T\n  [Image: A gull]\n  Sum." in text_body(body.format(alt="A gull", src="images/g.png"))
    assert "- T\n  Sum." in text_body(body.format(alt="", src="images/g.png"))
    assert "- T\n  [Image: A gull] [1]\n  Sum." in text_body(body.format(alt="A gull", src="https://e.com/g.png"))
    assert text_body(body.format(alt="", src="//e.com/g.png")).endswith("[1] //e.com/g.png")


def test_a_group_has_its_address_below() -> None:
    assert "Trade\n~~~~~\nhttps://e.com/g\n\n- T\n" in text_body(
        "## S\n\n### [Trade](https://e.com/g)\n- [T](https://e.com/t)\n"
    )


def test_a_first_level_section_has_a_double_rule_and_none_is_wider_than_its_title() -> None:
    assert text_body("# Ä long title\n\ntext").startswith("Ä long title\n============\n")
    assert text_body("## 海图\n\ntext").startswith("海图\n----\n")


def test_a_section_without_a_title_has_no_rule() -> None:
    assert text_body("- [T](https://e.com/t)\n") == "- T\n  https://e.com/t"


# ---------------------------------------------------------------------------------------------------------------------
# References
# ---------------------------------------------------------------------------------------------------------------------


def test_references_are_numbered_through_the_mail_and_listed_once_below_their_section() -> None:
    body = "[a](https://e.com/1) [b](https://e.com/2)\n\n## S\n\n[c](https://e.com/1) [d](https://e.com/3)\n"
    assert text_body(body) == (
        "a [1] b [2]\n\n[1] https://e.com/1\n[2] https://e.com/2\n\nS\n-\n\nc [1] d [3]\n\n[3] https://e.com/3"
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("<https://e.com/x>", "https://e.com/x"),
        ("[https://e.com/x](https://e.com/x) now", "https://e.com/x now"),
        ("[](https://e.com/x)", "[1]"),
        ("[ a ](https://e.com/x)b", "a [1] b"),
        ("[a](https://e.com/x)!", "a [1]!"),
        ("[a](https://e.com/x)'s", "a's [1]"),
        ("[海图](https://e.com/x)说", "海图[1]说"),
        ("[![g](https://e.com/g.png)](https://e.com/x)", "[Image: g] [1] [2]"),
        ("[a]()", "a"),
        ("**[a](https://e.com/x)**", "a [1]"),
        ("~~[a](https://e.com/x)~~", "~~a [1]~~"),
        ("~~&nbsp;~~ x", "\u00a0 x"),
    ],
)
def test_a_reference_stands_behind_the_words_of_its_link(body: str, line: str) -> None:
    assert text_body(body).split("\n")[0] == line.replace("\u00a0 x", "\u00a0 x").strip()


def test_a_reference_never_begins_a_line() -> None:
    for length in range(60, 76):
        text = text_body(f"{'x' * length} [word](https://e.com/x) y")
        assert "\n[1] " not in text.split("\n\n")[0]


def test_a_word_as_long_as_a_line_lets_its_reference_go() -> None:
    assert text_body(f"[{'x' * 72}](https://e.com/x)").split("\n")[:2] == ["x" * 72, "[1]"]
    assert text_body(f"[{'海' * 36}](https://e.com/x)").split("\n")[:2] == ["海" * 35, "海[1]"]


# ---------------------------------------------------------------------------------------------------------------------
# Blocks
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("a  \nb\\\nc<br>d", "a\nb\nc\nd"),
        ("a\n\n---\n\nb", "a\n\n* * *\n\nb"),
        ("### T\n\n#### U\n\n##### V", "T\n~\n\nU\n.\n\nV\n."),
        ("> a\n> > b\n>\n> c", "> a\n>\n> > b\n>\n> c"),
        ("- a\n- b\n  1. c\n  2. d", "- a\n- b\n  1. c\n  2. d"),
        ("- a\n\n- b\n\n  c", "- a\n\n- b\n\n  c"),
        ("8. a\n9. b\n10. c\n    d", "8. a\n9. b\n10. c d"),
        ("0. a\n1. b", "0. a\n1. b"),
        ("<ol start=-1><li>a<li>b</ol>", "-1. a\n0. b"),
        ("<ol start=x><li>a</ol>", "1. a"),
        ("<ol start=99999999999><li>a</ol>", "1. a"),
        ("<ul>x<li>a</li>y</ul>", "x\n- a\ny"),
        ("<li>a</li>", "- a"),
        ("- \n- b", "-\n- b"),
        ("<dl><dt>T<dd>D\n\nE</dl>", "T\n\n  D\n\n  E"),
        ("<div>a</div><div>b</div>", "a\n\nb"),
        ("<p>a<ul><li>b</ul>c</p>", "a\n\n- b\n\nc"),
        ("a\tb\n c", "a b c"),
        ("H<sub>2</sub>O <kbd>x</kbd>", "H2O x"),
        ("~~old~~ <del>gone</del> new", "~~old~~ ~~gone~~ new"),
    ],
)
def test_a_block_is_set_as_text(body: str, text: str) -> None:
    assert text_body(body) == text


def test_code_keeps_its_spaces_and_a_long_line_goes_on_deeper() -> None:
    code = "if a:\n    b  =  c\n\td\n\ne"
    assert text_body(f"```\n{code}\n```").split("\n") == [
        "    if a:",
        "        b  =  c",
        "        d",
        "",
        "    e",
    ]
    long = "    call(" + "argument, " * 12 + ")"
    lines = text_body(f"```\n{long}\n```").split("\n")
    assert len(lines) > 1
    assert lines[0].startswith("        call(argument,")
    assert all(line.startswith("        argument,") for line in lines[1:-1])
    assert all(len(line) <= COLUMNS for line in lines)
    assert "".join("".join(lines).split()) == "".join(long.split())


def test_code_that_has_no_space_to_cut_at_stays_whole() -> None:
    word = "x" * 90
    assert text_body(f"```\n{word}\n  {word} y\n```").split("\n") == [f"    {word}", f"      {word}", "        y"]


def test_raw_code_keeps_its_breaks_and_links() -> None:
    assert text_body("<pre>a<br>b <a href='https://e.com/x'>c</a></pre>") == "    a\n    b c [1]\n\n[1] https://e.com/x"


def test_a_table_that_fits_is_aligned_by_display_width() -> None:
    assert text_body("| 海 | b |\n|---|---|\n| ccc | d |\n| e |\n") == "海  | b\n----+--\nccc | d\ne   |"


def test_a_table_that_does_not_fit_is_set_row_by_row() -> None:
    cell = "word " * 8
    text = text_body(f"| a | b |\n|---|---|\n| {cell} | {cell} |\n")
    assert text.split("\n")[0] == "a | b"
    assert max(map(len, text.split("\n"))) <= COLUMNS
    assert text.count("word") == 16


def test_tables_within_tables_show_each_cell_once() -> None:
    body = "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td><td><p>d</p><p>e</p></td></tr></table>"
    assert text_body(body) == "a b c | d e"


def test_an_empty_table_shows_nothing() -> None:
    assert text_body("a\n\n<table><tr><td></td></tr></table>\n\nb") == "a\n\nb"


def test_what_is_nested_very_deeply_stays_within_the_line() -> None:
    words = "word " * 40
    text = text_body(f"{'> ' * 40}{words}\n\n{'- ' * 1}a\n" + "\n".join("  " * n + f"- {words}" for n in range(1, 22)))
    assert max(map(len, text.split("\n"))) <= COLUMNS
    assert text.count("word") == 40 * 22


# ---------------------------------------------------------------------------------------------------------------------
# Lines
# ---------------------------------------------------------------------------------------------------------------------


def test_lines_break_between_chinese_characters_but_never_before_a_comma_or_after_a_bracket() -> None:
    text = (
        "港务局本周公布了九年来的第一张新海图，北码头水深九米，（南码头水深七米），引航员说：「泥沙」比他们还要老得多。"
        * 4
    )
    for columns in range(20, 73):
        lines = wrap(text, display_width, columns=columns)
        assert "".join(lines) == text
        assert all(display_width(line) <= columns for line in lines)
        assert not any(line[0] in "，。）」：" or line[-1] in "（「" for line in lines)


def test_full_width_letters_and_a_mark_stay_with_their_word() -> None:
    assert wrap("海" * 35 + "ＡＢ", display_width) == ["海" * 35, "ＡＢ"]
    assert wrap("か\u3099" * 40, display_width)[0] == "か\u3099" * 36


def test_an_address_stays_whole_on_a_line_of_its_own() -> None:
    url = "https://example.com/" + "x" * 80
    assert wrap(f"see {url} there", display_width) == ["see", url, "there"]


def test_first_and_later_lines_begin_as_told() -> None:
    assert wrap("aa bb cc", display_width, "- ", "  ", 5) == ["- aa", "  bb", "  cc"]
    assert wrap("", display_width, "- ") == []
    assert wrap(" \n ", display_width) == []


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("海图", 4), ("か\u3099", 2), ("👩‍👩‍👧", 2), ("é", 1), ("a\u200bb", 2), ("é\x07", 2)],
)
def test_display_width_counts_columns(text: str, width: int) -> None:
    assert display_width(text) == width


WORDS = st.lists(st.text(alphabet="abc海图，。（「）Ａか\u3099中é-", min_size=1, max_size=90), max_size=30)


@settings(max_examples=300)
@given(WORDS, st.integers(8, 80), st.sampled_from(["", "- ", "> > "]))
def test_wrap_keeps_every_character_and_no_line_is_too_long_that_could_be_broken(
    words: list[str], columns: int, prefix: str
) -> None:
    text = " ".join(words)
    lines = wrap(text, display_width, prefix, " " * len(prefix), columns)
    bare = [line[len(prefix) :] for line in lines]
    assert "".join("".join(bare).split()) == "".join(text.split())
    for line in bare:
        assert display_width(line) + len(prefix) <= columns or len(wrap(line, display_width, columns=1)) == 1


BLOCKS = st.lists(
    st.sampled_from(
        [
            "word " * 30,
            "海图" * 50,
            "> " + "quote " * 20,
            "- item " + "x " * 40,
            "  - [link](https://example.com/x) " + "deep " * 20,
            "1. one\n   > " + "two " * 30,
            "```\n" + "code " * 30 + "\n```",
            "| " + "cell " * 10 + " | b |\n|---|---|\n| c | " + "cell " * 10 + " |",
            "### " + "heading " * 12,
            "![" + "alt " * 30 + "](https://example.com/i.png)",
        ]
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(BLOCKS)
def test_no_line_of_the_text_part_is_wider_than_72_columns(blocks: list[str]) -> None:
    for line in text_part(parse("\n\n".join(blocks))).split("\n"):
        assert display_width(line) <= COLUMNS or re.fullmatch(r"\[\d+\] \S+", line)


@pytest.mark.parametrize("length", range(40, 73))
def test_a_merge_field_is_never_broken_and_counts_as_its_default(length):
    lines = text_body("x" * length + ' {{ name | default("reader") }} and more').replace("<name>", "reader").split("\n")
    assert " ".join(lines).split() == ["x" * length, "reader", "and", "more"]
    assert lines == wrap(f"{'x' * length} reader and more", len)
