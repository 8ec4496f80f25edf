"""CSV files: strict reading with line numbers in errors, and writing that escapes formulas."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from credits.labels import INVISIBLE

BOM = "\ufeff"
UNCLOSED = "a quote is not closed, or text follows it"
LONGEST_CELL = csv.field_size_limit()
TOO_LONG = (
    f"a cell has more than {LONGEST_CELL:,} characters; perhaps a quote before it is not closed"
)

_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Spreadsheets skip blanks and invisible characters before a formula, and accept full-width signs.
_SKIPPED = rf"\s\x00-\x1f\x7f-\x9f{INVISIBLE}\ufe00-\ufe0f\U000e0000-\U000e0fff\""
_FORMULA = r"=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b"
# A program with another separator than the comma starts a cell after it, even inside quotes.
_STARTS = re.compile(
    rf"\A(?=[\t\r]|[{_SKIPPED}]*[{_FORMULA}])"
    rf"|(?<=[,;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])(?=[{_SKIPPED}]*[{_FORMULA}])"
)


class SpreadsheetUnreadable(ValueError):
    """The file is not a CSV file in UTF-8 with the expected columns; the message says why."""


class SpreadsheetRow(NamedTuple):
    """A row of a file: the number of its first line, and its cells by column name.

    A row that is not readable has no cells; `wrong` says why.
    """

    line: int
    cells: dict[str, str]
    wrong: str = ""


def read(path: Path, columns: Sequence[str]) -> list[SpreadsheetRow]:
    """Read the rows of a CSV file that must have exactly these columns, in any order.

    Raises SpreadsheetUnreadable.
    """
    rows = parse(read_bytes(path), str(path), columns)
    for row in rows:
        if row.wrong:
            raise SpreadsheetUnreadable(f"Line {row.line}: {row.wrong}")
    return rows


def parse(
    data: bytes, name: str, columns: Sequence[str], *, optional: Sequence[str] = ()
) -> list[SpreadsheetRow]:
    """Return the rows of a CSV file's content; `name` is the file's name in errors.

    The `optional` columns may be missing. Raises SpreadsheetUnreadable if no row can be read: wrong
    encoding or columns, or empty.
    """
    rows = _rows(_text(data, name))
    header = next(rows, (1, []))[1]
    if isinstance(header, str):
        raise SpreadsheetUnreadable(f"{name}, line 1: {header}")
    present = [column for column in optional if column in header]
    if sorted(header) != sorted([*columns, *present]):
        raise SpreadsheetUnreadable(_wrong_header(name, header, columns))
    return [_row(line, header, cells) for line, cells in rows]


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raises SpreadsheetUnreadable."""
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise SpreadsheetUnreadable(f"{path} is a directory, not a CSV file") from error
    except OSError as error:
        raise SpreadsheetUnreadable(f"{path} cannot be read: {error.strerror}") from error


def lines(header: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a CSV file. The BOM makes Excel read the file as UTF-8."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_NONNUMERIC)
    yield BOM + writer.writerow(header)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: object) -> int | Decimal | str:
    """Return a number unchanged, an object as JSON, and all else as text with formulas escaped."""
    if isinstance(value, Decimal):
        return Decimal(format(value, "f"))  # avoids the notation 1E+2
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value is None:
        return ""
    if isinstance(value, date | datetime):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return _STARTS.sub("'", text)


def _text(data: bytes, name: str) -> str:
    if wrong := _wrong_bytes(data):
        raise SpreadsheetUnreadable(f"{name} {wrong}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpreadsheetUnreadable(
            f"{name} is not UTF-8 (line {line}): save it as 'CSV UTF-8'"
        ) from error


def _wrong_bytes(data: bytes) -> str | None:
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        return "is empty"
    if data.startswith(_EXCEL):
        return "is an Excel workbook, not a CSV file: save it as 'CSV UTF-8'"
    if data.startswith(_WIDE):
        return "is UTF-16 or UTF-32, not UTF-8: save it as 'CSV UTF-8'"
    if b"\0" in data:
        return "has NUL characters: it is not a CSV file in UTF-8"
    return None


def _rows(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the number of the first line and the cells of each row that is not blank.

    Excel writes emptied rows as separators only. A row with a wrong quote or a too long cell has
    the reason instead of cells and is the last one: its end is unknown.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, TOO_LONG if "larger than field limit" in str(error) else UNCLOSED
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _wrong_header(name: str, header: list[str], columns: Sequence[str]) -> str:
    expected = ",".join(columns)
    for separator, called in ((";", "semicolons"), ("\t", "tabs")):
        if separator in "".join(header):
            return (
                f"{name} is separated by {called} (German Excel's default), not by commas. "
                f"The file's first line must be: {expected}"
            )
    return f"The file's first line must be: {expected}"


def _row(line: int, header: list[str], cells: list[str] | str) -> SpreadsheetRow:
    if isinstance(cells, str):
        return SpreadsheetRow(line, {}, f"{cells}; no line after it can be read")
    if len(cells) != len(header):
        return SpreadsheetRow(line, {}, f"expected {len(header)} columns, found {len(cells)}")
    return SpreadsheetRow(line, dict(zip(header, cells, strict=True)))


class _Echo:
    """A file object whose `write` returns the text instead of storing it."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text
