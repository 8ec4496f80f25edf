"""The public page of a gift, `/g/CODE`, and the pages to create and to redeem gifts."""

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from credits.api import pages
from credits.client_ip import client_address
from gifts import code_format, codes
from gifts.codes import GiftUnknown
from gifts.throttle import Guesser, TooManyMisses


@pages.page
def gift_page(request: HttpRequest, code: str) -> HttpResponse:
    """Render the gift for anybody with its code, without e-mail addresses."""
    guesser = Guesser(client_address(request))
    try:
        gift = codes.find(code, guesser=guesser, now=datetime.now(UTC))
    except GiftUnknown:
        return pages.render(request, "gifts/not_found.html", status=404)
    except TooManyMisses as refusal:
        return pages.render(
            request, "gifts/too_many.html", status=429, retry_after=refusal.retry_after
        )
    return pages.render(
        request, "gifts/gift.html", {"gift": gift, "groups": code_format.groups(gift.code)}
    )


@pages.page
def gifts_page(request: HttpRequest) -> HttpResponse:
    """Render `/gifts`: the gifts received and created, and a form for a new gift."""
    return pages.shell(request, "gifts/gifts.html")


@pages.page
def redeem_page(request: HttpRequest, code: str = "") -> HttpResponse:
    """Render `/gifts/redeem/CODE`, the same for every code: the browser reads it from the URL."""
    return pages.shell(request, "gifts/redeem.html")
