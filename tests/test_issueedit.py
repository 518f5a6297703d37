"""Edits of an issue's file: as an editor would have made them, and nothing else in it changed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from issue_files import FRONT, SECTIONS, ZONE

from newsletter.errors import InputError
from newsletter.issueedit import (
    Draft,
    complete_link,
    insert_article,
    move_article,
    remove_article,
    rewrite_article,
    set_summary,
)
from newsletter.issuelines import Grammar, IssueText, content_of, contents_of, read_issue_text

GRAMMAR = Grammar("2026-11-25", "issues/2026-11-25.md", SECTIONS, ZONE)
NEW = Draft(
    headline="A crane fell",
    url="https://port.example.com/crane?utm_source=x",
    source="Port Post",
    summary="It is up again.",
)
HEADING = '### [A crane fell](https://port.example.com/crane "Port Post")\nIt is up again.\n'
ITEM = '- [A crane fell](https://port.example.com/crane "Port Post")\n  > It is up again.\n'


def page(body: str) -> IssueText:
    return read_issue_text(FRONT + body, GRAMMAR)


def body_of(edited: IssueText) -> str:
    return edited.text.removeprefix(FRONT)


# ---------------------------------------------------------------------------------------------------------------------
# Inserting
# ---------------------------------------------------------------------------------------------------------------------

LEAD = "Hello.\n\n## Most important news\n\n### [One](https://a.example/1)\nFirst.\n\n### [Two](https://a.example/2)\nSecond.\n"
BRIEF = "## In brief\n\n- [One](https://a.example/1)\n- [Two](https://a.example/2)\n  > Second.\n\nThat was all.\n"


@pytest.mark.parametrize(
    ("body", "section", "rank", "wanted"),
    [
        (LEAD, "most important news", None, LEAD + "\n" + HEADING),
        (LEAD, "Most important news!", 1, LEAD.replace("### [One]", HEADING + "\n### [One]")),
        (LEAD, "Most important news", 2, LEAD.replace("### [Two]", HEADING + "\n### [Two]")),
        (LEAD, "Most important news", 99, LEAD + "\n" + HEADING),
        (LEAD.rstrip(), "Most important news", None, LEAD + "\n" + HEADING),
        (BRIEF, "In brief", None, BRIEF.replace("  > Second.\n", "  > Second.\n" + ITEM)),
        (BRIEF, "In brief", 1, BRIEF.replace("- [One]", ITEM + "- [One]")),
        ("## In brief\n\n## Sources\n\nUs.\n", "In brief", None, "## In brief\n\n" + ITEM + "\n## Sources\n\nUs.\n"),
        ("Hello.\n", "Digital", None, "Hello.\n\n## Digital\n\n" + HEADING),
        ("Hello.\n", "In brief", None, "Hello.\n\n## In brief\n\n" + ITEM),
        (BRIEF, "Most important news", None, "\n## Most important news\n\n" + HEADING + "\n" + BRIEF),
        (LEAD + "\n## Sources\n\nUs.\n", "Digital", 3, LEAD + "\n## Digital\n\n" + HEADING + "\n## Sources\n\nUs.\n"),
        (LEAD + "\n## Sources\n\nUs.\n", "In brief", 3, LEAD + "\n## In brief\n\n" + ITEM + "\n## Sources\n\nUs.\n"),
        (
            "## Digital\n\nA word first.\n\n* [One](https://a.example/1)\n\n* [Two](https://a.example/2)\n",
            "Digital",
            None,
            "## Digital\n\nA word first.\n\n* [One](https://a.example/1)\n\n* [Two](https://a.example/2)\n\n*"
            + ITEM[1:],
        ),
        (
            "## Digital\n\n* [One](https://a.example/1)\n\n* [Two](https://a.example/2)\n",
            "Digital",
            2,
            "## Digital\n\n* [One](https://a.example/1)\n\n*" + ITEM[1:] + "\n* [Two](https://a.example/2)\n",
        ),
        (
            "## Digital\n\n### Platforms\n- [One](https://a.example/1)\n\n### Shops\n- [Two](https://a.example/2)\n",
            "Digital",
            1,
            "## Digital\n\n### Platforms\n"
            + ITEM
            + "- [One](https://a.example/1)\n\n### Shops\n- [Two](https://a.example/2)\n",
        ),
    ],
)
def test_an_article_is_inserted_as_an_editor_would(body: str, section: str, rank: int | None, wanted: str) -> None:
    edited = insert_article(page(body), NEW, section, rank)
    assert body_of(edited) == wanted
    assert "https://port.example.com/crane" in [article.url for article in edited.issue.articles]


def test_a_numbered_list_is_numbered_on():
    edited = insert_article(
        page("## Digital\n\n1. [One](https://a.example/1)\n2. [Two](https://a.example/2)\n   Text.\n"),
        NEW,
        "Digital",
        2,
    )
    assert body_of(edited) == (
        '## Digital\n\n1. [One](https://a.example/1)\n2. [A crane fell](https://port.example.com/crane "Port Post")\n'
        "   > It is up again.\n3. [Two](https://a.example/2)\n   Text.\n"
    )


def test_numbers_grow_a_digit_and_their_text_moves_along():
    items = "".join(f"{n}. [N{n}](https://a.example/{n})\n   Text {n}.\n" for n in range(1, 10))
    edited = insert_article(page(f"## Digital\n\n{items}"), NEW, "Digital", 1)
    assert body_of(edited).endswith("10. [N9](https://a.example/9)\n    Text 9.\n")
    edited = remove_article(edited, 0)
    assert body_of(edited) == f"## Digital\n\n{items}"


@pytest.mark.parametrize("section", ["Sources", "The line"])
def test_a_section_of_text_takes_no_article(section: str) -> None:
    with pytest.raises(InputError, match="no article can stand"):
        insert_article(page(f"## {section}\n\nUs.\n"), NEW, section)


def test_articles_without_a_heading_would_become_editorial_and_are_left_alone():
    with pytest.raises(InputError, match="write one above them"):
        insert_article(page("- [One](https://a.example/1)\n"), NEW, "Digital")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://a.example/x", "", "file:///etc/passwd", "//a.example"])
def test_only_addresses_of_the_web_are_linked(url: str) -> None:
    with pytest.raises(InputError, match="no address of the web"):
        insert_article(page(LEAD), Draft(headline="x", url=url), "Digital")


def test_line_ends_and_byte_order_mark_stay():
    text = "\ufeff" + (FRONT + LEAD).replace("\n", "\r\n")
    edited = insert_article(read_issue_text(text, GRAMMAR), NEW, "Digital")
    assert edited.text == text + ("\n## Digital\n\n" + HEADING).replace("\n", "\r\n")


HOSTILE = [
    "{{ email }}",
    "{{{{ email }}}}",
    r"\{{ email }}",
    "<script>alert(1)</script>",
    "<!-- ",
    "[a](javascript:alert(1))",
    "](https://evil.example)",
    '" onmouseover="x',
    "&lt;b&gt; &#123;&#123; email }}",
    "# heading",
    "- item",
    "1. item",
    "```",
    "~~~",
    "    code",
    "> quote",
    "---",
    "===",
    "*a* _b_ ~~c~~ **d**",
    "a\n\n## A section\n\n- [x](https://evil.example)",
    "[x]: https://evil.example",
    "| a | b |\n|---|---|",
    "{kind=sponsor topics=x}",
    "\\",
    "a\\",
    "[video] x",
    "\u202egnp.exe",
    "\x00\x1b[31m",
    "\ud800",
    "https://evil.example",
    "=?UTF-8?Q?=0A?=Bcc: x@example.com",
]


@pytest.mark.parametrize("section", ["Most important news", "In brief", "Digital"])
@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_stays_text(text: str, section: str) -> None:
    before = page(LEAD + "\n" + BRIEF)
    edited = insert_article(before, Draft(headline=text, url="https://a.example/x", source=text, summary=text), section)
    added = next(article for article in edited.issue.articles if article.url == "https://a.example/x")
    assert edited.issue.slots == ()
    assert added.kind == ""
    assert added.topics == ()
    html = added.headline.html + (added.summary.html if added.summary else "")
    assert set(re.findall(r"<(\w+)", html)) <= {"p", "blockquote"}
    assert len(edited.issue.articles) == len(before.issue.articles) + 1


@given(
    st.text(st.sampled_from("ab1 \n*_`[]()<>#&;\\{}|~!+-.:'\"=中文。"), max_size=30),
    st.sampled_from(["In brief", "New"]),
)
def test_any_text_can_be_brought_in(text: str, section: str) -> None:
    edited = insert_article(
        page(BRIEF), Draft(headline=text, url="https://a.example/x", source=text, summary=text), section
    )
    added = next(article for article in edited.issue.articles if article.url == "https://a.example/x")
    assert added.source == re.sub(r"\{(?=\{)", "{ ", " ".join(text.split()))
    assert edited.issue.slots == ()


# ---------------------------------------------------------------------------------------------------------------------
# Moving, removing, rewriting
# ---------------------------------------------------------------------------------------------------------------------

BOTH = LEAD + "\n" + BRIEF


def test_an_article_moves_within_its_section():
    edited = move_article(page(LEAD), 1, "Most important news", 1)
    assert body_of(edited) == (
        "Hello.\n\n## Most important news\n\n### [Two](https://a.example/2)\nSecond.\n\n### [One](https://a.example/1)\nFirst.\n"
    )
    assert body_of(move_article(edited, 0, "Most important news")) == LEAD


def test_an_article_takes_the_form_of_its_new_section():
    edited = move_article(page(BOTH), 0, "In brief", 1)
    assert "## In brief\n\n- [One](https://a.example/1)\n\n  First.\n- [One]" in body_of(edited)
    edited = move_article(page(BOTH), 3, "Most important news", 1)
    assert "## Most important news\n\n### [Two](https://a.example/2)\n> Second.\n\n### [One]" in body_of(edited)
    assert body_of(edited).endswith("## In brief\n\n- [One](https://a.example/1)\n\nThat was all.\n")


def test_an_article_that_would_become_something_else_is_not_moved():
    body = LEAD + "\n## In brief\n\n- [A](https://a.example/a)\n  - [B](https://a.example/b)\n"
    with pytest.raises(InputError, match="do it by hand"):
        move_article(page(body), 2, "Most important news")


def test_removing_what_was_inserted_gives_back_the_file():
    for body in (LEAD, BRIEF, BOTH):
        for index in range(1, 4):
            section = "In brief" if body is BRIEF else "Most important news"
            edited = insert_article(page(body), NEW, section, index)
            added = next(n for n, article in enumerate(edited.issue.articles) if "crane" in article.url)
            assert body_of(remove_article(edited, added)) == body


def test_a_definition_of_a_link_behind_an_article_stays():
    body = "## Digital\n\n### [One][a]\nFirst.\n\n[a]: https://a.example/1\n[b]: https://a.example/2\n\n### [Two][b]\n"
    assert body_of(remove_article(page(body), 0)) == (
        "## Digital\n\n[a]: https://a.example/1\n[b]: https://a.example/2\n\n### [Two][b]\n"
    )


def test_a_summary_is_set_and_the_picture_stays():
    body = (
        '## Digital\n\n### [One](https://a.example/1 "S") {date=2026-11-20}\n![x](images/x.png)\nOld.\n\nMore.\n\nX\n'
    )
    edited = set_summary(page(body), 0, "New *text*.")
    assert body_of(edited) == (
        '## Digital\n\n### [One](https://a.example/1 "S") {date=2026-11-20}\n![x](images/x.png)\nNew \\*text\\*.\n'
    )
    assert body_of(set_summary(page(BRIEF), 1, "New.")) == BRIEF.replace("> Second.", "> New.")
    assert body_of(set_summary(page(BRIEF), 0, "New.")) == BRIEF.replace("/1)\n", "/1)\n  > New.\n")
    assert body_of(set_summary(page(BRIEF), 1, "")) == BRIEF.replace("  > Second.\n", "")


def test_an_article_is_rewritten_as_its_editor_wrote_it():
    assert page(BRIEF).written(1) == "- [Two](https://a.example/2)\n> Second.\n"
    edited = rewrite_article(page(BRIEF), 1, "- [Too](https://a.example/2)\n\nA paragraph.\n\n- a list\n")
    assert body_of(edited) == BRIEF.replace("- [Two]", "- [Too]").replace(
        "  > Second.", "\n  A paragraph.\n\n  - a list"
    )
    for wrong in (
        "",
        "no article",
        "- [A](https://a.example/a)\n\n## A section",
        "### [A](https://a.example/a)\n### [B](https://b.example)",
    ):
        with pytest.raises(InputError, match="nothing was changed"):
            rewrite_article(page(LEAD), 0, wrong)


def test_a_bare_address_is_completed_and_what_stands_there_stays():
    body = (
        "## Digital\n\n* https://a.example/1?utm_source=x {date=2026-11-20}\n  My own words.\n* https://b.example/2\n"
    )
    edited = complete_link(
        page(body), 0, Draft(headline="One", url="https://a.example/1", source="A", summary="Theirs.")
    )
    edited = complete_link(edited, 1, Draft(headline="Two", url="https://b.example/2", summary="Theirs."))
    assert body_of(edited) == (
        '## Digital\n\n* [One](https://a.example/1 "A") {date=2026-11-20}\n  My own words.\n'
        "* [Two](https://b.example/2)\n  > Theirs.\n"
    )
    with pytest.raises(InputError, match="has a headline already"):
        complete_link(edited, 0, NEW)


# ---------------------------------------------------------------------------------------------------------------------
# Any issue, any edit
# ---------------------------------------------------------------------------------------------------------------------

PIECES = [
    "Some words.\n",
    '### [Linked {n}](https://e.example/{n} "Src")\nA summary {{{{ name }}}}.\n',
    "### [Linked {n}](https://e.example/{n}) by Ada\n![alt](images/{n}.png)\nText.\n\nMore text.\n",
    "- [Item {n}](https://e.example/{n})\n  > Quoted.\n- [Item b{n}](https://e.example/b{n}) {{topics=a}}\n",
    "1. [Item {n}](https://e.example/{n})\n2. [Item b{n}](https://e.example/b{n})\n   Text below.\n",
    "- https://bare.example/{n}\n",
    "* plain item\n* [Item {n}](https://e.example/{n})\n\n* another\n",
    "### A group\n",
    "---\n",
    "> A quote.\n",
    "[ref{n}]: https://r.example/{n}\n",
    "<!-- a comment -->\n",
    "## Section {n}\n",
    "## In brief\n",
    "## Most important news\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "```\n## no heading\n- [x](https://x.example)\n```\n",
]
BODIES = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", "\n", "\n\n"])), max_size=9)


def others_of(edited: IssueText) -> list[object]:
    return [section.others for section in contents_of(edited.issue)[1] if section.others]


@given(BODIES, st.data())
def test_no_edit_changes_anything_else(pieces: list[tuple[str, str]], data: st.DataObject) -> None:
    body = "## First\n\n" + "".join(piece.format(n=n) + gap for n, (piece, gap) in enumerate(pieces))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    before = read_issue_text((FRONT + body).replace("\n", end), GRAMMAR)
    section = data.draw(st.sampled_from(["First", "In brief", "Most important news", "Wholly new"]))
    rank = data.draw(st.none() | st.integers(1, 5))
    index = data.draw(st.integers(0, max(len(before.issue.articles) - 1, 0)))
    kind = data.draw(st.sampled_from(["insert", "move", "remove"] if before.issue.articles else ["insert"]))
    known = [content_of(article, before.issue.slots) for article in before.issue.articles]
    try:
        if kind == "insert":
            after = insert_article(before, NEW, section, rank)
        elif kind == "move":
            after = move_article(before, index, section, rank)
        else:
            after = remove_article(before, index)
    except InputError:
        return
    found = [content_of(article, after.issue.slots) for article in after.issue.articles]
    if kind == "insert":
        found = [content for content in found if content.article[0] != "https://port.example.com/crane"]
    if kind == "remove":
        known.pop(index)
    assert sorted(found, key=repr) == sorted(known, key=repr)
    assert contents_of(before.issue)[0] == contents_of(after.issue)[0]
    assert others_of(after) == others_of(before)
    assert not re.search(r"(?<!\r)\n" if end == "\r\n" else r"\r", after.text)
    kept = set(before.lines) - {end}
    if kind == "insert" and "1. " not in body:
        assert all(line in after.lines or line.rstrip() == line for line in kept)
