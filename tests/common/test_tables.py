import gzip
from pathlib import Path

import pytest

from apps.common import tables
from apps.common.tables import BadLine, Row, Unreadable


@pytest.fixture
def write(tmp_path: Path):
    def write(content: bytes, *, name: str = "feed.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def read(path: Path, **options: int) -> list[Row | BadLine]:
    return list(tables.rows(path, **options))


GOOD = [Row(2, {"code": "1", "name": "Milk"}), Row(3, {"code": "2", "name": "Eggs"})]


@pytest.mark.parametrize(
    "content",
    [
        b"code,name\n1,Milk\n2,Eggs\n",
        b"\xef\xbb\xbfCode, Name \r\n1,Milk\r\n2,Eggs",  # byte order mark, spaces and capitals in the header
        b"code,name\r1,Milk\r2,Eggs\r",  # an old Macintosh's line ends
        gzip.compress(b"code,name\n1,Milk\n2,Eggs\n", mtime=0),
    ],
)
def test_files_that_say_the_same_read_the_same(write, content: bytes) -> None:
    assert read(write(content)) == GOOD


def test_lines_are_counted_where_rows_start(write) -> None:
    found = read(write(b'code,name\n1,"two\nlines"\n\n2,Eggs\n'))
    assert found == [Row(2, {"code": "1", "name": "two\nlines"}), Row(5, {"code": "2", "name": "Eggs"})]


@pytest.mark.parametrize(
    ("content", "bad"),
    [
        (b"code,name\n1,Milk\n2,Eggs,more\n3,Tea\n", BadLine(3, "has 3 cells where the header has 2")),
        (b"code,name\n1,Milk\n2\n3,Tea\n", BadLine(3, "has 1 cells where the header has 2")),
        (b'code,name\n1,Milk\n2,"Eg"gs\n3,Tea\n', BadLine(3, "has a quotation mark in the wrong place")),
    ],
)
def test_a_bad_line_is_told_and_the_next_ones_follow(write, content: bytes, bad: BadLine) -> None:
    assert read(write(content)) == [
        Row(2, {"code": "1", "name": "Milk"}),
        bad,
        Row(4, {"code": "3", "name": "Tea"}),
    ]


def test_a_quotation_mark_that_is_never_closed_ends_what_can_be_read(write) -> None:
    found = read(write(b'code,name\n1,Milk\n2,"Eggs\n3,Tea\n'))
    assert found == [Row(2, {"code": "1", "name": "Milk"}), BadLine(3, "opens a quotation mark that is never closed")]


def test_bytes_that_are_not_utf8_stay_in_their_cell(write) -> None:
    (found,) = read(write(b"code,name\n1,Caf\xe9\n"))
    assert isinstance(found, Row)
    with pytest.raises(ValueError, match="not text"):
        tables.plain_text(found.cells["name"], longest=10)
    assert tables.harmless(found.cells["name"]) == "Caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"code,name,code\n1,2,3\n", "twice: code"),
        (b",".join([b"c%d" % n for n in range(201)]), "201 columns"),
        (b"x" * (tables.MAX_LINE + 1), "longer than"),
        (b'"code', "never closed"),
        (gzip.compress(b"code,name\n1,Milk\n", mtime=0)[:-6], "cannot be read"),
        (b"\x1f\x8bnot gzip at all", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(write, content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(write(content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"feed\.csv cannot be read"):
        read(tmp_path / "feed.csv")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bytes_are_counted_after_unpacking(write, pack) -> None:
    content = b"code,name\n" + b"1,Milk\n" * 20_000
    assert len(read(write(pack(content)), max_bytes=len(content))) == 20_000
    with pytest.raises(Unreadable, match="more than 140,009 bytes"):
        read(write(pack(content)), max_bytes=len(content) - 1)


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(write) -> None:
    bomb = write(gzip.compress(b"code,name\n" + b"0" * 50_000_000, mtime=0))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(Unreadable, match="longer than"):
        read(bomb)


@pytest.mark.parametrize("value", ["=1+1", "+49", "-1", "@cmd", " =HYPERLINK()", "a\x00b", "a\x1b[31m", "ten chars!!"])
def test_text_that_must_not_be_kept(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        tables.plain_text(value, longest=10)


def test_text_is_tidied() -> None:
    assert tables.plain_text("  Organic \t White\nRice ", longest=20) == "Organic White Rice"


@pytest.mark.parametrize(
    ("value", "shown"), [("=1+1", "'=1+1"), ("a\nb\x1b", "a b\N{REPLACEMENT CHARACTER}"), ("x" * 99, "x" * 80)]
)
def test_what_is_shown_of_a_bad_cell_is_harmless(value: str, shown: str) -> None:
    assert tables.harmless(value) == shown
