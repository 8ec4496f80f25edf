"""Forms for acts that need a justification."""

from datetime import UTC, datetime
from typing import Any

from django import forms

from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.frame.operator_pages import ActForm


class WhyForm(ActForm):
    """The justification of an act."""

    note = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For your colleagues; the user never sees it.",
    )
    ticket = forms.CharField(max_length=500, required=False, help_text="A link, if there is one.")

    @property
    def why(self) -> Justification:
        """Return the justification in a valid form."""
        data = self.cleaned_data
        return Justification(data.get("reason", ""), data["note"], data["ticket"])

    @property
    def how(self) -> dict[str, Any]:
        """Return the arguments of a valid form's act: justification, key and time."""
        return {"why": self.why, "key": self.act_key, "now": datetime.now(UTC)}
