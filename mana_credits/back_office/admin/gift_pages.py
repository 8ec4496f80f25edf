"""A gift's page, and pages of acts on gifts and on blocked users."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from gifts import transitions
from gifts.models import GiftBlock, GiftCode, GiftMisses, GiftRedemption
from mana_credits.back_office.acts import gift_interventions
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.form_fields import UserIdField
from mana_credits.back_office.frame import operator_pages, row_pages, stale_forms
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment


class ExtendForm(WhyForm):
    """A later expiry."""

    end = forms.DateTimeField(
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="UTC; later than now and at most 365 days ahead.",
    )
    field_order = ("end", "note", "ticket")


class UserForm(WhyForm):
    """The user to block or unblock."""

    user_id = UserIdField(label="User id")
    field_order = ("user_id", "note", "ticket")


@operator_pages.page("gift/<uuid:pk>/", name="gift", permission="gifts.view_giftcode")
def gift(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show everything about a gift."""
    row = _gift(pk)
    redemption = GiftRedemption.objects.filter(gift_code=row).first()
    # The page shows data of both, so that it counts as a look at both accounts.
    people = {row.creator_id, *([redemption.redeemer_id] if redemption else [])}
    for user_id in sorted(people):
        operator_pages.looked(request, user_id, f"gift:{pk}")
    context = {
        "gift": row,
        "code": gift_interventions.code_for(operator_pages.operator_of(request), row),
        "creator": address_of(row.creator_id),
        "redemption": redemption,
        "redeemer": address_of(redemption.redeemer_id) if redemption else "",
        "arrival": transitions.arrival(row, redemption),
        "actions": row_pages.acts_on(f"gift:{row.pk}"),
        "blocked": GiftBlock.objects.filter(pk=row.creator_id).exists(),
    }
    return operator_pages.render(request, "gift.html", "Gift", context)


@operator_pages.page("gift/<uuid:pk>/cancel/", name="cancel_gift", permission="gifts.cancel_gift")
def cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Cancel a gift and return its credits to the creator."""
    return _on_gift(request, pk, WhyForm, gift_interventions.cancel, "Cancel gift", "danger")


@operator_pages.page("gift/<uuid:pk>/extend/", name="extend_gift", permission="gifts.extend_gift")
def extend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Extend a gift."""
    return _on_gift(request, pk, ExtendForm, gift_interventions.extend, "Extend gift")


@operator_pages.page("gift/<uuid:pk>/resend/", name="resend_gift", permission="gifts.extend_gift")
def resend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a personalised gift's link again."""
    return _on_gift(request, pk, WhyForm, gift_interventions.resend, "Send link again")


@operator_pages.page("gifts/block/", name="block_gifts", permission="gifts.block_user")
def block(request: HttpRequest) -> HttpResponse:
    """Block a user from gifts."""
    form = UserForm(request.POST or None, initial={"user_id": request.GET.get("user", "")})

    def do() -> str:
        user_id = form.cleaned_data["user_id"]
        operator = operator_pages.operator_of(request)
        now = datetime.now(UTC)
        gift_interventions.block(operator, user_id, why=form.why, key=form.act_key, now=now)
        return f"{user_id} can no longer create or redeem gifts."

    return _with_form(request, form, do, "Block from gifts", _origin(request))


@operator_pages.page("gifts/unblock/", name="unblock_gifts", permission="gifts.block_user")
def unblock(request: HttpRequest) -> HttpResponse:
    """Unblock a user from gifts."""
    form = UserForm(request.POST or None, initial={"user_id": request.GET.get("user", "")})

    def do() -> str:
        user_id = form.cleaned_data["user_id"]
        gift_interventions.unblock(
            operator_pages.operator_of(request), user_id, why=form.why, key=form.act_key
        )
        return f"{user_id} may make and redeem gifts again."

    return _with_form(request, form, do, "Unblock user", _origin(request))


@operator_pages.page(
    "invalid-codes/<path:bucket>/", name="invalid_codes", permission="gifts.view_giftmisses"
)
def invalid_codes(request: HttpRequest, bucket: str) -> HttpResponse:
    """Show the invalid codes that a network tried."""
    row = GiftMisses.objects.filter(pk=bucket).first()
    if row is None:
        raise Http404
    facts = [
        ("Invalid codes", row.misses),
        ("Refused attempts", row.refused),
        ("Since", moment(row.since)),
    ]
    shown = ShownRow(
        title=f"Invalid codes of {row.who}",
        subject=f"invalid-codes:{row.bucket}",
        address="",
        facts=facts,
        links=(("See also", "All invalid codes", reverse("admin:gifts_giftmisses_changelist")),),
    )
    return row_pages.show(request, shown)


def _on_gift(
    request: HttpRequest,
    pk: UUID,
    form_class: type[WhyForm],
    act: Callable[..., GiftCode],
    title: str,
    tone: str = "primary",
) -> HttpResponse:
    row = _gift(pk)
    form = form_class(request.POST or None)

    def do() -> str:
        # Only the act that extends a gift has an argument of its own.
        more: tuple[Any, ...] = (form.cleaned_data["end"],) if "end" in form.cleaned_data else ()
        operator = operator_pages.operator_of(request)
        act(operator, pk, *more, why=form.why, key=form.act_key, now=datetime.now(UTC))
        return f"{title}: done."

    there = reverse("admin:gift", args=(row.pk,))
    return _with_form(request, form, do, title, there, gift=row, tone=tone)


def _with_form(
    request: HttpRequest,
    form: WhyForm,
    do: Callable[[], str],
    title: str,
    then: str,
    **context: Any,
) -> HttpResponse:
    gift: GiftCode | None = context.get("gift")
    locked = GiftCode.objects.filter(pk=gift.pk) if gift else None
    form.initial["seen"] = _state(gift)
    ready = form.is_valid() and not stale_forms.refuse(form, form.initial["seen"])
    with stale_forms.guarding(form, lambda: _state(gift and _gift(gift.pk)), locked):
        done = operator_pages.act(request, form, do, then=then) if ready else None
    shown = {"form": form, "back": then, **context}
    return done or operator_pages.render(request, "gift_act.html", title, shown)


def _state(gift: GiftCode | None) -> str:
    """Return what a form about the gift shows of it."""
    if gift is None:
        return ""
    return stale_forms.lines([("Status", gift.status_now), ("Expires", moment(gift.expires_at))])


def _gift(pk: UUID) -> GiftCode:
    row = GiftCode.objects.as_of(datetime.now(UTC)).select_related("payment").filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def _origin(request: HttpRequest) -> str:
    """Return the account that the page was opened from, or the list of blocks."""
    user_id = request.GET.get("user", "")
    return address_of(user_id) if user_id else reverse("admin:gifts_giftblock_changelist")
