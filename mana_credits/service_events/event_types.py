"""The types of the events that services can subscribe to.

Triggers write the messages (`sql/`), in the transaction of their cause.
"""

CREDITS_ADDED = "credits.added"
BALANCE_LOW = "balance.low"
BALANCE_DEPLETED = "balance.depleted"
PURCHASE_COMPLETED = "purchase.completed"
PURCHASE_REFUNDED = "purchase.refunded"
GIFT_REDEEMED = "gift.redeemed"
SUBSCRIPTION_PAUSED = "subscription.paused"
SPENDING_LIMIT_REACHED = "spending_limit.reached"
CREDITS_EXPIRING = "credits.expiring"

ALL = (
    CREDITS_ADDED,
    BALANCE_LOW,
    BALANCE_DEPLETED,
    PURCHASE_COMPLETED,
    PURCHASE_REFUNDED,
    GIFT_REDEEMED,
    SUBSCRIPTION_PAUSED,
    SPENDING_LIMIT_REACHED,
    CREDITS_EXPIRING,
)
