import dataclasses
import datetime as dt
import itertools
import re
import socket
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.config import Config, NewsletterSection, Project, ThemeSection
from newsletter.errors import ConfigError, IssueError, Place, TemplateError
from newsletter.issue import decode_issue, parse_issue
from newsletter.model import Article, Group, Image, Issue, RichText, Section, Slot, marker
from newsletter.render import (
    BROWSER_URL,
    COLUMN,
    PREFERENCES_URL,
    UNSUBSCRIBE_URL,
    Renderer,
    ResolvedImage,
    _nonce,
    render_html,
)
from newsletter.templating import shipped_templates

HERE = Place("issues/2026-11-25.md", 7)
ROOT = Path(__file__).parents[1]
NEWSLETTERS = ROOT.parent / "shared" / "data" / "newsletters"


def rich(html):
    return RichText(html, HERE)


def article(n=1, **values):
    values = {"headline": rich(f"Headline {n}"), "url": f"https://example.com/{n}", "source": "Source", **values}
    return Article(place=HERE, **values)


def section(kind, *items, title="A title", level=2):
    return Section(title=rich(title), name=title, kind=kind, items=items, place=HERE, level=level)


def issue(*sections, **values):
    values = {"subject": "The subject", "date": dt.date(2026, 11, 25), "number": "212", **values}
    return Issue(slug="2026-11-25", file="issues/2026-11-25.md", sections=sections, **values)


def project(root, theme=None, **values):
    values = {
        "title": "The Weekly", "from_": "Weekly <w@example.org>", "url": "https://news.example.org",
        "postal_address": "1 Example Street, 75000 Paris", "tagline": "One week at a time", **values,
    }  # fmt: skip
    config = Config(newsletter=NewsletterSection(**values), theme=ThemeSection(**(theme or {})))
    return Project(root, config)


def part(subject, root, images=None, theme=None, **values):
    return render_html(subject, project(root, theme, **values), images=images or {}).html


def shown(html_part, **values):
    return "".join(piece if isinstance(piece, str) else values.get(piece.field, piece.default) for piece in html_part)


def html_of(subject, root, **values):
    return shown(part(subject, root, **values), unsubscribe_url="https://u", browser_url="https://b")


def own_template(root, name, text):
    path = root / "templates" / "email" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Page(HTMLParser):
    """Collect what a reader meets: words, links, images, headings, tables."""

    VOID = frozenset({"br", "img", "hr", "meta", "link"})

    def __init__(self, html):
        super().__init__()
        self.text, self.links, self.images, self.headings, self.tables, self.ids = [], [], [], [], [], []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("style", "title", "script"):
            self.hidden += 1
        if tag == "a":
            self.links.append(values.get("href"))
        if tag == "img":
            self.images.append(values)
        if tag == "table":
            self.tables.append(values)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        if tag in ("style", "title", "script"):
            self.hidden -= 1

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


FULL = issue(
    section("lead", article(1, rank=1, image=Image("a.png", "Alt “é” ❤️", HERE), summary=rich("<p>Sum</p>\n<p>two</p>")),
            article(2, rank=2, image=Image("b.png", "", HERE)), rich("<p>Loose</p>"), title="Most important news"),
    section("articles", article(3, byline=rich('by <a href="https://example.com/who?a=1&amp;b=é">Who</a>'),
                                date=dt.date(2026, 11, 20)),
            Group(rich("A <em>group</em>"), HERE, "https://example.com/g"),
            article(4, kind="video", labels=("ZH", "paywall"))),
    section("brief", article(5),
            article(6, labels=("video",), kind="video", summary=rich("<blockquote>\n<p>Short</p>\n</blockquote>")),
            Group(rich("In a list"), HERE), article(7, source="", bare=True), rich("<ul>\n<li>plain</li>\n</ul>")),
    section("sponsor", rich("<p>Buy this</p>"), article(8), Group(rich("More"), HERE), title="From our sponsor"),
    section("quote", rich("<blockquote>\n<p>A line.</p>\n</blockquote>"), title="The line"),
    section("text", rich('<h3>Small</h3>\n<p>Text <code>{{ 7*7 }}</code></p>\n<img src="c.png" alt="c">'),
            title="Sources"),
    editorial=rich(f"<p>Dear {marker(0)},</p>\n<p>more</p>"),
    preheader=f"Hello {marker(0)}: the preheader",
    author="A. Uthor",
    slots=(Slot("name", "reader"),),
)  # fmt: skip
IMAGES = {
    "a.png": ResolvedImage("cid:a@x", 1072, 600),
    "b.png": ResolvedImage("cid:b@x", 300, 300),
    "c.png": ResolvedImage("https://news.example.org/c.png", 2000, 100),
}


