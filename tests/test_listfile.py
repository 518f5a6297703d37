"""Lists are read as other programs export them; each line is good or told, and none swallows its neighbours."""

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import InputError
from newsletter.listfile import CELL_LIMIT, LINE_LIMIT, BadRow, Row, detect_encoding, read_rows


def read(content: bytes | str) -> list[Row | BadRow]:
    return list(read_rows(io.BytesIO(content.encode() if isinstance(content, str) else content), "people.csv"))


def people(content: bytes | str) -> list[tuple[str, str]]:
    rows = read(content)
    assert all(isinstance(row, Row) for row in rows), rows
    return [(row.email, row.name) for row in rows]


TWO = [("zoe@example.org", "Zoé"), ("bob@example.org", "Bob")]
TEXT = "email,name\nzoe@example.org,Zoé\nbob@example.org,Bob\n"


# --- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp1252"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\n\n  \n").encode(),
    ],
)
def test_encodings_and_line_ends(content):
    assert people(content) == TWO


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_chinese_names_survive(encoding):
    content = "邮箱,姓名\nwang@example.com,王小明\nli@example.com,李娜\n".encode(encoding)
    assert people(content) == [("wang@example.com", "王小明"), ("li@example.com", "李娜")]


@pytest.mark.parametrize("name", ["François Lévêque", "Jürgen Groß", "Åse Ødegård", "€uro"])
def test_western_names_are_not_taken_for_chinese(name):
    assert detect_encoding(io.BytesIO(f"email,name\na@example.org,{name}\n".encode("cp1252"))) == "cp1252"


# --- delimiters and headings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ", "])
def test_delimiters(delimiter):
    assert people(TEXT.replace(",", delimiter)) == TWO


def test_delimiter_inside_a_quoted_heading_does_not_count():
    content = '"name, first, last";email\n"Lee, Ann";ann@example.org\n'
    (row,) = read(content)
    assert (row.email, row.attributes) == ("ann@example.org", {"name, first, last": "Lee, Ann"})


def test_declared_delimiter_is_heeded():
    assert people("sep=;\nemail;name\nzoe@example.org;Zoé\nbob@example.org;Bob\n") == TWO


@pytest.mark.parametrize(
    "heading", ["E-Mail", "Email Address", "EMAIL", " email ", "Courriel", "adresse e-mail", "邮箱", "e_mail"]
)
def test_headings_of_the_address(heading):
    assert people(f"{heading},name\nzoe@example.org,Zoé\nbob@example.org,Bob\n") == TWO


def test_street_is_not_taken_for_the_mail_address():
    (row,) = read("Address,Email\n1 Quay Street,ann@example.org\n")
    assert (row.email, row.attributes) == ("ann@example.org", {"address": "1 Quay Street"})
    assert people("address\nann@example.org\n") == [("ann@example.org", "")]


def test_all_columns_have_a_meaning():
    (row,) = read("First Name,Last Name,Email,Lang,Time Zone,Company  Name,,Note\nAnn,Lee,a@example.org,fr,UTC,Ex,y,\n")
    assert row == Row(
        line=2,
        email="a@example.org",
        name="Ann Lee",
        language="fr",
        time_zone="UTC",
        attributes={"company name": "Ex"},
    )


def test_bare_list_of_addresses_needs_no_heading():
    assert people("ann@example.org\nbob@example.org\n") == [("ann@example.org", ""), ("bob@example.org", "")]


@pytest.mark.parametrize("content", [b"", b"\n \n\n", b"\xef\xbb\xbf"])
def test_empty_file_is_told(content):
    with pytest.raises(InputError, match=r"people\.csv: the file is empty"):
        read(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,town\nAnn,Port\n", "people.csv:1: no column 'email'; found: name, town"),
        (b"\n\nann@example.org,Ann\n", "people.csv:3: no column 'email'"),
        (b"PK\x03\x04" + bytes(100), "a workbook or archive; save the list as CSV"),
        (b"%PDF-1.7\n", "a PDF"),
        (bytes(range(256)) * 10, "no column 'email'"),
    ],
)
def test_file_that_is_no_list_is_told(content, words):
    with pytest.raises(InputError) as caught:
        read(content)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


