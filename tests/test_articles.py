"""Sections, groups and articles: which heading or list means what."""

import pytest
from issue_files import BODY_LINE, FILE, FRONT, day, errors_of, parse

from newsletter.articles import BYLINE_MAX, heading_key
from newsletter.errors import Place
from newsletter.model import ARTICLE_KINDS, SECTION_KINDS, Article, Group, Item, RichText

LEAD = "## Most important news\n\n"
LIST = "- [A](https://e.com/a)\n- [B](https://e.com/b)\n"


def html(text: RichText | None) -> str | None:
    return text.html if text else None


def items(body: str) -> tuple[Item, ...]:
    [section] = parse(body).sections
    return section.items


def shape(body: str) -> list[str]:
    """Return an item a line: an article with its rank, a group, or text."""
    found = []
    for item in items(body):
        if isinstance(item, Article):
            rank = f"{item.rank}. " if item.rank else ""
            found.append(f"{rank}article {item.headline.html}: {html(item.summary)}")
        elif isinstance(item, Group):
            found.append(f"group {item.title.html} {item.url}".rstrip())
        else:
            found.append(f"text {item.html}")
    return found


def title_of(item: Item) -> str:
    text = item.headline if isinstance(item, Article) else item.title if isinstance(item, Group) else item
    return text.html


def article(item: str) -> Article:
    [found] = parse(f"## S\n\n- {item}\n").articles
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Sections
# ---------------------------------------------------------------------------------------------------------------------


def test_first_and_second_level_headings_open_sections_and_what_stands_before_is_the_editorial() -> None:
    issue = parse("Hello.\n\n### still\n\n# One\n\ntext\n\n## Two\n\nHead\n====\n\nNext\nline\n----\n")
    assert html(issue.editorial) == "<p>Hello.</p>\n<h3>still</h3>"
    assert [(section.name, section.level, section.kind) for section in issue.sections] == [
        ("One", 1, "text"),
        ("Two", 2, "text"),
        ("Head", 1, "text"),
        ("Next line", 2, "text"),
    ]


def test_cells_are_aligned_by_their_attribute() -> None:
    editorial = parse("| a | b | c |\n|:-:|--:|---|\n| 1 | 2 | 3 |\n").editorial
    assert editorial is not None
    for cell in ('<td align="center">1', '<td align="right">2', "<td>3"):
        assert cell in editorial.html


def test_headings_inside_quotes_and_lists_open_nothing_and_are_lowered() -> None:
    [section] = parse("## S\n\n> # q\n\n- ## l\n\n#### h4\n").sections
    assert [html(item) for item in section.items if isinstance(item, RichText)] == [
        "<blockquote>\n<h3>q</h3>\n</blockquote>\n<ul>\n<li>\n<h3>l</h3>\n</li>\n</ul>\n<h4>h4</h4>"
    ]


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Most important news", "lead"),
        ("  MOST important   News: ", "lead"),
        ("Most **important** news!", "lead"),
        ("In brief", "brief"),
        ("In brief.", "brief"),
        ("The line", "quote"),
        ("Sources", "text"),
        ("From our sponsor…", "sponsor"),
        ("Anything", "articles"),
        ("Anything {kind=lead}", "lead"),
        ("In brief {kind=articles}", "articles"),
        ("{kind=brief}", "brief"),
    ],
)
def test_the_kind_of_a_section_is_looked_up_by_its_heading_or_given(heading: str, kind: str) -> None:
    [section] = parse(f"## {heading}\n\n{LIST}").sections
    assert section.kind == kind
    assert "{" not in section.title.html + section.name


def test_a_section_without_articles_is_text() -> None:
    assert [section.kind for section in parse("## S\n\ntext\n\n## T\n\n### G\n\n## U\n").sections] == ["text"] * 3


def test_a_section_has_topics_and_waived_checks() -> None:
    [section] = parse("## S {topics=a,b waive=link-text}\n").sections
    assert (section.topics, section.waive, section.title.html) == (("a", "b"), ("link-text",), "S")