# The whole


def test_the_mail_is_as_it_was(tmp_path, golden):
    html = html_of(FULL, tmp_path, images=IMAGES)
    golden("render/full.html", re.sub(r"(</tr>|</p>|</h\d>|</style>)", r"\1\n", html).encode())


def test_the_same_input_gives_the_same_bytes(tmp_path):
    renderer = Renderer(project(tmp_path))
    other = issue(section("text", rich("<p>other</p>")), lang="fr")
    first = renderer.render(FULL, IMAGES).html
    renderer.render(other, {})
    assert renderer.render(FULL, IMAGES).html == first
    assert part(FULL, tmp_path, images=IMAGES) == first


def test_a_renderer_mixes_nothing_of_one_issue_into_the_next(tmp_path):
    renderer = Renderer(project(tmp_path))
    renderer.render(issue(subject="First", lang="ar", number="1"), {})
    html = shown(renderer.render(issue(subject="Second", lang="fr", number="2"), {}).html)
    assert "First" not in html
    assert 'dir="rtl"' not in html.partition("<body")[0]
    assert "Numéro 2" in html


def test_every_piece_is_shown_once_and_in_order(tmp_path):
    words = Page(html_of(FULL, tmp_path, images=IMAGES)).words
    pieces = [
        "Hello reader: the preheader", "View in browser", "The Weekly", "One week at a time", "Issue 212",
        "November 25, 2026", "The subject", "by A. Uthor", "Dear reader,", "more", "Most important news", "1",
        "Headline 1", "Source", "Sum", "two", "2", "Headline 2", "Loose", "A title", "Headline 3", "Nov 20, 2026",
        "by Who", "A group", "Video · ZH · paywall", "Headline 4", "Headline 5", "video", "Headline 6", "Short",
        "In a list", "Headline 7", "plain", "Sponsored",
        "From our sponsor", "Buy this", "Headline 8", "More", "The line", "A line.",
        "Sources", "Small", "Text {{ 7*7 }}",
        "You receive this mail because you subscribed to The Weekly.", "Unsubscribe",
        "View in browser", "1 Example Street, 75000 Paris",
    ]  # fmt: skip
    at = 0
    for piece in pieces:
        found = words.find(" ".join(piece.split()), at)
        assert found >= 0, (piece, words[at : at + 80])
        at = found + len(piece)


def test_links_keep_their_target(tmp_path):
    urls = [
        "https://example.com/?a=1&b=2&copy=3#é",
        "https://zh.wikipedia.org/wiki/中国",
        "https://e.com/a|b[c]'\"<>\\",
    ]
    html = html_of(issue(section("articles", *(article(n, url=url) for n, url in enumerate(urls)))), tmp_path)
    assert [link for link in Page(html).links if "example.org" not in link and len(link) > 9] == urls
    assert "https://example.com/who?a=1&b=é" in Page(html_of(FULL, tmp_path, images=IMAGES)).links


def test_the_slots_are_the_issues_own_and_the_frames(tmp_path):
    slots = Counter(piece for piece in part(FULL, tmp_path, images=IMAGES) if isinstance(piece, Slot))
    assert slots == {FULL.slots[0]: 2, UNSUBSCRIBE_URL: 1, BROWSER_URL: 2}


def test_the_choices_of_a_reader_are_linked_where_there_are_pages_for_them(tmp_path):
    assert PREFERENCES_URL in part(issue(), tmp_path, unsubscribe="web")
    assert "Preferences" in shown(part(issue(), tmp_path, unsubscribe="web"))
    assert PREFERENCES_URL not in part(issue(), tmp_path)
    assert "Preferences" not in shown(part(issue(), tmp_path))


