"""What was seen in the compiled mail leads back to the issue or the template; shares, costs and colours add up."""

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest
from newsroom import Newsroom

from newsletter.checker import check_issue, check_message, subject_of
from newsletter.checks import Finding, clients
from newsletter.checks.cascade import LIGHT
from newsletter.checks.clientsupport import TYPICAL, client_weights, known_clients, known_features, support_of
from newsletter.checks.colours import WHITE, contrast, parse_colour
from newsletter.checks.size import article_costs, section_costs, worst_html_size
from newsletter.compiler import compile_issue, load_issue, sample_message
from newsletter.config import load_project

from .mails import LOREM, page
from .subjects import found, with_checks

TODAY = dt.date(2026, 11, 24)
ROOT = Path(__file__).parents[2]


def checked(root: Path, body: str, *, theme: str = "", css: str = "") -> dict[str, Finding]:
    """Return the findings, by check, on an issue with this body in a project with this theme and style sheet."""
    room = Newsroom(root)
    (root / "newsletter.toml").write_text((root / "newsletter.toml").read_text() + theme)
    if css:
        room.write("templates/email/inline.css", css)
    path = room.issue("2026-11-25", body=body)
    report = check_issue(load_project(root, {}), path, today=TODAY).report
    return {finding.check: finding for finding in reversed(report.findings)}


def shipped(name: str) -> str:
    return (ROOT / "templates" / "email" / name).read_text()


BODY = "## Lead\n\n### [A crane fell](https://example.com/crane)\nNobody was hurt.\n"


# ---------------------------------------------------------------------------------------------------------------------
# Places
# ---------------------------------------------------------------------------------------------------------------------


def test_a_colour_leads_to_the_setting_that_it_comes_from(tmp_path):
    findings = checked(tmp_path, BODY, theme='\n[theme]\naccent = "#AAAAAA"\ntext_dark = "#223344"\n')
    light, dark = findings["accessibility.contrast-light"], findings["accessibility.unreadable"]
    settings = (tmp_path / "newsletter.toml").read_text().split("\n")
    for finding, written in ((light, "#AAAAAA"), (dark, "#223344")):
        assert finding.place.file == "newsletter.toml"
        assert settings[finding.place.line - 1][finding.place.column - 1 :].startswith(written)
    assert "in dark mode" in dark.message


def test_a_feature_leads_to_the_template_that_uses_it(tmp_path):
    css = shipped("inline.css") + "\ntd.row { display: flex; }\n"
    findings = checked(tmp_path, BODY, css=css)
    finding = findings["clients.layout"]
    assert finding.message.startswith("display:flex does not work for 12% of the readers: Outlook on Windows")
    assert finding.place.file == "templates/email/inline.css"
    assert css.split("\n")[finding.place.line - 1].index("display: flex") == finding.place.column - 1
    assert finding.fix == "see what can be done: https://www.caniemail.com/features/css-display-flex/"


def test_what_an_editor_wrote_leads_to_the_line_of_the_issue(tmp_path):
    body = BODY + "\n## Notes\n\nBefore.\n\n<table><tr><td>One</td><td>Two</td></tr></table>\n"
    findings = checked(tmp_path, body)
    lines = (tmp_path / "issues" / "2026-11-25.md").read_text().split("\n")
    assert lines[findings["accessibility.table-roles"].place.line - 1].startswith("<table>")


def test_an_article_that_is_too_long_is_told_at_its_line(tmp_path):
    body = "## Lead\n\n### [A crane fell](https://example.com/crane)\n" + "Nobody was hurt. " * 1100
    findings = checked(tmp_path, body + "\n\n### [A ship came](https://example.com/ship)\nAt last.\n")
    finding = findings["size.article"]
    assert finding.article == "A crane fell"
    lines = (tmp_path / "issues" / "2026-11-25.md").read_text().split("\n")
    assert lines[finding.place.line - 1].startswith("### [A crane fell]")


def test_where_a_few_articles_are_not_enough_sections_are_named(tmp_path):
    sections = "".join(
        f"## Part {part}\n\n"
        + "".join(f"### [Story {part}-{n}](https://example.com/{part}/{n})\n{LOREM * 12}\n\n" for n in range(25))
        for part in range(4)
    )
    finding = checked(tmp_path, sections)["size.gmail-clip"]
    assert re.match(
        r"the HTML is 1\d\d\.\d KB, and Gmail cuts it off after 102\.0 KB: [\d.]+ KB too much", finding.message
    )
    assert re.search(r"line \d+, 'Part \d': \d+\.\d KB; line \d+, 'Part \d'", finding.fix)
    lines = (tmp_path / "issues" / "2026-11-25.md").read_text().split("\n")
    assert lines[finding.place.line - 1].startswith("## Part ")


# ---------------------------------------------------------------------------------------------------------------------
# The sample issues
# ---------------------------------------------------------------------------------------------------------------------


