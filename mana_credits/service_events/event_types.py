"""The types of the events that services can subscribe to.

Triggers write the messages (`sql/`), in the transaction of their cause.
"""

CREDITS_ADDED = "credits.added"
BALANCE_DEPLETED = "balance.depleted"
PURCHASE_COMPLETED = "purchase.completed"
PURCHASE_REFUNDED = "purchase.refunded"
GIFT_REDEEMED = "gift.redeemed"
SUBSCRIPTION_PAUSED = "subscription.paused"

ALL = (
    CREDITS_ADDED,
    BALANCE_DEPLETED,
    PURCHASE_COMPLETED,
    PURCHASE_REFUNDED,
    GIFT_REDEEMED,
    SUBSCRIPTION_PAUSED,
)
