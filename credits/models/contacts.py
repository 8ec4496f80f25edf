"""Contacts: the e-mail address and the name that a user's newest token contained, and erasures."""

from django.db import models
from django.db.models import Q

from credits.models.fields import email_field, user_id_field


class Contact(models.Model):
    """A user's e-mail address and name in their last token, by which support finds the account.

    `email` is in canonical form. `email_verified` is false if mana-auth reports the address as
    unconfirmed. `seen_at` is the time of the token's last recorded use.
    """

    user_id = user_id_field(primary_key=True)
    email = email_field(blank=True)
    email_verified = models.BooleanField()
    name = models.CharField(max_length=255, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."contacts"'
        constraints = (
            models.CheckConstraint(name="contact_user_id_not_empty", condition=~Q(user_id="")),
            models.CheckConstraint(
                name="contact_has_an_address_or_a_name", condition=~Q(email="", name="")
            ),
        )
        # Support searches by the address. Not unique, because two accounts may have had the same
        # one.
        indexes = (models.Index(name="contact_by_email_idx", fields=["email"]),)


class ContactErasure(models.Model):
    """An erased user, for whom no contact is recorded while old tokens may still be valid.

    `digest` is a keyed digest of the user id, so the row names nobody.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    erased_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."contact_erasures"'