@pytest.mark.parametrize("kind", SECTION_KINDS)
def test_in_text_and_quotes_nothing_is_an_article(kind: str) -> None:
    [section] = parse(f"## S {{kind={kind}}}\n\n### [H](https://e.com/h)\n\n{LIST}").sections
    assert len(section.articles) == (0 if kind in ("text", "quote") else 2)
    assert bool(section.items)


def test_an_empty_text_section_has_no_items() -> None:
    assert items("## Sources\n\n<!-- later -->\n") == ()


@pytest.mark.parametrize(
    ("body", "editorial", "kinds"),
    [
        ("Hello.\n", "<p>Hello.</p>", []),
        (f"Hello.\n\n{LIST}\nBye.\n", "<p>Hello.</p>", ["A", "B", "<p>Bye.</p>"]),
        (f"Hello.\n\n### G\n{LIST}", "<p>Hello.</p>", ["G", "A", "B"]),
        ("Hello.\n\n### [A](https://e.com/a)\nx\n", "<p>Hello.</p>", ["A"]),
        ("### [A](https://e.com/a)\n### https://e.com/b\n", None, ["A", "https://e.com/b"]),
        ("### A [link](https://e.com/a)\n", '<h3>A <a href="https://e.com/a">link</a></h3>', []),
        ("", None, []),
    ],
)
def test_a_body_without_sections_is_an_editorial_up_to_its_first_article(
    body: str, editorial: str | None, kinds: list[str]
) -> None:
    issue = parse(body)
    assert html(issue.editorial) == editorial
    found = [item for section in issue.sections for item in section.items]
    assert [title_of(item) for item in found] == kinds
    assert all(section.name == "" and section.title.html == "" for section in issue.sections)


@pytest.mark.parametrize(
    ("heading", "key"),
    [
        (" In  Brief: ", "in brief"),
        ("À LA UNE !", "à la une"),
        ("要闻。", "要闻"),
        ("STRASSE", "strasse"),
        ("?!", ""),
    ],
)
def test_headings_are_compared_without_case_space_and_end_punctuation(heading: str, key: str) -> None:
    assert heading_key(heading) == key


# ---------------------------------------------------------------------------------------------------------------------
# Headings over articles, and articles by heading
# ---------------------------------------------------------------------------------------------------------------------


def test_a_linked_heading_is_an_article_up_to_the_next_heading_or_rule() -> None:
    body = "### [H](https://e.com/h)\none\n\ntwo\n\n- item\n\n---\n\nafter\n\n### [I](https://e.com/i)\n"
    assert shape(f"## S\n\n{body}") == [
        "article H: <p>one</p>\n<p>two</p>\n<ul>\n<li>item</li>\n</ul>",
        "text <hr>\n<p>after</p>",
        "article I: None",
    ]


def test_in_the_lead_section_a_list_of_articles_ends_the_summary_and_is_ranked_on() -> None:
    assert shape(f"{LEAD}### [H](https://e.com/h)\nsum\n\n{LIST}\nloose\n\n### [I](https://e.com/i)\n") == [
        "1. article H: <p>sum</p>",
        "2. article A: None",
        "3. article B: None",
        "text <p>loose</p>",
        "4. article I: None",
    ]


def test_elsewhere_a_linked_heading_above_a_list_of_articles_heads_a_group() -> None:
    assert shape(f"## S\n\n### [H](https://e.com/h)\nsum\n\n{LIST}") == [
        "group H https://e.com/h",
        "text <p>sum</p>",
        "article A: None",
        "article B: None",
    ]


@pytest.mark.parametrize("section", [LEAD, "## S\n\n"])
def test_right_above_a_list_of_articles_a_linked_heading_heads_a_group_everywhere(section: str) -> None:
    assert shape(f"{section}### [H](https://e.com/h)\n{LIST}")[0] == "group H https://e.com/h"


