"""Cases beyond one good and one bad example: what must be found, and what would be a false alarm."""

import datetime as dt

import pytest

from newsletter.pastarticles import PastArticle

from .subjects import CLOSING, FRONT, found, with_checks, written

FOUND = [
    ("links.empty", "[x]()"),
    ("links.empty", "[](https://example.com/a)"),
    ("links.generic-text", "## A\n\n### [More](https://example.com/more)\n\n- [A](https://example.com/a)\n"),
    ("links.empty", "[x](mailto:)"),
    ("links.scheme", "[x](https://)"),
    ("links.relative", "[x](//example.com/a)"),
    ("links.scheme", "[x](example.com:8080/a)"),
    ("links.scheme", "[x](tel:+331234)"),
    ("links.duplicate", "### [A](https://example.com/a-b)\nSee [the second](https://www.example.com/a-b/)."),
    ("links.misleading-text", "[https://bank.example/login](https://evil.example/)"),
    ("links.misleading-text", "[example.org/login](https://example.com/login)"),
    ("images.alt-default", "![crane.png](images/crane.png)"),
    ("images.alt-default", "![Screenshot 2026-11-24 at 10.12](images/a.png)"),
    ("images.alt-default", "![five-year-plan](images/five-year-plan.png)"),
    ("images.alt-repeated", "### [A crane fell](https://example.com/a)\n![A crane fell](images/a.png)\n"),
    ("text.placeholder", "Costs TK, they say."),
    ("text.placeholder", "[TK: figure]"),
    ("text.placeholder", "TODO: ask Mark"),
    ("text.placeholder", "Lorem ipsum dolor."),
    ("text.placeholder", "Sales grew by ??? %."),
    ("text.placeholder", "[insert quote here] said"),
    ("text.unresolved-field", "Dear {first_name},"),
    ("text.unresolved-field", "Dear [FIRST NAME],"),
    ("text.unresolved-field", "Dear %%first_name%%,"),
    ("text.unresolved-field", "Dear \\{{ name }},"),
    ("text.preheader-length", f'---\nsubject: x\npreheader: "{"a line " * 30}"\n{CLOSING}Hello.\n'),
    ("text.subject-length", f"---\nsubject: Hi\n{CLOSING}Hello.\n"),
    ("editorial.summary-length", "## Most important news\n\n### [A](https://example.com/a)\n"),
    ("text.wrong-weekday", "On Tuesday, November 25, 2026, at nine."),
    ("text.wrong-weekday", "Le lundi 25 novembre 2026, à neuf heures."),
    ("text.wrong-weekday", "2026年11月25日（星期一）"),
    ("text.stale-year", "© 2024 Harbour Weekly"),
    ("text.name-spelling", "### [TikTok and Ayayi](https://example.com/a)\nWhat Tiktok does.\n"),
    ("text.name-spelling", "### [Visiting Xiangyin](https://example.com/a)\nThe county of Xiangyni asks.\n"),
    ("editorial.embargo", "The draft is embargoed until 9:00."),
    ("editorial.embargo", "## A\n\n- [A](https://example.com/a) {date=2026-12-01}\n"),
    ("editorial.sponsor-unmarked", "## A\n\n- [Cranes](https://example.com/a?utm_medium=sponsored)\n"),
    ("editorial.sponsor-unmarked", "## A\n\n- [广告] [吊车](https://example.com/a)\n"),
]
FALSE_ALARMS = [
    ("links.relative", "[x](mailto:a@example.org) [y](HTTPS://example.com)"),
    ("links.duplicate", "[A story](https://example.com/a-b) and, below, [a story](https://example.com/a-b)."),
    ("links.duplicate", "[The site](https://example.com/), and [its makers](https://example.com)."),
    ("links.duplicate", "[![A crane](images/a.png)](https://example.com/a-b) [A crane fell](https://example.com/a-b)"),
    ("links.generic-text", "[More than a tenth extra](https://example.com/a)"),
    ("links.misleading-text", "[example.org](https://www.example.org/a), [m.example.org](https://example.org)"),
    ("links.misleading-text", "[Vec.rs](https://example.com/a), [and/or](https://example.com/b)"),
    ("links.named-site", "[Node.js](https://example.com/a), [README.md](https://example.com/b), [v1.2](https://e.com)"),
    ("images.alt-default", "![crane](images/crane.png)"),
    ("text.placeholder", "Flight TK 1980, Tcl and Tk, a TODO list, [your] data, What???, `TODO: x`, Super Bowl XXX"),
    ("text.unresolved-field", "`{first_name}` {a, b} [1] 100 % of %d | A | B |"),
    ("text.wrong-weekday", "Wednesday, 25 November; Monday 15 March 2021; in May 2025; on Friday 13; Sun 8.0 Dec"),
    ("text.wrong-weekday", "On Monday, 31 February 2026, and on Monday 30 February"),
    ("editorial.old-story", "## A\n\n- [A](https://example.com/2026/02/31/a)\n"),
    ("text.name-spelling", "### [How Martinez won](https://example.com/a)\nMartinez beat Martiner and Martineza.\n"),
    (
        "text.name-spelling",
        "### [Of the Reeds](https://example.com/a) Reed\n\n### [Ab Cdefgh](https://e.com/b) Abcdefgh\n",
    ),
    ("text.stale-year", "© 2019–2026, copyright 2026, and the news of November 2025"),
    ("text.name-spelling", "### [Retailers in Korea](https://example.com/a)\nThe Korean retailer, Koreans, KOREA.\n"),
    ("text.name-spelling", "### [Rust and Market News](https://example.com/a)\nIron does rust; Markets are closed.\n"),
    ("text.long-word", "https://example.com/" + "a" * 90 + " and well-known-and-often-used-compound-words-of-German"),
    ("text.capitals", "NATO, UNESCO and the WTO. COVID HTML API."),
    ("text.punctuation-width", "在中国，iPhone 16, Rust 1.80 与 C++。他说：“Hello, world!”"),
    ("text.punctuation-width", "The word of the season is 性价比: value, 双十一, and more."),
    ("editorial.embargo", "The EU keeps its arms embargo until 2027; the oil embargo lifts."),
    ("editorial.sponsor-unmarked", "## Advertising & media\n\n- [Ads](https://example.com/a) by Advertising Age\n"),
    ("editorial.repeated-article", "## A\n\n- [A](https://example.com/)\n\n## B\n\n- [B](https://example.com/)\n"),
]


