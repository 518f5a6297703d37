import datetime as dt
import threading
from pathlib import Path

import pytest
from jinja2 import Environment

from newsletter.errors import Place, TemplateError
from newsletter.model import Article, RichText, Slot, marker
from newsletter.templating import (
    Templates,
    content_token,
    kept_code,
    replace_markers,
    shipped_templates,
    slot_token,
)

HERE = Place("issues/x.md", 3)
NONCE = "n0123456789abcdef"


@pytest.fixture
def project(tmp_path):
    return tmp_path


def write(project, name, text):
    path = project / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def render(project, context=None, slots=(), name="main.mjml.j2", tests=None):
    shipped = project / "shipped"
    shipped.mkdir(exist_ok=True)
    return Templates((project / "templates", shipped), project, tests).render(name, context or {}, NONCE, slots)


def problem(project, context=None, name="main.mjml.j2"):
    with pytest.raises(TemplateError) as raised:
        render(project, context, name=name)
    (found,) = raised.value.problems
    return found


# What is printed


def test_strings_are_escaped_in_every_kind_of_template_but_style_sheets(project):
    write(project, "main.mjml.j2", '<mj-text title="{{ x }}">{{ x }}</mj-text>{% include "a.css" %}')
    write(project, "a.css", "p { color: {{ colour }}; font-family: {{ font }}; }")
    text = render(project, {"x": "<b> & \"q\" 'r'", "colour": "#b3261e", "font": "'Iowan Old Style', Georgia"}).text
    assert text == (
        '<mj-text title="&lt;b&gt; &amp; &#34;q&#34; &#39;r&#39;">&lt;b&gt; &amp; &#34;q&#34; &#39;r&#39;</mj-text>'
        "p { color: #b3261e; font-family: 'Iowan Old Style', Georgia; }"
    )


def test_rich_text_becomes_a_token_of_lower_case_letters_and_digits(project):
    write(project, "main.mjml.j2", "<p>{{ a }}</p><p>{{ b }}</p><p>{{ a }}</p>")
    one, two = RichText("<b>1</b>{{ 7*7 }}", HERE), RichText("</mj-text>", HERE)
    rendering = render(project, {"a": one, "b": two})
    assert rendering.text == f"<p>{NONCE}c0x</p><p>{NONCE}c1x</p><p>{NONCE}c2x</p>"
    assert rendering.contents == (one, two, one)
    assert content_token(NONCE, 1).isalnum()
    assert content_token(NONCE, 1) == content_token(NONCE, 1).lower()


def test_slots_and_markers_become_tokens_and_foreign_noncharacters_do_not_survive(project):
    write(project, "main.mjml.j2", '<a href="{{ url }}">{{ subject }}</a>')
    slots = (Slot("name", "reader"), Slot("unsubscribe_url"))
    rendering = render(project, {"url": slots[1], "subject": f"Hi {marker(0)}, {marker(7)} \ufdd5"}, slots)
    assert rendering.text == f'<a href="{NONCE}s1x">Hi {NONCE}s0x, \ufffd \ufffd</a>'
    assert slot_token(NONCE, 1) == f"{NONCE}s1x"
    assert replace_markers(f"{marker(1, 20)}\ufdd0", NONCE, 2) == f"{NONCE}s1x\ufffd"


def test_characters_that_xml_forbids_become_replacement_characters(project):
    write(project, "main.mjml.j2", "{{ x }}")
    assert (
        render(project, {"x": "a\x00b\x1bc\ud800d\uffffe\x85f\tg\nh"}).text
        == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\tg\nh"
    )


def test_numbers_and_dates_are_printed(project):
    write(project, "main.mjml.j2", "{{ n }} {{ d }}")
    assert render(project, {"n": 3, "d": dt.date(2026, 11, 25)}).text == "3 2026-11-25"


@pytest.mark.parametrize(
    ("expression", "word"),
    [("nothing", "NoneType"), ("[1]", "list"), ("true", "bool"), ("dict", "type"), ("article", "Article")],
)
def test_what_is_no_text_is_refused_with_its_place(project, expression, word):
    write(project, "main.mjml.j2", f"<p>\n  {{{{ {expression} }}}}\n</p>")
    article = Article(headline=RichText("h", HERE), url="https://x", source="", place=HERE)
    found = problem(project, {"nothing": None, "article": article})
    assert word in found.message
    assert found.place == Place("templates/main.mjml.j2", 2)


