"""``newsletter check``: an issue, a file, a message; as text, JSON, SARIF, annotations; what is new since a commit."""

import json
import subprocess

import pytest
from feed_server import FeedServer
from newsroom import BODY, Newsroom, assert_told

from newsletter.annotations import github_lines, sarif_of
from newsletter.checks import MANUAL_CHECKS, Finding, Report, Severity
from newsletter.errors import Place

SLUG = "2026-11-25"
BAD = BODY + "\n[Here](page.html) and [the press](https://example.com/press?utm_source=x).\n"


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def ids(answer) -> list[str]:
    return [finding["check"] for finding in answer.json["findings"]]


def test_a_good_issue_has_no_error_and_the_code_is_0(room):
    room.issue(SLUG, subject="A crane fell in the harbour of Port")
    answer = room.run("check", SLUG)
    assert answer.code == 0, answer
    assert "no errors, " in answer.out
    assert "checks in" in answer.out


def test_an_error_has_its_place_its_fix_and_the_code_is_1(room):
    room.issue(SLUG, body=BAD)
    answer = room.run("check", SLUG)
    assert answer.code == 1
    assert (
        f"error    issues/{SLUG}.md:13:8: the link 'page.html' leads nowhere from a mail [links.relative]" in answer.out
    )
    assert "fix: write the whole address, with https://" in answer.out
    assert f"warning  issues/{SLUG}.md:13:35: the link" in answer.out
    quiet = room.run("--quiet", "check", SLUG)
    assert quiet.code == 1
    assert "links.tracking" not in quiet.out


def test_a_file_is_checked_as_well(room):
    path = room.issue(SLUG, body=BAD)
    answer = room.run("check", str(path), "--json")
    assert "links.relative" in ids(answer)
    assert answer.json["format"] == 1


def test_an_issue_that_cannot_be_read_is_one_finding_with_its_place(room):
    room.issue(SLUG, body="{{ nme }}")
    answer = room.run("check", SLUG, "--json")
    assert answer.code == 1
    [finding] = answer.json["findings"]
    assert (finding["check"], finding["line"]) == ("issue.broken", 6)
    assert "unknown merge field" in finding["message"]


def test_a_template_that_is_broken_is_one_finding_too(room):
    room.issue(SLUG)
    room.write("templates/email/issue.mjml.j2", "<mjml><mj-body><mj-unknown/></mj-body></mjml>")
    answer = room.run("check", SLUG, "--json")
    assert answer.code == 1
    assert answer.json["findings"][0]["file"] == "templates/email/issue.mjml.j2"


def test_a_message_is_checked_by_its_bytes_with_or_without_a_newsletter(room, tmp_path):
    room.issue(SLUG)
    assert room.run("build", SLUG, "--out", str(tmp_path / "out")).code == 0
    message = tmp_path / "out" / SLUG / "message.eml"
    ours = room.run("check", str(message), "--json")
    assert ours.code == 0, ours
    assert "message.line-ends" in ours.json["checks"]
    assert "links.relative" not in ours.json["checks"]
    (tmp_path / "bare").mkdir()
    message.write_bytes(message.read_bytes().replace(b"\r\n", b"\n"))
    foreign = Newsroom.__new__(Newsroom)
    foreign.root, foreign.environ = tmp_path / "bare", {}
    answer = foreign.run("check", str(message), "--json")
    assert answer.code == 1
    assert "message.line-ends" in ids(answer)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check",), 2, "name an issue"),
        (("check", "x.eml", "--online"), 2, "go with an issue"),
        (("check", "no-such.eml"), 65, "cannot be read"),
        (("check", "2020-01-01"), 65, "no issue '2020-01-01'"),
    ],
)
def test_what_cannot_be_checked_is_told(room, arguments, code, words):
    assert_told(room.run(*arguments), code, words)


def test_settings_that_name_no_check_are_told_with_what_is_near(room):
    room.issue(SLUG)
    room.environ["NEWSLETTER_CHECKS__OFF"] = "links.trackin"
    for command in ("check", "approve"):
        assert_told(room.run(command, SLUG), 78, "[checks] off", "'links.trackin'", "did you mean links.tracking?")


def test_settings_and_waivers_hold(room):
    room.issue(SLUG, "waive: {links.relative: the reader has the page}", body=BAD)
    room.environ["NEWSLETTER_CHECKS__SEVERITY"] = '{"links.tracking" = "off", "text.preheader-length" = "error"}'
    answer = room.run("check", SLUG)
    assert answer.code == 1
    assert "error    issues/2026-11-25.md:4:12: the preheader is 8 columns wide" in answer.out
    assert "links.tracking" not in answer.out
    assert "waived, with the reason:" in answer.out
    assert "[links.relative]: the reader has the page" in answer.out


def test_errors_block_approval_and_waived_ones_do_not(room):
    path = room.issue(SLUG, body=BAD)
    refused = room.run("approve", SLUG)
    assert_told(refused, 1, "links.relative", "not approved: 1 error")
    assert "approved:" not in path.read_text()
    assert_told(room.run("send", SLUG, "--yes"), 1, "not approved")
    room.issue(SLUG, "waive: {links.relative: the reader has the page}", body=BAD)
    assert room.run("approve", SLUG).code == 0


def test_of_many_findings_of_one_check_a_few_are_printed(room):
    body = BODY + "".join(f"\n[Page {number}](page{number}.html)\n" for number in range(12))
    room.issue(SLUG, body=body)
    answer = room.run("check", SLUG)
    assert answer.out.count("[links.relative]") == 5
    assert "and 7 more like it" in answer.out
    assert ids(room.run("check", SLUG, "--json")).count("links.relative") == 12


