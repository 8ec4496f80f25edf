"""The check of the books after each test: one call of a function that keeps its plan.

Planning the check takes ten times as long as running it. psycopg forgets prepared statements at
each rollback, which ends most tests. A function keeps its plan as long as the connection.
"""

import os

from django.db import connection

from credits.ledger import books
from credits.models import Balance

# The suite then runs in a database of its own (`make test-citus`), in which nothing is installed.
IN_PLACE = bool(os.environ.get("TEST_IN_PLACE"))
_FUNCTION = """
    CREATE FUNCTION public.discrepancies_of_a_test()
    RETURNS TABLE (rule text, user_id text, sentence text)
    LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
        every text[] := ARRAY(SELECT b.user_id FROM credits.balances b);
    BEGIN
        IF every <> '{{}}' THEN
            RETURN QUERY SELECT f.rule, f.user_id::text, f.sentence FROM ({check}) f;
        END IF;
        RETURN QUERY SELECT f.rule, f.user_id::text, f.sentence
        FROM ({orphans}) f (rule, user_id, sentence);
    END $$;
    GRANT EXECUTE ON FUNCTION public.discrepancies_of_a_test TO PUBLIC
"""


def install() -> None:
    """Create the function in the database of the tests."""
    if IN_PLACE:
        return
    check = books.statement() % {"users": "every", "since_last": "false"}
    with connection.cursor() as cursor:
        cursor.execute(_FUNCTION.format(check=check, orphans=books.ORPHANS_OF_ALL))


def discrepancies() -> list[str]:
    """Return the discrepancies of the books as sentences."""
    return [f"{user_id}: {sentence} ({rule})" for rule, user_id, sentence in _rows()]


def _rows() -> list[tuple[str, str, str]]:
    if not IN_PLACE:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rule, user_id, sentence FROM public.discrepancies_of_a_test()")
            return list(cursor.fetchall())
    users = list(Balance.objects.values_list("pk", flat=True))
    found = [*(books.check(users) if users else []), *books.orphans()]
    return [(one.rule, one.user_id, one.sentence) for one in found]
