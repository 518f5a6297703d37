"""Each text looks as a real browser shows it, in light and dark mode and on a phone; style sheets come apart."""

from pathlib import Path

import pytest
from lxml import html

from newsletter.checks.cascade import DARK, LIGHT, MODES, PHONE, shown_texts
from newsletter.checks.colours import BLACK, WHITE, Colour, background_colour, contrast, lay_over, parse_colour
from newsletter.checks.stylesheets import Declaration, parse_declarations, parse_sheet
from newsletter.compiler import compile_issue, load_issue, message_parts, sample_message
from newsletter.config import load_project

ROOT = Path(__file__).parents[2]
PAGE = """<!doctype html><html lang="en"><head><title>T</title><meta name="color-scheme" content="light dark"><style>
.a { color: #123456; font-size: 15px } p.a { color: #654321 } #only { color: green !important }
.a { color: red } div > p, .list li:first-child { background: rgb(10, 20, 30) }
.b, .c { background: #eee no-repeat; font-weight: 600 } [data-x] span { color: hsl(120, 100%, 25%) }
a:hover { color: red } p::first-line { color: blue } .gone { display: none } :root { font-size: 18px }
@media print { p { color: yellow } }
@media screen and (max-width: 500px) { .a { font-size: 22px } .phone { display: none } }
@media (prefers-color-scheme: dark) { .b { background-color: #222 !important; color: #ddd } p.a { color: #fed } }
@media (prefers-color-scheme: light) { .c { color: #333 } } @media (min-width: 501px) { .c { font-size: 11pt } }
</style></head><body text="#010203" bgcolor="#fafafa">
Body text <p class="a">rules of a class <b>bold</b> <small>small</small></p>
<p class="a" id="only" style="color: blue">an important rule wins</p>
<div><p style="font-size: 2em; background: none">twice <span style="font-size: 50%">half</span></p>
<p style="color: rgba(255, 0, 0, 0.5)">half red</p></div>
<table bgcolor="#000066"><tr><td style="color: white">on blue <font color="#ff00ff" size="5">large</font></td></tr>
</table>
<div class="b" style="background-color: white">b <i>i</i> <strong style="font-weight: normal">thin</strong></div>
<p class="c">c <a href="https://example.org" style="color: #0000aa">link</a></p><p class="gone">gone</p>
<div data-x="1"><span>green</span></div><ul class="list"><li>first</li><li>second</li></ul>
<h1>One</h1><h2>Two</h2><h3>Three</h3><p class="phone">not on phones <sub>2</sub></p>
<div style="visibility: hidden">unseen</div><div hidden>neither</div>
<p style="font: italic 700 20px/1.5 serif">a shorthand</p>
<h3 style="font: 1.5em Arial">not bold</h3>
</body></html>"""
LOOK = """() => {
  const nothing = /[\\s\\u00a0\\u00ad\\u034f\\u2007\\u200b-\\u200f\\u2060-\\u2064\\u2800\\u3164\\ufeff]+/g;
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return '';
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join(' ');
    const text = own.replace(nothing, ' ').trim();
    const style = getComputedStyle(element);
    if (text && element.checkVisibility({visibilityProperty: true, opacityProperty: true}))
      found.push([text, style.color, ground(element), parseFloat(style.fontSize), style.fontWeight >= 600]);
  }
  return found;
}"""
SCREENS = {LIGHT: ("light", 900), DARK: ("dark", 900), PHONE: ("light", 375)}


def sample() -> str:
    project = load_project(ROOT, {})
    loaded = load_issue(project, ROOT / "issues" / "2026-11-25.md")
    edition = compile_issue(project, loaded).edition
    return message_parts(sample_message(project, loaded.issue, edition))[1]


def looks_of(page: str, mode: str) -> list[tuple[str, str, str, float, bool]]:
    """Return text, colour, ground, size and weight of each text that is seen, as we work them out."""
    root = html.document_fromstring(page)
    rules = [rule for style in root.iter("style") for rule in parse_sheet(style.text, style.get("media", "")).rules]
    found = []
    for shown in shown_texts(root, rules):
        look = shown.looks[mode]
        if shown.element.tag != "body" and not look.hidden:
            colour = str(lay_over(look.colour, look.ground or WHITE))
            found.append((shown.text, colour, str(look.ground), round(look.size, 1), look.bold))
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", ["a page of every kind of rule", "the sample issue"])
def test_each_text_looks_as_in_a_browser(chromium, mode, which):
    text = sample() if which == "the sample issue" else PAGE
    scheme, width = SCREENS[mode]
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_content(text)
    seen = page.evaluate(LOOK)
    page.close()
    expected = []
    for words, colour, ground, size, bold in seen:
        under = parse_colour(ground) or WHITE
        expected.append((words, str(lay_over(parse_colour(colour), under)), str(under), round(size, 1), bold))
    assert looks_of(text, mode) == expected
    assert len(expected) > 15


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # The first three are told in WCAG's own documents, the last by its formula worked by hand.
    [("#000", "#fff", 21.0), ("#777777", "#ffffff", 4.48), ("#767676", "#ffffff", 4.54), ("red", "white", 4.0)],
)
def test_contrast_is_wcags(one, other, ratio):
    assert round(contrast(parse_colour(one), parse_colour(other)), 2) == ratio
    assert contrast(parse_colour(one), parse_colour(other)) == contrast(parse_colour(other), parse_colour(one))


def test_colours_are_read_and_laid_over_each_other():
    assert parse_colour("rgb(0 0 0 / 50%)") == Colour(0, 0, 0, 0.5)
    assert str(parse_colour("hsl(120, 100%, 25%)")) == "#008000"
    assert [parse_colour(word) for word in ("currentColor", "var(--x)", "inherit", "nonsense", "")] == [None] * 5
    assert str(lay_over(Colour(0, 0, 0, 0.5), WHITE)) == "#808080"
    assert background_colour("#fff url(x.png)") is None
    assert background_colour("no-repeat rgb(0, 0, 0) center") == BLACK
    assert background_colour("none").alpha == 0


def test_declarations_are_split_where_they_end():
    style = (
        "color:red;; background: url(\"data:image/png;base64,x:y\"); font-family: 'A;B', C !important; /* x:y; */ odd"
    )
    assert parse_declarations(style) == (
        Declaration("color", "red", important=False),
        Declaration("background", 'url("data:image/png;base64,x:y")', important=False),
        Declaration("font-family", "'A;B', C", important=True),
    )


@pytest.mark.parametrize("css", ["", "}", "a{", "@media{", "@media (", "a{color:red", "/*", '"', "a{b:c(}", "\0{}"])
def test_any_style_sheet_can_be_read(css):
    parse_sheet(css)
    root = html.document_fromstring(f"<p style='{css}'>x</p>")
    assert [shown.text for shown in shown_texts(root, parse_sheet(css).rules)] == ["x"]


def test_conditions_of_rules_are_kept():
    sheet = parse_sheet(
        "@media screen { @supports (a: b) { p { color: red } } } @font-face { font-family: x }", "print"
    )
    assert [rule.conditions for rule in sheet.rules] == [("@media print", "@media screen", "@supports (a: b)")]
    assert "@font-face" in sheet.at_rules