# --- junk ------------------------------------------------------------------------------------------------------------


def test_junk_lines_are_told_with_their_number_and_the_rest_is_read():
    rows = read("email,name\n,Ann\na@example.org,Ann,more\nb@example.org,Bob,,\n\nc@example.org\n")
    assert [(row.line, type(row).__name__) for row in rows] == [(2, "BadRow"), (3, "BadRow"), (4, "Row"), (6, "Row")]
    assert [row.reason for row in rows if isinstance(row, BadRow)] == ["no address", "3 cells under 2 headings"]
    assert rows[1].text == "a@example.org,Ann,more"


def test_unclosed_quote_costs_its_own_line_only():
    rows = read('email,name\na@example.org,"Ann\nb@example.org,Bob\nc@example.org,"Cho"\nd@example.org,"Dee\n')
    assert [(row.line, getattr(row, "email", None)) for row in rows] == [
        (2, None),
        (3, "b@example.org"),
        (4, "c@example.org"),
        (5, "d@example.org"),
    ]
    assert rows[0].reason == "a quote is opened here and not closed"


def test_cell_over_several_lines_is_one_cell():
    rows = read('email,note\na@example.org,"one\ntwo, ""three"""\nb@example.org,x\n')
    assert [(row.line, row.attributes) for row in rows] == [(2, {"note": 'one two, "three"'}), (4, {"note": "x"})]


def test_quotes_that_are_not_quite_csv_are_read_as_meant():
    assert people('email,name\na@example.org,"Ann" Lee\nb@example.org,Bob "B" Ray\n') == [
        ("a@example.org", "Ann Lee"),
        ("b@example.org", 'Bob "B" Ray'),
    ]


def test_nul_and_controls_are_left_out():
    assert people(b"email,name\na\0@example.org,A\x1b[31mnn\x07\n") == [("a@example.org", "A [31mnn")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a@example.org," + "x" * (CELL_LIMIT + 1), "10,000 characters"),
        ("a@example.org," + "x" * 200_000, "10,000 characters"),
        (f'a@example.org,"{"x" * 200_000}"', "131,072 characters"),
        ("a@example.org," + "x" * 10_000_000, "1,000,000 characters"),
        ('a@example.org,"' + "x" * 10_000_000, "1,000,000 characters"),
        ("," * 10_000_000, "1,000,000 characters"),
    ],
)
def test_huge_lines_are_told_and_the_rest_is_read(line, reason):
    first, second = read(f"email,name\n{line}\nb@example.org,Bob\n")
    assert isinstance(first, BadRow)
    assert first.line == 2
    assert reason in first.reason
    assert len(first.text) <= 120
    assert (second.line, second.email) == (3, "b@example.org")
    assert LINE_LIMIT == 1_000_000


def test_stream_is_left_open():
    stream = io.BytesIO(TEXT.encode())
    assert len(list(read_rows(stream, "x"))) == 2
    assert not stream.closed


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(content):
    try:
        rows = read(b"email,name\n" + content)
    except InputError:
        return
    for row in rows:
        shown = row.text if isinstance(row, BadRow) else row.email + row.name
        assert not any(ord(character) < 32 for character in shown)


cells = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)


@given(st.lists(st.tuples(cells, cells), max_size=8), st.sampled_from(",;\t|"))
def test_what_a_csv_writer_wrote_is_read_as_it_was(rows, delimiter):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["email", "note"])
    for number, (first, second) in enumerate(rows):
        writer.writerow([f"p{number}@example.org", f"{first}\n{second}"])
    found = read(file.getvalue())
    assert [row.email for row in found] == [f"p{number}@example.org" for number in range(len(rows))]
    for row, (first, second) in zip(found, rows, strict=True):
        assert row.attributes.get("note", "") == " ".join(f"{first} {second}".split())
