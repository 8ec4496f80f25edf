"""Files of grants: a CSV file with the columns `user_id` and `credits`, read strictly.

A third column, `expires_at`, may say when the credits expire: a date, which means its start, or a
timestamp, in ISO 8601 and UTC unless it has an offset. An empty cell means never.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from credits import labels, spreadsheets, timestamps
from credits.amounts import plain, read
from credits.ledger.credit_lots import LONGEST_VALIDITY
from credits.spreadsheets import SpreadsheetRow

COLUMNS = ("user_id", "credits")
EXPIRY = "expires_at"


class Grant(NamedTuple):
    """An amount of credits for a user, and when it expires."""

    user_id: str
    amount: Decimal
    expires_at: datetime | None = None

    @property
    def text(self) -> str:
        """Return the grant as a line. Grants that never expire have the text of a short line."""
        line = f"{self.user_id},{plain(self.amount)}"
        return f"{line},{self.expires_at.isoformat()}" if self.expires_at else line


class RefusedLine(NamedTuple):
    """A line that grants nothing, and why. `user_id` is empty if the id is invalid."""

    line: int
    user_id: str
    sentence: str


class GrantFile(NamedTuple):
    """The grants of a file with their lines, and the lines that are refused."""

    grants: dict[int, Grant]
    refused: list[RefusedLine]

    @property
    def total(self) -> Decimal:
        """Return the sum of the grants, in credits."""
        return sum((grant.amount for grant in self.grants.values()), Decimal(0))

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the grants. The order of the lines and line ends do not matter."""
        written = sorted(grant.text for grant in self.grants.values())
        return hashlib.sha256("\n".join(written).encode()).hexdigest()

    def without(self, refused: list[RefusedLine]) -> "GrantFile":
        """Return the file with more refused lines."""
        lines = {one.line for one in refused}
        kept = {line: grant for line, grant in self.grants.items() if line not in lines}
        return GrantFile(kept, sorted([*self.refused, *refused]))


def from_path(path: Path) -> GrantFile:
    """Read a file. Raises SpreadsheetUnreadable."""
    return parse(spreadsheets.read_bytes(path), str(path))


def parse(data: bytes, name: str) -> GrantFile:
    """Read the content of the file `name`. Raises SpreadsheetUnreadable.

    A user that the file names twice gets nothing: which amount is meant is unknown.
    """
    read_rows = [_grant(row) for row in spreadsheets.parse(data, name, COLUMNS, optional=[EXPIRY])]
    grants = {line: one for line, one in read_rows if isinstance(one, Grant)}
    refused = [one for _, one in read_rows if isinstance(one, RefusedLine)]
    return GrantFile(grants, refused).without(list(_doubled(grants)))


def _grant(row: SpreadsheetRow) -> tuple[int, Grant | RefusedLine]:
    if row.wrong:
        return row.line, RefusedLine(row.line, "", row.wrong)
    user_id = row.cells["user_id"]
    if sentence := _error_for_user_id(user_id):
        return row.line, RefusedLine(row.line, "", sentence)
    try:
        expires_at = _expiry(row.cells.get(EXPIRY, ""))
        return row.line, Grant(user_id, read(row.cells["credits"]), expires_at)
    except ValueError as error:
        return row.line, RefusedLine(row.line, user_id, str(error)[:300])


def _expiry(text: str) -> datetime | None:
    """Parse a cell. Raises ValueError for a value that is no date, in the past or too far away."""
    if not text.strip():
        return None
    try:
        moment = timestamps.parse(text.strip())
    except ValueError as error:
        raise ValueError(f"expires_at is not a date in ISO 8601: {text}") from error
    now = datetime.now(UTC)
    if not now < moment <= now + LONGEST_VALIDITY:
        raise ValueError(f"expires_at is not within the next {LONGEST_VALIDITY.days} days: {text}")
    return moment


def _error_for_user_id(user_id: str) -> str | None:
    if not 1 <= len(user_id) <= labels.LONGEST_USER_ID:
        return f"a user id must have 1 to {labels.LONGEST_USER_ID} characters"
    error = labels.error_for_user_id(user_id)
    return f"the user id is invalid: {labels.MESSAGES[error]}" if error else None


def _doubled(grants: dict[int, Grant]) -> Iterator[RefusedLine]:
    lines_of = defaultdict[str, list[int]](list)
    for line, grant in grants.items():
        lines_of[grant.user_id].append(line)
    for user_id, lines in lines_of.items():
        if len(lines) > 1:
            *before, last = (str(line) for line in lines[:10])
            sentence = f"Lines {', '.join(before)} and {last} name the same user, {user_id}"
            yield from (RefusedLine(line, user_id, sentence) for line in lines)
