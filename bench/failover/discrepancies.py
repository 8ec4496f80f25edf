"""`python -m bench.failover.discrepancies`: print the number of discrepancies.

`check_ledger` records its result and so needs a writable server. This program can also read a
standby.
"""

import os

import django


def count() -> int:
    """Return the number of discrepancies in the database of DATABASE_URL."""
    from credits.ledger import books  # noqa: PLC0415  # needs Django's settings

    found = sum(len(books.check(users)) for users in books.all_users(batch_size=1000))
    return found + len(books.orphans())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")
    django.setup()
    print(count())
