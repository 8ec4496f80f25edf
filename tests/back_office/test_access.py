"""Access to the back office: log-in, second factor, sessions."""

import re
from base64 import b32decode
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from credits.models import StaffAction
from tests.api import Caller
from tests.back_office.operators import ROLES, browser, operator
from tests.factories import give

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def staff(name: str = "sam") -> User:
    operator(name)
    user = User.objects.get(username=name)
    user.set_password(PASSWORD)
    user.save()
    return user


def log_in(client: Client, password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/admin/login/", {"username": "sam", "password": password, **more})


def code_of(device: TOTPDevice, steps: int = 0) -> str:
    return f"{totp(device.bin_key, device.step, device.t0, device.digits, device.drift + steps):06}"


def test_a_password_opens_the_door() -> None:
    staff()
    client = Client()

    log_in(client, next="/admin/")

    assert client.get("/admin/").status_code == 200


def test_without_one_every_page_leads_to_the_log_in() -> None:
    answer = Client().get("/admin/account/?user=alice")

    assert answer.status_code == 302
    assert answer["Location"] == "/admin/login/?next=/admin/account/%3Fuser%3Dalice"


def test_a_user_without_staff_status_is_refused() -> None:
    User.objects.create_user("sam", password=PASSWORD)
    client = Client()

    log_in(client)

    assert client.get("/admin/").status_code == 302


def test_five_wrong_passwords_lock_a_name_at_an_address() -> None:
    staff()
    client = Client()

    wrong = [log_in(client, "wrong").status_code for _ in range(5)]
    right = log_in(client)
    elsewhere = log_in(Client(REMOTE_ADDR="192.0.2.7"))

    assert wrong == [200, 200, 200, 200, 429]
    assert right.status_code == 429
    assert "Too many wrong passwords" in right.content.decode()
    assert elsewhere.status_code == 302


def test_an_operator_sets_up_a_second_factor_first(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    sam = browser("sam")

    sent = sam.get("/admin/account/?user=alice")
    page = sam.get(sent["Location"]).content.decode()
    device = TOTPDevice.objects.get()
    wrong = sam.post(sent["Location"], {"code": "000000"}).content.decode()
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    right = sam.post(sent["Location"], {"code": code_of(device)})

    assert (sent.status_code, sent["Location"].partition("?")[0]) == (302, "/admin/second-factor/")
    assert "<svg" in page
    assert "This code is wrong" in wrong
    assert (right.status_code, right["Location"]) == (302, "/admin/account/?user=alice")
    assert sam.get("/admin/").status_code == 200
    assert StaffAction.objects.get().action == "second_factor_set_up"


def test_the_next_log_in_asks_for_a_code(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    sam = browser("sam")
    device = TOTPDevice.objects.create(user=User.objects.get(username="sam"), confirmed=True)

    page = sam.get("/admin/second-factor/").content.decode()
    before = sam.get("/admin/").status_code
    code = code_of(device)
    sam.post("/admin/second-factor/", {"code": code})
    again = browser("sam").post("/admin/second-factor/", {"code": code})

    assert "<svg" not in page
    assert (before, sam.get("/admin/").status_code) == (302, 200)
    assert "used before" in again.content.decode()


@pytest.mark.parametrize("name", ROLES)
def test_every_role_needs_a_second_factor(settings: Any, name: str) -> None:
    settings.ADMIN_REQUIRE_2FA = True

    answer = browser(name).get("/admin/credits/staffaction/")

    wanted = "/admin/second-factor/?next=%2Fadmin%2Fcredits%2Fstaffaction%2F"
    assert (answer.status_code, answer.headers.get("Location")) == (302, wanted)


def test_the_second_factor_leads_to_no_other_site(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    sam = browser("sam")
    device = TOTPDevice.objects.create(user=User.objects.get(username="sam"), confirmed=True)

    code = {"code": code_of(device)}
    answer = sam.post("/admin/second-factor/?next=https://elsewhere.test/", code)

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def secret_shown(client: Client) -> str:
    page = client.get("/admin/second-factor/").content.decode()
    found = re.search(r"<code>([A-Z2-7]+=*)</code>", page)
    assert found
    return found[1]


def test_each_session_sets_up_a_secret_of_its_own(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    thief, sam = browser("sam"), browser("sam")

    seen_by_the_thief = secret_shown(thief)

    assert secret_shown(sam) != seen_by_the_thief
    assert secret_shown(sam) == secret_shown(sam)
    devices = TOTPDevice.objects.order_by("pk")
    assert [b32decode(seen_by_the_thief), b32decode(secret_shown(sam))] == [
        one.bin_key for one in devices
    ]


def test_two_sessions_do_not_both_set_up_a_second_factor(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    first, second = browser("sam"), browser("sam")
    secret_shown(first)
    secret_shown(second)
    devices = list(TOTPDevice.objects.order_by("pk"))

    first.post("/admin/second-factor/", {"code": code_of(devices[0])})
    late = second.post("/admin/second-factor/", {"code": code_of(devices[1])})

    assert late.status_code == 200
    assert TOTPDevice.objects.get().pk == devices[0].pk
    assert second.get("/admin/").status_code == 302


@pytest.mark.parametrize("weak", ["short-pw-11", "password1234", "629403817625", "samantha-sam"])
def test_operators_own_new_password_is_as_strong_as_a_given_one(weak: str) -> None:
    user = staff()
    user.email = "samantha-sam@example.test"
    user.save()
    client = browser("sam")
    form = {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}

    refused = client.post("/admin/password_change/", form)

    assert refused.status_code == 200
    assert User.objects.get(username="sam").check_password(PASSWORD)


def test_it_is_required_unless_a_developer_says_otherwise() -> None:
    from mana_credits import settings  # noqa: PLC0415  # as the environment made them

    assert settings.ADMIN_REQUIRE_2FA is True


def later(**since: float) -> Any:
    """Advance a session's clock by this time."""
    return patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(**since))


def page_after(client: Client, **since: float) -> int:
    with later(**since):
        return client.get("/admin/").status_code


@pytest.mark.slow
def test_a_session_ends_after_ten_hours_however_busy_it_is(sam: Client) -> None:
    busy = [page_after(sam, minutes=30 * n) for n in range(20)]

    assert busy == [200] * 20
    assert page_after(sam, hours=10, minutes=1) == 302
    assert sam.get("/admin/").status_code == 302


@pytest.mark.slow
def test_a_log_in_elsewhere_does_not_prolong_a_session(sam: Client) -> None:
    for n in range(20):
        page_after(sam, minutes=30 * n)
    with later(hours=9.5):
        elsewhere = browser("sam")
        assert elsewhere.get("/admin/").status_code == 200

    assert page_after(sam, hours=10, minutes=1) == 302
    assert page_after(elsewhere, hours=10, minutes=1) == 200


def test_a_session_ends_after_an_idle_hour(sam: Client) -> None:
    with patch(
        "django.contrib.sessions.backends.db.timezone.now",
        return_value=timezone.now() + timedelta(minutes=61),
    ):
        answer = sam.get("/admin/")

    assert answer.status_code == 302


@pytest.mark.parametrize(
    "path", ["", "login/", "logout/", "nowhere/", "staff/", "account/?user=a%00b", "jsi18n/"]
)
def test_every_answer_forbids_scripts_that_are_not_ours(sam: Client, path: str) -> None:
    directives = sam.get(f"/admin/{path}")["Content-Security-Policy"].split("; ")

    assert "script-src 'self'" in directives
    assert "object-src 'none'" in directives


def test_pages_are_kept_by_nobody_and_framed_by_nobody(sam: Client) -> None:
    answer = sam.get("/admin/")

    assert "no-store" in answer["Cache-Control"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


def test_cookies_are_of_the_back_office_alone(settings: Any, alice: Caller) -> None:
    staff()
    client = Client()
    log_in(client)
    cookie = client.cookies["back_office"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Strict")
    assert settings.SESSION_COOKIE_SECURE
    assert alice.get("balance").cookies == {}
    assert client.get("/health").cookies == {}


def test_a_form_of_another_site_is_refused() -> None:
    give("alice", 10)
    operator("sam")
    client = Client(enforce_csrf_checks=True)
    client.force_login(
        User.objects.get(username="sam"), backend="django.contrib.auth.backends.ModelBackend"
    )

    answer = client.post("/admin/account/adjust/?user=alice", {"amount": "1"})

    assert answer.status_code == 403
    assert "The form has expired" in answer.content.decode()


def test_a_file_that_the_server_cuts_off_is_called_too_large(settings: Any) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/admin/new-grant-campaign/", {"content": "x" * settings.MAX_BODY_BYTES})

    assert answer.status_code == 413
    assert "too large" in answer.content.decode()


def test_errors_are_pages(sam: Client) -> None:
    missing = sam.get("/admin/no-such-page/")
    forbidden = sam.get("/admin/export/")

    assert (missing.status_code, forbidden.status_code) == (404, 403)
    assert "There is no such page" in missing.content.decode()
    assert "Your role does not allow this" in forbidden.content.decode()


def test_a_missing_page_looks_the_same_in_the_sandbox(sam: Client, settings: Any) -> None:
    settings.DEBUG = True

    missing = sam.get(f"/admin/purchase/{uuid4()}/")

    assert missing.status_code == 404
    assert "There is no such page" in missing.content.decode()


def test_a_defect_is_a_page_that_names_the_request(sam: Client) -> None:
    sam.raise_request_exception = False
    with patch(
        "mana_credits.back_office.account.account_search.find", side_effect=RuntimeError("secret")
    ):
        answer = sam.get("/admin/search-accounts/?q=x", HTTP_X_REQUEST_ID="req-500")

    assert answer.status_code == 500
    assert "req-500" in answer.content.decode()
    assert "secret" not in answer.content.decode()
