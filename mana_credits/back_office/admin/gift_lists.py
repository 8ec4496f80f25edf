"""Lists of gifts, campaigns, blocked users and invalid codes. None shows a complete code."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.contrib.filters.admin import TextFilter

from gifts import code_format
from gifts.models import Campaign, GiftBlock, GiftCode, GiftMisses
from mana_credits.back_office.account.exact_matches import as_uuid
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList, pill


class StatusFilter(admin.SimpleListFilter):
    """A filter by status; a gift counts as expired from its expiry on."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Return all states."""
        return GiftCode.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the gifts of the chosen state."""
        return queryset.filter(status_now=self.value()) if self.value() else queryset


class CreatorFilter(TextFilter):  # type: ignore[misc]
    """A filter by the gift's creator."""

    title = "creator"
    parameter_name = "creator"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the gifts created by the user with this id."""
        return queryset.filter(creator_id=self.value().strip()) if self.value() else queryset


class OfCampaign(TextFilter):  # type: ignore[misc]
    """A filter by campaign."""

    title = "campaign"
    parameter_name = "campaign"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the gifts of the campaign with this name."""
        return queryset.filter(campaign_id=self.value().strip()) if self.value() else queryset


@admin.register(GiftCode)
class Gifts(ReadOnlyList):
    """Gifts; a row leads to the gift's page."""

    list_display = (
        "number",
        "masked_code",
        "creator_id",
        "total_credits",
        "type",
        "state",
        "created_at",
        "expires_at",
    )
    sorts: ClassVar = {"created_at": "id"}
    titles: ClassVar = {
        "number": "No.",
        "creator_id": "From",
        "total_credits": "Credits",
        "created_at": "Created",
        "expires_at": "Until",
    }
    search_help_text = "Giver's user id or receiver's e-mail"
    list_filter = (StatusFilter, "type", CreatorFilter, OfCampaign, "expires_at")
    search_fields = ("creator_id__exact", "target_email__exact")
    rows_name = "gifts"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the gifts with their status as of now."""
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .as_of(  # type: ignore[attr-defined]
                datetime.now(UTC)
            )
        )
        return rows

    @admin.display(description="code")
    def masked_code(self, gift: GiftCode) -> str:
        """Return the last four characters."""
        return code_format.masked(gift.code)

    @admin.display(description="status")
    def state(self, gift: GiftCode) -> str:
        """Return the status as of now."""
        return pill(gift.status_now)

    def change_view(
        self, request: HttpRequest, object_id: str, *rest: Any, **more: Any
    ) -> HttpResponse:
        """Redirect to the gift's page."""
        gift_id = as_uuid(object_id)
        if gift_id is None:
            raise Http404
        return redirect(reverse("admin:gift", args=(gift_id,)))


@admin.register(Campaign)
class Campaigns(ReadOnlyList):
    """Campaigns with the share of their codes that was redeemed."""

    list_display = ("name", "account_id", "count", "credits", "share", "created_at", "expires_at")
    titles: ClassVar = {
        "account_id": "Account",
        "count": "Codes",
        "credits": "Credits each",
        "created_at": "Created",
        "expires_at": "Until",
    }
    ordering = ("-created_at",)
    page = "campaign"
    change_list_template = "back_office/gift_campaigns.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the campaigns with the number of redeemed codes."""
        codes = GiftCode.objects.filter(campaign=OuterRef("pk"), status=GiftCode.Status.DEPLETED)
        # Per shown campaign: a join would count the codes of all campaigns for each page.
        counted = codes.order_by().values("campaign").annotate(count=Count("*")).values("count")
        redeemed = Coalesce(Subquery(counted), 0)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(redeemed=redeemed)
        return rows

    @admin.display(description="redeemed")
    def share(self, campaign: Any) -> str:
        """Return how many of the codes were redeemed."""
        return f"{campaign.redeemed} of {campaign.count} ({campaign.redeemed / campaign.count:.0%})"


@admin.register(GiftBlock)
class Blocks(ReadOnlyList):
    """Users who are blocked from gifts; a row leads to the account, which unblocks."""

    list_display = ("user_id", "by", "why", "since")
    titles: ClassVar = {"user_id": "Account"}
    search_help_text = "User id"
    search_fields = ("user_id__exact",)
    ordering = ("-since",)
    rows_name = "blocked users"

    def change_view(self, request: HttpRequest, object_id: str, *more: Any, **named: Any) -> Any:
        """Redirect to the user's account."""
        return redirect(address_of(unquote(object_id)))


@admin.register(GiftMisses)
class Misses(ReadOnlyList):
    """Users and networks that tried invalid codes on the last day."""

    list_display = ("who", "tries", "refused", "since")
    titles: ClassVar = {"refused": "Refused tries"}
    rows_name = "invalid codes"
    ordering = ("-since",)  # an index of `misses` would be written by each invalid code

    def change_view(self, request: HttpRequest, object_id: str, *more: Any, **named: Any) -> Any:
        """Redirect to a user's account, or to the page of a network."""
        misses = GiftMisses(bucket=unquote(object_id))
        if misses.user_id is not None:
            return redirect(address_of(misses.user_id))
        return redirect("admin:invalid_codes", misses.bucket)

    @admin.display(description="user or network")
    def who(self, misses: GiftMisses) -> str:
        """Return the user id or the network."""
        return misses.who

    @admin.display(description="invalid codes")
    def tries(self, misses: GiftMisses) -> int:
        """Return the number of invalid codes."""
        return misses.misses
