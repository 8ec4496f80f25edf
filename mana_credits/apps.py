"""Django's entry for the composition root."""

from django.apps import AppConfig


class CompositionRoot(AppConfig):
    """Puts the apps together; has system checks, and no models."""

    name = "mana_credits"

    def ready(self) -> None:
        """Register the checks, and each app's part of erasure, import, search and timelines."""
        from mana_credits import checks  # noqa: F401, PLC0415  # models are not loaded before
        from mana_credits.back_office.account import (  # noqa: PLC0415
            account_search,
            event_entries,
            gift_entries,
            timeline,
        )
        from mana_credits.legacy_import import contributions, gift_contribution  # noqa: PLC0415
        from mana_credits.privacy import erasure, event_erasure, gift_erasure  # noqa: PLC0415

        erasure.add_rows(gift_erasure.ROWS)
        erasure.add_rows(event_erasure.ROWS)
        contributions.add_part(gift_contribution.PART)
        timeline.add_source("gifts sent", gift_entries.sent)
        timeline.add_source("gifts received", gift_entries.received)
        timeline.add_source(event_entries.KIND, event_entries.of_user)
        timeline.add_to_purchases(event_entries.of_purchase)
        account_search.add_finder(gift_entries.by_code)
        account_search.add_finder(gift_entries.by_email)
