"""The purchases of the demo data, with their refunds and disputes."""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from credits.ledger import Memo
from credits.ledger.ledger import Type
from credits.ledger.posting import Movement
from credits.models import MoneyBack, Package, Purchase, StripeCustomer
from mana_credits.dev.demo.planned_account import PlannedAccount

RETURNED = 0.06
ABANDONED = 0.1
DISPUTED = 0.4
WON = 0.6
TYPING = timedelta(seconds=40)


def buy(account: PlannedAccount) -> None:
    """Buy a package. A small share is refunded or disputed later, which claws the credits back."""
    if account.chance.random() < ABANDONED:
        account.made.purchases.append(_purchase(account, Purchase.Status.CANCELLED))
    purchase = _purchase(account, Purchase.Status.COMPLETED)
    entry = account.post(
        Movement(Type.PURCHASE, purchase.credits, cause=f"purchase:{purchase.pk}"),
        purchase.credits,
        Memo(
            description=f"Purchase of {purchase.package.name}",
            metadata={"purchaseId": str(purchase.pk), "packageId": str(purchase.package_id)},
        ),
        "stripe",
    )
    purchase.transaction_id = entry.id
    purchase.reported_at = purchase.completed_at = account.at
    account.made.purchases.append(purchase)
    if account.chance.random() < RETURNED:
        account.plan(partial(_pay_back, purchase=purchase), within=30)


def _pay_back(account: PlannedAccount, *, purchase: Purchase) -> None:
    """Claw back a purchase's credits because the whole payment was refunded or disputed."""
    disputed = account.chance.random() < DISPUTED
    kind = MoneyBack.Kind.DISPUTE if disputed else MoneyBack.Kind.REFUND
    purchase.status = Purchase.Status.DISPUTED if disputed else Purchase.Status.REFUNDED
    stripe_id = f"{'dp' if disputed else 're'}_demo{account.hexadecimal(20)}"
    entry = account.post(
        Movement(Type.CLAWBACK, -purchase.credits, may_overdraw=True, cause=f"{kind}:{stripe_id}"),
        -purchase.credits,
        Memo(
            description="Credits of a purchase that was paid back",
            metadata={"purchaseId": str(purchase.pk), "kind": kind, "stripeId": stripe_id},
        ),
        "stripe",
    )
    back = _return(account, purchase, kind, stripe_id)
    account.made.returns.append(back)
    if disputed and account.chance.random() < WON:
        reinstate = partial(_reinstate, purchase=purchase, back=back, taken_id=entry.id)
        account.plan(reinstate, within=10)


def _reinstate(
    account: PlannedAccount, *, purchase: Purchase, back: MoneyBack, taken_id: UUID
) -> None:
    """Reinstate the credits after a won dispute."""
    account.post(
        Movement(
            Type.REINSTATEMENT,
            purchase.credits,
            cause=f"reinstatement:{taken_id}",
            related_id=taken_id,
        ),
        purchase.credits,
        Memo(
            description="Credits of a purchase whose payment came back",
            metadata={"purchaseId": str(purchase.pk), "kind": back.kind},
        ),
        "stripe",
    )
    back.state, back.stripe_status = MoneyBack.State.RETURNED, "won"
    back.returned_at, back.reinstated_cents = account.at, back.amount_cents
    back.taken, back.given_back = Decimal(0), True
    purchase.status = Purchase.Status.COMPLETED


def _return(account: PlannedAccount, purchase: Purchase, kind: str, stripe_id: str) -> MoneyBack:
    return MoneyBack(
        id=account.new_id(),
        stripe_id=stripe_id,
        kind=kind,
        stripe_payment_intent_id=purchase.stripe_payment_intent_id or "",
        amount_cents=purchase.price_euro_cents,
        withdrawn_cents=purchase.price_euro_cents,
        state=MoneyBack.State.GONE,
        stripe_status="lost" if kind == MoneyBack.Kind.DISPUTE else "succeeded",
        taken=purchase.credits,
        takes=1,
        given_back=False,
        created_at=account.at,
        gone_at=account.at,
    )


def _purchase(account: PlannedAccount, status: Purchase.Status) -> Purchase:
    package = _package(account)
    return Purchase(
        id=account.new_id(),
        user_id=account.person.id,
        package=package,
        credits=package.credits,
        price_euro_cents=package.price_euro_cents,
        status=status,
        stripe_customer_id=_customer(account),
        stripe_payment_intent_id=f"pi_demo{account.hexadecimal(20)}",
        # The purchase starts before its payment.
        created_at=account.at - TYPING,
    )


def _package(account: PlannedAccount) -> Package:
    """Return a package. Users with more entries choose larger packages."""
    packages = account.world.packages
    most = len(packages) - 1
    return packages[min(most, account.chance.randint(0, len(account.person.times) // 200))]


def _customer(account: PlannedAccount) -> str:
    if account.customer_id is None:
        account.customer_id = f"cus_demo{account.hexadecimal(14)}"
        account.made.customers.append(
            StripeCustomer(
                id=account.new_id(),
                user_id=account.person.id,
                stripe_customer_id=account.customer_id,
                created_at=account.at,
            )
        )
    return account.customer_id
