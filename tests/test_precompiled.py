"""What an approval compiled is what its send takes, as long as nothing changed; else it is compiled as ever."""

import datetime as dt

import pytest
from newsroom import BODY, Newsroom
from smtp_server import SmtpServer
from test_images import make_png

from newsletter import freezer
from newsletter.config import load_project
from newsletter.precompiled import find_compiled
from newsletter.secretfile import load_keys
from newsletter.store import open_store

SLUG = "2026-11-25"
PICTURE = BODY + "\n![A crane](crane.png)\n"
LOGO = '[theme]\nlogo = "logo.png"\n'


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    room.write("newsletter.toml", (tmp_path / "newsletter.toml").read_text() + LOGO)
    room.write("logo.png", make_png(20, 10))
    room.write("issues/crane.png", make_png(400, 200))
    room.write("templates/email/own.mjml.j2", "")
    room.subscribers("ann@example.org", "bob@example.org")
    room.issue(SLUG, "send_at: 2026-11-25 08:00", "not_after: 2026-11-26 08:00", "audience: newsletter", body=PICTURE)
    return room


def approve(room):
    answer = room.run("approve", SLUG)
    assert answer.code == 0, answer


@pytest.fixture
def found(room):
    """Return what is found of the issue as it stands."""

    def find():
        project = load_project(room.root, room.environ)
        with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
            return find_compiled(project, store, room.root / f"issues/{SLUG}.md")

    return find


@pytest.fixture
def children(monkeypatch):
    """Return the issues that were compiled in a child process."""
    seen = []
    freeze = freezer.freeze_issue

    def watched(project, path, **how):
        seen.append((path.stem, tuple(how.get("variants", ()))))
        return freeze(project, path, **how)

    monkeypatch.setattr("newsletter.worker.freeze_issue", watched)
    return seen


def test_it_is_what_compiling_gives(room, found):
    assert found() is None
    approve(room)
    project = load_project(room.root, room.environ)
    kept = found()
    assert kept == freezer.freeze_issue(project, room.root / f"issues/{SLUG}.md", approved_only=True)
    assert kept.send_at == dt.datetime(2026, 11, 25, 7, tzinfo=dt.UTC)
    assert kept.approved


def test_a_send_takes_it_and_forgets_it(room, found, children):
    approve(room)
    digest = found().edition.digest
    with SmtpServer() as relay:
        room.relay(relay)
        answer = room.run("send", SLUG, "--yes", "--late", "--json")
    assert (answer.code, answer.json["sent"]) == (0, 2), answer
    assert children == []
    assert found() is None
    project = load_project(room.root, room.environ)
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        assert [each.digest for each in store.editions.find_editions(SLUG).values()] == [digest]


CHANGES = {
    "the text": ("issues/2026-11-25.md", lambda old: old.replace(b"Nobody", b"Somebody")),
    "when it goes": ("issues/2026-11-25.md", lambda old: old.replace(b"08:00", b"09:00", 1)),
    "the approval": ("issues/2026-11-25.md", lambda old: old.replace(b"approved: ", b"approved: 0")),
    "an image": ("issues/crane.png", lambda _: make_png(401, 200)),
    "the logo": ("logo.png", lambda _: make_png(21, 10)),
    "a template": ("templates/email/own.mjml.j2", lambda old: old + b"x"),
    "a setting": ("newsletter.toml", lambda old: old.replace(b"Harbour Weekly", b"Harbor Weekly")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_compiled_and_not_sent(room, found, children, what):
    approve(room)
    name, change = CHANGES[what]
    path = room.root / name
    path.write_bytes(change(path.read_bytes()))
    assert found() is None
    answer = room.run("send", SLUG, "--yes", "--late")
    assert answer.code != 0
    assert children == [(SLUG, ())]


@pytest.mark.parametrize("name", ["issues/crane.png", "logo.png", f"issues/{SLUG}.md"])
def test_what_is_gone_is_told_by_the_compiler(room, found, children, name):
    approve(room)
    (room.root / name).unlink()
    assert found() is None


def test_an_approval_again_keeps_the_latest_alone(room, found):
    approve(room)
    first = found().edition.digest
    room.issue(SLUG, "send_at: 2026-11-25 08:00", body=PICTURE.replace("Nobody", "Somebody"))
    approve(room)
    assert found().edition.digest != first


def test_topics_that_somebody_chose_are_compiled(tmp_path, children):
    room = Newsroom(tmp_path)
    body = BODY + "\n## Shops {topics=retail}\n\n### [A shop](https://example.com/shop)\nIt opened.\n"
    body += "\n## Beauty {topics=beauty}\n\n### [A cream](https://example.com/cream)\nIt is thick.\n"
    room.issue(SLUG, body=body)
    people = room.write("people.csv", "email,topics\nann@example.org,retail\nbob@example.org,\n")
    assert room.run("subscribers", "import", str(people)).code == 0
    approve(room)
    with SmtpServer() as relay:
        room.relay(relay)
        assert room.run("send", SLUG, "--yes").code == 0
    assert children
    assert all(variants for _, variants in children), "the whole issue was at hand"