def test_the_list_has_every_check_as_the_settings_have_it(room):
    room.environ["NEWSLETTER_CHECKS__OFF"] = "links.tracking"
    room.environ["NEWSLETTER_CHECKS__LIMITS"] = "{subject_max = 55}"
    lines = room.run("check", "--list").out.splitlines()
    assert [line.split()[1] for line in lines] == [check.id for check in MANUAL_CHECKS]
    assert any(line.startswith("off      links.tracking ") for line in lines)
    assert any("subject_max = 55" in line for line in lines)
    assert {check["id"] for check in room.run("check", "--list", "--json").json["checks"]} == {
        check.id for check in MANUAL_CHECKS
    }


# ---------------------------------------------------------------------------------------------------------------------
# Since a commit
# ---------------------------------------------------------------------------------------------------------------------


def git(room: Newsroom, *arguments: str) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(room.root), *own, *arguments], check=True, capture_output=True)


def test_since_a_commit_only_what_is_new_is_told(room):
    room.issue(SLUG, body=BAD)
    git(room, "init", "-q")
    git(room, "add", ".")
    git(room, "commit", "-q", "-m", "draft")
    room.issue(SLUG, body="A new first line.\n\n" + BAD)
    moved = room.run("check", SLUG, "--since", "HEAD", "--json")
    assert (moved.code, moved.json["findings"]) == (0, [])
    room.issue(SLUG, body=BAD + "\nAnd [another](other.html) page.\n")
    answer = room.run("check", SLUG, "--since", "HEAD", "--json")
    assert answer.code == 1
    assert ids(answer) == ["links.relative"]
    assert "other.html" in answer.json["findings"][0]["message"]
    room.issue("2026-12-02", body=BAD)
    assert "links.relative" in ids(room.run("check", "2026-12-02", "--since", "HEAD", "--json"))
    for name in ("no-such", "--upload-pack=touch x"):
        assert_told(room.run("check", SLUG, f"--since={name}"), 65, "no commit")


# ---------------------------------------------------------------------------------------------------------------------
# For other programs
# ---------------------------------------------------------------------------------------------------------------------


def test_sarif_has_rules_results_and_suppressions(room):
    room.issue(SLUG, "waive: {links.tracking: they count us}", body=BAD)
    answer = room.run("check", SLUG, "--format", "sarif")
    assert answer.code == 1
    log = json.loads(answer.out)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert {check.id for check in MANUAL_CHECKS} == {rule["id"] for rule in rules}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
    [relative] = [result for result in run["results"] if result["ruleId"] == "links.relative"]
    place = relative["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith(f"issues/{SLUG}.md")
    assert place["region"] == {"startLine": 14, "startColumn": 8}
    [tracking] = [result for result in run["results"] if result["ruleId"] == "links.tracking"]
    assert tracking["suppressions"] == [{"kind": "inSource", "justification": "they count us"}]


def test_annotations_lead_to_the_line_from_the_root_of_the_checkout(room):
    room.issue(SLUG, body=BAD)
    room.environ["GITHUB_WORKSPACE"] = str(room.root.parent)
    answer = room.run("check", SLUG, "--format", "github")
    assert answer.code == 1
    file = f"{room.root.name}/issues/{SLUG}.md"
    assert f"::error file={file},line=13,col=8,title=links.relative::the link 'page.html' leads" in answer.out
    assert all(line.startswith("::") for line in answer.out.splitlines())


def test_an_issue_cannot_begin_a_command_of_its_own():
    evil = "a\r\n::set-output name=x::y, b: c 100%"
    finding = Finding(
        check="links.scheme", severity=Severity.ERROR, message=evil, why=".", fix=evil, place=Place("a,b:c\n.md", 3, 4)
    )
    [line] = github_lines(Report(findings=(finding,)), lambda file: file)
    assert "\n" not in line
    assert "\r" not in line
    assert line.startswith("::error file=a%2Cb%3Ac%0A.md,line=3,col=4,title=links.scheme::a%0D%0A::set-output")
    log = sarif_of(Report(findings=(finding,)), MANUAL_CHECKS, lambda file: file)
    assert json.loads(json.dumps(log))["runs"][0]["results"][0]["message"]["text"].startswith(evil)


# ---------------------------------------------------------------------------------------------------------------------
# Links that are asked
# ---------------------------------------------------------------------------------------------------------------------


def test_links_are_asked_where_that_is_wished_and_answers_are_kept(room):
    with FeedServer() as server:
        server.pages["good"] = b"<p>here</p>"
        server.gone.add("gone")
        room.environ |= {"NEWSLETTER_FEEDS__PORTS": str(server.port), "NEWSLETTER_FEEDS__PRIVATE_HOSTS": "127.0.0.1"}
        links = "".join(f"\n[The {name} page]({server.url}/{name})\n" for name in ("good", "gone"))
        room.issue(SLUG, body=f"Hello.\n{links}\n[Far](https://127.0.0.1:1/x)\n")
        assert "links.gone" not in ids(room.run("check", SLUG, "--json"))
        assert not server.seen
        answer = room.run("check", SLUG, "--online", "--json")
        assert answer.code == 1
        told = {finding["check"]: finding["message"] for finding in answer.json["findings"]}
        assert "answers 410: it is gone for good" in told["links.gone"]
        assert "port 1" in told["links.unreachable"]
        asked = len(server.seen)
        again = room.run("check", SLUG, "--online", "--json")
        assert len(server.seen) == asked
        assert ids(again) == ids(answer)
