"""An edition survives JSON exactly, and its digest is of its content."""

import dataclasses
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.edition import edition_digest, edition_from_json, edition_to_json, freeze
from newsletter.errors import InputError
from newsletter.model import Edition, Resource, Slot

EDITION = Edition(
    issue="2026-11-25",
    subject=("China reins in facial recognition",),
    preheader="Why policy matters",
    html=("<p>Hello ", Slot("name", "reader"), "</p>\n"),
    text=("Hello ", Slot("name", "reader"), "\n"),
    date=dt.date(2026, 11, 25),
    language="en",
    number="212",
    resources=(Resource("logo@example.org", "logo.png", "image/png", b"\x89PNG\0\xff"),),
)

texts = st.text(st.characters(exclude_categories=()), max_size=20)
parts = st.lists(st.one_of(texts, st.builds(Slot, texts, texts)), max_size=5).map(tuple)
editions = st.builds(
    Edition,
    issue=texts,
    subject=parts,
    preheader=texts,
    html=parts,
    text=parts,
    date=st.dates(),
    language=texts,
    kind=texts,
    variant=texts,
    revision=st.integers(0, 10**6),
    number=texts,
    resources=st.lists(st.builds(Resource, texts, texts, texts, st.binary(max_size=20)), max_size=3).map(tuple),
)


@given(editions)
def test_json_gives_the_same_edition_back(edition):
    assert edition_from_json(edition_to_json(edition)) == edition
    frozen = freeze(edition)
    assert edition_from_json(edition_to_json(frozen)) == frozen


def test_the_digest_is_fixed():
    assert edition_digest(EDITION) == "93cd2d4cdddd079b08e617c0c98a32e33f2839fc6b3409570630ebd92966279e"
    assert freeze(EDITION).digest == edition_digest(EDITION)
    assert freeze(freeze(EDITION)) == freeze(EDITION)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Edition) if field.name != "digest"])
def test_every_field_counts_for_the_digest(name):
    other = {"date": dt.date(2026, 11, 26), "revision": 2, "resources": (), "subject": ("x",), "html": (), "text": ()}
    changed = dataclasses.replace(EDITION, **{name: other.get(name, "other")})
    assert edition_digest(changed) != edition_digest(EDITION)


def test_how_static_text_is_cut_does_not_count_for_the_digest():
    cut = dataclasses.replace(EDITION, html=("", "<p>", "Hel", "lo ", Slot("name", "reader"), "</p>", "", "\n"))
    assert edition_digest(cut) == edition_digest(EDITION)
    for other in (("<p>Hello ", "name", "</p>\n"), ("<p>Hello ", Slot("name"), "</p>\n")):
        assert edition_digest(dataclasses.replace(EDITION, html=other)) != edition_digest(EDITION)


def test_json_is_ascii_readable_and_names_its_format():
    text = edition_to_json(dataclasses.replace(EDITION, preheader="政策\u2028"))
    assert text.isascii()
    assert text.endswith("}\n")
    content = json.loads(text)
    assert content["format"] == 1
    assert content["html"] == ["<p>Hello ", {"field": "name", "default": "reader"}, "</p>\n"]
    assert content["date"] == "2026-11-25"


def test_an_edition_that_was_changed_after_freezing_is_refused():
    text = edition_to_json(freeze(EDITION)).replace("Hello", "Hallo")
    with pytest.raises(InputError, match="is not what was frozen"):
        edition_from_json(text)


def _with(**changes):
    content = json.loads(edition_to_json(EDITION))
    content.update(changes)
    return json.dumps({name: value for name, value in content.items() if value != "-"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"x"',
        "{}",
        "[" * 100_000,
        _with(format=2),
        _with(format="-"),
        _with(issue="-"),
        _with(issue=7),
        _with(revision="1"),
        _with(revision=True),
        _with(date="soon"),
        _with(date=7),
        _with(html="<p>"),
        _with(html=[7]),
        _with(html=[{"field": "name"}]),
        _with(html=[{"field": "name", "default": 7}]),
        _with(html=None),
        _with(resources=[{"cid": "a", "filename": "b", "media_type": "c", "content": "*"}]),
        _with(resources=[{"cid": 1, "filename": "b", "media_type": "c", "content": ""}]),
        _with(resources=["x"]),
        _with(resources=7),
        _with(surplus="x"),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="build it again"):
        edition_from_json(text)