def test_without_a_site_nothing_links_to_it(tmp_path):
    found = part(issue(), tmp_path, url="")
    assert BROWSER_URL not in found
    assert "View in browser" not in shown(found)


def test_stages_are_timed_and_the_mjml_is_kept(tmp_path):
    rendered = render_html(FULL, project(tmp_path), images=IMAGES)
    assert list(rendered.timings) == ["templates", "check", "mjml", "content", "inline", "finish"]
    assert all(seconds >= 0 for seconds in rendered.timings.values())
    assert rendered.mjml.startswith("<mjml")
    assert "Loose" not in rendered.mjml


@pytest.mark.parametrize("inliner", ["premailer", "css-inline"])
def test_both_inliners_show_the_same(tmp_path, inliner):
    if inliner == "css-inline":
        pytest.importorskip("css_inline")
    html = html_of(FULL, tmp_path, images=IMAGES, theme={"inliner": inliner})
    assert Page(html).words == Page(html_of(FULL, tmp_path, images=IMAGES)).words
    assert "data-premailer" not in html
    assert "data-css-inline" not in html
    assert 'style="margin:0;' in html


# What holds of every mail


@pytest.mark.parametrize(
    ("lang", "direction"), [("", "ltr"), ("fr", "ltr"), ("zh-Hans", "ltr"), ("ar", "rtl"), ("he", "rtl")]
)
def test_the_document_names_its_language_and_direction(tmp_path, lang, direction):
    html = html_of(issue(lang=lang), tmp_path)
    assert html.startswith(f'<!doctype html><html lang="{lang or "en"}" dir="{direction}" ')
    assert f'lang="{lang or "en"}" dir="{direction}"' in html.partition("<body")[2]
    assert f"text-align:{'right' if direction == 'rtl' else 'left'}" in html


def test_headings_are_ordered_and_one_is_first(tmp_path):
    for subject in (
        FULL,
        issue(editorial=rich("<h4>x</h4>\n<h6>y</h6>\n<h3>z</h3>")),
        issue(section("text", rich("<h3>a</h3>"))),
    ):
        levels = Page(html_of(subject, tmp_path, images=IMAGES)).headings
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_layout_tables_say_so_and_images_have_alt_and_width(tmp_path):
    page = Page(html_of(FULL, tmp_path, images=IMAGES))
    assert page.tables
    assert all(table.get("role") == "presentation" for table in page.tables)
    assert [(image["alt"], image["width"]) for image in page.images] == [
        ("Alt “é” ❤️", "536"),
        ("", "144"),
        ("c", "536"),
    ]
    assert page.images[0]["height"] == "300"


def test_dark_mode_and_phones_keep_their_rules(tmp_path):
    html = html_of(FULL, tmp_path, images=IMAGES)
    assert '<meta name="color-scheme" content="light dark">' in html
    dark = html.partition("@media (prefers-color-scheme: dark) {")[2].partition("}\n}")[0]
    assert dark.count("!important") == dark.count(";") > 8
    assert "[data-ogsc] .tx" in html
    assert "[data-ogsb] .pp" in html
    assert "@media only screen and (max-width: 599px)" in html


def test_outlook_gets_600_pixels(tmp_path):
    html = html_of(FULL, tmp_path, images=IMAGES)
    outlook = re.findall(r"<!--\[if mso \| IE\]>(.*?)<!\[endif\]-->", html, re.DOTALL)
    assert any('width="600"' in comment for comment in outlook)
    assert not any(re.search(r"width:(?!600px)\d", comment) for comment in outlook)


def test_body_text_is_16_pixels_or_more(tmp_path):
    html = html_of(FULL, tmp_path, images=IMAGES)
    for words in ("Dear reader", "Sum", "Short", "plain", "Buy this"):
        before = html[: html.index(words)]
        assert int(re.findall(r"font-size:(\d+)px", before)[-1]) >= 13
    body = html.partition("<body")[2]
    sizes = {int(size) for size in re.findall(r"[ ;\"']font-size:(\d+)px", body)} - {0, 1}
    assert min(sizes) >= 12


