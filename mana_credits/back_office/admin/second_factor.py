"""The second factor: a code from an authenticator app, set up at the first log-in."""

from base64 import b32encode
from io import BytesIO
from math import ceil
from typing import Any

import qrcode
from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_otp import login, match_token
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathFillImage

from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AuditRecord, Justification
from mana_credits.back_office.frame import operator_pages

ENROLLING = "enrolling"  # session key: the id of the device that the session sets up


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
    known = _devices(request.user).filter(confirmed=True).exists()
    form = CodeForm(request.POST or None)
    if form.is_valid():
        code = form.cleaned_data["code"].replace(" ", "")
        device = match_token(request.user, code) if known else _confirm(request, code)
        if device:
            login(request, device)
            return redirect(_wanted(request))
        form.add_error("code", _reason(request, known))
    context = {"form": form, "known": known, **({} if known else _setup(request))}
    return operator_pages.render(request, "second_factor.html", "Second factor", context)


def _wanted(request: HttpRequest) -> str:
    """Return the page to which the log-in was to lead, else the dashboard."""
    wanted = request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if ours else reverse("admin:index")


def _devices(user: Any) -> QuerySet[TOTPDevice]:
    found: QuerySet[TOTPDevice] = TOTPDevice.objects.filter(user=user)
    return found


def _reason(request: HttpRequest, known: bool) -> str:
    """Return why the code is refused; each wrong code doubles the wait."""
    devices = _devices(request.user).filter(confirmed=True) if known else [_new_device(request)]
    for device in devices:
        allowed, reason = device.verify_is_allowed()
        if not allowed:
            seconds = ceil((reason["locked_until"] - timezone.now()).total_seconds())
            return f"This code is wrong or was used before. Try again in {seconds} seconds."
    return "This code is wrong or was used before. Wait for the next one."


@transaction.atomic
def _confirm(request: HttpRequest, code: str) -> TOTPDevice | None:
    """Confirm the session's device; return None if another session confirmed one before."""
    # Locked, so that two sessions cannot both confirm a device.
    list(User.objects.select_for_update().filter(username=request.user.get_username()))
    device = _new_device(request)
    if not device.verify_token(code) or _devices(request.user).filter(confirmed=True).exists():
        return None
    device.confirmed = True
    device.save()
    # Secrets of other sessions that began to set up a device. They must not become valid later.
    _devices(request.user).filter(confirmed=False).delete()
    audit.record(
        operator_pages.operator_of(request),
        "second_factor_set_up",
        AuditRecord(),
        why=Justification(),
    )
    messages.success(request, "Your second factor is set up.")
    return device


def _new_device(request: HttpRequest) -> TOTPDevice:
    """Return the device that this session sets up; no other session sees its secret."""
    mine = _devices(request.user).filter(pk=request.session.get(ENROLLING) or 0, confirmed=False)
    device = mine.first() or TOTPDevice.objects.create(
        user=request.user, confirmed=False, name="authenticator"
    )
    request.session[ENROLLING] = device.pk
    return device


def _setup(request: HttpRequest) -> dict[str, str]:
    device = _new_device(request)
    picture = BytesIO()
    qrcode.make(device.config_url, image_factory=SvgPathFillImage, border=2).save(picture)
    secret = b32encode(device.bin_key).decode()
    return {"picture": picture.getvalue().decode(), "secret": secret}
