"""Saving cards for payments without the buyer: setup intents, and Checkout Sessions with one."""

from functools import cache
from typing import Any

from localstripe.errors import UserError
from localstripe.resources import SetupIntent, StripeObject

from mana_credits.dev.sandbox.payment_methods import save_card
from mana_credits.dev.sandbox.stripe_objects import Session, require_customer, tell

SESSION_ID = "{CHECKOUT_SESSION_ID}"


class SetupSession(StripeObject):
    """A Checkout Session in which a customer saves a card: open, then complete."""

    object = Session.object
    _id_prefix = Session._id_prefix

    def __init__(self, **data: Any) -> None:
        if "payment_method_types" in data:
            raise UserError(400, "payment_method_types is no longer supported")
        require_customer(data["customer"])
        super().__init__()
        self.customer = data["customer"]
        self.mode = data["mode"]
        self.metadata = data.get("metadata") or {}
        self.currency = data.get("currency")
        self.success_url = data["success_url"].replace(SESSION_ID, self.id)
        self.cancel_url = data["cancel_url"].replace(SESSION_ID, self.id)
        self.amount_total = None
        self.payment_intent = None
        self.payment_status = "no_payment_required"
        self.status = "open"
        self.setup_intent = SetupIntent(customer=self.customer).id

    @property
    def url(self) -> str | None:
        """Return the URL of the page for the card, or None if the session is not open."""
        return f"{Session._pay_at}/cards/{self.id}" if self.status == "open" else None

    def _save(self, card: str) -> None:
        """Save a card and complete the session. Raises UserError."""
        if self.status != "open":
            raise UserError(400, "This session is no longer open")
        save_card(SetupIntent._api_retrieve(self.setup_intent), card)
        self.status = "complete"
        tell("checkout.session.completed", self)


@cache
def extend() -> None:
    """Patch localstripe so that sessions in setup mode are created, and setups as Stripe does."""
    SetupIntent._api_create = classmethod(_create_setup)
    Session._api_create = classmethod(_create_session)


_set_up = SetupIntent._api_create.__func__
_create = Session._api_create.__func__


def _create_setup(cls: Any, /, allowed_payment_method_types: Any = None, **data: Any) -> Any:
    if "payment_method_types" in data:
        raise UserError(400, "payment_method_types is no longer supported")
    require_customer(data["customer"])
    return _set_up(cls, **data)


def _create_session(cls: Any, /, **data: Any) -> Any:
    return SetupSession(**data) if data["mode"] == "setup" else _create(cls, **data)
