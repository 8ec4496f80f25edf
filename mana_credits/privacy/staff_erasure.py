"""Erasure of a person from the records of operators' acts. Their actor, action and time stay."""

from collections import Counter

from credits.ledger.db_functions import call
from credits.models import ActRequest, AdjustmentRequest, CampaignGrant
from mana_credits.privacy.erasure_rows import ErasedPerson, not_held


def strip(person: ErasedPerson) -> Counter[str]:
    """Blank the texts of operators' acts about the person. Their actor, action and time stay."""
    asked = not_held(AdjustmentRequest.objects.filter(user_id=person.id))
    wanted = not_held(ActRequest.objects.filter(user_id=person.id))
    return Counter(
        {
            # Deleted before the rest moves: nobody must approve an act on a pseudonym later.
            "pending adjustments": asked.filter(status="pending").delete()[0],
            "requests that waited for approval": wanted.filter(status="pending").delete()[0],
            "requested acts": wanted.update(
                user_id=person.pseudonym, arguments={}, note="", ticket=""
            ),
            "campaign grants": _strip_grants(person),
            "adjustments": asked.update(user_id=person.pseudonym, note="", ticket=""),
            "staff actions": call(
                "credits.erase_staff_actions",
                **person.moves(),
                addresses=list(person.addresses),
            ),
        }
    )


def _strip_grants(person: ErasedPerson) -> int:
    """Blank the person's rows of campaigns. A row that waits is not granted any more."""
    rows = not_held(CampaignGrant.objects.filter(user_id=person.id))
    rows.filter(outcome=CampaignGrant.Outcome.WAITING).update(
        outcome=CampaignGrant.Outcome.LEFT_OUT
    )
    return rows.update(user_id=person.pseudonym, detail="")