@pytest.mark.parametrize(("id_", "text"), FOUND)
def test_this_is_found(id_: str, text: str) -> None:
    assert found(written(text), id_)


@pytest.mark.parametrize(("id_", "text"), FALSE_ALARMS)
def test_this_would_be_a_false_alarm(id_: str, text: str) -> None:
    assert found(written(text), id_) == []


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Free!!! Buy now", "shouts"),
        ("Fwd: the news of the week", "as if it were an answer"),
        ("THE NEWS OF THE WEEK", "all in capitals"),
        ("The new\u200bs of the week", "ZERO WIDTH SPACE"),
        ("The news of the week, by GDP and CPI", ""),
        ("👨‍👩‍👧 and ❤️: families on holiday", ""),
        ("می‌خواهم خبرهای هفته را", ""),
        ("Report on re: the word", ""),
    ],
)
def test_a_subject_is_a_plain_sentence(subject: str, words: str) -> None:
    text = f'---\nsubject: "{subject}"\n{CLOSING}Hello.\n'
    told = [finding.message for finding in found(written(text), "text.subject-characters")]
    assert len(told) == bool(words)
    assert not words or words in told[0]


@pytest.mark.parametrize(
    ("lang", "text", "is_other"),
    [
        ("en", "这是一个关于中国市场的周刊，" * 12, True),
        ("zh-Hans", "这是一个关于中国市场的周刊，" * 12, False),
        ("zh", "This is a weekly newsletter about the market of China and what is new in it. " * 4, True),
        ("en", "Это еженедельник о рынке и о том, что на нём нового и важного для вас. " * 4, True),
        ("en", "Short text.", False),
        ("de", "Die Läden lesen die Gesichter, und das ist nicht mit den Regeln für sie zu machen. " * 6, False),
        ("en", "Die Läden lesen die Gesichter, und das ist nicht mit den Regeln für sie zu machen. " * 6, True),
    ],
)
def test_the_language_is_the_text_s(lang: str, text: str, is_other: bool) -> None:
    subject = written(f"---\nsubject: x\nlang: {lang}\n{CLOSING}{text}\n")
    assert bool(found(subject, "text.language")) == is_other


