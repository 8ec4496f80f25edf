"""A month of very many movements costs no more per sheet than a short one."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection

from credits.reporting import statements
from credits.reporting.statements import MOVEMENTS_PER_SHEET
from tests.factories import give
from tests.owner import as_owner
from tests.query_plans import rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MOVEMENTS = 4_000
MONTH = date(2031, 1, 1)
LATER = datetime(2031, 3, 1, tzinfo=UTC)
# One movement every ten minutes, in January, and as many in the month after it.
SPENDS = """
    SELECT count((credits.post_transaction(
        gen_random_uuid(), 'alice', 'user', p_type => 'usage', p_amount => -0.1,
        p_counts_as => 'spent', p_app_id => 'chat', p_description => 'GPT-4 message',
        p_at => timestamptz '2031-01-01 00:00Z' + n * interval '10 minutes')).outcome)
    FROM generate_series(0, %(rows)s - 1) AS n
"""


@pytest.fixture
def long_months() -> None:
    give("alice", 1_000_000)
    with connection.cursor() as cursor:
        cursor.execute(SPENDS, {"rows": 2 * MOVEMENTS})
        with as_owner():
            cursor.execute("ANALYZE credits.transactions")


@pytest.mark.usefixtures("long_months")
def test_a_sheet_of_a_long_month_reads_its_own_rows_only() -> None:
    end = datetime(2031, 2, 1, tzinfo=UTC)
    settled = end + statements.SETTLED_AFTER

    first = statements.of_month("alice", MONTH, sheet=1, now=LATER)
    last = statements.of_month("alice", MONTH, sheet=first.sheets, now=LATER)

    assert first.count > MOVEMENTS
    assert len(first.movements) == MOVEMENTS_PER_SHEET
    assert last.movements[-1].number == last.last_number
    assert last.movements[-1].balance_after == last.closing
    ends = {"user": "alice", "end": end, "settled": settled}
    assert 0 < rows_read(statements._LAST_BEFORE, ends) < 100  # the steps of the search count
    rows = {"user": "alice", "after": 2_000, "last": 2_500}
    assert rows_read(statements._MOVEMENTS, rows) == 500
