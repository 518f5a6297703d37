"""The compiler makes one frozen edition of an issue, deterministic, with its images, its warnings and its message."""

import datetime as dt
import json
from email import message_from_bytes
from email.utils import parsedate_to_datetime

import pytest
from newsroom import BODY, Newsroom
from test_images import make_png

from newsletter.compiler import (
    SAMPLE_RECIPIENT,
    build_issue,
    compile_issue,
    load_issue,
    message_parts,
    refuse_unsendable,
    sample_message,
)
from newsletter.config import Project, load_project
from newsletter.edition import edition_digest
from newsletter.errors import ConfigError, InputError, IssueError, ProblemsError
from newsletter.sources import effective_templates, source_digest

SLUG = "2026-11-25"


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def project_of(room: Newsroom, **environ: str) -> Project:
    return load_project(room.root, {f"NEWSLETTER_{name}": value for name, value in environ.items()})


def compiled(room: Newsroom, **environ: str):
    project = project_of(room, **environ)
    return compile_issue(project, load_issue(project, room.root / f"issues/{SLUG}.md"))


def test_edition_holds_what_was_written(room):
    room.issue(SLUG, "number: 7", "lang: fr", subject="\"Hello {{ name | default('you') }}\"")
    edition = compiled(room).edition
    assert (edition.issue, edition.number, edition.language) == (SLUG, "7", "fr")
    assert edition.date == dt.date(2026, 11, 25)
    assert [getattr(piece, "field", piece) for piece in edition.subject] == ["Hello ", "name"]
    assert edition.preheader == "And more"
    assert edition.digest == edition_digest(edition)


def test_stages_have_times(room):
    room.issue(SLUG)
    result = compiled(room)
    assert all(seconds >= 0 for seconds in result.timings.values())
    assert result.mjml.startswith("<mjml")


def test_equal_images_travel_once(room):
    room.write("issues/images/a.png", make_png(30, 20))
    room.write("issues/images/b.png", make_png(30, 20))
    room.write("issues/images/c.png", make_png(31, 20))
    room.issue(SLUG, body=BODY + "\n![x](images/a.png) ![y](images/b.png) ![z](images/c.png)\n")
    result = compiled(room)
    assert [image.src for image in result.images] == ["images/a.png", "images/b.png", "images/c.png"]
    assert [resource.filename for resource in result.edition.resources] == ["a.png", "c.png"]
    html = "".join(piece for piece in result.edition.html if isinstance(piece, str))
    for resource in result.edition.resources:
        assert f"cid:{resource.cid}" in html
        assert resource.cid.endswith("@news.example.org")


def test_image_on_the_web_is_left_there(room):
    room.issue(SLUG, body=BODY + "\n![x](https://example.com/x.png)\n")
    result = compiled(room)
    assert result.images == result.edition.resources == ()


def test_language_of_the_frame_follows_issue_and_configuration(room):
    room.issue(SLUG)
    french = compiled(room, NEWSLETTER__LANGUAGE="fr").edition
    room.issue(SLUG, "lang: zh-Hans")
    chinese = compiled(room, NEWSLETTER__LANGUAGE="fr").edition
    assert "25 novembre 2026" in "".join(map(str, french.text))
    assert "2026年11月25日" in "".join(map(str, chinese.text))


# --- the message of the sample recipient -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "date"),
    [("author: Ann", "2026-11-25T00:00:00+01:00"), ("send_at: 2026-11-25 08:00", "2026-11-25T08:00:00+01:00")],
)
def test_sample_message_has_the_issues_date_and_a_sample_recipient(room, line, date):
    room.issue(SLUG, line)
    project = project_of(room)
    loaded = load_issue(project, room.root / f"issues/{SLUG}.md")
    message = sample_message(project, loaded.issue, compile_issue(project, loaded).edition)
    assert message.envelope.rcpt_to == SAMPLE_RECIPIENT.address
    parsed = message_from_bytes(message.content)
    assert parsedate_to_datetime(parsed["Date"]) == dt.datetime.fromisoformat(date)
    text, html = message_parts(message)
    assert text.startswith("Harbour Weekly")
    assert "\r" not in text + html
    assert html.startswith("<!doctype html>")


