"""Account pages: search, an account with its timeline, a transaction and its relations."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from credits import ledger
from credits.ledger import books
from credits.models import ActRequest, AdjustmentRequest, CreditLot, Transaction
from mana_credits.back_office.account import (
    account_search,
    account_state,
    timeline,
    timeline_styles,
    user_controls,
)
from mana_credits.back_office.acts import looks
from mana_credits.back_office.frame import operator_pages, row_pages


def address_of(user_id: str) -> str:
    """Return the URL of an account's page."""
    return f"{reverse('admin:account')}?{urlencode({'user': user_id})}"


class FilterForm(forms.Form):
    """A part of a timeline: its kinds and its latest day."""

    kind = forms.MultipleChoiceField(required=False)
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        field = self.fields["kind"]
        field.choices = [(kind, kind) for kind in timeline.kinds()]  # type: ignore[attr-defined]


@operator_pages.page("search-accounts/", name="search_accounts", permission="credits.view_balance")
def search(request: HttpRequest) -> HttpResponse:
    """Redirect to the only matching account, or list the matches."""
    # PostgreSQL texts cannot hold NUL. A copied text may end with one.
    text = request.GET.get("q", "").replace("\0", "").strip()
    after = request.GET.get("after", "")
    if "why" in request.GET:
        why = " ".join(request.GET["why"].split())[: operator_pages.LONGEST_REASON]
        # Kept for the session: an operator who works on one ticket looks at several accounts for
        # the same reason.
        request.session[operator_pages.LOOKS_BECAUSE] = why
    page = account_search.find(text, after=after)
    if text:
        found_ids = [hit.user_id for hit in page.hits]
        # Recorded before the redirect: a search that leads directly to an account shows it as well.
        looks.search(operator_pages.operator_of(request), text, found_ids)
    # A later page stays a list, even with one account: the operator asked for the rest of a list.
    if len(page.hits) == 1 and not after:
        return redirect(address_of(page.hits[0].user_id))
    context = {
        "text": text,
        "why": operator_pages.looks_because(request),
        "hits": [(hit, address_of(hit.user_id)) for hit in page.hits],
        "next": _query(request, after=page.next) if page.next else None,
        "first": not after,
    }
    return operator_pages.render(request, "search.html", "Find an account", context)


@operator_pages.page("account/", name="account", permission="credits.view_balance")
def account(request: HttpRequest) -> HttpResponse:
    """Show one user's balance, books and timeline."""
    user_id = request.GET.get("user", "").replace("\0", "")
    state = account_state.of(user_id)
    if state is None:
        raise Http404
    operator_pages.looked(request, user_id)
    form = FilterForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {"kind": [], "until": None}
    try:
        found = timeline.page(
            user_id,
            after=_position(request.GET.get("after", "")),
            only=chosen["kind"],
            until=_end_of(chosen["until"]),
        )
    except (ValueError, ValidationError) as error:  # a link edited by hand
        raise Http404 from error
    context = {
        **state._asdict(),
        "user_id": user_id,
        "controls": user_controls.of(user_id, now=datetime.now(UTC)),
        # Since the last check: the whole history of a busy account would take too long for a page.
        "discrepancies": books.check([user_id], since_last=True) if state.balance else [],
        "entries": [
            timeline_styles.shown(entry, found.messages.get(entry.row.pk, []))
            for entry in found.entries
        ],
        "kinds": [(kind, kind in chosen["kind"]) for kind in timeline.kinds()],
        "until": chosen["until"],
        "filtered": bool(chosen["kind"] or chosen["until"]),
        "next": _query(request, after=_text(found.next)) if found.next else None,
        "newest": _query(request, after="") if request.GET.get("after") else None,
        "pending": sum(
            kind.objects.filter(user_id=user_id, status="pending").count()
            for kind in (AdjustmentRequest, ActRequest)
        ),
    }
    return operator_pages.render(request, "account.html", "Account", context)


@operator_pages.page(
    "transaction/<uuid:pk>/", name="transaction", permission="credits.view_transaction"
)
def transaction(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one transaction and its relations."""
    found = Transaction.objects.select_related("related").filter(pk=pk).first()
    if found is None:
        raise Http404
    operator_pages.looked(request, found.user_id, f"transaction:{pk}")
    followers = list(Transaction.objects.filter(related=found).order_by("number"))
    context = {
        "entry": found,
        "followers": followers,
        "lot": CreditLot.objects.filter(user_id=found.user_id, pk=pk).first(),
        "account": address_of(found.user_id),
        "actions": row_pages.acts_on(f"transaction:{pk}"),
        "reversible": ledger.reversible(found)
        and not any(one.type == Transaction.Type.REVERSAL for one in followers),
    }
    return operator_pages.render(
        request, "transaction.html", f"Transaction {found.number}", context
    )


def _end_of(day: Any) -> datetime | None:
    # The chosen day is included, and the timeline's limit is exclusive.
    return datetime.combine(day + timedelta(days=1), time(), UTC) if day else None


def _text(positions: dict[str, str]) -> str:
    # A position per source, as each source continues at its own row.
    return urlsafe_b64encode(json.dumps(positions).encode()).decode()


def _position(text: str) -> dict[str, str] | None:
    """Return the positions in a link; an invalid link starts at the newest entry."""
    try:
        found = json.loads(urlsafe_b64decode(text.encode()))
    except (NotBase64, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _query(request: HttpRequest, **changes: str) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query[name] = value
        if not value:
            del query[name]
    return f"?{query.urlencode()}"