@pytest.mark.parametrize("expression", ["text|upper", "'a' ~ text", "text|string", "'%s'|format(text)"])
def test_rich_text_is_never_shown_as_python(project, expression):
    write(project, "main.mjml.j2", f"\n{{{{ {expression} }}}}")
    rich = RichText("<b>secret</b>", HERE)
    found = problem(project, {"text": rich})
    assert "rich text" in found.message
    assert found.place == Place("templates/main.mjml.j2", 2)


def test_no_string_can_be_called_safe(project):
    write(project, "main.mjml.j2", "\n{{ x|safe }}")
    found = problem(project, {"x": "<script>"})
    assert "safe" in found.message
    assert found.place == Place("templates/main.mjml.j2", 2)


@pytest.mark.parametrize("value", ["</mj-style><mj-include path='x'>", "a;}b{", RichText("<b>", HERE)])
def test_where_nothing_is_escaped_only_plain_values_are_printed(project, value):
    write(project, "main.mjml.j2", '{% include "a.css" %}')
    write(project, "a.css", "p {\n color: {{ x }}; }")
    assert problem(project, {"x": value}).place == Place("templates/a.css", 2)
    write(project, "b.mjml.j2", "{% autoescape false %}{{ x }}{% endautoescape %}")
    assert problem(project, {"x": value}, "b.mjml.j2").place == Place("templates/b.mjml.j2", 1)


# Where templates come from


def test_a_projects_own_file_wins_file_by_file(project):
    shipped = project / "shipped"
    shipped.mkdir()
    (shipped / "main.mjml.j2").write_text('{% include "a.mjml.j2" %} {% include "b.mjml.j2" %}')
    (shipped / "a.mjml.j2").write_text("shipped a")
    (shipped / "b.mjml.j2").write_text("shipped b")
    write(project, "b.mjml.j2", "own b")
    assert render(project).text == "shipped a own b"


def test_a_changed_file_is_read_again(project):
    write(project, "main.mjml.j2", "one")
    templates = Templates((project / "templates",), project)
    assert templates.render("main.mjml.j2", {}, NONCE, ()).text == "one"
    write(project, "main.mjml.j2", "another")
    assert templates.render("main.mjml.j2", {}, NONCE, ()).text == "another"


def test_a_template_is_compiled_once_for_all_environments_of_a_kind(project, monkeypatch):
    compiled, usual = [], Environment.compile

    def note_and_compile(environment, source, name, *rest):
        compiled.append(name)
        return usual(environment, source, name, *rest)

    monkeypatch.setattr(Environment, "compile", note_and_compile)
    write(project, "main.mjml.j2", "{{ x }} {% if x is odd_one %}odd{% endif %}")
    for x in ("one", "two"):
        assert render(project, {"x": x}, tests={"odd_one": lambda x: x == "one"}).text.startswith(x)
    assert compiled == ["main.mjml.j2"]
    assert "odd_one" in problem(project, {"x": "one"}).message, "an environment without that test is of another kind"
    write(project, "main.mjml.j2", "another")
    assert render(project).text == "another"


def test_the_code_that_is_kept_has_its_bounds(project, monkeypatch):
    monkeypatch.setattr("newsletter.templating._KEPT_MAX", 2)
    for number in range(5):
        write(project, "main.mjml.j2", f"{number}")
        assert render(project).text == f"{number}"
    assert len(kept_code("issues")._kept) <= 2


def test_macros_of_an_imported_file_see_the_context_of_each_rendering(project):
    write(project, "main.mjml.j2", '{% from "m.mjml.j2" import m with context %}{{ m() }}')
    write(project, "m.mjml.j2", "{% macro m() %}<p>{{ x }}</p>{% endmacro %}")
    templates = Templates((project / "templates",), project)
    assert [templates.render("main.mjml.j2", {"x": x}, NONCE, ()).text for x in "ab"] == ["<p>a</p>", "<p>b</p>"]


def test_the_shipped_templates_are_there():
    assert (shipped_templates() / "email" / "issue.mjml.j2").is_file()


