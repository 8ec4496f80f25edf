"""The public page of a gift, `/g/CODE`, and the pages to create and to redeem gifts."""

from datetime import UTC, datetime
from io import BytesIO

import qrcode
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from qrcode.image.svg import SvgPathFillImage

from credits.api import pages
from credits.client_ip import client_address
from gifts import code_format, codes
from gifts.codes import GiftUnknown
from gifts.throttle import Attempt, TooManyMisses


@pages.page
def gift_page(request: HttpRequest, code: str) -> HttpResponse:
    """Render the gift for anybody with its code, without e-mail addresses."""
    guesser = Attempt(client_address(request))
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


@require_safe
@cache_control(private=True, max_age=24 * 3600)
def qr_code(request: HttpRequest, code: str) -> HttpResponse:
    """Return the QR code of the link `/g/CODE` as an SVG image, or 404 if `code` is invalid.

    The gift is not looked up, so the answer is the same for every code.
    """
    known = code_format.read(code)
    if known is None:
        return pages.render(request, "gifts/not_found.html", status=404)
    picture = BytesIO()
    qrcode.make(code_format.link(known), image_factory=SvgPathFillImage, border=4).save(picture)
    return HttpResponse(picture.getvalue(), content_type="image/svg+xml")
