"""The page with all accounts, sorted by age, balance or spending."""

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import urlencode

from mana_credits.back_office.account import account_list
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages


@operator_pages.page("accounts/", name="accounts", permission="credits.view_balance")
def accounts(request: HttpRequest) -> HttpResponse:
    """List all accounts."""
    order = request.GET.get("by", "newest")
    if order not in account_list.ORDERS:
        raise Http404
    try:
        page = account_list.page(order, now=datetime.now(UTC), after=request.GET.get("after", ""))
    except ValueError as error:  # a link edited by hand
        raise Http404 from error
    context = {
        "accounts": [(one, address_of(one.balance.pk)) for one in page.accounts],
        "orders": list(account_list.ORDERS),
        "order": order,
        "next": f"?{urlencode({'by': order, 'after': page.next})}" if page.next else "",
    }
    return operator_pages.render(request, "accounts.html", "Accounts", context)
