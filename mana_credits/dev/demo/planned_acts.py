"""The acts that need no other user: use, grant, refund, correction, subscription, reservation."""

from datetime import timedelta
from decimal import Decimal

from credits import ledger
from credits.ledger import Memo, Priced
from credits.ledger.ledger import Type
from credits.ledger.posting import Movement
from credits.models import Operation, SyncSubscription
from credits.sync import billing_periods, cloud_sync
from credits.sync.cloud_sync import APP_ID as SYNC_APP
from credits.sync.cloud_sync import OPERATION as SYNC
from mana_credits.dev.demo.planned_account import PlannedAccount, PlannedHold, PlannedUsage

WELCOME = Decimal(25)
CHEAP = Decimal(4)
MODELS = ("fast", "large", "local")
OPERATORS = ("operator:anna", "operator:boris")
CORRECTIONS = (
    (Decimal(10), "Goodwill after an outage"),
    (Decimal(25), "An answer was cut off; credits returned by support"),
    (Decimal(-50), "A bonus was granted twice"),
)
CAMPAIGNS = ("Spring campaign", "Feedback reward", "Beta tester bonus")


def use(account: PlannedAccount) -> None:
    """Use an operation of the catalogue. Without enough credits, receive a grant instead."""
    operation = _operation(account)
    quantity = account.chance.randint(1, 60) if operation.per_items else 1
    # Each started group of items costs the whole price. Double negation rounds up.
    cost = operation.cost * -(-quantity // (operation.per_items or 1))
    if cost > account.available:
        grant(account)
        return
    app = operation.app
    memo = Memo(app, operation.name, {"model": account.chance.choice(MODELS)})
    movement = Movement(Type.USAGE, Priced(operation.key, quantity), counts_as="spent")
    entry = account.post(movement, -cost, memo, f"service:{app}")
    account.last_usage = PlannedUsage(entry.id, cost, app)


def use_unpriced(account: PlannedAccount) -> None:
    """Use credits at a price that the app sets itself."""
    amount = Decimal(account.chance.randint(1, 80)) / 10
    if amount > account.available:
        grant(account)
        return
    memo = Memo("manacore", "Custom request")
    account.post(Movement(Type.USAGE, -amount, counts_as="spent"), -amount, memo, "user")


def welcome(account: PlannedAccount) -> None:
    """Receive the credits of a new user."""
    _grant(account, WELCOME, "Welcome to Mana", "welcome")


def grant(account: PlannedAccount) -> None:
    """Receive a grant of credits."""
    amount = Decimal(account.chance.choice((20, 50, 100)))
    _grant(account, amount, account.chance.choice(CAMPAIGNS), f"campaign-{account.hexadecimal(8)}")


def refund(account: PlannedAccount) -> None:
    """Refund the newest usage in full or by half."""
    if account.last_usage is None:
        use(account)
        return
    usage_id, cost, app = account.last_usage
    account.last_usage = None
    amount = cost / account.chance.choice((1, 2))
    movement = Movement(Type.REFUND, amount, counts_as="spent", related_id=usage_id)
    account.post(movement, amount, Memo(app, "The request failed"), f"service:{app}")


def correct(account: PlannedAccount) -> None:
    """Receive a small correction by an operator."""
    _correct(account, *account.chance.choice(CORRECTIONS))


def overdraw(account: PlannedAccount) -> None:
    """Receive a correction that takes more credits than available."""
    amount = -max(account.available, Decimal(0)) - account.chance.randint(5, 50)
    _correct(account, amount, "Bought with a stolen card")


def subscribe(account: PlannedAccount) -> None:
    """Subscribe to Cloud Sync for a month, once. A month that has ended was not renewed."""
    cost = account.world.sync_cost
    if account.subscribed or cost is None or cost > account.available:
        use(account)
        return
    account.subscribed = True
    start, user_id = account.at, account.person.id
    until = billing_periods.end(start, "monthly", anchor_day=start.day)
    said = cloud_sync.period("monthly", start, until)
    cause = f"sync:{user_id}:{start.isoformat()}"
    movement = Movement(Type.USAGE, Priced(SYNC, 1), counts_as="spent", cause=cause)
    entry = account.post(movement, -cost, Memo(SYNC_APP, "Cloud Sync (monthly)", said), "user")
    account.made.subscriptions.append(
        SyncSubscription(
            user_id=user_id,
            renews=until > account.world.now,
            anchor_day=start.day,
            paid_from=start,
            paid_until=until,
            charge_id=entry.id,
            created_at=start,
            updated_at=start,
        )
    )


def hold(account: PlannedAccount) -> None:
    """Leave a reservation open, as for a request that is still running."""
    operation = _operation(account)
    if operation.cost <= account.available and not operation.per_items:
        started = account.world.now - timedelta(minutes=account.chance.randint(1, 90))
        what = PlannedHold(
            account.person.id, operation.key, f"{operation.app}:{operation.key}", started
        )
        account.made.holds.append(what)
        account.available -= operation.cost


def _correct(account: PlannedAccount, amount: Decimal, reason: str) -> None:
    movement = Movement(Type.ADJUSTMENT, amount, may_overdraw=True)
    actor = account.chance.choice(OPERATORS)
    account.post(movement, amount, Memo("admin", reason), actor)


def _operation(account: PlannedAccount) -> Operation:
    operations = account.world.operations
    chosen = account.chance.choice(operations)
    # Cheap operations are chosen more often.
    return chosen if chosen.cost < CHEAP else account.chance.choice(operations)


def _grant(account: PlannedAccount, amount: Decimal, text: str, reference: str) -> None:
    cause = ledger.grant_cause(account.person.id, reference)
    account.post(
        Movement(Type.GRANT, amount, cause=cause), amount, Memo(description=text), "system"
    )