def test_a_list_without_links_is_part_of_the_summary() -> None:
    assert shape("## S\n\n### [H](https://e.com/h)\n- a\n- b [l](https://e.com/l)\n") == [
        'article H: <ul>\n<li>a</li>\n<li>b <a href="https://e.com/l">l</a></li>\n</ul>'
    ]


@pytest.mark.parametrize(
    ("heading", "group"),
    [
        ("Plain", "group Plain"),
        ("With *emphasis*", "group With <em>emphasis</em>"),
        ("[H](https://e.com/h) {topics=a}", None),
        ("[H](https://e.com/h) and more", None),
        ("[H](https://e.com/h) [I](https://e.com/i)", 'group <a href="https://e.com/h">H</a> <a href="https://e.com/i">I</a>'),
        ("About [H](https://e.com/h)", 'group About <a href="https://e.com/h">H</a>'),
        ("https://e.com/bare", "group https://e.com/bare"),
        ("[H](relative)", 'group <a href="relative">H</a>'),
    ],
)  # fmt: skip
def test_any_other_heading_heads_a_group(heading: str, group: str | None) -> None:
    [first, *_] = shape(f"## S\n\n### {heading}\n\ntext\n")
    assert first == group if group else first.startswith("article H: ")


@pytest.mark.parametrize(
    ("heading", "group"),
    [
        ("[video] [H](https://e.com/h)", 'group [video] <a href="https://e.com/h">H</a>'),
        ("[H](https://e.com/h) and more", 'group <a href="https://e.com/h">H</a> and more'),
        ("https://e.com/bare", "group https://e.com/bare"),
        ("[**H**](https://e.com/h)!", "group <strong>H</strong>! https://e.com/h"),
    ],
)
def test_a_group_keeps_all_of_its_heading(heading: str, group: str) -> None:
    assert shape(f"## S\n\n### {heading}\n{LIST}")[0] == group


# ---------------------------------------------------------------------------------------------------------------------
# Lists
# ---------------------------------------------------------------------------------------------------------------------


def test_items_that_begin_with_no_link_stay_a_list_in_their_place() -> None:
    assert shape("## S\n\n1. one\n2. [A](https://e.com/a)\n3. three\n4. four\n5. [B](https://e.com/b)\n6. six\n") == [
        "text <ol>\n<li>one</li>\n</ol>",
        "article A: None",
        'text <ol start="3">\n<li>three</li>\n<li>four</li>\n</ol>',
        "article B: None",
        'text <ol start="6">\n<li>six</li>\n</ol>',
    ]


def test_a_list_may_begin_at_nought() -> None:
    assert shape("## S\n\n0. zero\n1. one\n2. [A](https://e.com/a)\n3. three\n")[::2] == [
        'text <ol start="0">\n<li>zero</li>\n<li>one</li>\n</ol>',
        'text <ol start="3">\n<li>three</li>\n</ol>',
    ]


@pytest.mark.parametrize(
    "item",
    [
        "text [A](https://e.com/a)",
        "**[A](https://e.com/a)**",
        "[A](relative)",
        "[A](mailto:a@b.c)",
        "[A](javascript:alert(1))",
        "[A](https:///nohost)",
        "[](https://e.com/a)",
        "[![alt](https://e.com/i.png)](https://e.com/a)",
        "> [A](https://e.com/a)",
        "- [A](https://e.com/a)",
        "# [A](https://e.com/a)",
        "`https://e.com/a`",
        "https://e.com/a and more",
        "http://[bad",
        "[video]",
        "",
    ],
)
def test_an_item_that_begins_with_anything_else_is_no_article(item: str) -> None:
    assert parse(f"## S\n\n- {item}\n").articles == ()


@pytest.mark.parametrize(
    "item",
    [
        "[A](https://e.com/a)",
        "[A](http://e.com/a)",
        "[A](HTTPS://E.com/a)",
        "[**A** `b`](https://e.com/a)",
        "<!-- c --> [A](https://e.com/a)",
        "<https://e.com/a>",
        "[A][ref]\n\n[ref]: https://e.com/a",
        "[ref]\n\n[ref]: https://e.com/a",
        "[![alt](https://e.com/i.png) A](https://e.com/a)",
        "[x] [y] [A](https://e.com/a)",
    ],
)
def test_an_item_that_begins_with_a_link_is_an_article(item: str) -> None:
    assert parse(f"## S\n\n- {item}\n").articles[0].url.lower() in ("https://e.com/a", "http://e.com/a")


