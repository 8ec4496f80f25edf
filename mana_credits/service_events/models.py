"""Subscriptions of services to events, and the messages about the events."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value

from credits.models import id_field, user_id_field
from mana_credits.service_events import event_types

NAME_LENGTH = 64
URL_LENGTH = 2000
NEXT_NUMBER = Func(Value("credits.event_numbers"), function="nextval")


class EventSubscription(models.Model):
    """A service's subscription to event types, delivered to `url`.

    The secrets are encrypted. `prior_secret` signs too until `prior_secret_until`. A paused
    subscription collects messages, an ended one gets none. While the receiver cannot be reached,
    `failures` counts the attempts in a row, and the next one is due at `retry_at`.
    """

    id = id_field()
    service = models.CharField(max_length=NAME_LENGTH)
    url = models.CharField(max_length=URL_LENGTH)
    events = ArrayField(models.CharField(max_length=32))
    secret = models.CharField(max_length=500)
    prior_secret = models.CharField(max_length=500, null=True)  # noqa: DJ001
    prior_secret_until = models.DateTimeField(null=True)
    failures = models.IntegerField(db_default=0)
    retry_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    paused_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."event_subscriptions"'
        permissions = (
            ("manage_event_subscriptions", "Can create, rotate, pause and end subscriptions"),
            ("replay_event_messages", "Can send messages of events again"),
        )
        constraints = (
            models.CheckConstraint(
                name="event_subscription_service_not_empty", condition=~Q(service="")
            ),
            models.CheckConstraint(
                name="event_subscription_events_known",
                condition=Q(events__contained_by=list(event_types.ALL), events__len__gt=0),
            ),
            models.CheckConstraint(
                name="event_subscription_prior_secret_ends",
                condition=Q(prior_secret__isnull=True, prior_secret_until__isnull=True)
                | Q(prior_secret__isnull=False, prior_secret_until__isnull=False),
            ),
        )

    @property
    def status(self) -> str:
        """Return `active`, `paused` or `ended`."""
        return "ended" if self.ended_at else "paused" if self.paused_at else "active"


class EventMessage(models.Model):
    """A message to a subscriber: pending until delivered, parked after days of failures.

    Only triggers add rows. `number` orders the messages about one user. `due_at` is the time of the
    next attempt. `attempts` and `first_attempt_at` start again when an operator replays it.
    """

    class Status(models.TextChoices):
        """Pending, delivered or parked. An operator can replay the last two."""

        PENDING = "pending"
        DELIVERED = "delivered"
        PARKED = "parked"

    id = id_field()
    # A sequence of the database, because triggers write the rows. Only the numbers of one user are
    # in the order of their commits, because the user's balance is locked.
    number = models.BigIntegerField(db_default=NEXT_NUMBER)
    # No foreign key in the database: to check it, PostgreSQL would lock the subscription's row for
    # each message, so all movements of credits would write one row.
    subscription = models.ForeignKey(
        EventSubscription, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    user_id = user_id_field()
    event = models.CharField(max_length=32)
    data = models.JSONField()
    status = models.CharField(max_length=16, choices=Status, db_default=Status.PENDING)
    attempts = models.IntegerField(db_default=0)
    first_attempt_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    last_error = models.CharField(max_length=500, blank=True, db_default="")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."event_messages"'
        constraints = (
            models.CheckConstraint(
                name="event_message_status_known",
                condition=Q(status__in=["pending", "delivered", "parked"]),
            ),
            models.CheckConstraint(
                name="event_message_delivered_says_when",
                condition=Q(status="delivered", delivered_at__isnull=False)
                | ~Q(status="delivered") & Q(delivered_at__isnull=True),
            ),
        )
        indexes = (
            # For erasure and export.
            models.Index(name="event_message_user_idx", fields=["user_id"]),
            models.Index(name="event_message_newest_idx", fields=["-number", "-id"]),
            models.Index(
                name="event_message_due_idx",
                fields=["subscription", "due_at"],
                condition=Q(status="pending"),
            ),
            models.Index(
                name="event_message_order_idx",
                fields=["subscription", "user_id", "number"],
                condition=Q(status="pending"),
            ),
            models.Index(
                name="event_message_parked_idx",
                fields=["subscription"],
                condition=Q(status="parked"),
            ),
            models.Index(
                name="event_message_delivered_idx",
                fields=["delivered_at"],
                condition=Q(status="delivered"),
            ),
        )
