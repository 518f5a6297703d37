"""Issue files from their bytes: the whole value, its fields, images and warnings, and every mistake with its place."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from issue_files import (
    BODY_LINE,
    FILE,
    FRONT,
    ZONE,
    day,
    errors_of,
    parse,
    parse_bytes,
    parse_text,
    text_part,
)

from newsletter.errors import IssueError, Place
from newsletter.issue import (
    SIZE_LIMIT,
    decode_issue,
    is_local_image,
    read_head,
    rich_texts,
)
from newsletter.model import Approval, Issue, RichText, Slot, marker

GOLDEN = Path(__file__).parent / "golden" / "issue"


def warnings_of(issue: Issue) -> list[str]:
    return [str(problem).removeprefix(f"{FILE}:") for problem in issue.warnings]


def cases_of(name: str) -> list[str]:
    """Return the inputs of a golden file, in which messages stand behind ``->`` below each."""
    cases = (GOLDEN / name).read_text(encoding="utf-8").split("%%\n")
    assert len(cases) > 8
    return ["".join(line for line in case.splitlines(keepends=True) if not line.startswith("-> ")) for case in cases]


# ---------------------------------------------------------------------------------------------------------------------
# The whole
# ---------------------------------------------------------------------------------------------------------------------

WHOLE = """\
---
number: 212
subject: China reins in facial recognition
preheader: Why policy is one more P
date: 2026-11-25
send_at: 2026-11-25 08:00
not_after: 36 hours
author: Margaux Lin
lang: en-GB
audience: weekly
topics: [policy, privacy]
waive: links.generic-text
select:
  Digital: {limit: 6}
approved: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef by mark 2026-11-24
---
Hello.

## Digital

