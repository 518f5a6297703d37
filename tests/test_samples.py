"""The sample newsletter and the editors' guide: both compile as they stand, and say nothing that is not true."""

import datetime as dt
import re
import shutil
import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from newsletter import frontmatter
from newsletter import issue as issue_module
from newsletter.checker import check_issue, check_text, few_of_each
from newsletter.cleanhtml import ALLOWED_TAGS
from newsletter.compiler import compile_issue, load_issue
from newsletter.config import CONFIG_NAME, Config, NewsletterSection, Project, load_project
from newsletter.errors import IssueError
from newsletter.model import (
    ARTICLE_KINDS,
    ARTICLES,
    BRIEF,
    LEAD,
    MERGE_FIELDS,
    QUOTE,
    SECTION_KINDS,
    SPONSOR,
    TEXT,
    Issue,
    Section,
)

ROOT = Path(__file__).parents[1]
SLUGS = ("2026-11-11", "2026-11-18", "2026-11-25")
DIGEST, BILINGUAL, NEWEST = SLUGS
DAY = dt.date(2026, 11, 24)
HOME_PAGES = {
    "daxueconsulting.com",
    "jingdaily.com",
    "www.cctv.com",
    "www.chinaskinny.com",
    "www.thatsmags.com",
}
"""Real sites that samples may link to, by their home page only: no address of a real article is invented."""


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(ROOT, {})


@pytest.fixture(scope="module")
def issues(project: Project) -> dict[str, Issue]:
    return {slug: _parse(project, slug) for slug in SLUGS}


def _parse(project: Project, slug: str) -> Issue:
    path = project.issues_dir / f"{slug}.md"
    text = issue_module.decode_issue(path.read_bytes(), str(path))
    sections = project.config.sections
    return issue_module.parse_issue(text, slug=slug, file=str(path), sections=sections, zone=project.zone)


def _section(issue: Issue, kind: str) -> Section:
    return next(section for section in issue.sections if section.kind == kind)


def _html(issue: Issue) -> str:
    return "\n".join(text.html for text in issue_module.rich_texts(issue))


def test_the_folder_holds_the_three_samples_and_the_newest_is_the_one_led_by_its_editorial(project: Project) -> None:
    assert sorted(path.stem for path in project.issues_dir.glob("*.md")) == list(SLUGS)


@pytest.mark.parametrize("slug", SLUGS)
def test_no_check_finds_anything_in_a_sample(slug: str, issues: dict[str, Issue], project: Project) -> None:
    assert check_issue(project, project.issues_dir / f"{slug}.md", today=DAY).report.findings == ()
    assert issues[slug].warnings == ()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_sample_has_all_that_its_reader_sees_first(slug: str, issues: dict[str, Issue]) -> None:
    issue = issues[slug]
    assert issue.date.isoformat() == slug
    assert issue.number
    assert issue.author
    assert 10 <= len(issue.subject) <= 50
    assert 30 <= len(issue.preheader) <= 110


@pytest.mark.parametrize("slug", SLUGS)
def test_a_sample_is_never_due_so_that_cron_is_silent_in_a_fresh_checkout(slug: str, issues: dict[str, Issue]) -> None:
    assert issues[slug].send_at is None
    assert issues[slug].approved is None


def test_numbers_and_dates_ascend_together(issues: dict[str, Issue]) -> None:
    assert [int(issues[slug].number) for slug in SLUGS] == [210, 211, 212]


@pytest.mark.parametrize("slug", SLUGS)
def test_each_article_has_a_source_and_a_short_summary(slug: str, issues: dict[str, Issue]) -> None:
    for article in issues[slug].articles:
        assert article.source, article.url
        assert article.summary is not None, article.url
        words = re.sub(r"<[^>]+>", " ", article.summary.html)
        assert len(words) <= 330, article.url
        assert len(re.sub(r"<[^>]+>", "", article.headline.html)) <= 60, article.url


@pytest.mark.parametrize("slug", SLUGS)
def test_links_go_to_example_hosts_or_to_home_pages(slug: str, issues: dict[str, Issue]) -> None:
    links = re.findall(r'href="([^"]+)"', _html(issues[slug])) + [article.url for article in issues[slug].articles]
    assert links
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        if parts.hostname not in ("example.com", "example.org"):
            assert parts.hostname in HOME_PAGES, link
            assert parts.path in ("", "/"), link


@pytest.mark.parametrize("slug", SLUGS)
def test_emphasis_is_emphasis_beside_chinese_punctuation_too(slug: str, issues: dict[str, Issue]) -> None:
    assert "*" not in _html(issues[slug])


# ---------------------------------------------------------------------------------------------------------------------
# What each one shows
# ---------------------------------------------------------------------------------------------------------------------


def test_the_newest_is_led_by_its_editorial_and_ranks_five_articles(issues: dict[str, Issue]) -> None:
    issue = issues[NEWEST]
    assert issue.editorial is not None
    assert len(issue.editorial.html) > 1200
    assert [article.rank for article in _section(issue, LEAD).articles] == [1, 2, 3, 4, 5]
    assert [section.kind for section in issue.sections] == [LEAD, QUOTE, ARTICLES, BRIEF, TEXT]
    assert [section.name for section in issue.sections[2:]] == ["Digital", "Retail & consumers in brief", "Sources"]