def test_what_may_not_be_sent_is_refused(room):
    room.issue(SLUG)
    loaded = load_issue(project_of(room), room.root / f"issues/{SLUG}.md")
    edition = compile_issue(project_of(room), loaded).edition
    assert refuse_unsendable(project_of(room), loaded.issue, edition) > 10_000
    with pytest.raises(ConfigError, match="postal_address"):
        refuse_unsendable(project_of(room, NEWSLETTER__POSTAL_ADDRESS=""), loaded.issue, edition)
    with pytest.raises(ProblemsError, match="postal"):
        refuse_unsendable(project_of(room, NEWSLETTER__POSTAL_ADDRESS="Another Place 1"), loaded.issue, edition)
    room.issue("2026-11-25.zh")
    loaded = load_issue(project_of(room), room.root / "issues/2026-11-25.zh.md")
    with pytest.raises(InputError, match="language editions"):
        refuse_unsendable(project_of(room), loaded.issue, edition)


@pytest.mark.parametrize(
    "address", ["Harbour Weekly\n1 Quay Street\n12345 Port", "  1  Quay   Street ", "1 <Quay> & Co"]
)
def test_postal_addresses_of_all_forms_can_be_sent(room, address):
    room.issue(SLUG)
    project = project_of(room, NEWSLETTER__POSTAL_ADDRESS=address)
    loaded = load_issue(project, room.root / f"issues/{SLUG}.md")
    assert refuse_unsendable(project, loaded.issue, compile_issue(project, loaded).edition)


# --- reading and writing ---------------------------------------------------------------------------------------------


def test_file_that_cannot_be_read_is_told(room):
    project = project_of(room)
    with pytest.raises(InputError, match="No such file"):
        load_issue(project, room.root / "issues/gone.md")
    (room.root / "issues/folder.md").mkdir(parents=True)
    with pytest.raises(InputError, match="Is a directory"):
        load_issue(project, room.root / "issues/folder.md")


def test_messages_name_files_from_the_project(room, tmp_path_factory):
    path = room.issue(SLUG, "subjct: x")
    with pytest.raises(IssueError, match=rf"^issues/{SLUG}\.md:5:1"):
        load_issue(project_of(room), path)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.md"
    elsewhere.write_bytes(path.read_bytes())
    with pytest.raises(IssueError, match=rf"^{elsewhere}:5:1"):
        load_issue(project_of(room), elsewhere)


def test_image_named_like_a_file_of_the_build_does_not_take_its_place(room, tmp_path):
    room.write("issues/email.html", make_png(30, 20))
    room.issue(SLUG, body=BODY + "\n![x](email.html)\n")
    project = project_of(room)
    built = build_issue(project, load_issue(project, room.root / f"issues/{SLUG}.md"), tmp_path / "out")
    assert (tmp_path / f"out/{SLUG}/email.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / f"out/{SLUG}/edition.json").read_text())["digest"] == built.compiled.edition.digest


def test_source_digest_is_the_same_for_images_that_were_loaded(room):
    room.write("issues/images/a.png", make_png(30, 20))
    room.issue(SLUG, body=BODY + "\n![x](images/a.png)\n")
    project = project_of(room)
    loaded = load_issue(project, room.root / f"issues/{SLUG}.md")
    assert source_digest(project, loaded) == source_digest(project, loaded, compile_issue(project, loaded).images)


def test_a_message_leads_to_the_readers_choices_in_both_parts(room):
    room.issue(SLUG)
    room.environ = {"NEWSLETTER_NEWSLETTER__UNSUBSCRIBE": "web", "NEWSLETTER_NEWSLETTER__URL": "https://n.example"}
    project = load_project(room.root, room.environ)
    loaded = load_issue(project, room.root / f"issues/{SLUG}.md")
    parts = message_parts(sample_message(project, loaded.issue, compile_issue(project, loaded).edition))
    assert all("https://n.example/preferences/" in one and "Preferences" in one for one in parts)


def test_own_templates_win_file_by_file(room):
    shipped = effective_templates(project_of(room))
    own = room.write("templates/email/footer.mjml.j2", "mine")
    added = room.write("templates/email/extra.mjml.j2", "mine")
    found = effective_templates(project_of(room))
    assert found == shipped | {"email/footer.mjml.j2": own, "email/extra.mjml.j2": added}
    assert "email/issue.mjml.j2" in found
