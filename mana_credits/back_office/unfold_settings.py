"""Settings of the admin theme (Unfold): name, colours and menu."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _link(title: str, icon: str, name: str, permission: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{name}"),
        "permission": lambda request: request.user.has_perm(permission),
    }


def _list(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return _link(title, icon, f"{app}_{name}_changelist", f"{app}.view_{name}")


# Functions, because the names of static files contain their digests, which are not known while the
# settings are loaded.
def _colors(request: HttpRequest) -> str:
    return static("back-office-colors.css")


def _stylesheet(request: HttpRequest) -> str:
    return static("back-office.css")


def _icon(request: HttpRequest) -> str:
    return static("icon.svg")


def _script(request: HttpRequest) -> str:
    return static("back-office.js")


def _script_of_widgets(request: HttpRequest) -> str:
    return static("back-office-alpine.js")


UNFOLD = {
    "LOGIN": {"form": "mana_credits.back_office.frame.log_in.LogInForm"},
    "SITE_TITLE": "mana-credits",
    "SITE_HEADER": "mana-credits",
    "SITE_SUBHEADER": "Back office",
    "SITE_SYMBOL": "toll",
    "SITE_FAVICONS": [{"rel": "icon", "href": _icon, "type": "image/svg+xml"}],
    "SITE_URL": None,
    # Django's own history of a row would show nothing: operators act through pages, which write the
    # audit trail.
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "STYLES": [_colors, _stylesheet],
    "SCRIPTS": [_script, _script_of_widgets],
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    _link("Dashboard", "monitoring", "index", "credits.view_balance"),
                    _link("Find an account", "search", "search_accounts", "credits.view_balance"),
                    _link("Accounts", "group", "accounts", "credits.view_balance"),
                    _list("Transactions", "receipt_long", "credits.transaction"),
                    _list("Grants to many", "group_add", "credits.grantcampaign"),
                    _link("Approvals", "approval", "adjustments", "credits.view_adjustmentrequest"),
                ]
            },
            {
                "title": "Money",
                "separator": True,
                "items": [
                    _list("Purchases", "shopping_cart", "credits.purchase"),
                    _list("Stripe events", "webhook", "webhooks.stripeevent"),
                    _list("Packages", "sell", "credits.package"),
                    _list("Prices", "price_change", "credits.operation"),
                ],
            },
            {
                "title": "Gifts",
                "separator": True,
                "items": [
                    _list("Gifts", "redeem", "gifts.giftcode"),
                    _list("Campaigns", "campaign", "gifts.campaign"),
                    _list("Invalid codes", "gpp_maybe", "gifts.giftmisses"),
                    _list("Blocked users", "block", "gifts.giftblock"),
                ],
            },
            {
                "title": "Running",
                "separator": True,
                "items": [
                    _list("Reservations", "lock_clock", "credits.reservation"),
                    _list("Cloud Sync", "cloud_sync", "credits.syncsubscription"),
                    _list("Outbox", "outbox", "credits.outboxmessage"),
                    _list("Events to services", "send", "service_events.eventmessage"),
                ],
            },
            {
                "title": "Staff",
                "separator": True,
                "items": [
                    _list("Audit", "history", "credits.staffaction"),
                    _link("Export", "download", "export", "credits.export_rows"),
                    _link("Operators", "badge", "people", "credits.manage_staff"),
                    _list("Service keys", "key", "internal_api.servicekey"),
                    _list("Event subscriptions", "hub", "service_events.eventsubscription"),
                ],
            },
        ]
    },
}
