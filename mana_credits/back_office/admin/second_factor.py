"""The second factor: a code from an authenticator app, set up at the first log-in."""

from io import BytesIO
from math import ceil
from typing import Any

import qrcode
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django_otp import login, match_token
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathFillImage

from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Act, Why
from mana_credits.back_office.frame import operator_pages


class CodeForm(forms.Form):
    """A code of six digits."""

    code = forms.CharField(
        label="Code",
        max_length=8,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


@operator_pages.page("second-factor/", name="second_factor", permission="")
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for a code; set up an authenticator app if the operator has none."""
    known = TOTPDevice.objects.filter(user=request.user, confirmed=True).exists()
    form = CodeForm(request.POST or None)
    if form.is_valid():
        code = form.cleaned_data["code"].replace(" ", "")
        device = match_token(request.user, code) if known else _confirm(request, code)
        if device:
            login(request, device)
            return redirect("admin:index")
        form.add_error("code", _reason(request.user))
    context = {"form": form, "known": known, **({} if known else _setup(request.user))}
    return operator_pages.render(request, "second_factor.html", "Second factor", context)


def _reason(user: Any) -> str:
    """Return why the code is refused; each wrong code doubles the wait."""
    for device in TOTPDevice.objects.filter(user=user):
        allowed, reason = device.verify_is_allowed()
        if not allowed:
            seconds = ceil((reason["locked_until"] - timezone.now()).total_seconds())
            return f"This code is wrong or was used before. Try again in {seconds} seconds."
    return "This code is wrong or was used before. Wait for the next one."


def _confirm(request: HttpRequest, code: str) -> TOTPDevice | None:
    device = _new_device(request.user)
    if not device.verify_token(code):
        return None
    device.confirmed = True
    device.save()
    audit.record(operator_pages.operator_of(request), "second_factor_set_up", Act(), why=Why())
    messages.success(request, "Your second factor is set up.")
    return device


def _new_device(user: Any) -> TOTPDevice:
    device, _ = TOTPDevice.objects.get_or_create(user=user, confirmed=False, name="authenticator")
    return device


def _setup(user: Any) -> dict[str, str]:
    device = _new_device(user)
    picture = BytesIO()
    qrcode.make(device.config_url, image_factory=SvgPathFillImage, border=2).save(picture)
    secret = device.config_url.partition("secret=")[2].partition("&")[0]
    return {"picture": picture.getvalue().decode(), "secret": secret}