def sample_subject(slug="2026-11-25"):
    project = load_project(ROOT, {})
    loaded = load_issue(project, ROOT / "issues" / f"{slug}.md")
    compiled = compile_issue(project, loaded)
    message = sample_message(project, loaded.issue, compiled.edition)
    return subject_of(project, loaded, compiled, message, today=TODAY)


def test_articles_cost_less_than_their_sections_and_those_less_than_the_mail():
    subject = sample_subject()
    articles, sections = article_costs(subject), section_costs(subject)
    assert [cost.words for cost in articles] == [
        " ".join(re.sub("<[^>]*>", "", one.headline.html).split()) for one in subject.issue.articles
    ]
    assert all(300 < cost.size < 4_000 for cost in articles)
    by_line = {cost.place.line: cost for cost in sections}
    for line, section in by_line.items():
        later = min((other for other in by_line if other > line), default=10_000)
        assert sum(cost.size for cost in articles if line < cost.place.line < later) < section.size
    assert sum(cost.size for cost in sections) < len(subject.html.encode())
    assert sum(cost.share for cost in sections) < 1


def test_the_worst_case_counts_each_field(tmp_path):
    subject = replace(sample_subject(), limits={"field_bytes": 100})
    assert worst_html_size(subject) == len(subject.html.encode())
    room = Newsroom(tmp_path)
    path = room.issue("2026-11-25", body=BODY + '\nDear {{ name | default("reader") }} and {{ name }}.\n')
    project = load_project(tmp_path, {})
    loaded = load_issue(project, path)
    compiled = compile_issue(project, loaded)
    message = sample_message(project, loaded.issue, compiled.edition)
    greeted = replace(subject_of(project, loaded, compiled, message, today=TODAY), limits={"field_bytes": 100})
    assert worst_html_size(greeted) == len(greeted.html.encode()) + 200


# ---------------------------------------------------------------------------------------------------------------------
# Mail clients
# ---------------------------------------------------------------------------------------------------------------------


def test_weights_become_shares():
    assert sum(TYPICAL.values()) == 100
    assert sum(client_weights({}).values()) == pytest.approx(1)
    shares = client_weights({"gmail": 3, "outlook.windows": 1})
    assert sum(shares[client] for client in shares if client.startswith("gmail.")) == pytest.approx(0.75)
    assert shares["outlook.windows"] == pytest.approx(0.25)
    assert shares["gmail.desktop-webmail"] > shares["gmail.ios"] > 0
    assert client_weights({"orange": 2, "sfr": 2})["sfr.ios"] == pytest.approx(0.5 / 3)
    for wrong in ({"nobody": 1}, {"gmail": -1}, {"gmail": 0}):
        with pytest.raises(ValueError, match="mail client"):
            client_weights(wrong)


def test_only_clients_of_this_list_count():
    assert support_of("css-display-flex", client_weights({"apple-mail": 1})).unsupported == 0
    windows = support_of("css-display-flex", client_weights({"outlook.windows": 1}))
    assert (windows.unsupported, windows.clients) == (1, ("Outlook on Windows",))
    flex = page('<div style="display:flex">x</div>', config=with_checks(clients={"apple-mail": 1}))
    assert found(flex(), "clients.layout") == []


def test_every_feature_that_is_weighed_is_in_the_table():
    assert known_features() >= clients._LOST | clients._BROKEN
    assert set(TYPICAL) <= set(known_clients())


FALLBACKS = (
    '<div style="background:#fff;background:linear-gradient(#fff,#eee)">x</div>',
    '<p style="width:100px;width:calc(100% - 4px)">x</p>',
)


@pytest.mark.parametrize("body", FALLBACKS)
def test_what_has_a_fallback_is_no_finding(body):
    assert found(page(body)(), "clients.layout") == []
    assert found(page(body.replace("background:#fff;", "").replace("width:100px;", ""))(), "clients.layout")


def test_a_client_that_does_not_exist_is_told(tmp_path):
    room = Newsroom(tmp_path)
    room.environ["NEWSLETTER_CHECKS__CLIENTS"] = "{gmial = 60}"
    room.issue("2026-11-25")
    answer = room.run("check", "2026-11-25")
    assert answer.code == 78
    assert "[checks] clients: there is no mail client 'gmial'; did you mean gmail" in answer.err


# ---------------------------------------------------------------------------------------------------------------------
# Colours and messages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["#999999", "#ff8a80", "#ffff00", "#b0c4de"])
def test_the_colour_that_is_proposed_would_do(colour):
    (finding,) = found(page(f'<p style="color:{colour}">x</p>')(), "accessibility.contrast-light") or found(
        page(f'<p style="color:{colour}">x</p>')(), "accessibility.unreadable"
    )
    proposed = parse_colour(finding.fix.split()[0])
    assert 4.5 <= contrast(proposed, WHITE) < 5.2


