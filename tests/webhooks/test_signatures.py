"""Only signed events are accepted; every rejection is counted and logged."""

import json
import time
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import REGISTRY

from tests.api import Caller
from tests.stripe import NEXT_SECRET, SECRET, WEBHOOK, Object, deliver, sign
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

EVENT: Object = {"id": "evt_1", "type": "customer.created", "created": 1764000000}


def refusals(reason: str) -> float:
    counted = REGISTRY.get_sample_value("mana_credits_webhook_refusals_total", {"reason": reason})
    return counted or 0.0


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET])
def test_a_signature_by_any_of_the_secrets_is_taken(secret: str) -> None:
    answer = deliver(EVENT, secret=secret)

    assert (answer.status_code, answer.content) == (200, b'{"received":true}')
    stored = StripeEvent.objects.get()
    assert (stored.pk, stored.type, stored.outcome) == ("evt_1", "customer.created", "ignored")
    assert json.loads(stored.payload) == EVENT


def test_a_header_with_one_right_and_one_wrong_signature_is_taken() -> None:
    payload = json.dumps(EVENT).encode()
    wrong = sign(payload, "whsec_other").rpartition(",")[2]

    answer = deliver(payload, header=f"{sign(payload, SECRET)},{wrong}")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(sign(b"{}", SECRET), id="of another body"),
        pytest.param(sign(json.dumps(EVENT).encode(), "whsec_other"), id="by another secret"),
        pytest.param(sign(json.dumps(EVENT).encode(), SECRET, time.time() - 100_000), id="too old"),
        pytest.param("t=1,v1=", id="empty"),
        pytest.param("v1=abc", id="without a time"),
        pytest.param("t=abc,v1=abc", id="with an invalid time"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param("t=1,v0=abc", id="of an old scheme"),
    ],
)
def test_an_invalid_signature_is_refused(header: str) -> None:
    before = refusals("invalid_signature")

    answer = deliver(json.dumps(EVENT).encode(), header=header)

    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "message": "Invalid signature",
        "code": "invalid_signature",
        "error": "Invalid signature",
        "details": {"Stripe-Signature": ["Invalid signature"]},
    }
    assert refusals("invalid_signature") == before + 1
    assert not StripeEvent.objects.exists()


def test_a_signature_is_good_for_300_seconds() -> None:
    now = time.time()

    answers = [deliver(EVENT, at=now - 290), deliver({**EVENT, "id": "evt_2"}, at=now - 301)]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert [event.pk for event in StripeEvent.objects.all()] == ["evt_1"]


def test_a_body_that_is_not_text_is_refused() -> None:
    assert deliver(b"\xff\xfe", header="t=1,v1=abc").status_code == 400


def test_without_a_signature_nothing_is_taken(anonymous: Caller) -> None:
    before = refusals("missing_signature")

    answer = anonymous.post(WEBHOOK, EVENT)

    assert answer.status_code == 400
    assert answer.json()["error"] == answer.json()["message"] == "Missing signature"
    assert refusals("missing_signature") == before + 1
    assert not StripeEvent.objects.exists()


def test_with_an_empty_secret_nothing_is_accepted(settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    before = refusals("webhooks_disabled")

    with patch("webhooks.signature.logger") as logger:
        answers = [deliver(EVENT, secret=secret) for secret in ("", SECRET)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json()["code"] == "webhooks_disabled"
    assert answers[0]["Retry-After"] == "60"
    assert refusals("webhooks_disabled") == before + 2
    assert "STRIPE_WEBHOOK_SECRET is not set" in logger.error.call_args.kwargs["message"]
    assert not StripeEvent.objects.exists()


def test_text_that_no_json_column_could_hold_is_stored_as_it_came() -> None:
    answer = deliver(b'{"id":"evt_1","type":"x","created":1764000000,"text":"\\u0000"}')

    assert answer.status_code == 200
    assert "\\u0000" in StripeEvent.objects.get().payload


def test_a_signed_body_that_is_not_text_is_taken() -> None:
    answer = deliver(b"\xff\xfe")

    assert answer.status_code == 200
    assert StripeEvent.objects.get().payload == "\\xff\\xfe"


@pytest.mark.parametrize("header", ["t=1,v1=é", "t=²,v1=abc", "\xff"])
def test_a_signature_that_is_not_ascii_is_refused(header: str) -> None:
    answer = deliver(EVENT, header=header)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert not StripeEvent.objects.exists()


def test_a_right_time_and_a_signature_that_is_not_ascii_are_refused() -> None:
    answer = deliver(EVENT, header=f"t={int(time.time())},v1=é")

    assert answer.status_code == 400
    assert not StripeEvent.objects.exists()


def test_a_large_event_is_taken() -> None:
    answer = deliver({**EVENT, "text": "x" * 2_000_000})

    assert answer.status_code == 200
    assert len(StripeEvent.objects.get().payload) > 2_000_000


def test_a_body_without_measure_is_refused(settings: Any) -> None:
    settings.MAX_EVENT_BYTES = 1000

    answer = deliver({**EVENT, "text": "x" * 1000})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert not StripeEvent.objects.exists()
