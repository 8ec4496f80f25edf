"""CSV files: accepted and rejected input, and output without formulas."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from credits import spreadsheets
from credits.spreadsheets import SpreadsheetRow, SpreadsheetUnreadable

COLUMNS = ("user_id", "credits")
# ASCII, then the full-width signs.
SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
GOOD = "user_id,credits\nmüller,5\n"
LONG = "a cell has more than 131,072 characters"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path for a file."""
    return tmp_path / "file.csv"


def written(*cells: object) -> str:
    return "".join(spreadsheets.lines(["a"], [cells]))


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        '"credits","user_id"\n\n5,"müller"'.encode(),
    ],
)
def test_utf_8_with_or_without_a_bom_is_read(data: bytes, path: Path) -> None:
    path.write_bytes(data)

    rows = spreadsheets.read(path, COLUMNS)

    assert [row.cells for row in rows] == [{"user_id": "müller", "credits": "5"}]


def test_blank_rows_are_skipped_and_counted(path: Path) -> None:
    path.write_bytes(b"user_id,credits\r\n,\r\nbob,5\r\n  , \r\n   \r\n\r\n,\r\n")

    assert [(row.line, row.wrong) for row in spreadsheets.read(path, ("user_id", "credits"))] == [
        (3, "")
    ]


def test_a_row_has_the_number_of_its_first_line(path: Path) -> None:
    path.write_text('user_id,credits\n"a\nb",1\nc,2\n')

    assert spreadsheets.read(path, COLUMNS) == [
        SpreadsheetRow(2, {"user_id": "a\nb", "credits": "1"}),
        SpreadsheetRow(4, {"user_id": "c", "credits": "2"}),
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (GOOD.encode("utf-16"), "is UTF-16"),
        (GOOD.encode("utf-32"), "is UTF-16 or UTF-32, not UTF-8"),
        (b"\0\0\xfe\xff" + GOOD.encode("utf-32-be"), "is UTF-16 or UTF-32, not UTF-8"),
        (GOOD.encode("utf-16-be"), "has NUL characters"),
        (GOOD.encode("latin-1"), r"is not UTF-8 \(line 2\): save it as 'CSV UTF-8'"),
        (b"PK\x03\x04and more", "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0and more", "is an Excel workbook"),
        (b"user_id,credits\nal\0ice,5\n", "has NUL characters"),
        (b'user_id,credits\nbob,5\n"alice,5\ncarol,5\n', "Line 3: a quote is not closed"),
        (b'user_id,credits\n"bob"x,5\n', "Line 2: a quote is not closed, or text follows it"),
        (b"user_id,credits\n" + b"x" * 200_000 + b",5\n", f"Line 2: {LONG}"),
        (b'user_id,credits\nbob,5\n"' + b"x" * 131_073 + b'",5\n', f"Line 3: {LONG}"),
        (b'user_id,credits\n"' + b"x" * 200_000, f"Line 2: {LONG}; .*quote .* not closed"),
        (b"x" * 200_000 + b",credits\nbob,5\n", f"line 1: {LONG}"),
        (b'"user_id,credits\nbob,5\n', "line 1: a quote is not closed"),
        (b"user_id;credits\nbob;5,5\n", r"separated by semicolons \(German Excel's default\)"),
        (b"user_id\tcredits\nbob\t5\n", "separated by tabs"),
        (b"bob,5\n", "first line must be: user_id,credits"),
        (b"user_id,credits,credits\n", "first line must be: user_id,credits"),
        (b"user_id,credits\nbob\n", "Line 2: expected 2 columns, found 1"),
        (b"user_id,credits\nbob,5,6\n", "Line 2: expected 2 columns, found 3"),
    ],
)
def test_every_other_file_gets_one_sentence(data: bytes, says: str, path: Path) -> None:
    path.write_bytes(data)

    with pytest.raises(SpreadsheetUnreadable, match=says) as refused:
        spreadsheets.read(path, COLUMNS)

    assert "\n" not in str(refused.value)


def test_an_unreadable_file_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpreadsheetUnreadable, match="is a directory, not a CSV file"):
        spreadsheets.read(tmp_path, COLUMNS)
    with pytest.raises(SpreadsheetUnreadable, match="cannot be read: No such file"):
        spreadsheets.read(tmp_path / "none.csv", COLUMNS)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n",
        "\r\n",
        "  ",
        "\t",
        "\u200b",
        "\ufeff",
        "\xa0",
        '"',
        "\x01",
        "x,",
        "x; ",
        "x\t",
        "x\n",
        "x\r",
        "x|",
        "x,\u200b",
        'x;"',
        "x\u2028",
        "x\n\n",
        "\U000e0020",
        "x;\U000e0100",
    ],
)
def test_no_cell_starts_a_formula(sign: str, before: str) -> None:
    text = written(f"{before}{sign}1+1")

    cell = next(csv.reader(io.StringIO(text.partition("\n")[2], newline="")))[0]
    assert cell.replace("'", "") == f"{before}{sign}1+1"
    for part in re.split(r"[,;|\t\r\n\u2028]", cell):
        assert not part.strip(' "\u200b\ufeff\xa0\x01\U000e0020\U000e0100').startswith(SIGNS)


@pytest.mark.parametrize("text", ["\tx", "\rx"])
def test_no_cell_starts_with_a_tab_or_a_return(text: str) -> None:
    assert f'"\'{text}"' in written(text)


@pytest.mark.parametrize(
    "text", ["a plain text", "a-b=c+d@e", "1,5", "a\nb", "me@example.com", "it's", "ab-12, cd"]
)
def test_other_texts_stay(text: str) -> None:
    assert written(text) == f'\ufeff"a"\r\n"{text}"\r\n'


def test_texts_are_quoted_and_numbers_are_numbers() -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    unique = UUID(int=5)

    text = written("x", None, True, 5, Decimal("-2.0000"), Decimal("1E+2"), moment, unique)

    assert text == (
        '\ufeff"a"\r\n"x","","True",5,-2.0000,100,"2026-11-22T00:00:00+00:00",'
        '"00000000-0000-0000-0000-000000000005"\r\n'
    )
