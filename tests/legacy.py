"""The earlier service, for tests of the import: writes valid and faulty rows as it did.

The arithmetic is repeated here on purpose: balances without open reservations, totals that miss
updates, dates of local midnights. `planted` lists exactly the faults that the report must contain.
"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.legacy_database import Row, Rows

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2025, 1, 1, 12, tzinfo=UTC)

Planted = tuple[str, str | None, str | None]


class Earlier(Rows):
    """The earlier service. Each method takes one second."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self._codes = itertools.count()
        self._last_after: dict[str, int] = {}
        self._paid_for: dict[str, Row] = {}  # the last charge of each subscriber
        self.now = BEGIN
        self.balances = self.table("credits.balances")
        self.transactions = self.table("credits.transactions")
        self.planted: set[Planted] = set()

    def transactions_of(self, user: str) -> list[Row]:
        return [row for row in self.transactions.values() if row["user_id"] == user]

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def balance(self, user: str) -> Row:
        return self.balances.setdefault(
            user,
            {
                "user_id": user,
                "balance": 0,
                "total_earned": 0,
                "total_spent": 0,
                "created_at": self.now,
                "updated_at": self.now,
            },
        )

    def move(
        self, user: str, kind: str, amount: int, *, before: int | None = None, **fields: Any
    ) -> Row:
        """Write a transaction. Its balances follow from the user's balance, or from `before`."""
        now = self.tick()
        balance = self.balance(user)
        if before is None:
            before = balance["balance"]
            balance["balance"] += amount
        balance["total_earned" if amount > 0 else "total_spent"] += abs(amount)
        balance["updated_at"] = now
        if before != self._last_after.get(user, 0):
            self.planted.add(("chain", user, None))
        self._last_after[user] = before + amount
        return self.put(
            "credits.transactions",
            user_id=user,
            type=kind,
            status="completed",
            amount=amount,
            balance_before=before,
            balance_after=before + amount,
            created_at=now,
            completed_at=now,
            **{"app_id": "chat", "description": kind, "metadata": None, **fields},
        )

    def grant(self, user: str, amount: int, reference: str | None = None) -> Row:
        metadata = {"reason": "test", "referenceId": reference or self.id()}
        return self.move(user, "grant", amount, app_id="community", metadata=metadata)

    def use(self, user: str, amount: int, **fields: Any) -> Row:
        row = self.move(user, "usage", -amount, **fields)
        midnight = row["created_at"].astimezone(BERLIN).replace(hour=0, minute=0, second=0)
        self.put(
            "credits.usage_stats",
            user_id=user,
            app_id=row["app_id"],
            credits_used=amount,
            date=midnight,
        )
        self.planted.add(("usage dates", None, None))
        return row

    def reserve(self, user: str, amount: int) -> Row:
        self.balance(user)["balance"] -= amount
        return self.put(
            "credits.reservations",
            user_id=user,
            amount=amount,
            reason="research:openai",
            status="reserved",
            created_at=self.tick(),
            resolved_at=None,
        )

    def commit(self, reservation: Row) -> Row:
        reservation.update(status="committed", resolved_at=self.now)
        before = self.balance(reservation["user_id"])["balance"] + reservation["amount"]
        return self.move(
            reservation["user_id"],
            "usage",
            -reservation["amount"],
            before=before,
            app_id="research",
            metadata={"reservationId": reservation["id"]},
        )

    def let_go(self, reservation: Row) -> None:
        reservation.update(status="refunded", resolved_at=self.now)
        self.balance(reservation["user_id"])["balance"] += reservation["amount"]

    def package(self) -> Row:
        found = self.table("credits.packages")
        return next(iter(found.values()), None) or self.put(
            "credits.packages",
            name="Starter",
            credits=500,
            price_euro_cents=499,
            created_at=self.now,
            updated_at=self.now,
        )

    def purchase(self, user: str) -> Row:
        package = self.package()
        customer = f"cus_{user}"
        if user not in self.table("credits.stripe_customers"):
            self.put(
                "credits.stripe_customers",
                key=user,
                user_id=user,
                stripe_customer_id=customer,
                email=f"{user}@example.test",
                created_at=self.now,
                updated_at=self.now,
            )
        return self.put(
            "credits.purchases",
            user_id=user,
            package_id=package["id"],
            credits=package["credits"],
            price_euro_cents=package["price_euro_cents"],
            stripe_payment_intent_id=f"pi_{self.id()}",
            stripe_customer_id=customer,
            status="pending",
            created_at=self.tick(),
            completed_at=None,
        )

    def pay(self, purchase: Row, *, named: bool = True) -> Row:
        metadata = {
            "purchaseId": purchase["id"],
            "paymentIntentId": purchase["stripe_payment_intent_id"],
        }
        row = self.move(
            purchase["user_id"],
            "purchase",
            purchase["credits"],
            app_id="stripe",
            metadata=metadata if named else None,
        )
        if purchase["status"] == "completed":
            self.planted.add(("double credit", purchase["user_id"], row["id"]))
        purchase.update(status="completed", completed_at=self.now)
        return row

    def gift(self, user: str, amount: int, **fields: Any) -> Row:
        payment = self.move(user, "gift", -amount, app_id="gifts")
        code, number = "", next(self._codes)
        for _ in range(6):
            number, digit = divmod(number, len(ALPHABET))
            code = ALPHABET[digit] + code
        gift = self.put(
            "gifts.gift_codes",
            code=code,
            creator_id=user,
            total_credits=amount,
            created_at=self.now,
            updated_at=self.now,
            **{
                "creator_name": f"{user}@example.test",
                "type": "simple",
                "status": "active",
                "target_email": None,
                "redeemed": 0,
                "reservation_transaction_id": payment["id"],
                "expires_at": datetime(2036, 1, 1, tzinfo=UTC),
                **fields,
            },
        )
        if (gift["type"] == "simple") is not (gift["target_email"] is None):
            self.planted.add(("gift type", user, gift["id"]))
        return gift

    def redeem(self, gift: Row, user: str) -> Row:
        text = f"Gift redeemed: {gift['total_credits']} credits from {gift['creator_name']}"
        arrival = self.move(user, "gift", gift["total_credits"], app_id="gifts", description=text)
        gift.update(status="depleted", redeemed=1, updated_at=self.now)
        return self.put(
            "gifts.gift_redemptions",
            gift_code_id=gift["id"],
            redeemer_user_id=user,
            status="success",
            credits_received=gift["total_credits"],
            credit_transaction_id=arrival["id"],
            source_app_id="web",
            created_at=self.now,
        )

    def cancel(self, gift: Row) -> Row:
        row = self.move(gift["creator_id"], "refund", gift["total_credits"], app_id="gifts")
        gift.update(status="cancelled", updated_at=self.now)
        return row

    def charge_sync(self, user: str, kind: str = "sync_renewal", **metadata: Any) -> Row:
        """Charge a period of Cloud Sync, even if it was already charged."""
        said = {"interval": "monthly", "type": kind, **metadata}
        charge = self.use(user, 30, app_id="sync", metadata=said)
        first = self._paid_for.setdefault(user, charge)
        if charge["created_at"] - first["created_at"] > timedelta(days=27):
            self._paid_for[user] = charge
        elif charge is not first:
            self.planted.add(("doubled charge", user, first["id"]))
        return charge

    def subscribe(self, user: str, **fields: Any) -> Row:
        charge = self.charge_sync(user, "sync_subscription")
        row = self.put(
            "credits.sync_subscriptions",
            key=user,
            user_id=user,
            **{
                "active": True,
                "billing_interval": "monthly",
                "amount_charged": 30,
                "activated_at": charge["created_at"],
                "next_charge_at": charge["created_at"] + timedelta(days=31),
                "paused_at": None,
                "is_gifted": False,
                "gifted_by": None,
                "gifted_at": None,
                "created_at": self.now,
                "updated_at": self.now,
                **fields,
            },
        )
        if row["active"] and not row["is_gifted"] and row["next_charge_at"]:
            self.planted.add(("subscription price", user, None))  # 5 in the catalogue
        return row

    # The faults of the earlier service.

    def lose_a_total(self, user: str, amount: int = 1) -> None:
        """Lose an update of the lifetime total spent."""
        self.balance(user)["total_spent"] -= amount
        self.planted.add(("totals", user, None))

    def lose_a_row(self, user: str, amount: int) -> None:
        """Change the balance without a transaction."""
        self.balance(user)["balance"] += amount
        self.planted.add(("difference", user, None))

    def grant_twice(self, user: str, amount: int) -> None:
        reference = self.id()
        self.grant(user, amount, reference)
        again = self.grant(user, amount, reference)
        self.planted.add(("double credit", user, again["id"]))

    def fail_after_paying(self, purchase: Row) -> None:
        """Record a failed payment attempt after the successful one."""
        purchase.update(status="failed")
        self.planted.add(("purchase status", purchase["user_id"], purchase["id"]))

    def forget_the_end(self, gift: Row) -> None:
        """Cancel a gift without returning its credits."""
        gift.update(status="cancelled", updated_at=self.now)
        self.planted.add(("gift", gift["creator_id"], gift["id"]))
        self.planted.add(("difference", gift["creator_id"], None))

    def serve_nobody(self, user: str) -> None:
        """Create a balance for an invalid user id."""
        self.grant(user, 3)
        self.planted.add(("not imported", user[:255] or None, None))

    def expire(self, gift: Row, status: str = "active") -> None:
        """Let a gift expire without returning its credits."""
        gift.update(expires_at=gift["created_at"] + timedelta(days=1), status=status)
        self.planted.add(("expired gift", gift["creator_id"], gift["id"]))