@pytest.mark.parametrize(
    ("item", "labels", "kind"),
    [
        ("[A](https://e.com/a)", (), ""),
        ("[video] [A](https://e.com/a)", ("video",), "video"),
        ("[Podcast][ZH] [A](https://e.com/a)", ("Podcast", "ZH"), "podcast"),
        ("[3 min] [A](https://e.com/a)", ("3 min",), ""),
        ("[video] [A](https://e.com/a) {kind=report}", ("video",), "report"),
        ("[A](https://e.com/a) {kind=sponsor}", (), "sponsor"),
    ],
)
def test_prefixes_are_labels_and_name_the_kind(item: str, labels: tuple[str, ...], kind: str) -> None:
    assert (article(item).labels, article(item).kind) == (labels, kind)


def test_every_kind_of_article_may_stand_in_braces() -> None:
    assert [article(f"[A](https://e.com/a) {{kind={kind}}}").kind for kind in ARTICLE_KINDS] == list(ARTICLE_KINDS)
    assert {"article", "interview", "paper", "tool", "brief", "sponsor"} <= set(ARTICLE_KINDS)


@pytest.mark.parametrize(
    ("item", "host", "url"),
    [
        ("https://e.com/a?b=1&c=2", "e.com", "https://e.com/a?b=1&c=2"),
        ("https://user:pw@E.com:8080/a", "e.com", "https://user:pw@E.com:8080/a"),
        ("https://e.com/海", "e.com", "https://e.com/%E6%B5%B7"),
        ("https://a&b.com/", "a&amp;b.com", "https://a&b.com/"),
        ("https://e.com/a {date=2026-11-20}", "e.com", "https://e.com/a"),
        ("https://e.com/a\n  with a summary", "e.com", "https://e.com/a"),
    ],
)
def test_a_bare_address_is_an_article_that_shows_its_host(item: str, host: str, url: str) -> None:
    found = article(item)
    assert (found.headline.html, found.url, found.bare) == (host, url, True)


def test_a_bare_address_keeps_its_attributes_and_its_summary() -> None:
    assert article("https://e.com/a {date=2026-11-20}").date == day("2026-11-20")
    assert html(article("https://e.com/a\n  with a summary").summary) == "<p>with a summary</p>"
    assert not article("[A](https://e.com/a)").bare


# ---------------------------------------------------------------------------------------------------------------------
# The parts of an article
# ---------------------------------------------------------------------------------------------------------------------


def test_the_title_of_the_link_is_the_source() -> None:
    assert article('[A](https://e.com/a "Quay &amp; Post")').source == "Quay & Post"


