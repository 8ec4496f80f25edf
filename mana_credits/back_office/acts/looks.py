"""Operators' looks at accounts and searches for them, each recorded in the audit trail.

Repeated looks at one account by one operator within 15 minutes are one line, so that turning pages
does not hide the acts. A search leaves one line with its text and one for each account found. All
lines carry the reason that the operator gave in the search box, as `why`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from credits.email_addresses import mailbox
from credits.models import StaffAction
from gifts import code_format
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

LOOK = "looked_at_account"
SEARCH = "searched_accounts"
FOUND = "found_account"
ACTIONS = (LOOK, SEARCH, FOUND)
ONE_LOOK = timedelta(minutes=15)
LONGEST_TEXT = 255


def look(operator: Operator, user_id: str, *, subject: str = "", now: datetime) -> None:
    """Record that the operator looks at an account, or at `subject`, a row of the account."""
    recent = StaffAction.objects.filter(
        user_id=user_id,
        operator=operator.name,
        action=LOOK,
        at__gt=now - ONE_LOOK,
        after=_reason(operator),
    )
    if not recent.exists():
        seen = AuditRecord(user_id=user_id, subject=subject, after=_reason(operator))
        audit.record(operator, LOOK, seen, why=Justification())


def search(operator: Operator, text: str, found: Iterable[str]) -> None:
    """Record a search and the accounts that it found. Of a gift code only the end is kept."""
    code = code_format.read(text)
    # A whole code in the audit trail could be redeemed by everybody who reads the trail.
    kept = code_format.masked(code) if code else _comparable(text)
    searched = AuditRecord(after=_reason(operator))
    row = audit.record(operator, SEARCH, searched, why=Justification(note=kept))
    for user_id in found:
        # Erasing a found person also deletes the text of the search, which this names.
        hit = AuditRecord(user_id=user_id, subject=f"search:{row.pk}", after=_reason(operator))
        audit.record(operator, FOUND, hit, why=Justification())


def _reason(operator: Operator) -> dict[str, Any]:
    """Return `why` as a value of the act: erasure empties it, and the person's export has it."""
    return {"why": operator.looks_because} if operator.looks_because else {}


def _comparable(text: str) -> str:
    """Return an e-mail address as erasure compares it; any other text as it is."""
    return (mailbox(text) if "@" in text else text)[:LONGEST_TEXT]