def test_house_names_are_spelt_so_and_no_other_way() -> None:
    config = with_checks(names=("L’Oréal", "WeChat", "Xiaohongshu"))
    text = "At Loreal, and on Wechat and on the Xiaohongsu of last year; L'Oréal and WECHAT, and xiaohongshu.com."
    findings = found(written(text, config=config), "text.name-spelling")
    told = {finding.message.split(" is spelt ")[0] for finding in findings}
    assert told == {"'Loreal'", "'Wechat'", "'Xiaohongsu'"}


def test_a_finding_leads_to_its_words_across_markup_and_lines() -> None:
    body = "First line.\n\nThe **rules** come on\nTuesday, 25 *November* 2026, they say.\n"
    [finding] = found(written(body), "text.wrong-weekday")
    assert (finding.place.line, finding.place.column) == (9, 1)
    [finding] = found(
        written(f"## A\n\n- [B](https://example.com/b)\n  > [c](<x y.html>)\n{CLOSING}"), "links.relative"
    )
    assert finding.place.line == 9
    assert finding.article == "B"


@pytest.mark.parametrize(
    ("slugs", "url", "is_told"),
    [
        (("2026-11-18",), "https://example.com/2026/crane", True),
        (("2026-11-11", "2026-11-18", "2026-11-04"), "https://example.com/2026/crane", False),  # a standing link
        (("2026-11-18",), "https://example.com/", False),
        (("2026-11-18",), "https://github.com/somebody", False),
    ],
)
def test_what_a_past_issue_had_is_told_unless_it_stands_in_every_one(slugs, url: str, is_told: bool) -> None:
    past = tuple(PastArticle(slug=slug, url=url, title="x") for slug in slugs)
    body = f"## A\n\n- [A crane]({url}?utm_source=a)\n"
    assert bool(found(written(body, past=past), "editorial.seen-before")) == is_told


def test_the_same_headline_at_another_address_was_told_before() -> None:
    past = (PastArticle(slug="2026-11-18", url="https://a.example/x", title="Shops read faces without asking anybody"),)
    body = "## A\n\n- [Shops read faces, without asking anybody!](https://b.example/y)\n"
    [finding] = found(written(body, past=past), "editorial.seen-before")
    assert "by its headline" in finding.message
    assert "follow-up=2026-11-18" in finding.fix


def test_an_issue_goes_out_on_the_day_of_its_time_in_its_zone() -> None:
    subject = written(f"{FRONT}send_at: 2026-11-26T23:30Z\n{CLOSING}Hello.\n")
    assert subject.sent_on == dt.date(2026, 11, 26)


def test_an_old_year_in_a_template_is_led_to_its_line() -> None:
    file, text = "templates/email/footer.mjml.j2", "<mj-section>\n  <mj-text>© 2024 Harbour</mj-text>\n</mj-section>\n"
    [finding] = found(written("Hello.", templates={file: text}), "text.stale-year")
    assert (finding.place.file, finding.place.line, finding.place.column) == (file, 2, 12)
    assert not found(written("Hello.", templates={file: text.replace("2024", "2026")}), "text.stale-year")


def test_an_image_that_is_far_larger_than_it_is_shown_is_told() -> None:
    from newsletter.checks import ImageFacts

    from .examples_images import shown

    large = ImageFacts("image/png", 400_000, 4_000, 3_000, "cid:a@b")
    [finding] = found(shown('width="300"', large), "images.dimensions")
    assert "600 pixels" in finding.fix
    assert not found(shown('width="300"', ImageFacts("image/png", 9_000, 4_000, 3_000, "cid:a@b")), "images.dimensions")


@pytest.mark.parametrize(
    ("target", "fix"),
    [
        ("example.com/privacy", "write https://example.com/privacy"),
        ("page.html", "write the whole address, with https://"),
        ("/about", "write the whole address, with https://"),
    ],
)
def test_a_site_without_its_scheme_is_told_apart_from_a_file(target: str, fix: str) -> None:
    [finding] = found(written(f"[x]({target})"), "links.relative")
    assert finding.fix == fix
