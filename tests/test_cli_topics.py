"""From choice to mail: who chose topics gets their sections, and the plan and the status say how many got which."""

import json

import pytest
from newsroom import Newsroom, assert_told

from newsletter.receiver import Receiver

SLUG = "2026-11-25"
BODY = """\
Good morning.

## Most important news

### [A crane fell](https://example.com/crane "Port Post")
Nobody was hurt.

## Beauty {topics=beauty}

- [A cream](https://example.com/cream)

## Retail {topics=retail}

- [A shop](https://example.com/shop)
"""


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def room(tmp_path, receiver):
    room = Newsroom(tmp_path)
    room.relay(receiver)
    return room


def add(room, name, *topics, **options):
    extra = [piece for topic in topics for piece in ("--topic", topic)]
    extra += [piece for key, value in options.items() for piece in (f"--{key}", value)]
    assert room.run("subscribers", "add", f"{name}@example.org", *extra).code == 0


def mails(receiver) -> dict[str, str]:
    from email import message_from_bytes

    found = {}
    for message in receiver.messages:
        parsed = message_from_bytes(message.content)
        text = next(part for part in parsed.walk() if part.get_content_type() == "text/plain")
        found[message.envelope.rcpt_to.partition("@")[0]] = text.get_payload(decode=True).decode()
    return found


def write(room, front: str = "") -> None:
    text = f"---\nsubject: Hello\ndate: {SLUG}\n{front}---\n{BODY}"
    room.write(f"issues/{SLUG}.md", text)


def test_each_gets_the_sections_of_their_topics(room, receiver):
    write(room)
    add(room, "ann")
    add(room, "bob", "Beauty")
    add(room, "cyd", "beauty", "wine")
    add(room, "dan", "wine")
    add(room, "eve", "beauty", "retail")
    approved = room.run("approve", SLUG)
    assert "audience   5 recipients" in approved.out
    plan = room.run("send", SLUG)
    for words in ("2 get the whole issue", "1 get no section with topics", "2 get the sections on beauty"):
        assert words in plan.out
        assert words in approved.out
    told = room.run("send", SLUG, "--json").json
    assert [(each["variant"], each["recipients"]) for each in told["editions"]] == [("", 2), ("-", 1), ("beauty", 2)]
    assert room.run("send", SLUG, "--yes").code == 0
    got = mails(receiver)
    assert {name: ("A cream" in text, "A shop" in text) for name, text in got.items()} == {
        "ann": (True, True),
        "bob": (True, False),
        "cyd": (True, False),
        "dan": (False, False),
        "eve": (True, True),
    }
    assert all("A crane fell" in text for text in got.values())
    editions = room.run("status", SLUG, "--json").json["editions"]
    assert {each["variant"]: each["planned"] for each in editions} == {"": 2, "-": 1, "beauty": 2}
    words = room.run("status", SLUG).out
    assert "beauty" in words


def test_a_variant_can_be_looked_at_before(room):
    write(room)
    answer = room.run("build", SLUG, "--topics", "beauty", "--topics", "-", "--topics", "retail,beauty")
    assert answer.code == 0
    assert "who chose these topics gets the whole issue" in answer.out
    folder = room.root / "build" / SLUG
    assert "A shop" in (folder / "email.txt").read_text()
    beauty = (folder / "topics-beauty" / "email.txt").read_text()
    assert "A cream" in beauty
    assert "A shop" not in beauty
    assert "A cream" not in (folder / "topics-none" / "email.txt").read_text()
    assert json.loads((folder / "topics-beauty" / "edition.json").read_text())["variant"] == "beauty"
    assert_told(room.run("build", SLUG, "--topics", "sport"), 65, "no section has the topic 'sport'", "beauty, retail")


def test_an_audience_is_asked_in_the_front_matter(room, receiver):
    add(room, "ann", language="fr-CA")
    add(room, "bob", language="fr")
    add(room, "cyd")
    room.run("subscribers", "lists", "add", "monthly")
    room.run("subscribers", "add", "bob@example.org", "--list", "monthly")
    write(room, 'audience: language = "fr" and not monthly\n')
    room.run("approve", SLUG)
    assert 'audience   1 recipients: language = "fr" and not monthly' in room.run("send", SLUG).out
    assert room.run("send", SLUG, "--yes").code == 0
    assert list(mails(receiver)) == ["ann"]


def test_a_mistake_in_an_audience_has_its_place(room):
    write(room, 'audience: langauge = "fr"\n')
    assert_told(room.run("build", SLUG), 65, f"issues/{SLUG}.md:4:11: audience: unknown field 'langauge'")
    write(room, 'audience: language = "de"\n')
    add(room, "ann")
    room.run("approve", SLUG)
    assert_told(room.run("send", SLUG, "--yes"), 1, """nobody is on the audience 'language = "de"'""")


def test_too_many_variants_are_refused(room):
    sections = "".join(f"\n## S{n} {{topics=t{n}}}\n\n- [x{n}](https://example.com/{n})\n" for n in range(7))
    room.write(f"issues/{SLUG}.md", f"---\nsubject: Hello\ndate: {SLUG}\n---\nHi.\n{sections}")
    chosen = (";".join(f"t{bit}" for bit in range(7) if n >> bit & 1) for n in range(128))
    lines = [f"p{n}@example.org,{topics}" for n, topics in enumerate(chosen)]
    room.write("people.csv", "email,topics\n" + "\n".join(lines) + "\n")
    assert room.run("subscribers", "import", str(room.root / "people.csv")).code == 0
    assert_told(room.run("approve", SLUG), 65, "126 variants of this issue, and 64 may be")