def test_one_colour_is_told_once_with_what_would_do_everywhere():
    body = '<p style="color:#999">x</p><h1 style="color:#999">y</h1><p style="color:#999;background:#eee">z</p>'
    (finding,) = found(page(body)(), "accessibility.contrast-light")
    assert finding.message == "#999999 on #eeeeee has a contrast of 2.5:1 in light mode: 'z'"
    assert finding.count == 3
    assert contrast(parse_colour(finding.fix.split()[0]), parse_colour("#eee")) >= 4.5


def test_a_colour_on_grounds_too_different_is_told_by_its_worst_case():
    grounds = ("#000", "#fff", "#333")
    body = "".join(f'<p style="color:#777;background:{ground}">on {ground}</p>' for ground in grounds)
    (finding,) = found(page(body)(), "accessibility.contrast-light")
    proposed = parse_colour(finding.fix.split()[0])
    assert finding.message.startswith("#777777 on #333333")
    assert contrast(proposed, parse_colour("#333")) >= 4.5


def test_text_on_an_image_and_text_that_is_not_seen_are_passed_over():
    body = (
        '<div style="background:url(x.png)"><p style="color:#fff">On an image</p></div>'
        '<div style="display:none;color:#fff">The preheader</div><p style="color:#fff">·</p>'
    )
    subject = page(body)()
    assert [shown.looks[LIGHT].ground for shown in subject.shown if shown.text == "On an image"] == [None]
    assert found(subject, "accessibility.unreadable") == []


def test_both_parts_have_every_address_however_it_is_written(tmp_path):
    # An error here would block an issue that is right.
    body = (
        "See https://example.com/Foo_(bar), 见https://e.com/中文。后面 <https://example.com/it's> [a](<https://e.com/a\"b>)"
        " [b](<https://e.com/a b>) [c](https://bücher.example/ä?q=1&b=2#x)"
        " [d](https://e.com/%E4%B8%AD%20x) <me@example.org>"
        " [e](HTTPS://E.com/Case) [f](mailto:me@example.org?subject=Hello%20you) [g](https://e.com/) [h](https://e.com/a;b,c.)"
        f" [i](https://e.com/{'a' * 200}?x=1&copy=2)\n\n## Lead\n\n### [A “story”](https://e.com/s?a=1&b='x')\nText.\n"
    )
    assert "message.same-links" not in checked(tmp_path, body)


def test_a_message_saved_with_the_line_ends_of_this_machine_is_told_so_alone(tmp_path):
    room = Newsroom(tmp_path)
    room.issue("2026-11-25")
    assert room.run("build", "2026-11-25", "--out", str(tmp_path / "out")).code == 0
    message = tmp_path / "out" / "2026-11-25" / "message.eml"
    assert room.run("check", str(message)).code == 0
    message.write_bytes(message.read_bytes().replace(b"\r\n", b"\n"))
    answer = room.run("check", str(message), "--json")
    assert {finding["check"] for finding in answer.json["findings"]} == {"message.line-ends"}


# ---------------------------------------------------------------------------------------------------------------------
# Hostile mail
# ---------------------------------------------------------------------------------------------------------------------

HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
HOSTILE = {
    "nothing": b"",
    "a NUL": b"\0",
    "a comment": b"<!-- x -->",
    "white space": b"   ",
    "a doctype": b"<!doctype html>",
    "every octet": bytes(range(256)),
    "deep markup": b"<div>" * 50_000,
    "deep brackets": b"<style>" + b"(" * 20_000 + b"</style><p>x",
    "deep blocks": b"<style>" + b"a{" * 20_000 + b"</style><p>x",
    "deep media": b"<style>" + b"@media x{" * 20_000 + b"</style><p>x",
    "deep selectors": b"<style>" + b":not(" * 5_000 + b"p" + b")" * 5_000 + b"{color:red}</style><p>x",
    "many selectors": b"<style>" + b"p," * 50_000 + b"p{color:red}</style><p>x",
    "many steps": b"<style>" + b"* " * 200 + b"{color:red}</style>" + b"<div>" * 200 + b"x",
    "many attributes": b"<p " + b" ".join(b"a%d=1" % number for number in range(20_000)) + b">x",
    "nested functions": b'<p style="color:' + b"rgb(" * 10_000 + b'">x',
    "nested addresses": b'<p style="background:' + b"url(" * 20_000 + b'">x',
    "quotes and brackets": b'<p style="a:' + b"'(\\\"" * 20_000 + b'">x',
    "huge numbers": b'<p style="font-size:' + b"9" * 5_000 + b"px;font-weight:" + b"9" * 5_000 + b'">x',
    "odd numbers": b'<p style="font-size:1.2.3px;color:hsl(1e999,1%,1%);font:a 1px">x<font size=-1 color="a;b">y',
    "odd namespaces": b'<o:p xmlns:o="x">x</o:p><v:rect>y</v:rect><svg><p>z',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_message_is_checked_to_its_end(content):
    # Without their limits some of these raised, and some took from 20 seconds to for ever.
    assert check_message(HEAD + content, None, today=TODAY).findings
