"""Emphasis beside full-width punctuation, and lines that are joined without a space."""

import pytest
from issue_files import parse

from newsletter.cjk import is_cjk, is_spaceless
from newsletter.markup import build_parser


def html(markdown: str) -> str:
    editorial = parse(markdown).editorial
    assert editorial is not None
    return editorial.html.removeprefix("<p>").removesuffix("</p>")


@pytest.mark.parametrize("character", "海かカ한「，。！（＂Ａ１ｱ")
def test_cjk_is_what_is_wide(character: str) -> None:
    assert is_cjk(character)


@pytest.mark.parametrize("character", ["", "a", "1", ".", "“", "é", "🎉", "㊙", "ع"])
def test_latin_and_emoji_are_not_cjk(character: str) -> None:
    assert not is_cjk(character)


@pytest.mark.parametrize("character", "海かカ，。「」！（〇々ー、\u3000")
def test_chinese_and_japanese_have_no_spaces_between_words(character: str) -> None:
    assert is_spaceless(character)


@pytest.mark.parametrize("character", ["", "a", "한", "\u1100", "ㅎ", "\ua960", "Ａ", "ｚ", "１", "ｱ", "🎉"])
def test_korean_and_full_width_letters_have(character: str) -> None:
    assert not is_spaceless(character)


@pytest.mark.parametrize(
    ("markdown", "wanted"),
    [
        ("**「重要」**です", "<strong>「重要」</strong>です"),
        ("关键词是**「政策」**与**「消费」**，", "关键词是<strong>「政策」</strong>与<strong>「消费」</strong>，"),
        ("他说：**“重要。”**她走了", "他说：<strong>“重要。”</strong>她走了"),
        ("**重要。**下一句", "<strong>重要。</strong>下一句"),
        ("**(강조)**라고", "<strong>(강조)</strong>라고"),
        ("**[링크](https://e.com/)**는", '<strong><a href="https://e.com/">링크</a></strong>는'),
        ("*（重要）*です", "<em>（重要）</em>です"),
        ("~~「旧」~~新", "<s>「旧」</s>新"),
        ("a**b**c", "a<strong>b</strong>c"),
        ("a_b_c", "a_b_c"),
        ("_海_图", "_海_图"),
        ("** 海 **", "** 海 **"),
        ('a*"b"*c', 'a*"b"*c'),
        ("2 * 3 * 4", "2 * 3 * 4"),
    ],
)
def test_emphasis_works_beside_cjk_and_is_commonmark_elsewhere(markdown: str, wanted: str) -> None:
    assert html(markdown) == wanted


@pytest.mark.parametrize(
    ("markdown", "wanted"),
    [
        ("海\n图", "海图"),
        ("海，\n图", "海，图"),
        ("同样\n**「重要」**。", "同样<strong>「重要」</strong>。"),
        ("**同样**\n「重要」", "<strong>同样</strong>「重要」"),
        ("**同样**\n*重要*", "<strong>同样</strong><em>重要</em>"),
        ("同样\n[「重要」](https://e.com/)", '同样<a href="https://e.com/">「重要」</a>'),
        ("[同\n样](https://e.com/)", '<a href="https://e.com/">同样</a>'),
        ("同样\n`码`", "同样<code>码</code>"),
        ("同样\n<b>重要</b>", "同样<b>重要</b>"),
        ("同样<!-- c -->\n重要", "同样重要"),
        ("他说\n“好”\n了", "他说“好”了"),
        ("海\nsea", "海\nsea"),
        ("sea\n海", "sea\n海"),
        ("sea”\n“end", "sea”\n“end"),
        ("한국어\n말", "한국어\n말"),
        ("ＡＢ\nＣＤ", "ＡＢ\nＣＤ"),
        ("海\n🎉", "海\n🎉"),
        ("海\n![图](https://e.com/i.png)", '海\n<img src="https://e.com/i.png" alt="图">'),
        ("海\n<br>图", "海\n<br>图"),
        ("海  \n图", "海<br>\n图"),
        ("海\n<b></b>", "海\n<b></b>"),
        ("一\n二\n三", "一二三"),
    ],
)
def test_lines_are_joined_between_chinese_or_japanese_characters_only(markdown: str, wanted: str) -> None:
    assert html(markdown) == wanted


def test_a_joined_break_still_parts_a_headline_from_what_stands_below() -> None:
    [article] = parse("## S\n\n- [标题](https://e.com/t)\n  摘要的\n  正文\n").articles
    assert article.byline is None
    assert article.summary is not None
    assert article.summary.html == "<p>摘要的正文</p>"


def test_the_rules_of_the_original_parser_stay_in_force() -> None:
    parser = build_parser()
    assert parser.render("[a](https://e.com/) `c` <https://e.com/>") == (
        '<p><a href="https://e.com/">a</a> <code>c</code> <a href="https://e.com/">https://e.com/</a></p>\n'
    )
