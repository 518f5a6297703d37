"""Nothing is dropped: both parts hold the words and links of an independent rendering of the source, and no others."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import mistune
import pytest
from issue_files import FRAME, FRONT, parse_text

from newsletter.catalogs import WORDS, load_catalog
from newsletter.config import Config, NewsletterSection, Project
from newsletter.model import Issue, Part
from newsletter.plaintext import render_text
from newsletter.render import Renderer, ResolvedImage

HERE = Path(__file__).parent
REAL = HERE.parents[1] / "shared" / "data" / "newsletters"
FILES = sorted(REAL.glob("*.md"))
PROJECT = Project(HERE, Config(newsletter=NewsletterSection(title="The Weekly", from_="w@example.org")))
FRAME_WORDS = " ".join([*WORDS, FRONT, "The Weekly 25 November 2026"])

# ---------------------------------------------------------------------------------------------------------------------
# Words and links
# ---------------------------------------------------------------------------------------------------------------------

CJK = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(f"[{CJK}]|[^\\W_{CJK}]+")
BLOCKS = set(
    "address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset figcaption"
    " figure footer form h1 h2 h3 h4 h5 h6 header hr iframe img legend li main nav noscript ol option p pre section"
    " select summary table tbody td textarea tfoot th thead title tr ul video".split()
)
UNSHOWN = ("script", "style", "title")


def words_of(text: str) -> Counter[str]:
    return Counter(WORD.findall(text))


class Reader(HTMLParser):
    """Read the words, links and descriptions of images that HTML shows."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.links: list[str] = []
        self.alts: list[str] = []
        self._unshown = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._unshown += tag in UNSHOWN
        self.text += " " if tag in BLOCKS else ""
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"] or "")
        if tag == "img":
            self.alts.append(attributes.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        self._unshown = max(self._unshown - (tag in UNSHOWN), 0)
        self.text += " " if tag in BLOCKS else ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self._unshown else data


def rendering_of(body: str) -> Reader:
    """Return an independent rendering of Markdown, without its comments."""
    render = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])
    return Reader(str(render(re.sub("<!--.*?-->", "", body, flags=re.DOTALL))))


def html_of(issue: Issue) -> str:
    images = {image.src: ResolvedImage("cid:x@example.org", 600, 300) for image in issue.images}
    return static(Renderer(PROJECT).render(issue, images).html)


def static(part: Part) -> str:
    return " ".join(piece for piece in part if isinstance(piece, str))


def prose_of_text_part(text: str) -> str:
    """Return the text part without references and their numbers, addresses below articles, and numbers of lists."""
    kept = [
        line
        for line in text.split("\n")
        if not re.fullmatch(r"\s*(?:\[\d+\] \S+|(?:https?|mailto):\S+)", line, re.IGNORECASE)
    ]
    return re.sub(r"(?m)^((?:> |- | )*)\d+\.(?: |$)|\[\d+\]", r"\1", "\n".join(kept))


def compare(text: str, body: str) -> list[str]:
    """Return what one part has too much or too little, in sentences."""
    issue, source = parse_text(text), rendering_of(body)
    html, plain = Reader(html_of(issue)), static(render_text(issue, FRAME, load_catalog("en").text))
    wanted = words_of(source.text)
    ranks = " ".join(str(article.rank) for article in issue.articles if article.rank)
    allowed = set(WORD.findall(f"{FRAME_WORDS} {ranks} {' '.join(source.alts)}"))
    found = []
    for name, words in (("HTML", words_of(html.text)), ("text", words_of(prose_of_text_part(plain)))):
        found += [f"{name}: {count}x {word!r} is missing" for word, count in (wanted - words).items()]
        extra = {word: count for word, count in (words - wanted).items() if word not in allowed}
        found += [f"{name}: {count}x {word!r} too much" for word, count in extra.items()]
    shown = {unquote(link) for link in html.links}
    found += [f"HTML: no link {link}" for link in source.links if unquote(link) not in shown]
    found += [f"text: no link {link}" for link in source.links if unquote(link) not in unquote(plain)]
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Whole files
# ---------------------------------------------------------------------------------------------------------------------

