"""Form fields that several pages share."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from credits import labels


class UserIdField(forms.CharField):
    """A user id, valid by the rule of the API; nothing is stripped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=labels.LONGEST_USER_ID, strip=False, **options)

    def validate(self, value: str) -> None:
        """Raise ValidationError for an id that the API rejects."""
        super().validate(value)
        if value and (error := labels.error_for_user_id(value)):
            raise ValidationError(labels.MESSAGES[error], code=error)


class LabelField(forms.CharField):
    """A name or a text on one line, valid by the rule of the API."""

    def validate(self, value: str) -> None:
        """Raise ValidationError for a label that the API rejects."""
        super().validate(value)
        if value and (error := labels.error_for_label(value)):
            raise ValidationError(labels.MESSAGES[error], code=error)
