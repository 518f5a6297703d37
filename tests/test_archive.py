"""The archive: what it shows and since when, its pages, feeds and search, and how it is written."""

import datetime as dt
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import feedparser
import pytest
from newsroom import BODY, CONFIG, Newsroom, assert_told

from newsletter.archive import select_published, site_files, write_site
from newsletter.config import load_project
from newsletter.errors import ConfigError
from newsletter.sample import sample_folder

SITE = "https://news.example.org/w"
NOW = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
APPROVED = f"approved: {'a' * 64} by kim 2026-11-25"
ATOM = "{http://www.w3.org/2005/Atom}"


class Page(HTMLParser):
    """Read the tags, links and words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return Newsroom(tmp_path / "weekly", config=CONFIG + f'url = "{SITE}/"\ntagline = "Ships & tides"\n')


def files_of(room: Newsroom, now: dt.datetime = NOW, *, drafts: bool = False) -> dict[str, str]:
    project = load_project(room.root, {})
    selection = select_published(project, None, now, drafts=drafts)
    return {name: content.decode("utf-8", "replace") for name, content in site_files(project, selection.issues, now)}


# ---------------------------------------------------------------------------------------------------------------------
# What is published
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "now", "published"),
    [
        ([], NOW, False),
        ([APPROVED], NOW, True),
        ([APPROVED, "send_at: 2026-12-01 13:00"], NOW, True),  # Paris: noon in UTC
        ([APPROVED, "send_at: 2026-12-01 13:01"], NOW, False),
        ([APPROVED], dt.datetime(2026, 11, 24, 22, 59, tzinfo=dt.UTC), False),
        ([APPROVED], dt.datetime(2026, 11, 24, 23, 0, tzinfo=dt.UTC), True),  # its day begins in Paris
    ],
)
def test_an_issue_is_published_once_it_is_approved_and_its_time_has_come(room, lines, now, published):
    room.issue("2026-11-25", *lines)
    assert ("archive/2026-11-25/index.html" in files_of(room, now)) is published
    draft = files_of(room, now, drafts=True)["archive/2026-11-25/index.html"]
    assert ("noindex" in draft) is not published


def test_what_was_approved_is_shown_even_where_the_file_was_changed_since(room):
    path = room.issue()
    room.subscribers("ann@example.org")
    assert room.run("approve", "2026-11-25", "--by", "kim").code == 0
    path.write_text(path.read_text().replace("Nobody was hurt", "Somebody was hurt"))
    answer = room.run("site", "--json")
    page = (room.root / "site/archive/2026-11-25/index.html").read_text()
    assert "Nobody was hurt" in page
    assert "changed since kim approved it; the archive shows what was approved" in answer.json["notes"][0]


def test_a_broken_issue_takes_no_other_down(room):
    room.issue("2026-11-18", APPROVED)
    room.write("issues/2026-11-25.md", "no front matter")
    room.write("issues/2026-11-25.fr.md", "a language edition, which has no page of its own")
    answer = room.run("site", "--json")
    assert answer.json["issues"] == ["2026-11-18"]
    assert ["issues/2026-11-25.md" in note for note in answer.json["notes"]] == [True]


def test_a_newsletter_without_a_site_is_told_what_to_write(tmp_path):
    room = Newsroom(tmp_path / "weekly")
    room.issue("2026-11-25", APPROVED)
    assert_told(room.run("site"), 78, "[newsletter] url", "https://news.example.org")


# ---------------------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------------------


def test_a_page_holds_every_word_of_its_issue_and_no_recipient(room):
    room.issue(
        "2026-11-25",
        APPROVED,
        "author: Kim & Ann",
        "number: 7",
        subject="'Hello {{ name | default(\"reader\") }}'",
        body=BODY
        + "\n## In brief\n\n- [Tide](https://example.com/tide) by Ann\n  > Low & early\n\n## Sources\n\n- [Log](https://example.com/log)\n",
    )
    page = Page(files_of(room)["archive/2026-11-25/index.html"])
    expected = [
        *("Hello reader", "Good morning reader.", "by Kim & Ann", "Issue 7", "November 25, 2026", "A crane fell"),
        *("Port Post", "Nobody was hurt", "Tide", "by Ann", "Low & early", "Log"),
    ]
    for words in expected:
        assert words in page.words, words
    assert [link["href"] for link in page.all("a") if (link["href"] or "").startswith("https://example.com")] == [
        "https://example.com/crane",
        "https://example.com/tide",
        "https://example.com/log",
    ]
    assert "nsubscribe" not in page.words


def test_a_page_names_itself_its_neighbours_and_what_networks_show(room):
    png = (sample_folder() / "issues/images/privacy-shield.png").read_bytes()
    room.write("issues/images/crane.png", png)
    for day in ("2026-11-18", "2026-11-25", "2026-12-01"):
        body = BODY.replace("Nobody", "![A crane, lying](images/crane.png)\nNobody")
        room.issue(day, APPROVED, f"send_at: {day} 08:00", body=body, subject=f"Week of {day}")
    files = files_of(room)
    page = Page(files["archive/2026-11-25/index.html"].replace("2026-11-25 ", ""))
    url = f"{SITE}/archive/2026-11-25"
    assert page.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert page.all("link", rel="canonical") == [{"rel": "canonical", "href": url}]
    seen = {meta["property"]: meta["content"] for meta in page.all("meta") if "property" in meta}
    assert seen["og:url"] == url
    assert seen["og:title"] == "Week of 2026-11-25"
    assert seen["og:description"] == "And more"
    assert seen["og:image"] == f"{url}/images/crane.png"
    assert seen["og:image:alt"] == "A crane, lying"
    assert seen["article:published_time"] == "2026-11-25T08:00:00+01:00"
    assert page.all("a", rel="prev")[0]["href"] == "../2026-11-18/index.html"
    assert page.all("a", rel="next")[0]["href"] == "../2026-12-01/index.html"
    picture = page.all("img")[0]
    assert (picture["src"], picture["alt"]) == ("images/crane.png", "A crane, lying")
    assert int(picture["width"] or 0) > 100
    assert "archive/2026-11-25/images/crane.png" in write_paths(room)


def write_paths(room: Newsroom) -> set[str]:
    write_site(load_project(room.root, {}), None, room.root / "out", NOW)
    return {str(path.relative_to(room.root / "out")) for path in (room.root / "out").rglob("*") if path.is_file()}


def test_every_link_within_the_archive_leads_to_a_file(room):
    room.issue("2026-11-18", APPROVED)
    room.issue("2026-11-25", APPROVED)
    files = files_of(room)
    for name, html in files.items():
        if name.endswith(".html"):
            for tag, attributes in Page(html).tags:
                target = attributes.get("href") if tag in ("a", "link") else attributes.get("src")
                if target and ":" not in target and not target.startswith("#"):
                    assert urljoin(name, target.partition("#")[0]) in files, (name, target)


def test_the_index_lists_issues_by_year_the_newest_first(room):
    for slug in ("2025-12-30", "2026-01-06", "2026-11-25"):
        path = room.issue(slug, APPROVED, subject=f"Of {slug}")
        path.write_text(path.read_text().replace("date: 2026-11-25", f"date: {slug}"))
    index = files_of(room)["archive/index.html"]
    assert re.findall(r"<h2>(\d+)</h2>|>Of ([\d-]+)<", index) == [
        ("2026", ""), ("", "2026-11-25"), ("", "2026-01-06"), ("2025", ""), ("", "2025-12-30"),
    ]  # fmt: skip
    assert "Nothing has been published" not in index


def test_an_empty_archive_says_so(room):
    room.issue("2026-11-25")
    assert "No issue has been published yet." in files_of(room)["archive/index.html"]


def test_an_issue_is_framed_in_its_own_language(room):
    room.issue("2026-11-25", APPROVED, "lang: fr", "number: 7")
    room.issue("2026-11-18", APPROVED, "lang: ar")
    files = files_of(room)
    french = Page(files["archive/2026-11-25/index.html"])
    assert french.all("html") == [{"lang": "fr", "dir": "ltr"}]
    assert "Numéro 7" in french.words
    assert "25 novembre 2026" in french.words
    assert Page(files["archive/2026-11-18/index.html"]).all("html") == [{"lang": "ar", "dir": "rtl"}]
    assert Page(files["archive/index.html"]).all("h3", lang="fr")


def test_no_page_runs_or_loads_anything_from_elsewhere(room):
    hostile = (
        "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1))"
        ' <a href="https://example.com" onclick="x()" style="color:red">b</a> <iframe src="https://e.com"></iframe>\n\n'
    )
    room.issue("2026-11-25", APPROVED, body=hostile.replace("<img src=x onerror=alert(1)>", "") + BODY,
               subject="'</title><script>alert(2)</script>'")  # fmt: skip
    files = files_of(room)
    for name, html in files.items():
        page = Page(html) if name.endswith(".html") else None
        for tag, attributes in page.tags if page else ():
            assert tag != "iframe", name
            assert not any(attribute.startswith("on") for attribute in attributes), (name, attributes)
            assert "style" not in attributes, (name, attributes)
            assert not (attributes.get("href") or "").startswith("javascript:"), name
            if tag == "script":
                assert (name, attributes["src"]) in {
                    ("archive/search.html", "search.js"),
                    ("archive/search.html", "search-index.js"),
                }


def test_a_projects_own_template_wins(room):
    room.issue("2026-11-25", APPROVED)
    room.write("templates/web/archive/index.html.j2", "<!doctype html><title>Own</title>{{ newsletter.title }}")
    assert files_of(room)["archive/index.html"] == "<!doctype html><title>Own</title>Harbour Weekly"
    room.write("templates/web/archive/index.html.j2", "{{ nothing }}")
    assert_told(room.run("site"), 65, "templates/web/archive/index.html.j2:1", "nothing")


# ---------------------------------------------------------------------------------------------------------------------
# Feeds, sitemap, search
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["atom.xml", "rss.xml"])
def test_feeds_hold_whole_issues_with_absolute_addresses(room, name):
    png = (sample_folder() / "issues/images/privacy-shield.png").read_bytes()
    room.write("issues/images/crane.png", png)
    body = BODY.replace("Nobody", "![Crane](images/crane.png)\nNobody").replace(
        "Good morning", "![](images/crane.png)\n\nA < B & ]]> Good morning"
    )
    room.issue("2026-11-25", APPROVED, "author: Kim", body=body, subject="A & B <c>")
    room.issue("2026-11-18", APPROVED, "lang: fr")
    feed = feedparser.parse(files_of(room)[f"archive/{name}"])
    assert not feed.bozo
    assert feed.feed.title == "Harbour Weekly"
    assert feed.feed.link == f"{SITE}/archive/"
    assert [link.href for link in feed.feed.links if link.rel == "self"] == [f"{SITE}/archive/{name}"]
    newest = feed.entries[0]
    assert (newest.title, newest.link, newest.id) == ("A & B <c>", f"{SITE}/archive/2026-11-25", newest.link)
    assert newest.published_parsed[:5] == (2026, 11, 24, 23, 0)
    assert newest.author == "Kim"
    assert newest.summary == "And more"
    content = newest.content[-1].value
    assert "Good morning reader." in content
    assert "A &lt; B &amp; ]]&gt;" in content
    sources = re.findall(r'(?:src|href)="([^"]*)"', content)
    assert sources.count(f"{SITE}/archive/2026-11-25/images/crane.png") == 2
    assert all(source.startswith("https://") for source in sources)


def test_atom_is_what_its_rules_ask_for(room):
    for week in range(25):
        room.issue(f"issue-{week:02}", APPROVED, f"send_at: 2026-11-{week + 1:02} 08:00")
    feed = ET.fromstring(files_of(room)["archive/atom.xml"])
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 20
    for element in (feed, *entries):  # RFC 4287 sections 4.1.1 and 4.1.2
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"{ATOM}{name}")) == 1, name
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == 20
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    updated = [entry.findtext(f"{ATOM}updated") or "" for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert feed.findtext(f"{ATOM}updated") == updated[0] == "2026-11-25T08:00:00+01:00"
    for entry in entries:
        links = entry.findall(f"{ATOM}link")
        assert [link.get("rel") for link in links] == ["alternate"]


def test_equal_issues_are_equal_bytes(room):
    room.issue("2026-11-25", APPROVED)
    assert files_of(room) == files_of(room, NOW + dt.timedelta(days=3))


def test_the_sitemap_names_every_page(room):
    room.issue("2026-11-25", APPROVED, "send_at: 2026-11-25 08:00")
    room.issue("2026-11-26")
    found = ET.fromstring(files_of(room, drafts=True)["archive/sitemap.xml"])
    rows = [[child.text for child in url] for url in found]
    when = "2026-11-25T08:00:00+01:00"
    assert rows == [[f"{SITE}/archive/", when], [f"{SITE}/archive/2026-11-25", when]]


def test_the_search_index_holds_every_article(room):
    room.issue("2026-11-25", APPROVED, body=BODY + "\n## Digital\n\n- [「重要」 & more](https://e.com)\n  > 面容识别\n")
    script = files_of(room)["archive/search-index.js"]
    entries = json.loads(script.removeprefix("const ARCHIVE = ").removesuffix(";\n"))
    assert [(entry["u"], entry["t"]) for entry in entries] == [
        ("2026-11-25/index.html", "A crane fell"),
        ("2026-11-25/index.html#a1", "A crane fell"),
        ("2026-11-25/index.html#a2", "「重要」 & more"),
    ]
    assert entries[0]["x"] == "And more Good morning reader. Most important news Digital"
    assert entries[1]["x"] == "Nobody was hurt, and the crane is up again. Port Post"
    assert entries[2]["x"].startswith("面容识别")
    page = Page(files_of(room)["archive/2026-11-25/index.html"])
    assert [found["id"] for found in page.all("div") if found.get("id")] == ["a1", "a2"]


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def test_only_what_changed_is_written_and_what_went_is_removed(room):
    first, second = room.issue("2026-11-18", APPROVED), room.issue("2026-11-25", APPROVED)
    out = room.root / "public"
    room.write("public/index.html", "not ours")
    room.write("public/archive/own.txt", "not ours either")
    assert room.run("site", "--out", str(out), "--json").json["written"] > 5
    stamp = (out / "archive/2026-11-25/index.html").stat().st_mtime_ns
    again = room.run("site", "--out", str(out), "--json").json
    assert (again["written"], again["removed"]) == (0, 0)
    first.unlink()
    third = room.run("site", "--out", str(out), "--json").json
    assert third["removed"] == 1
    assert not (out / "archive/2026-11-18").exists()
    assert (out / "archive/2026-11-25/index.html").stat().st_mtime_ns != stamp  # it has no older neighbour any more
    assert (out / "index.html").read_text() == "not ours"
    assert (out / "archive/own.txt").read_text() == "not ours either"
    assert second.exists()


def test_a_forged_manifest_removes_nothing_outside(room):
    room.issue("2026-11-25", APPROVED)
    out = room.root / "public"
    victim = room.write("victim.txt", "keep")
    names = ["../victim.txt", "archive/../../victim.txt", str(victim), 7, None]
    room.write("public/.newsletter-site.json", json.dumps({"files": names}))
    assert room.run("site", "--out", str(out)).code == 0
    assert victim.exists()
    room.write("public/.newsletter-site.json", "{broken")
    assert room.run("site", "--out", str(out)).code == 0


def test_a_folder_that_cannot_be_written_is_told(room):
    room.issue("2026-11-25", APPROVED)
    room.write("public/archive", "a file")
    assert_told(room.run("site", "--out", str(room.root / "public")), 65, "cannot be written", "--out")


def test_the_sample_newsletter_has_an_archive(tmp_path):
    project = load_project(sample_folder(), {})
    site, selection = write_site(project, None, tmp_path, NOW, drafts=True)
    assert site.files == site.written > 15
    assert [published.issue.number for published in selection.issues] == ["212", "211", "210"]


def test_site_needs_no_store_and_makes_none(room):
    room.issue("2026-11-25", APPROVED)
    assert room.run("site").code == 0
    assert not list(room.root.glob("newsletter.db*"))


def test_without_a_site_no_file_is_made(tmp_path):
    room = Newsroom(tmp_path / "weekly")
    with pytest.raises(ConfigError):
        list(site_files(load_project(room.root, {}), (), NOW))
