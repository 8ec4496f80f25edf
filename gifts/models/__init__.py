"""The tables of the schema `gifts`: fields and named constraints, no behaviour.

Triggers (in `sql/`) prevent changes of final states and of redemptions.
"""

from gifts.models.blocks import GiftBlock
from gifts.models.campaigns import CAMPAIGN_LENGTH, MESSAGE_LENGTH, Campaign
from gifts.models.codes import LARGEST_GIFT, SMALLEST_GIFT, GiftCode, GiftQuerySet
from gifts.models.misses import GiftMisses
from gifts.models.redemptions import GiftRedemption

__all__ = [
    "CAMPAIGN_LENGTH",
    "LARGEST_GIFT",
    "MESSAGE_LENGTH",
    "SMALLEST_GIFT",
    "Campaign",
    "GiftBlock",
    "GiftCode",
    "GiftMisses",
    "GiftQuerySet",
    "GiftRedemption",
]