def test_two_threads_do_not_mix_their_content(project):
    write(project, "main.mjml.j2", "{% for x in many %}{{ x }}{% endfor %}")
    templates = Templates((project / "templates",), project)
    found = {}

    def work(name):
        many = [RichText(f"{name}{n}", HERE) for n in range(300)]
        found[name] = [templates.render("main.mjml.j2", {"many": many}, NONCE, ()).contents for _ in range(5)]
        assert all(contents == tuple(many) for contents in found[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list("abcd")
    assert all({content.html[0] for content in run} == {name} for name, runs in found.items() for run in runs)


# Mistakes


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("a\n{% if x %}\nb", 3, "'if'"),
        ("a\n{{ missing.name }}", 2, "'missing' is undefined"),
        ("a\n\n{{ x.nothing }}", 3, "nothing"),
        ("a\n{{ x|nofilter }}", 2, "nofilter"),
        ("a\n{{ 1 / 0 }}", 2, "division"),
        ('a\n{% include "gone.mjml.j2" %}', 2, "'gone.mjml.j2' is in none of the folders"),
        ('a\n{% include "../../secret" %}', 2, "'../../secret' is in none"),
        ("a\n{{ x.__class__ }}", 2, "__class__"),
        ("a\n{{ ''.__class__.__mro__ }}", 2, "unsafe"),
        ("a\n{{ d.update({}) }}", 2, "unsafe"),
        ("a\n{% for n in range(10000000) %}{% endfor %}", 2, "Range"),
        ("{{ 'a\n' }}\n{% endfor %}", 3, "endfor"),
    ],
)
def test_a_mistake_names_file_and_line_in_main_and_in_an_included_file(project, body, line, words):
    context = {"x": "text", "d": {}}
    write(project, "main.mjml.j2", body)
    found = problem(project, context)
    assert found.place is not None
    assert (found.place.file, found.place.line) == ("templates/main.mjml.j2", line)
    assert words in found.message
    write(project, "outer.mjml.j2", '1\n2\n3\n4\n{% include "main.mjml.j2" %}')
    inner = problem(project, context, "outer.mjml.j2")
    assert inner.place is not None
    assert (inner.place.file, inner.place.line) == ("templates/main.mjml.j2", line)


def test_an_unknown_name_lists_the_known_ones(project):
    write(project, "main.mjml.j2", "{{ isue }}")
    assert "issue, theme" in problem(project, {"issue": 1, "theme": 2}).hint


def test_a_template_that_is_not_utf8_or_includes_itself_is_an_error(project):
    write(project, "main.mjml.j2", "x")
    (project / "templates" / "main.mjml.j2").write_bytes(b"\xff\xfe")
    assert "UTF-8" in problem(project).message
    write(project, "main.mjml.j2", '{% include "main.mjml.j2" %}')
    assert problem(project).place is not None


# Places


def place_of(rendering, text):
    return rendering.place_at(rendering.text.index(text))


def test_an_offset_is_mapped_to_the_line_of_the_template_that_wrote_it(project):
    write(
        project, "main.mjml.j2", '<a>\n{% for n in ns %}\n  <b{{ n }}>\n{% endfor %}\n{% include "i.mjml.j2" %}\n</a>\n'
    )
    write(
        project,
        "i.mjml.j2",
        "{% macro m() %}\n\n <c>{{ caller() }}</c>\n{% endmacro %}\n{% call m() %}\n<d>\n{% endcall %}",
    )
    rendering = render(project, {"ns": [1, 2, "\n\n"]})
    assert place_of(rendering, "<a>") == Place("templates/main.mjml.j2", 1, 1)
    assert place_of(rendering, "<b2>") == Place("templates/main.mjml.j2", 3, 3)
    assert place_of(rendering, "<c>") == Place("templates/i.mjml.j2", 3, 2)
    assert place_of(rendering, "<d>") == Place("templates/i.mjml.j2", 6, 1)
    assert place_of(rendering, "</a>") == Place("templates/main.mjml.j2", 6, 1)


def test_the_file_is_sure_where_a_filter_saw_the_marks(project):
    write(project, "main.mjml.j2", "\n{% set x %}\n  a  {% endset %}{{ x|length }}<b>")
    rendering = render(project)
    assert place_of(rendering, "<b>") == Place("templates/main.mjml.j2", 1, 1)


def test_tests_of_the_caller_are_known(project):
    write(project, "main.mjml.j2", "{% if x is even_number %}yes{% endif %}")
    assert render(project, {"x": 2}, tests={"even_number": lambda n: n % 2 == 0}).text == "yes"


def test_a_file_of_the_shipped_folder_is_named_by_its_path(tmp_path):
    shipped = tmp_path / "elsewhere"
    shipped.mkdir()
    (shipped / "main.mjml.j2").write_text("{{ missing }}")
    with pytest.raises(TemplateError) as raised:
        Templates((tmp_path / "project" / "templates", shipped), tmp_path / "project").render(
            "main.mjml.j2", {}, NONCE, ()
        )
    assert raised.value.problems[0].place == Place(str(shipped / "main.mjml.j2"), 1)
    assert Path(raised.value.problems[0].place.file).is_file()
