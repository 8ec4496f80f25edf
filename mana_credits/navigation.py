"""How the back office looks: its name, its colours, and the way to its pages."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _link(title: str, icon: str, name: str, permission: str, badge: str = "") -> dict[str, Any]:
    item: dict[str, Any] = {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{name}"),
        "permission": lambda request: request.user.has_perm(permission),
    }
    return {**item, "badge": badge, "badge_variant": "danger"} if badge else item


def _stylesheet(request: HttpRequest) -> str:
    return static("back-office.css")


def _script(request: HttpRequest) -> str:
    return static("back-office.js")


UNFOLD = {
    "SITE_TITLE": "mana-credits",
    "SITE_HEADER": "mana-credits",
    "SITE_SUBHEADER": "Back office",
    "SITE_SYMBOL": "toll",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "STYLES": [_stylesheet],
    "SCRIPTS": [_script],
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    _link("Dashboard", "monitoring", "index", "credits.view_balance"),
                    _link("Find an account", "search", "search_accounts", "credits.view_balance"),
                    _link(
                        "Approvals",
                        "approval",
                        "adjustments",
                        "credits.view_adjustmentrequest",
                        badge="credits.office.badges.pending_approvals",
                    ),
                ]
            },
            {
                "title": "Gifts",
                "items": [
                    _link("Gifts", "redeem", "gifts_giftcode_changelist", "gifts.view_giftcode"),
                    _link(
                        "Campaigns", "campaign", "gifts_campaign_changelist", "gifts.view_campaign"
                    ),
                    _link(
                        "Wrong codes",
                        "gpp_maybe",
                        "gifts_giftmisses_changelist",
                        "gifts.view_giftmisses",
                    ),
                    _link("Blocked", "block", "gifts_giftblock_changelist", "gifts.view_giftblock"),
                ],
            },
        ]
    },
}