METADATA = re.compile(r"\A(?:(?:Title|Number|Date|Category): .*\n)+")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_keeps_all_its_words_and_links_in_both_parts(path: Path) -> None:
    body = METADATA.sub("", path.read_text(encoding="utf-8"))
    assert compare(FRONT + body, body) == []


def test_the_real_files_are_there() -> None:
    if not REAL.is_dir():
        pytest.skip(f"{REAL.name}/ with real newsletters is not beside this checkout")
    assert len(FILES) == 16


# ---------------------------------------------------------------------------------------------------------------------
# What editors write, one construct at a time
# ---------------------------------------------------------------------------------------------------------------------

BODIES = {
    "nested lists": "- a\n  - b\n    - c\n      1. d\n         > e\n- f\n\n  g\n",
    "numbered lists": "1. one\n2. two\n7. seven\n\ntext\n\n0. zero\n\ntext\n\n3) x\n4) y",
    "items of all sorts": (
        "## S\n\n1. [a](https://e.com/a)\n2. plain\n3. [b](https://e.com/b)\n   more\n\n   para\n4. l"
    ),
    "empty items": "- \n- x\n-\n\n1.\n2. y",
    "a list within HTML": "<ul>stray<li>a<ul><li>b</li></ul><li>c</li><ul><li>d</li></ul>text</ul>\n<li>orphan</li>",
    "definition lists": "<dl><dt>Term</dt><dd>Def</dd><dt>T2<dd>D2</dl>",
    "Markdown tables": "| A | B |\n|:--|--:|\n| 1 | [l](https://e.com/l) |\n| **x** | `y` ~~z~~ |\n| only |\n",
    "pipes in cells": "| a | b |\n|---|---|\n| `x` | y \\| z |\n\ntext | no table",
    "an HTML table": (
        "<table><caption>cap</caption><thead><tr><th>A</th><th>B</th></tr></thead><tfoot><tr><td>"
        "foot</td></tr></tfoot><tbody><tr><td>1</td><td><p>p1</p><p>p2</p></td></tr><tr><td>x<br>"
        "y<td>z</table>"
    ),
    "a table in a table": (
        "<table><tr><td><table><tr><td>in1</td><td>in2</td></tr></table></td><td>out</td></tr></table>"
    ),
    "a table without end tags": "<table><tr><td>a<td>b<tr><td>c<td>d</table>",
    "text in a table": "<table>stray<tr><td>x</td></tr>more</table>",
    "cells without a table": "<td>a</td><td>b</td>",
    "details": "<details open>\n<summary>Sum mary</summary>\n\nInner **bold** text\n\n- li\n\n</details>",
    "details in a line": (
        "<details><summary>One</summary>Two</details><details><summary>Three</summary>Four</details>"
    ),
    "blocks side by side": (
        "<div>First</div><div>Second</div>\n\n<section>a</section><section>b</section>\n<center>m</center>d"
    ),
    "other HTML": (
        "<p align=center>para</p>\n<h1>big</h1><h2>two</h2>\n<blockquote>q</blockquote><hr>\n<ol start=x><li>y</ol>"
    ),
    "forms": "<form>Name: <input value=v><button>Go</button><select><option>o1</option><option>o2</select></form>",
    "text of other elements": "<iframe src=x>if</iframe> <video controls>vid</video> <noscript>nos</noscript>",
    "drawings and formulas": "<svg><text>svgt</text></svg> <math><mi>x</mi></math> $x^2$ a<b && c>d 5 > 3 < 4",
    "raw text elements": "<textarea>ta <b>x</b></textarea> <plaintext>plain",
    "styles of text": (
        "<font color=red>red</font> <span style='x'>span</span> <u>u</u> <big>b</big> <q>q</q> <kbd>K</kbd>"
    ),
    "unknown tags": "Vec<T> and Option<String>, the <set> element, <foo-bar>x</foo-bar> <text>y</text> end",
    "tags cut short": 'one <a data="x and two\n\nthree <b',
    "struck text": "~~old~~ new <del>gone</del> <s>x</s>",
    "breaks": "one<br>two<br/>three<BR />four  \nfive\\\nsix super<wbr>cali x<sub>2</sub>y<sup>3</sup>",
    "rules": "a\n\n---\n\nb\n\n***\n\n- - -\n",
    "setext headings": "Head one\n===\n\npara\n\nHead two\nmulti line\n---\n\npara\n---",
    "headings in lists and quotes": (
        "- # Head in list\n- ## Two\n  text\n\n> # quoted head\n> t\n\n#### h4\n\n###### h6"
    ),
    "images in headings": "## ![logo](https://e.com/l.png) Title\n\ntext\n\n### ![i](https://e.com/2.png)\n\nt",
    "footnotes": "Text[^1] and[^2].\n\n[^1]: https://example.com/foot\n[^2]: Some long footnote text",
    "references": (
        '[a link][ref] and [ref] and ![img][pic]\n\n[ref]: https://e.com/r "Title"\n[pic]: https://e.com/p.png'
    ),
    "links": (
        "[a](https://e.com/x 't') [b](<https://e.com/with space>) [c](https://e.com/p(a)r) [f](mailto:a@b.c) [i]()"
    ),
    "links of other sorts": "[d](/rel) [e](#frag) [g](HTTPS://E.COM/Y) [h](//proto.rel/x) [](https://e.com/empty)",
    "links in links": (
        "[a [b](https://e.com/i) c](https://e.com/o) <a href='https://e.com/1'>x <a href='https://e.com/2'>y</a>"
    ),
    "addresses as text": "<https://e.com/a_b?x=1&y=2> <foo@example.com> https://bare.example.com/x www.example.com",
    "images": (
        "[![alt text](https://e.com/i.png)](https://e.com/t) and ![lonely](https://e.com/j.png "
        "'title') ![](https://e.com/k.png)"
    ),
    "images in items": (
        "- [![alt](https://e.com/i.png) Title](https://e.com/t) rest\n- ![only](https://e.com/x.png)\n"
    ),
    "entities": "&copy; &amp; &lt;b&gt; &nbsp;x &#35; &#x41; AT&T &unknown; &eacute;t&eacute;",
    "escapes": "\\*not em\\* \\# \\[x\\] \\{{ y }} \\\\ \\<b> \\`c\\`",
    "emphasis": "***bold it*** **b*i*b** _u_ __uu__ a_b_c *a **b***",
    "emoji": "Hello 👩\u200d👩\u200d👧\u200d👦 world 🇫🇷 ok ❤️ *🎉* `👍`",
    "code": "`a|b` `{{ x }}` `{% if %}`\n\n```js\nconst x = {{a: 1}} | 2; // <b>\n```\n\n    indented {{ y }}\n",
    "raw code": "<pre>a<br>b\n  c <a href='https://e.com/pre'>l</a></pre>\n\n<pre><code>x &lt; {{ y }}</code></pre>",
    "code in an item": (
        "- [T](https://e.com/t)\n\n      code {{ z }}\n\n  ```\n  fence\n  ```\n  | a | b |\n  |---|---|\n  | 1 | 2 |\n"
    ),
    "long code": "```\n" + "x = some_function(argument_one, argument_two) # comment " * 4 + "\n\tindented\n```",
    "comments": (
        "a <!-- c1 --> b\n<!-- c2\nmulti\n-->\nc\n\n- x <!-- i -->\n<!-- between -->\n- y\n\n"
        "## H <!-- h -->\n\nt<!--x-->m"
    ),
    "comments of odd shape": (
        "<!-- a --> **x** <!---->y<!-- b -- c -->z\n\n## H\n\n- [T](https://e.com/t) <!-- t --> by X\n"
    ),
    "tabs": "-\tone\n\t- two\n\t\tcode?\n-\t[T](https://e.com)\n\n\tcode\twith\ttabs",
    "CRLF": "a\r\nb\r\n\r\n## H\r\n\r\n- [x](https://e.com/y)\r\n  > q\r\n",
    "trailing spaces": "a   \nb \n\n## H   \n\n- [x](https://e.com/y)   \n\n   \n",
    "control characters": "a\x08b c\x0bd e\x0cf g\x1bh i\u2028j k\x85l\n\n## H\x07i\n\n- [x\x08y](https://e.com/y)",
    "characters without width": "a\u200bb c\u200dd \ufeffe f\xadg h\u2060i \u200eRTL\u202e",
    "curly quotes": "“quoted” ‘single’ — dash… «guill» [x](https://e.com “title”) <a href=“https://q.com”>hey</a>",
    "groups": (
        "## S\n\n### [Group](https://e.com/g)\n- [a](https://e.com/a)\n\n### Plain group\npara\n\n"
        "- [c](https://e.com/c) by X\n- no link\n- [d](https://e.com/d): text [second](https://e.com/s)\n\n"
        "### [Art](https://e.com/art) trailing words\nsum"
    ),
    "the lead section": (
        "## Most important news\n\n### [A](https://e.com/a)\ns\n\n- [B](https://e.com/b)\n"
        "- [C](https://e.com/c)\n\n### [D](https://e.com/d)\n- [E](https://e.com/e)\n"
    ),
    "labels": (
        "## S\n- [video] [T](https://e.com/v)\n- [ZH][paywall] [T2](https://e.com/w)\n"
        "- [x] [T3](https://e.com/q)\n- [ ] todo\n- **[Bold](https://e.com/b)**\n"
        "- *by* [E](https://e.com/e)"
    ),
    "words that touch a link": (
        "- [T](https://e.com/t)s and [U](https://e.com/u)\n- [V](https://e.com/v)? Yes\n- x[W](https://e.com/w)y"
    ),
    "articles with pictures": (
        "## S\n### [T](https://e.com/t)\n![pic alt](https://e.com/p.png)\nsum\n\n"
        "### [U](https://e.com/u)\n\n![](https://e.com/q.png)\n\nsum2\n\n- [V](https://e.com/v)\n"
        "  ![va](https://e.com/v.png)\n  text"
    ),
    "quotes of lists": (
        "> - [q](https://e.com/q)\n> - r\n>\n> 1. [s](https://e.com/s)\n\n- > quote in item\n- > [l](https://e.com/l)\n"
    ),
    "Chinese": (
        "本期的关键词是**「政策」**与\n**「消费」**，两者\n同样[「重要」](https://e.com/c)。\n"
        "日本語\nテキスト、ＡＢＣ\nＤＥＦ English\n中文"
    ),
    "long Chinese": "这是一个很长的段落，" * 20 + "ＡＢＣＤＥＦ" * 10 + "123456" * 5,
    "Japanese": "これはとても長い段落です。" * 12 + "「かぎかっこ」ッッッ" * 8 + "か\u3099き\u3099" * 40,
    "Korean": "**「중요」**라고 말했다. " * 12,
    "Thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ " * 5,
    "Arabic": "مرحبا بالعالم **مهم** [رابط](https://e.com/ar)",
    "wide tables": "| " + " | ".join(f"col{i}" for i in range(12)) + " |\n|" + "---|" * 12 + "\n| " + "v | " * 12,
    "long words": "word " * 50 + "\n" + "verylongwordwithoutanyspaces" * 4,
    "deep nesting": "> > > > - - - 1. x\n> > > >           y",
    "very deep nesting": "> " * 30 + "x\n\n" + "\n".join("  " * depth + f"- item{depth}" for depth in range(20)),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_construct_keeps_all_its_words_and_links_in_both_parts(name: str) -> None:
    assert compare(FRONT + BODIES[name], BODIES[name]) == []


def test_the_comparison_finds_what_is_missing_and_what_is_too_much() -> None:
    assert compare(FRONT + "one two", "one two three [l](https://e.com/l)") == [
        "HTML: 1x 'three' is missing",
        "HTML: 1x 'l' is missing",
        "text: 1x 'three' is missing",
        "text: 1x 'l' is missing",
        "HTML: no link https://e.com/l",
        "text: no link https://e.com/l",
    ]
    assert compare(FRONT + "one two", "one") == ["HTML: 1x 'two' too much", "text: 1x 'two' too much"]