- [A](https://e.com/a)
"""


def test_a_whole_file_becomes_an_issue() -> None:
    issue = parse_text(WHOLE)
    assert (issue.slug, issue.file, issue.number) == ("2026-11-25", FILE, "212")
    assert (issue.subject, issue.preheader) == ("China reins in facial recognition", "Why policy is one more P")
    assert issue.date == day("2026-11-25")
    assert issue.send_at == dt.datetime(2026, 11, 25, 8, tzinfo=ZONE)
    assert issue.not_after == dt.datetime(2026, 11, 26, 20, tzinfo=ZONE)
    assert (issue.author, issue.lang, issue.audience) == ("Margaux Lin", "en-GB", "weekly")
    assert (issue.topics, issue.waive) == (("policy", "privacy"), {"links.generic-text": ""})
    assert issue.select == {"Digital": {"limit": "6"}}
    assert issue.approved == Approval("0123456789abcdef" * 4, "mark", day("2026-11-24"))
    assert issue.editorial == RichText("<p>Hello.</p>", Place(FILE, 17, 1))
    assert [section.name for section in issue.sections] == ["Digital"]


def test_the_head_alone_is_read_without_the_body() -> None:
    head = read_head(WHOLE.replace("Hello.", "{{ nonsense }}"), slug="2026-11-25", file=FILE, zone=ZONE)
    assert head.send_at == dt.datetime(2026, 11, 25, 8, tzinfo=ZONE)
    assert (head.editorial, head.sections) == (None, ())


def test_what_is_left_out_has_its_default() -> None:
    issue = parse_text("---\nsubject: x\npreheader:\nauthor: ~\n---\n", slug="2026-11-25.zh")
    assert issue == Issue(slug="2026-11-25.zh", file=FILE, subject="x", date=day("2026-11-25"))


def test_an_encoded_word_that_hides_nothing_is_text() -> None:
    assert parse_text("---\nsubject: =?utf-8?q?caf=C3=A9?=\n---\n").subject == "=?utf-8?q?caf=C3=A9?="


def test_a_subject_may_be_long_but_not_longer() -> None:
    assert len(parse_text(f"---\nsubject: {'x' * 400}\n---\n").subject) == 400


def test_line_ends_a_byte_order_mark_and_control_characters_make_no_difference() -> None:
    plain = parse_text("---\nsubject: x y\n---\na b\n\nc\n")
    for content in (b"---\r\nsubject: x\x08y\r\n---\r\na\x1bb\r\n\r\nc\r\n", b"---\rsubject: x y\r---\ra b\r\rc\r"):
        assert parse_bytes(b"\xef\xbb\xbf" + content) == plain


@pytest.mark.parametrize(
    ("text", "decoded"),
    [("a\u2028b\x85c", "a b c"), ("\ufdd0\ufffe", "\ufffd\ufffd"), ("\U0001f600\u200b\t", "\U0001f600\u200b\t")],
)
def test_decoded_text_holds_nothing_that_mail_may_not(text: str, decoded: str) -> None:
    assert decode_issue(text.encode(), FILE) == decoded


# ---------------------------------------------------------------------------------------------------------------------
# Merge fields
# ---------------------------------------------------------------------------------------------------------------------


def test_fields_are_slots_wherever_text_is() -> None:
    issue = parse_text(
        '---\nsubject: "News for {{ name }}"\npreheader: "{{ attributes.city }}"\ndate: 2026-11-25\n---\n'
        'Hello {{ name | default("reader") }}\n\n'
        "## {{ attributes.a }}\n\n### {{ attributes.b }}\n"
        "- [{{ attributes.c }}](https://e.com/) by {{ attributes.d }}\n"
        "  > {{ attributes.e }}\n\n| {{ attributes.f | default('x|y') }} |\n|---|\n| {{ email }} |\n\n"
        "<b>{{ unsubscribe_url }}</b> **{{ browser_url }}**\n"
    )
    names = [slot.field for slot in issue.slots]
    assert names == ["name", "a", "b", "c", "d", "e", "f", "email", "unsubscribe_url", "browser_url", "name", "city"]
    assert issue.slots[0] == Slot("name", "reader")
    assert issue.slots[6] == Slot("f", "x|y")
    assert issue.subject == f"News for {marker(10, 10)}"
    assert issue.preheader == marker(11, 21)
    [article] = issue.articles
    assert article.headline.html == marker(3, 18)
    assert article.byline is not None
    assert article.byline.html == f"by {marker(4, 18)}"
    text = text_part(issue)
    assert "Hello <name>" in text
    assert "| <email>" not in text
    assert "\n<email>\n" in text


def test_fields_in_code_and_comments_stay_as_they_were_written() -> None:
    issue = parse(
        '`{{ a | default("<") }}` <!-- {{ b }} -->\n\n```\n{{ c }}\n```\n\n    {{ d }}\n\n'
        "<pre>{{ e }}</pre> <code>{{ f }}</code>\n\n"
        "<script>{{ g }}</script>\n\n## `{{ h }}`\n\n- [`{{ i }}`](https://e.com/)\n"
    )
    assert issue.slots == (Slot(""),) * 9
    text = text_part(issue)
    shown = ('{{ a | default("<") }}', "    {{ c }}", "    {{ d }}", "    {{ e }}", "{{ f }}", "{{ h }}", "- {{ i }}")
    assert [field for field in shown if field not in text] == []
    assert "{{ b }}" not in text
    assert "{{ g }}" not in text


def test_escaped_braces_are_braces() -> None:
    issue = parse_text('---\nsubject: "\\\\{{ name }}"\ndate: 2026-11-25\n---\n\\{{ name }} `\\{{ x }}`\n')
    assert issue.subject == "{{ name }}"
    assert issue.editorial is not None
    assert issue.editorial.html == "<p>{{ name }} <code>\\{{ x }}</code></p>"
    assert issue.slots == ()


def test_nobody_can_forge_a_field() -> None:
    forged = marker(0)
    references = "".join(f"&#x{ord(character):x};" for character in forged)
    encoded = "https://e.com/%EF%B7%90%EF%B7%92%EF%B7%91"
    issue = parse_text(
        f'---\nsubject: "{forged} \\uFDD0\\uFDD2\\uFDD1"\ndate: 2026-11-25\n---\n'
        f"{forged} {references} <b>{references}</b> <abbr title='{references}'>x</abbr> {{{{ name }}}}\n\n"
        f"![{references}](a.png)\n"
    )
    assert issue.subject == "\ufffd" * 3 + " " + "\ufffd" * 3
    assert [slot.field for slot in issue.slots] == ["name"]
    assert text_part(issue).count("<name>") == 1
    assert parse(f"<{encoded}>").slots == ()
    assert parse(f"[x]({encoded})").slots == ()


MISPLACED = (
    "a merge field stands in a link's target or title, or in an image's description "
    "(merge fields may stand in text only)"
)


@pytest.mark.parametrize(
    ("body", "column"),
    [
        ("[x](https://e.com/{{name}})", 19),
        ("[x](https://e.com/ '{{ name }}')", 21),
        ("![{{ name }}](a.png)", 3),
        ("![x]({{name}}.png)", 6),
        ("<a href='https://e.com/{{ name }}'>x</a>", 24),
        ("<a href='{{ browser_url }}'>x</a>", 10),
        ("<img src='a.png' alt='{{ name }}'>", 23),
        ("<https://e.com/{{name}}>", 16),
        ("- https://e.com/{{name}}", 17),
        ("- [x](https://e.com/{{name}})", 21),
        ("- [x](https://e.com/ '{{ name }}')", 23),
        ("- [x](https://e.com/)\n  ![{{ name }}](a.png)", 5),
        ("### [x](https://e.com/{{name}})\n- [y](https://e.com/)", 23),
    ],
)
def test_fields_in_addresses_titles_and_descriptions_are_errors_at_their_place(body: str, column: int) -> None:
    line = BODY_LINE + body.count("\n", 0, body.index("{{"))
    assert errors_of(FRONT + body) == [f"{FILE}:{line}:{column}: {MISPLACED}"]


# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------


def test_local_images_are_listed_once_each_with_the_place_of_the_first() -> None:
    issue = parse(
        "![a](images/a.png) and\n![b](https://e.com/b.png)\n\n<img src='c.png' alt='c'>\n\n"
        "## S\n\n- [x](https://e.com/)\n  ![d](d.png)\n\n![again](images/a.png)\n"
    )
    assert [(image.src, image.alt, image.place.line, image.place.column) for image in issue.images] == [
        ("images/a.png", "a", BODY_LINE, 6),
        ("c.png", "c", BODY_LINE + 3, 11),
        ("d.png", "d", BODY_LINE + 8, 8),
    ]


@pytest.mark.parametrize(
    ("src", "local"),
    [
        ("a.png", True),
        ("/a.png", True),
        ("../a.png", True),
        ("", False),
        ("https://e.com/a.png", False),
        ("//e.com/a.png", False),
        ("cid:x", False),
        ("#a", False),
    ],
)
def test_an_image_is_local_where_it_names_a_file(src: str, local: bool) -> None:
    assert is_local_image(src) is local


def test_rich_texts_come_in_reading_order() -> None:
    body = "1\n\n## 2\n\n3\n\n### 4\n- [5](https://e.com/) 6\n  > 7\n"
    html = "".join(text.html for text in rich_texts(parse(body)))
    assert "".join(character for character in html if character.isdigit()) == "1234567"


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------------------------


def test_each_mistake_says_where_it_stands_and_what_may_stand_there(golden: Callable[[str, bytes], None]) -> None:
    told = []
    for text in cases_of("mistakes.txt"):
        messages = errors_of(text, slug="draft")
        assert all(message.startswith(f"{FILE}:") for message in messages)
        told.append(text + "".join(f"-> {message.removeprefix(f'{FILE}:')}\n" for message in messages))
    golden("issue/mistakes.txt", "%%\n".join(told).encode())


HEAD = b"---\nsubject: x\n---\n"
NESTED = "4:1: lists or quotes are nested more than 50 deep ("
YAML = "2:1: the front matter is not valid YAML: nested too deeply ("


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1:1: no front matter: the file begins with an empty line ("),
        (b"x" * 5_000_000, "1:1: the file has 5,000,000 bytes; an issue may have 500,000 (is this the right file?)"),
        (b"---\nsubject: x\n---\na\n b\0c", "5:3: a NUL character (delete it; is this a text file?)"),
        (b"---\nsubject: \xff\n---\n", "2:10: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        ("---\nsubject: é".encode("latin-1"), "2:10: byte 0xe9 is not UTF-8 (save the file as UTF-8)"),
        ("---\na: 海 \ud800".encode("utf-8", "surrogatepass"), "2:6: byte 0xed is not UTF-8 (save the file as UTF-8)"),
        (HEAD.decode().encode("utf-16"), "1:1: the file is UTF-16 (save it as UTF-8)"),
        (b"\xfe\xff\x00-", "1:1: the file is UTF-16 (save it as UTF-8)"),
        (HEAD + b"> " * 10_000, NESTED),
        (HEAD + b"- " * 10_000 + b"x", NESTED),
        (HEAD + b"[" * 10_000, "4:1: more than 100 brackets '[' are left open ("),
        (HEAD + b"<div>" * 5_000, "4:1: HTML tags or emphasis are nested more than 100 deep ("),
        (HEAD + b"<div>" * 10_000, "4:1: a paragraph of 50,000 characters; 32,768 may stand ("),
        (b"---\nsubject: " + b"[" * 1_000 + b"\n---\n", YAML),
        (b"---\nselect: " + b"{a: " * 1_000 + b"\n---\n", YAML),
    ],
)
def test_content_that_is_no_issue_is_told(content: bytes, message: str) -> None:
    assert errors_of(content)[0].startswith(f"{FILE}:{message}")


def test_a_file_may_be_half_a_megabyte() -> None:
    paragraph = b"word " * 1_000 + b"\n\n"
    content = FRONT.encode() + paragraph * 99
    assert len(content) < SIZE_LIMIT
    assert len(rich_texts(parse_bytes(content))) == 1


def test_emphasis_of_any_depth_is_read_or_refused() -> None:
    assert errors_of(FRONT + "*a " * 10_000 + "a*" * 10_000)[0].startswith(f"{FILE}:6:1: a paragraph of ")
    for body in ("*a " * 5_000 + "a*" * 5_000, "*" * 10_000 + "a" + "*" * 10_000):
        assert errors_of(FRONT + body)[0].startswith(f"{FILE}:6:1: HTML tags or emphasis are nested more than 100 deep")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("</mj-text>", ""),
        ("a </mj-text></mj-column> b", "a  b"),
        ("{% include '/etc/passwd' %} {# x #}", "{% include '/etc/passwd' %} {# x #}"),
        ("<script>alert(1)</script>x", "x"),
        ("a <mj-include path='/etc/passwd' /> b", "a  b"),
        ("[x](javascript:alert(1))", "<a>x</a>"),
        ("[x](JaVaScRiPt:alert(1) 'y')", '<a title="y">x</a>'),
        ("<a href='java&#115;cript:alert(1)' onclick='x'>x</a>", "<a>x</a>"),
        ("[x](vbscript:x) [y](data:text/html,z) [z](file:///etc/passwd)", "<a>x</a> <a>y</a> <a>z</a>"),
    ],
)
def test_what_could_do_harm_is_harmless(body: str, shown: str) -> None:
    editorial = parse(body).editorial
    html = editorial.html.removeprefix("<p>").removesuffix("</p>") if editorial else ""
    assert html == shown


# ---------------------------------------------------------------------------------------------------------------------
# Warnings
# ---------------------------------------------------------------------------------------------------------------------


def test_what_will_hardly_look_as_it_was_meant_is_odd(golden: Callable[[str, bytes], None]) -> None:
    cases = cases_of("warnings.txt")
    told = [body + "".join(f"-> {warning}\n" for warning in warnings_of(parse(body))) for body in cases]
    golden("issue/warnings.txt", "%%\n".join(told).encode())


# ---------------------------------------------------------------------------------------------------------------------
# Anything
# ---------------------------------------------------------------------------------------------------------------------

PIECES = """\
a word 中文 ， 「 한국어 🎉 ＡＢ * ** _ ` `` ~~ [ ] ( ) ]( ![ | \\ & &amp; &#8; &#xFDD0; <b> </b> <div> </div> <table>
<td> </table> <script> </script> <!-- --> <T> <a href=" "> {{ }} {{name}} {{x}} {kind=video} {knd=x} [T](https://e.com/t)
[ref] https://e.com/x # = + - 1. javascript: " ' “ ” \u200b \u3099 \x08 \u2028 \ufdd0\ufdd2\ufdd1 %EF%B7%90
""".split()
LINES = ["\n", "\n\n", "\n- ", "\n  - ", "\n1. ", "\n> ", "\n## ", "\n### ", "\n---\n", "\n```\n", "\n    "]
BODIES = st.lists(st.sampled_from([*PIECES, *LINES, "  \n", "\t", " "]), max_size=40).map("".join) | st.text(
    max_size=60
)


@settings(max_examples=250, deadline=None)
@given(BODIES)
def test_any_body_is_read_or_refused_with_places(body: str) -> None:
    text = FRONT + body
    try:
        issue = parse_text(text)
    except IssueError as error:
        places = [problem.place for problem in error.problems]
    else:
        places = [problem.place for problem in issue.warnings]
        assert text_part(issue).endswith("<unsubscribe_url>\n")
    lines = len(text.splitlines()) + 1
    assert all(place and 1 <= place.line <= lines and place.column >= 1 for place in places)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["", "subject: x\n"]))
def test_any_front_matter_is_read_or_refused(text: str, subject: str) -> None:
    content = f"---\n{subject}{text}\n---\nbody\n".encode("utf-8", "surrogatepass")
    try:
        told = parse_bytes(content).subject
    except IssueError as error:
        told = str(error)
    assert told


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_bytes_without_front_matter_are_refused(content: bytes) -> None:
    with pytest.raises(IssueError) as caught:
        parse_bytes(content)
    assert str(caught.value).startswith(FILE)