@pytest.mark.parametrize(
    ("rest", "byline", "summary"),
    [
        ("", None, None),
        (" by A", "by A", None),
        (": an interview", "an interview", None),
        (" — **A**, [B](https://e.com/b)", '<strong>A</strong>, <a href="https://e.com/b">B</a>', None),
        (" *by* A", "<em>by</em> A", None),
        ("：作者", "作者", None),
        (" - ", None, None),
        (" .NET blog", ".NET blog", None),
        (" -5 °C", "-5 °C", None),
        ("\n  text", None, "<p>text</p>"),
        ("\n  -5 °C", None, "<p>-5 °C</p>"),
        (" by A\n  Text of it.", "by A", "<p>Text of it.</p>"),
        (" by A  \n  text of it", "by A", "<p>text of it</p>"),
        (" by A\\\n  text of it", "by A", "<p>text of it</p>"),
        (" by A\n  > quote", "by A", "<blockquote>\n<p>quote</p>\n</blockquote>"),
        (" by A\n\n  para", "by A", "<p>para</p>"),
        (" by A\n  Line.\n\n  para", "by A", "<p>Line.</p>\n<p>para</p>"),
        (". Prose that\n  goes on", "Prose that\ngoes on", None),
        (". Prose that\n  DST ends", "Prose that\nDST ends", None),
        (" has been\n  released", "has been\nreleased", None),
        (". " + "Long prose. " * 10, None, f"<p>{('Long prose. ' * 10).strip()}</p>"),
        (". " + "Long prose " * 10 + "\n  goes on", None, f"<p>{('Long prose ' * 10).strip()}\ngoes on</p>"),
        (" " + "x" * BYLINE_MAX, "x" * BYLINE_MAX, None),
        (" " + "x" * (BYLINE_MAX + 1), None, f"<p>{'x' * (BYLINE_MAX + 1)}</p>"),
        ("\n  - a\n  - b", None, "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("<!-- c -->", None, None),
        (" <!-- c --> by A", "by A", None),
        ("\n  <br>text", None, "<p><br>text</p>"),
    ],
)
def test_byline_and_summary_are_told_apart(rest: str, byline: str | None, summary: str | None) -> None:
    found = article(f"[A](https://e.com/a){rest}")
    assert (html(found.byline), html(found.summary)) == (byline, summary)


@pytest.mark.parametrize(
    ("rest", "headline", "byline"),
    [
        ("? A: yes.", "A?", "A: yes."),
        ("！", "A！", None),
        ("s and more", "As", "and more"),
        ("'s plans", "A's", "plans"),
        ("’s", "A’s", None),
        ("作者", "A", "作者"),
        ("(x)", "A", "(x)"),
    ],
)
def test_what_touches_the_link_belongs_to_its_last_word(rest: str, headline: str, byline: str | None) -> None:
    found = article(f"[A](https://e.com/a){rest}")
    assert (found.headline.html, html(found.byline)) == (headline, byline)


@pytest.mark.parametrize(
    ("rest", "src", "summary"),
    [
        ("\n  ![p](a.png)\n  Text.", "a.png", "<p>Text.</p>"),
        ("\n  ![p](a.png)", "a.png", None),
        ("\n\n  ![p](a.png)\n\n  Text.", "a.png", "<p>Text.</p>"),
        ("\n\n  ![p](a.png)\n  Text.", "a.png", "<p>Text.</p>"),
        (" by A\n  ![p](a.png)\n  Text.", "a.png", "<p>Text.</p>"),
        ("\n  ![p](a.png) beside text", None, '<p><img src="a.png" alt="p"> beside text</p>'),
        ("\n  Text.\n\n  ![p](a.png)", None, '<p>Text.</p>\n<p><img src="a.png" alt="p"></p>'),
        ("\n  <!-- c --> ![p](https://e.com/i.png)\n  Text.", "https://e.com/i.png", "<p>Text.</p>"),
        ("\n  > ![p](a.png)", None, '<blockquote>\n<p><img src="a.png" alt="p"></p>\n</blockquote>'),
    ],
)
def test_the_picture_is_an_image_on_a_line_of_its_own_first_below_the_headline(
    rest: str, src: str | None, summary: str | None
) -> None:
    found = article(f"[A](https://e.com/a){rest}")
    assert (found.image.src if found.image else None, html(found.summary)) == (src, summary)


def test_a_picture_has_its_description_as_text_and_its_place() -> None:
    found = article("[A](https://e.com/a)\n  ![a *b* `c` &amp; ![d](e)](images/a%20b.png 'title')")
    assert found.image is not None
    assert (found.image.src, found.image.alt) == ("images/a%20b.png", "a b c & d")
    assert found.image.place == Place(FILE, BODY_LINE + 3, 30)


@pytest.mark.parametrize(
    "text",
    [
        "[A](https://e.com/a) by X {date=2026-11-20 topics=a,b kind=video follow-up=2026-11-18 waive=c}",
        "[A](https://e.com/a) {date=2026-11-20 topics=a,b kind=video follow-up=2026-11-18 waive=c}\n  Text.",
        "[A](https://e.com/a)\n  Text. {date=2026-11-20 topics=a,b kind=video follow-up=2026-11-18 waive=c}",
        "[A](https://e.com/a)\n  {date=2026-11-20 topics=a,b kind=video follow-up=2026-11-18 waive=c}",
    ],
)
def test_attributes_stand_at_the_end_of_a_line_or_of_the_first_paragraph(text: str) -> None:
    found = article(text)
    assert (found.date, found.topics, found.kind) == (day("2026-11-20"), ("a", "b"), "video")
    assert (found.follow_up, found.waive) == ("2026-11-18", ("c",))
    assert "{" not in f"{html(found.byline)}{html(found.summary)}"


def test_braces_elsewhere_are_text() -> None:
    found = article("[A {secrets}](https://e.com/a) {x} by {kind=video} X\n\n  End. {kind=video}")
    assert found.headline.html == "A {secrets}"
    assert html(found.byline) == "{x} by {kind=video} X"
    assert html(found.summary) == "<p>End. {kind=video}</p>"


def test_content_is_in_place_and_knows_it() -> None:
    issue = parse("## S\n\n- [A](https://e.com/a)\n\n  text\n- [B](https://e.com/b)\n  more\n\nloose\n")
    [first, second] = issue.articles
    assert first.place == Place(FILE, BODY_LINE + 2, 1)
    assert first.summary is not None
    assert first.summary.place == Place(FILE, BODY_LINE + 4, 3)
    assert second.summary is not None
    assert second.summary.place == second.place == Place(FILE, BODY_LINE + 5, 1)
    assert issue.sections[0].place == Place(FILE, BODY_LINE, 1)
    assert [item.place.line for item in issue.sections[0].items] == [BODY_LINE + 2, BODY_LINE + 5, BODY_LINE + 8]


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------------------------

SECTIONS = "unknown kind (kinds here: lead, articles, brief, sponsor, quote, text)"
ARTICLES = f"unknown kind (kinds here: {', '.join(ARTICLE_KINDS)})"
NO_ADDRESS = "an image has no address that mail can have (write a path beside the issue, or an address with https://)"
NO_DATE = "unknown attribute 'date' (here may stand: kind, topics, waive, reason)"
NO_KIND = "unknown attribute 'kind' (no attributes may stand on this heading)"


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ("## S {kind=list}\n", ["6:6: {kind=list}: " + SECTIONS]),
        ("## S {date=2026-11-20}\n", ["6:6: {date=2026-11-20}: " + NO_DATE]),
        ("## S\n\n### Group {kind=brief}\n", ["8:11: {kind=brief}: " + NO_KIND]),
        ("## S\n\n- [A](https://e.com/a) {kind=lead}\n", ["8:24: {kind=lead}: " + ARTICLES]),
        (
            "## S\n\n- [A](https://e.com/a)\n  x {date=tomorrow}\n",
            ["9:5: {date=tomorrow} cannot be read (write it like date=2026-11-20)"],
        ),
        ("## S {kind=a}\n\n## T {kind=b}\n\n## U\n", ["6:6: {kind=a}: " + SECTIONS, "8:6: {kind=b}: " + SECTIONS]),
        (
            "## S\n\n<div>" + "<b>" * 150 + "\n",
            ["8:1: HTML tags or emphasis are nested more than 100 deep (close the tags that are left open)"],
        ),
        ("- [A](https://e.com/a) {kind=x}\n", ["6:24: {kind=x}: " + ARTICLES]),
        (
            "- [A](https://e.com/a)\n  ![p](javascript:x)\n",
            [f"7:3: {NO_ADDRESS}"],
        ),
    ],
)
def test_mistakes_are_told_with_their_place_the_first_of_each_section(body: str, messages: list[str]) -> None:
    assert BODY_LINE == 6
    assert errors_of(FRONT + body) == [f"{FILE}:{message}" for message in messages]