def test_nothing_is_fetched_while_rendering(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("rendering opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    html = html_of(FULL, tmp_path, images=IMAGES)
    assert "fonts.googleapis" not in html
    assert "@import" not in html


def luminance(colour):
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("suffix", ["", "_dark"])
@pytest.mark.parametrize("ink", ["text", "muted", "accent"])
@pytest.mark.parametrize("ground", ["paper", "background"])
def test_default_colours_meet_wcag_aa(suffix, ink, ground):
    theme = msgspec.structs.asdict(ThemeSection())
    assert contrast(theme[ink + suffix], theme[ground + suffix]) >= 4.5


def test_aligned_cells_keep_their_alignment_whatever_the_theme_says(tmp_path):
    cells = '<td align="right">1</td><td colspan="2" align="center">2</td><td align="evil">3</td><td>4</td>'
    table = rich(f"<table><tbody><tr>{cells}</tr></tbody></table>")
    html = html_of(dataclasses.replace(FULL, editorial=table), tmp_path, images=IMAGES)
    found = re.findall(r"<td[^>]*text-align:(\w+)[^>]*>([1-4])</td>", html)
    assert found == [("right", "1"), ("center", "2"), ("left", "3"), ("left", "4")]


def test_an_inliner_can_change_nothing_but_styles(tmp_path):
    class Damaging:
        def inline(self, html, css):
            return re.sub(r"<([a-z0-9]+)", r"<p>lost</p><\1 width='1' onclick='x()'", html)

    class Idle:
        def inline(self, html, css):
            return html

    own = project(tmp_path)
    one, other = (render_html(FULL, own, images=IMAGES, inliner=inliner) for inliner in (Damaging(), Idle()))
    assert one.html == other.html


def test_a_token_that_is_left_is_an_error(tmp_path):
    class Leaving:
        def inline(self, html, css):
            return html.replace("<p ", f'<p style="{_nonce(FULL)}s0" ', 1)

    with pytest.raises(TemplateError, match="a token of the content is left"):
        render_html(FULL, project(tmp_path), images=IMAGES, inliner=Leaving())


# Sizes


def test_forty_compact_links_stay_small(tmp_path):
    items = [
        article(
            n,
            headline=rich(f"A headline of a usual length, number {n}"),
            summary=rich("<p>" + "Some words. " * 10 + "</p>"),
        )
        for n in range(40)
    ]
    assert len(html_of(issue(section("brief", *items)), tmp_path).encode()) < 90_000


def test_twenty_illustrated_articles_stay_small(tmp_path):
    picture = Image("a.png", "What the picture shows, in a sentence of some length", HERE)
    items = [article(n, image=picture, summary=rich("<p>" + "Some words. " * 30 + "</p>")) for n in range(20)]
    sections = [section("articles", *items[at : at + 5]) for at in range(0, 20, 5)]
    assert len(html_of(issue(*sections), tmp_path, images=IMAGES).encode()) < 90_000


# Content that would be something else


HOSTILE = [
    "&lt;/mj-text&gt;&lt;mj-include path=&quot;/etc/passwd&quot; /&gt;",
    "{{ 7*7 }}", "{% include 'email/footer.mjml.j2' %}", "{# comment #}", "{{ config }}", "]]&gt;",
    "--&gt;&lt;script&gt;", "href=&quot;javascript:x()&quot; onclick=&quot;x()&quot;",
    "src=data:x onload=x javascript:",
    "a\\u{fe0f}b \\", "&amp;lt;b&amp;gt;", "@import url(x)", "</b><b>", "🌉 é \u202e \u200b",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_in_every_place(tmp_path, text):
    import html as entities

    plain = entities.unescape(text)
    subject = issue(
        section("lead", article(1, rank=1, headline=rich(text), source=plain, labels=(plain,),
                                summary=rich(f"<p>{text}</p>"))),
        section("brief", article(2, byline=rich(text), image=Image("a.png", plain, HERE)), title=text),
        section("quote", rich(f"<p>{text}</p>")), section("sponsor", rich(f"<p>{text}</p>")),
        subject=plain, preheader=plain, author=plain, number=plain, editorial=rich(f"<p>{text}</p>"),
    )  # fmt: skip
    html = html_of(subject, tmp_path, images=IMAGES, title=plain, tagline=plain, postal_address=plain)
    page = Page(html)
    expected = " ".join(Page(f"<p>{text}</p>").words.split())
    assert page.words.count(expected) >= 12
    assert "49" not in page.words
    assert plain in [image["alt"] for image in page.images]
    assert "<script" not in html
    assert "mj-" not in re.sub(r"mj-(column|outlook|full-width)[\w-]*", "", html) or "mj-" in text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_any_plain_text_is_shown_as_it_is(tmp_path, text):
    alt = f"A{text}Z"
    html = html_of(
        issue(section("articles", article(1, source=alt, image=Image("a.png", alt, HERE)))), tmp_path, images=IMAGES
    )
    clean = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", alt)
    page = Page(html)
    assert "".join(clean.split()) in "".join("".join(page.text).split())
    assert "".join(page.images[0]["alt"].split()) == "".join(clean.split())


def test_a_text_that_holds_the_compiles_own_token_is_refused(tmp_path, monkeypatch):
    import newsletter.render as render

    class Digest:
        def hexdigest(self):
            return "abcdef0123456789abcdef"

    monkeypatch.setattr(render.hashlib, "sha256", lambda _: Digest())
    with pytest.raises(IssueError, match="own token"):
        part(issue(subject="see nabcdef0123456789abcd"), tmp_path)


# Images


def test_images_of_the_content_get_their_url_alt_and_width(tmp_path):
    body = rich(
        '<p><img src="c.png"> <img src="https://example.com/r.png" alt="r" title="t" width="900" height="5"></p>'
        '<p><img src="icon.png" alt=""></p>'
    )
    images = {"c.png": ResolvedImage("cid:c@x", 300, 200), "icon.png": ResolvedImage("cid:i@x", 16, 16)}
    page = Page(html_of(issue(editorial=body), tmp_path, images=images))
    assert [(i["src"], i["alt"], i["width"], i["class"]) for i in page.images] == [
        ("cid:c@x", "", "300", "im"), ("https://example.com/r.png", "r", str(COLUMN), "im"),
        ("cid:i@x", "", "16", "ic"),
    ]  # fmt: skip
    assert "height" not in page.images[1]
    assert "max-width:100%" in page.images[0]["style"]


@pytest.mark.parametrize("src", ["gone.png", "images/é &amp; co.png", "file:///etc/passwd", "data:image/png;base64,x"])
def test_an_image_without_an_entry_is_an_error_with_its_place(tmp_path, src):
    with pytest.raises(IssueError) as raised:
        part(issue(editorial=rich(f'<p><img src="{src}" alt=""></p>')), tmp_path)
    assert raised.value.problems[0].place == HERE


def test_an_articles_image_on_the_network_passes(tmp_path):
    url = "https://example.com/" + quote("é") + ".png?a=1&b=2"
    page = Page(html_of(issue(section("articles", article(1, image=Image(url, "x", HERE)))), tmp_path))
    assert page.images[0]["src"] == url
    assert page.images[0]["width"] == "168"


def test_a_small_image_is_not_blown_up(tmp_path):
    page = Page(
        html_of(
            issue(section("articles", article(1, image=Image("a.png", "x", HERE)))),
            tmp_path,
            images={"a.png": ResolvedImage("cid:a", 80, 40)},
        )
    )
    assert (page.images[0]["width"], page.images[0]["height"]) == ("80", "40")


def test_a_logo_stands_for_the_title(tmp_path):
    theme = {"logo": "logo.png", "logo_width": 200}
    page = Page(html_of(issue(), tmp_path, theme=theme, images={"logo.png": ResolvedImage("cid:l", 400, 100)}))
    assert page.images[0] | {"src": "cid:l", "alt": "The Weekly", "width": "200", "height": "50"} == page.images[0]
    with pytest.raises(ConfigError, match="logo"):
        part(issue(), tmp_path, theme=theme)


# Templates of the project's own


def test_an_own_block_wins_and_the_others_stay(tmp_path):
    own_template(
        tmp_path,
        "footer.mjml.j2",
        "<mj-section><mj-column><mj-text>Mine, "
        '<a href="{{ unsubscribe_url }}">leave</a></mj-text></mj-column></mj-section>',
    )
    words = Page(html_of(FULL, tmp_path, images=IMAGES)).words
    assert "Mine, leave" in words
    assert "You receive this mail" not in words
    assert "Headline 8" in words


def mistake(root, subject=FULL, name="footer.mjml.j2", text=""):
    own_template(root, name, text)
    with pytest.raises(TemplateError) as raised:
        part(subject, root, images=IMAGES)
    return raised.value.problems[0]


def test_a_mistake_in_an_own_block_names_its_file_and_line(tmp_path):
    block = "<mj-section>\n  <mj-column>\n    <mj-text colour='red'>x</mj-text>\n  </mj-column>\n</mj-section>"
    found = mistake(tmp_path, text=block)
    assert found.place == Place("templates/email/footer.mjml.j2", 3, 5)
    assert "did you mean 'color'?" in found.hint


def test_a_mistake_in_the_main_template_names_its_line(tmp_path):
    source = (shipped_templates() / "email" / "issue.mjml.j2").read_text(encoding="utf-8")
    lines = source.split("\n")
    at = next(n for n, line in enumerate(lines) if "<mj-breakpoint" in line)
    lines[at] = '    <mj-breakpoint width="600px">'
    found = mistake(tmp_path, name="issue.mjml.j2", text="\n".join(lines))
    assert found.place is not None
    assert found.place.file == "templates/email/issue.mjml.j2"
    assert "mj-breakpoint" in found.message
    assert f":{at + 1})" in found.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<mj-include path='/etc/passwd' />", "<mj-include> cannot be used"),
        ("<mj-section><mj-column><mj-text>{{ issue.nothing }}</mj-text></mj-column></mj-section>", "nothing"),
        (
            "<mj-section><mj-column><mj-image alt='{{ issue.editorial }}' /></mj-column></mj-section>",
            "rich text in an attribute",
        ),
        ("<mj-raw><!-- {{ issue.editorial }} --></mj-raw>", "not shown as text"),
        ("<mj-raw><script>x</script></mj-raw>", "<script> cannot stand in a mail"),
        ("<mj-raw><form action='x'></form></mj-raw>", "<form> cannot stand in a mail"),
        ("<mj-raw><p onclick='x()'>x</p></mj-raw>", "event attribute"),
        ("<mj-raw><a href='javascript:x()'>x</a></mj-raw>", "javascript:"),
        ("<mj-raw><a href=' JavaScript:x()'>x</a></mj-raw>", "JavaScript:"),
        ("<mj-raw><SCRIPT>x</SCRIPT></mj-raw>", "<script> cannot stand in a mail"),
        ("<mj-raw><a href='java&#115;cript:x()'>x</a></mj-raw>", "javascript:"),
        ("<mj-raw><p title='onx=' ONCLICK\n=\n'x()'>x</p></mj-raw>", "event attribute"),
        ("<mj-raw><!--[if mso]><P\nONCLICK='x()'>x</P><![endif]--></mj-raw>", "event attribute"),
        ("<mj-raw>" + "<div>" * 10_000 + "</div>" * 10_000 + "</mj-raw>", "100 tags"),
        ("{{ ''.__class__ }}", "unsafe"),
    ],
)
def test_what_a_template_may_not_do(tmp_path, text, words):
    assert words in str(mistake(tmp_path, text=text))


def test_the_head_is_checked_as_well(tmp_path):
    head = "<mj-head><mj-raw><LINK\nONLOAD='x()' /></mj-raw></mj-head>"
    text = f"<mjml lang='en' dir='ltr'>{head}<mj-body><mj-raw><p>x</p></mj-raw></mj-body></mjml>"
    assert "event attribute" in str(mistake(tmp_path, name="issue.mjml.j2", text=text))


def test_own_inline_css_is_checked(tmp_path):
    assert "@import cannot be inlined" in str(mistake(tmp_path, name="inline.css", text="@import 'x';"))


def test_a_template_without_a_language_is_refused(tmp_path):
    text = "<mjml><mj-body><mj-raw><p>x</p></mj-raw></mj-body></mjml>"
    assert "<mjml> has no lang or dir" in str(mistake(tmp_path, name="issue.mjml.j2", text=text))


def test_colours_and_fonts_come_from_the_settings(tmp_path):
    theme = {"accent": "#123456", "accent_dark": "#abcdef", "font": "Inter, 'Open Sans'", "heading_font": "Charter"}
    html = html_of(FULL, tmp_path, images=IMAGES, theme=theme)
    assert html.count("#123456") > 5
    assert "#abcdef" in html
    assert "#b3261e" not in html
    assert "Inter,'Open Sans'" in html.replace('"', "'")
    assert "Charter,Georgia" in html


def test_documented_examples_work(tmp_path):
    """Run every example of docs/theming.md: its settings in a project, its templates at the paths it names."""
    text = (ROOT / "docs" / "theming.md").read_text(encoding="utf-8")
    templates = re.findall(r"`templates/email/([\w.-]+)`:\n\n```(?:html|css)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in templates] == ["footer.mjml.j2", "brief.mjml.j2", "inline.css"]
    for name, example in templates:
        own_template(tmp_path / name, name, example.replace("{# … #}", ""))
        html = html_of(FULL, tmp_path / name, images=IMAGES)
        assert html != html_of(FULL, tmp_path, images=IMAGES)
        assert Page(html).headings[0] == 1
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    import tomllib

    theme = tomllib.loads(toml)["theme"]
    html = html_of(FULL, tmp_path, images=IMAGES, theme=theme)
    assert theme["accent"] in html
    for key in ThemeSection.__struct_fields__:
        assert f"`{key}`" in text, f"docs/theming.md does not describe [theme] {key}"


# Real newsletters, and hand-written corners


@pytest.mark.parametrize(
    "subject",
    [
        issue(), issue(editorial=rich("<p>only</p>")), issue(section("lead", article(1, rank=1))),
        issue(number="", author="", preheader=""),
        issue(section("articles", title="")), issue(section("text")), issue(section("quote")),
        issue(section("sponsor")), issue(section("brief")),
        issue(section("lead", Group(rich("g"), HERE), article(1, rank=1), article(2))),
    ],
)  # fmt: skip
def test_issues_with_little_in_them_render(tmp_path, subject):
    assert "The subject" in Page(html_of(subject, tmp_path, tagline="", postal_address="")).words


def real_issues():
    return sorted(NEWSLETTERS.glob("*.md")) if NEWSLETTERS.is_dir() else []


@pytest.mark.skipif(not real_issues(), reason="the shared newsletters are not here")
@pytest.mark.parametrize("path", real_issues(), ids=lambda path: path.stem)
def test_real_newsletters_lose_no_link_and_no_image(tmp_path, path):
    body = decode_issue(path.read_bytes(), path.name)
    body = re.sub(r"\A(?:[A-Z][\w-]*:.*\n)+", "", body)
    body = body.split("---", 2)[2] if body.startswith("---") else body
    front = "---\nsubject: A real one\ndate: 2026-11-25\n---\n"
    found = project(tmp_path)
    subject = parse_issue(
        front + body, slug="2026-11-25", file=path.name, sections=found.config.sections, zone=found.zone
    )
    images = {image.src: ResolvedImage(f"cid:{n}@x", 900, 600) for n, image in enumerate(subject.images)}
    html = shown(render_html(subject, found, images=images).html)
    page = Page(html)
    wanted = Counter(item.url for item in subject.articles)
    assert not wanted - Counter(page.links)
    assert len(page.images) >= sum(1 for item in subject.articles if item.image)
    assert page.headings[0] == 1
    assert all("alt" in image for image in page.images)
