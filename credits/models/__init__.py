"""The tables of the schema `credits`: fields and named constraints, no behaviour.

The tables of other apps use the same fields for credits, ids and e-mail addresses.
"""

from credits.models.account_settings import AccountSettings, SettingsChange, SpendingLimit
from credits.models.anchors import Anchor
from credits.models.audit import ActRequest, AdjustmentRequest, StaffAction
from credits.models.auto_top_ups import AutoTopUp
from credits.models.balances import Balance
from credits.models.catalogue import Operation, OperationPrice
from credits.models.contacts import Contact, ContactErasure
from credits.models.credit_lots import CreditLot, LotUse
from credits.models.daily_totals import DailyRevenue, DailyTotal
from credits.models.erasure import ErasureRequest
from credits.models.fields import amount_field, email_field, id_field, user_id_field
from credits.models.grant_campaigns import CampaignGrant, GrantCampaign
from credits.models.idempotency import IdempotencyKey
from credits.models.jobs import JobRun, PostponedRow
from credits.models.ledger_checks import CheckedBalance, LedgerCheck
from credits.models.money_back import MoneyBack
from credits.models.outbox import OutboxMessage
from credits.models.packages import Package, PackageChange
from credits.models.purchases import Purchase, StripeCustomer
from credits.models.reservations import Reservation
from credits.models.sync import SyncSubscription
from credits.models.transactions import Transaction
from credits.models.usage import UsageStat

__all__ = [
    "AccountSettings",
    "ActRequest",
    "AdjustmentRequest",
    "Anchor",
    "AutoTopUp",
    "Balance",
    "CampaignGrant",
    "CheckedBalance",
    "Contact",
    "ContactErasure",
    "CreditLot",
    "DailyRevenue",
    "DailyTotal",
    "ErasureRequest",
    "GrantCampaign",
    "IdempotencyKey",
    "JobRun",
    "LedgerCheck",
    "LotUse",
    "MoneyBack",
    "Operation",
    "OperationPrice",
    "OutboxMessage",
    "Package",
    "PackageChange",
    "PostponedRow",
    "Purchase",
    "Reservation",
    "SettingsChange",
    "SpendingLimit",
    "StaffAction",
    "StripeCustomer",
    "SyncSubscription",
    "Transaction",
    "UsageStat",
    "amount_field",
    "email_field",
    "id_field",
    "user_id_field",
]