def test_the_digest_has_every_kind_of_section_and_three_kinds_of_article(issues: dict[str, Issue]) -> None:
    issue = issues[DIGEST]
    assert {section.kind for section in issue.sections} == {LEAD, ARTICLES, BRIEF, SPONSOR, QUOTE, TEXT}
    assert {article.kind for article in issue.articles} >= {"article", "video", "infographic"}
    assert not _section(issue, SPONSOR).articles
    assert _section(issue, TEXT).name == "Sources"
    assert "<blockquote>" in _html(issue)


def test_the_bilingual_issue_mixes_french_and_chinese(issues: dict[str, Issue]) -> None:
    issue = issues[BILINGUAL]
    assert issue.lang == "fr"
    assert [(slot.field, slot.default) for slot in issue.slots] == [("name", "et bienvenue")]
    assert "<strong>「重要」</strong>" in _html(issue)
    assert sum(bool(re.search("[\u4e00-\u9fff]", article.headline.html)) for article in issue.articles) >= 5
    alts = [article.image.alt for article in issue.articles if article.image]
    assert any(re.search("[\U0001f300-\U0001faff]", alt) for alt in alts)


def test_a_french_issue_has_its_lead_section_by_a_french_heading(issues: dict[str, Issue]) -> None:
    assert _section(issues[BILINGUAL], LEAD).name == "À la une"


# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------


def test_every_image_is_small_described_and_used(issues: dict[str, Issue], project: Project) -> None:
    used = {image.src: image.alt for slug in SLUGS for image in issues[slug].images}
    files = {f"images/{path.name}" for path in (project.issues_dir / "images").iterdir()}
    assert set(used) == files
    assert all(len(alt) > 30 for alt in used.values())
    for name in files:
        content = (project.issues_dir / name).read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n", name
        width, height = struct.unpack(">II", content[16:24])
        assert (width, height) == (1200, 675), name
        assert len(content) <= 40_000, name


# ---------------------------------------------------------------------------------------------------------------------
# newsletter.toml
# ---------------------------------------------------------------------------------------------------------------------


def test_the_sample_configuration_names_every_key_of_the_newsletter() -> None:
    text = (ROOT / CONFIG_NAME).read_text(encoding="utf-8")
    for key in NewsletterSection.__struct_encode_fields__:
        assert re.search(rf"^{key} = ", text, re.MULTILINE), key


def test_what_is_commented_out_are_the_defaults_and_all_of_them(tmp_path: Path) -> None:
    text = (ROOT / CONFIG_NAME).read_text(encoding="utf-8")
    opened = re.sub(r"^# (?=\[[a-z]+\]$|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    (tmp_path / CONFIG_NAME).write_text(opened, encoding="utf-8")
    config = load_project(tmp_path, {}).config
    default = Config(newsletter=config.newsletter)
    for name in ("theme", "smtp", "store", "send", "web"):
        assert getattr(config, name) == getattr(default, name), name
        for key in getattr(default, name).__struct_encode_fields__:
            if (name, key) != ("smtp", "password"):  # a password never stands in the file
                assert re.search(rf"^{key} = ", opened, re.MULTILINE), key


# ---------------------------------------------------------------------------------------------------------------------
# The editors' guide: each example is an issue, or the body of one, and each message is what the example brings
# ---------------------------------------------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "editing.md").read_text(encoding="utf-8")
FRONT_MATTER = "---\nsubject: An example\npreheader: Of the guide.\ndate: 2026-11-25\n---\n"


def _guide_examples() -> list[tuple[str, str]]:
    """Return each Markdown example of the guide with the messages that the guide says it brings, or ``""``."""
    found = re.findall(r"^```markdown\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", GUIDE, re.DOTALL | re.MULTILINE)
    assert len(found) > 20
    return found


@pytest.mark.parametrize(("example", "messages"), _guide_examples())
def test_an_example_of_the_guide_brings_what_the_guide_says(example: str, messages: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "issues" / "images", tmp_path / "issues" / "images")
    shutil.copy(ROOT / CONFIG_NAME, tmp_path)
    path = tmp_path / "issues" / "2026-11-25.md"
    path.write_text(example if example.startswith("---") else FRONT_MATTER + example, encoding="utf-8")
    said, warned = _compile(load_project(tmp_path, {}), path)
    assert said == messages or (warned and not messages)


def _compile(project: Project, path: Path) -> tuple[str, bool]:
    """Return what ``newsletter build`` prints of the issue's mistakes, and whether these are warnings only."""
    try:
        compile_issue(project, load_issue(project, path))
        warnings = few_of_each(check_text(project, load_issue(project, path), today=DAY).findings)
    except IssueError as error:
        return "".join(f"error: {problem}\n" for problem in error.problems), False
    return "".join(f"warning: {finding.as_problem()}\n" for finding in warnings), True


def test_the_guide_explains_every_front_matter_key_section_kind_and_attribute() -> None:
    words = (*frontmatter.KEYS, *SECTION_KINDS, "topics=", "date=", "follow-up=", "waive=", "kind=")
    assert [word for word in words if f"`{word}" not in GUIDE] == []


def test_the_guide_names_every_kind_of_article_merge_field_and_tag() -> None:
    assert [kind for kind in ARTICLE_KINDS if f"`{kind}`" not in GUIDE] == []
    assert [name for name in MERGE_FIELDS if f"`{{{{ {name} }}}}`" not in GUIDE] == []
    tags = re.search(r"Of HTML, the tags `(.*?)` are kept", GUIDE, re.DOTALL)
    assert tags is not None
    named = set(re.findall(r"[a-z0-9]+", tags[1])) - {"to"} | {"h4", "h5"}
    assert named | {"thead", "tbody"} == ALLOWED_TAGS
