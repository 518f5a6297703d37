"""``newsletter diff``: what changed in words, links, size and looks, since an approval and since a commit."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest
from newsroom import BODY, CONFIG, REPOSITORY, Newsroom, assert_told
from test_images import make_png

from newsletter.cli.diffmarkdown import code, markdown_lines
from newsletter.comparing import (
    Comparison,
    Pair,
    SizeChange,
    TextChange,
    Version,
    compare,
    marked_words,
    numbered_lines,
)
from newsletter.config import SectionsSection
from newsletter.differ import Difference
from newsletter.issue import parse_issue

SLUG = "2026-11-25"
FRONT = "---\nsubject: A crane fell\ndate: 2026-11-25\n---\n"
ARTICLES = """\
## Most important news

### [One](https://example.com/1 "Port Post")
First.

### [Two](https://example.com/2)
Second.

### [Three](https://example.com/3)
Third.

## Digital

- [Four](https://example.com/4)
"""
THREE = "### [Three](https://example.com/3)\nThird.\n\n"


def version(body: str, front: str = FRONT, **values) -> Version:
    import zoneinfo

    text, file = front + body, f"issues/{SLUG}.md"
    issue = parse_issue(text, slug=SLUG, file=file, sections=SectionsSection(), zone=zoneinfo.ZoneInfo("UTC"))
    return Version(text=text, file=file, issue=issue, **values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text, []),
        (lambda text: text.replace("[Two]", "[Second]"), [("changed", "Second", ("headline",))]),
        (lambda text: text.replace("/2)", "/22)"), [("changed", "Two", ("address",))]),
        (lambda text: text.replace("Second.", "Second!"), [("changed", "Two", ("summary",))]),
        (lambda text: text.replace('"Port Post"', '"Quay"'), [("changed", "One", ("source",))]),
        (
            lambda text: text.replace("Third.", "![x](https://example.com/x.png)\nThird."),
            [("changed", "Three", ("picture",))],
        ),
        (lambda text: text.replace("/4)", "/4) by Ann"), [("changed", "Four", ("byline",))]),
        (lambda text: text.replace("/4)", "/4) {kind=video}"), [("changed", "Four", ("kind or topics",))]),
        (lambda text: text.replace("### [Two](https://example.com/2)\nSecond.\n\n", ""), [("removed", "Two", ())]),
        (lambda text: text + "- [Five](https://example.com/5)\n", [("added", "Five", ())]),
        (
            lambda text: text.replace(THREE, "").replace("### [One]", f"{THREE}### [One]"),
            [("moved", "Three", ())],
        ),
        (
            lambda text: text.replace("- [Four](https://example.com/4)\n", "").replace(
                "### [Two]", "### [Four](https://example.com/4)\n\n### [Two]"
            ),
            [("moved", "Four", ())],
        ),
    ],
    ids=[
        "same",
        "headline",
        "address",
        "summary",
        "source",
        "picture",
        "byline",
        "kind",
        "gone",
        "new",
        "first",
        "elsewhere",
    ],
)
def test_articles_are_followed(change, told):
    found = compare(version(ARTICLES), version(change(ARTICLES)))
    assert [(each.kind, each.headline, each.parts) for each in found.articles] == told
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("One.\n", "One.\n", []),
        ("One two\nthree.\n", "One\ntwo three.\n", []),  # lines that are only broken elsewhere
        ("One.\n", "One!\n", [(5, "", ("One.",), ("One!",))]),
        ("# A\n\nOne.\n\nTwo.\n", "# A\n\nOne.\n", [(7, "A", ("Two.",), ())]),
        (
            "# A\n\nOne.\n",
            "# A\n\nOne.\n\n\n## [B](https://x.example) c\nTwo.\n",
            [(10, "B c", (), ("## [B](https://x.example) c", "Two."))],
        ),
    ],
)
def test_lines_that_say_something_else_are_told_with_their_place(before, after, told):
    found = compare(version(before), version(after))
    assert [(each.line, each.under, each.before, each.after) for each in found.text] == told


def test_keys_of_the_front_matter_are_followed():
    found = compare(version("x"), version("x", FRONT.replace("date", "topics: [a, b]\ndate", 1)))
    assert found.front == (Pair("topics", "", '["a", "b"]'),)


def test_a_file_without_front_matter_has_its_lines_all_the_same():
    bare = Version(text="One.\n", file="x.md")
    found = compare(bare, Version(text="One.\nTwo.\n", file="x.md"))
    assert [(each.line, each.after) for each in found.text] == [(2, ("Two.",))]
    broken = Version(text="---\nsubject: a: b\n---\nOne.\n", file="x.md", broken="line 2")
    assert compare(broken, bare).notes == ("does not compile: line 2",)
    assert compare(bare, Version(text="", file="x.md")).text[0].line == 1


def test_lines_are_numbered_as_in_the_file_with_its_approval():
    text = FRONT.replace("date", "approved: x\ndate") + "Body.\n"
    assert numbered_lines(text) == [
        (1, "---"),
        (2, "subject: A crane fell"),
        (4, "date: 2026-11-25"),
        (5, "---"),
        (6, "Body."),
    ]


@pytest.mark.parametrize(
    ("before", "after", "was", "is_now"),
    [
        ("one two three", "one 2 three", ["two"], ["2"]),
        ("中国收紧人脸识别", "中国放松人脸识别", ["收紧"], ["放松"]),
        ("", "new", [], ["new"]),
        ("same", "same", [], []),
        ("one two", "one", [" two"], []),
    ],
)
def test_words_that_are_others_are_marked(before, after, was, is_now):
    old, new = marked_words(before, after)
    assert ("".join(text for text, _ in old), "".join(text for text, _ in new)) == (before, after)
    assert [text for text, changed in old if changed] == was
    assert [text for text, changed in new if changed] == is_now


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([("a", "https://1")], [("a", "https://1")], []),
        ([("a", "https://1")], [("a", "https://2")], [("changed", "a", "https://1", "https://2")]),
        ([("a", "https://1")], [("b", "https://1")], []),  # other words for the same link are told as text
        ([("a", "https://1")], [], [("removed", "a", "https://1", "")]),
        ([], [("a", "https://1"), ("a", "https://1")], [("added", "a", "", "https://1")]),
        # a picture and its headline are one link
        ([], [("A long description", "https://1"), ("a", "https://1")], [("added", "a", "", "https://1")]),
    ],
)
def test_links_are_followed(before, after, told):
    found = compare(version("x", links=tuple(before)), version("x", links=tuple(after)))
    assert [(each.kind, each.text, each.before, each.after) for each in found.links] == told


def test_the_same_text_that_looks_otherwise_is_told():
    html = "<style>a { color: red; } b { color: blue; }</style>" + "<p class='x' style='margin:0'>Word</p>" * 3
    found = compare(
        version("x", html=html), version("x"), html.replace("margin:0", "margin:1px").replace("red", "green")
    )
    assert found.restyled_count == 4
    assert [(pair.before, pair.after) for pair in found.restyled] == [
        ("a { color: red; }", "a { color: green; }"),
        ("<p class='x' style='margin:0'>", "<p class='x' style='margin:1px'>"),
    ]
    assert compare(version("x", html=html), version("y"), html).restyled_count == 0
    more = compare(version("x", html=html), version("x"), html + "<hr><hr>")
    assert [(pair.before, pair.after) for pair in more.restyled] == [("", "<hr> <hr>")]


# --- the command -----------------------------------------------------------------------------------------------------


def git(room: Newsroom, *arguments: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(room.root), "GIT_CONFIG_GLOBAL": "/dev/null"}
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=room.root, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def room(tmp_path):
    """Return a newsletter in a folder of a repository, with an issue that was committed and approved."""
    room = Newsroom(tmp_path / "repository/letter")
    room.issue(SLUG, body=BODY + "\n![x](images/a.png)\n")
    room.write("issues/images/a.png", make_png(30, 20))
    git(room, "init", "-q", "..")
    git(room, "add", "-A")
    git(room, "commit", "-q", "-m", "first")
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    return room


def change(room: Newsroom) -> None:
    path = room.root / f"issues/{SLUG}.md"
    text = path.read_text().replace("Nobody was hurt", "Two were hurt").replace("And more", "And less")
    path.write_text(text.replace("https://example.com/crane", "https://example.com/cranes"))


@pytest.mark.parametrize("since", [(), ("HEAD",)], ids=["approval", "commit"])
def test_what_changed_is_told(room, since):
    same = room.run("diff", SLUG, *since)
    assert same.code == 0, same
    assert same.out.startswith(f"{SLUG}: nothing changed since ")
    assert len(same.out.splitlines()) == 1, same
    change(room)
    answer = room.run("diff", SLUG, *since)
    assert answer.code == 0, answer
    assert answer.out.startswith(f"{SLUG}: changed since {'commit' if since else 'mark approved it on'} ")
    for line in (
        "    - And more",
        "    + And less",
        f"  issues/{SLUG}.md:11  under 'A crane fell'",
        "  - Nobody was hurt, and the crane is up again.",
        "  + Two were hurt, and the crane is up again.",
        "  ~ A crane fell (Most important news, 1.): another address, summary",
        "  ~ A crane fell: https://example.com/crane is now https://example.com/cranes",
    ):
        assert line in answer.out.splitlines(), answer
    assert re.search(r"^  HTML +\d+\.\d kB → +\d+\.\d kB", answer.out, re.MULTILINE)
    assert "rendering" not in answer.out
    assert "\x1b" not in answer.out
    told = room.run("diff", SLUG, *since, "--json").json
    assert (told["format"], told["issue"], told["changed"]) == (1, SLUG, True)
    assert told["front"] == [{"name": "preheader", "before": "And more", "after": "And less"}]
    assert [each["kind"] for each in told["links"]] == ["changed"]


def test_lines_that_are_others_stand_in_colour_on_a_terminal(room):
    from newsletter.cli.diff import text_lines

    comparison = Comparison(text=(TextChange(9, "", ("one two",), ("one three",)),))
    lines = list(text_lines(Difference(SLUG, "f.md", "then", comparison), is_marked=True))
    assert any("\x1b[4mthree" in line for line in lines)


def test_a_theme_that_looks_otherwise_is_told_apart_from_the_words(room):
    room.write("newsletter.toml", CONFIG + '[theme]\naccent = "#123456"\n')
    room.write("templates/email/quote.mjml.j2", "{# mine #}")
    room.write("issues/images/a.png", make_png(31, 20))
    answer = room.run("diff", SLUG, "HEAD")
    assert '[theme] accent: "#b3261e" → "#123456"' in answer.out
    assert "templates/email/quote.mjml.j2: " in answer.out
    assert "images/a.png: 30 × 20 px" in answer.out
    assert "the same text is rendered otherwise" in answer.out
    assert "#123456" in answer.out.partition("rendered otherwise")[2]
    assert "text\n" not in answer.out.replace("same text", "")
    since_approval = room.run("diff", SLUG).out
    assert '[theme] accent: "#b3261e" → "#123456"' in since_approval
    assert "image images/a.png: 30 × 20 px" in since_approval
    assert "templates/email/quote.mjml.j2: shipped, 15 lines" in since_approval


def test_an_approval_of_before_sources_were_kept_says_what_it_can(room):
    room.write("newsletter.toml", CONFIG + '[theme]\naccent = "#123456"\n')
    with contextlib.closing(sqlite3.connect(room.root / "newsletter.db")) as store, store:
        store.execute("UPDATE approvals SET sources = ''")
    answer = room.run("diff", SLUG)
    assert "note: an image, a template or a setting is another since the approval" in answer.out


@pytest.mark.parametrize(
    ("prepare", "rev", "code_", "words"),
    [
        (lambda room: None, "nope", 65, "'nope' is no commit here"),
        (lambda room: None, "--output=x", 2, "No such option"),
        (lambda room: None, "HEAD:newsletter.toml", 65, "is no commit here"),
        (lambda room: room.issue("2026-12-02"), None, 65, "was never approved here"),
        (lambda room: room.issue("2026-12-02", body="{{ x }}"), None, 65, "unknown merge field"),
        (
            lambda room: (room.issue("2026-12-02"), shutil.rmtree(room.root / "../.git")),
            "HEAD",
            65,
            "not a git repository",
        ),
    ],
    ids=["no commit", "no option", "a blob", "no approval", "does not compile", "no repository"],
)
def test_what_cannot_be_compared_is_told(room, prepare, rev, code_, words):
    prepare(room)
    slug = "2026-12-02" if (room.root / "issues/2026-12-02.md").exists() else SLUG
    assert_told(room.run("diff", slug, *([rev] if rev else [])), code_, words)
    assert sorted(path.name for path in room.root.iterdir() if path.suffix == ".x") == []


def test_a_former_version_in_pieces_leaves_its_text_to_compare(room):
    room.issue(SLUG, body="{{ broken }}")
    room.write("newsletter.toml", "colour = 1")
    git(room, "commit", "-q", "-am", "broken")
    room.write("newsletter.toml", CONFIG)
    room.issue(SLUG, body="Mended.")
    answer = room.run("diff", SLUG, "HEAD")
    assert answer.code == 0, answer
    assert "note: does not compile: commit" in answer.out
    assert "note: the configuration at commit" in answer.out
    assert str(room.root.parent) not in answer.out
    assert "  - {{ broken }}" in answer.out


def test_an_issue_that_is_new_is_introduced(room):
    room.issue("2026-12-02")
    answer = room.run("diff", "2026-12-02", "HEAD")
    assert answer.code == 0, answer
    assert "note: the issue is new" in answer.out
    assert "    + A crane fell" in answer.out
    assert "  + A crane fell (Most important news, 1.) https://example.com/crane" in answer.out
    assert re.search(r"^  HTML +0 B → ", answer.out, re.MULTILINE)


def test_git_is_asked_and_changes_nothing(room):
    change(room)
    before = git(room, "status", "--porcelain")
    room.run("diff", SLUG, "HEAD")
    assert git(room, "status", "--porcelain") == before


# --- a comment on a pull request -------------------------------------------------------------------------------------


def test_the_comment_is_markdown(room):
    change(room)
    text = room.run("diff", SLUG, "HEAD", "--format", "markdown").out
    assert text.startswith(f"### `{SLUG}` changed since `commit ")
    assert "```diff\n- preheader: And more\n+ preheader: And less\n```" in text
    assert f"@@ issues/{SLUG}.md:11 @@ A crane fell" in text
    assert (
        "- **leads elsewhere**: `A crane fell`, `https://example.com/crane` is now `https://example.com/cranes`" in text
    )
    assert "| HTML | " in text


@pytest.mark.parametrize(
    "text",
    [
        "@team look",
        "`x` @team",
        "``` \n@team",
        "| a | b |",
        "<img src=x onerror=alert(1)>",
        "![x](https://t.example/p.png)",
        "`",
    ],
)
def test_what_an_issue_says_is_no_markup_of_the_comment(text):
    from markdown_it import MarkdownIt

    comparison = Comparison(
        front=(Pair("subject", text, text + "x"),),
        text=(TextChange(3, text, (text,), tuple(text.split("\n"))),),
        rendering=(Pair(text, text, text),),
        sizes=(SizeChange("HTML", 1, 2),),
        notes=(text,),
    )
    html = MarkdownIt("gfm-like", {"linkify": False}).render(
        "\n".join(markdown_lines(Difference(text, "f.md", text, comparison)))
    )
    outside = re.sub(r"<code[^>]*>.*?</code>", "", html, flags=re.DOTALL)
    assert "@team" not in outside
    assert "<img" not in outside
    assert outside.count("<table>") == 1
    assert " ".join(text.split()) in re.sub(r"<[^>]+>", "", MarkdownIt().render(code(text))).replace(
        "&lt;", "<"
    ).replace("&gt;", ">").replace("&quot;", '"')


def test_a_comment_is_never_longer_than_may_be():
    lines = tuple(f"line {number} of many" for number in range(9000))
    found = Difference(SLUG, "f.md", "then", Comparison(text=(TextChange(1, "", (), lines),)))
    text = "\n".join(markdown_lines(found))
    assert len(text) < 65_000
    assert text.count("```") % 2 == 0
    assert text.endswith("shows all of it.")


# --- the example of the documents ------------------------------------------------------------------------------------


WORKFLOW = REPOSITORY / "docs/examples/newsletter.yml"


def steps() -> dict[str, str]:
    """Return the scripts of the example, by the names of their steps."""
    from ruamel.yaml import YAML

    workflow = YAML(typ="safe", pure=True).load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    return {step.get("name", step["run"]): step["run"] for step in workflow["jobs"]["review"]["steps"] if "run" in step}


def test_the_workflow_of_the_documents_calls_what_there_is():
    from test_docs import words_of, wrong

    called = []
    assert not any("${{" in script for script in steps().values()), "what a pull request names must be no script"
    for line in "\n".join(steps().values()).splitlines():
        words = words_of(line.strip())
        if words[:1] == ["newsletter"]:
            call = words[1 : next((at for at, word in enumerate(words) if word in ("||", "|", ">")), None)]
            assert not wrong(tuple(call)), line
            called.append(call[0])
    assert called == ["check", "diff"]


def test_the_workflow_of_the_documents_runs(tmp_path):
    room = Newsroom(tmp_path / "repository")
    room.issue(SLUG)
    git(room, "init", "-q", "-b", "main")
    git(room, "add", "-A")
    git(room, "commit", "-q", "-m", "first")
    git(room, "checkout", "-q", "-b", "next")
    change(room)
    room.issue("2026-12-02", body=BODY + "\nRead [on](#).\n")
    git(room, "add", "-A")
    git(room, "commit", "-q", "-m", "second")
    program = room.write("bin/newsletter", f'#!/bin/sh\nexec "{sys.executable}" -m newsletter "$@"\n')
    program.chmod(0o755)
    environ = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(room.root), "PYTHONPATH": str(REPOSITORY)}
    done = {}
    for name, script in steps().items():
        if "pip install" not in script and "gh pr" not in script:
            done[name] = subprocess.run(
                ["bash", "-e", "-c", script],
                cwd=room.root,
                check=False,
                env={**environ, "BASE": "main"},
                capture_output=True,
                text=True,
            )
    check = done["Check them, with the findings at their lines"]
    assert check.returncode == 1, check
    assert "::error file=issues/2026-12-02.md,line=13,col=" in check.stdout
    comment = (room.root / "comment.md").read_text()
    assert f"### `{SLUG}` changed since" in comment
    assert "- **leads elsewhere**: `A crane fell`" in comment
    assert "### `2026-12-02` changed since" in comment
    assert "> `the issue is new`" in comment
