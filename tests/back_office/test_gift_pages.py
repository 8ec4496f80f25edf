"""Gifts in the back office: what each role sees and may do."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from credits.ledger import ledger
from credits.models import StaffAction, Transaction
from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import GiftBlock, GiftCode, GiftMisses
from mana_credits.back_office.account import account_search, timeline
from tests.api import Caller
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db

ROLES = ("Support", "Finance", "Auditor", "Administrator")
MAY_ACT = ("Support", "Finance", "Administrator")
LISTS = ("giftcode", "campaign", "giftblock", "giftmisses")


@pytest.fixture(autouse=True)
def without_second_factor(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = False


def staff(role: str) -> Client:
    user = get_user_model().objects.create_user(username=f"{role}-{uuid4()}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def spellings(row: GiftCode) -> tuple[str, str]:
    return row.code, f"{row.code[:4]}-{row.code[4:8]}-{row.code[8:]}"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", LISTS)
def test_every_role_sees_every_list(role: str, name: str) -> None:
    assert staff(role).get(reverse(f"admin:gifts_{name}_changelist")).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_whole_codes_are_for_those_who_may_see_them(role: str) -> None:
    give("ivan", 20)
    given = gift("ivan", 10)
    client = staff(role)

    rows = client.get(reverse("admin:gifts_giftcode_changelist")).content.decode()
    page = client.get(reverse("admin:gift", args=(given.pk,))).content.decode()

    assert given.code not in rows
    assert f"••••{given.code[-4:]}" in rows
    assert (given.code in page) == (role in {"Finance", "Administrator"})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["cancel_gift", "extend_gift", "resend_gift"])
def test_who_may_act_reaches_the_form(role: str, name: str) -> None:
    give("ivan", 20)
    given = gift("ivan", 10, target_email="kate@example.test")

    answer = staff(role).get(reverse(f"admin:{name}", args=(given.pk,)))

    assert answer.status_code == (200 if role in MAY_ACT else 403)
    assert given.code not in answer.content.decode()


def test_a_form_sent_twice_cancels_once() -> None:
    give("ivan", 20)
    given = gift("ivan", 10)
    client = staff("Support")
    form = {"key": str(uuid4()), "note": "asked for"}
    address = reverse("admin:cancel_gift", args=(given.pk,))

    answers = [client.post(address, form).status_code for _ in range(2)]

    assert answers == [302, 302]
    assert ledger.balance_of("ivan").available == 20
    assert StaffAction.objects.count() == 1


def test_an_auditor_cancels_nothing() -> None:
    give("ivan", 20)
    given = gift("ivan", 10)

    form = {"key": str(uuid4()), "note": "asked for"}
    answer = staff("Auditor").post(reverse("admin:cancel_gift", args=(given.pk,)), form)

    assert answer.status_code == 403
    assert ledger.balance_of("ivan").available == 10


def test_acts_that_nothing_undoes_are_red_wherever_they_are_offered() -> None:
    give("ivan", 20)
    given, client = gift("ivan", 10), staff("Finance")
    posted = Transaction.objects.earliest("id").pk

    pages = {
        "Cancel gift": ("gift", "cancel_gift", given.pk),
        "Reverse": ("transaction", "reverse", posted),
    }
    for verb, (row, form, pk) in pages.items():
        offered = client.get(reverse(f"admin:{row}", args=(pk,))).content.decode()
        asked = client.get(reverse(f"admin:{form}", args=(pk,))).content.decode()
        assert re.search(rf'<a class="bo-button danger" [^>]*>{verb}</a>', offered)
        assert f'<button class="bo-button danger">{verb}</button>' in asked


def test_a_gift_is_extended_by_its_form() -> None:
    give("ivan", 20)
    given = gift("ivan", 10, days=5)
    end = (datetime.now(UTC) + timedelta(days=30)).replace(second=0, microsecond=0)

    form = {"key": str(uuid4()), "note": "on holiday", "end": f"{end:%Y-%m-%dT%H:%M}"}
    answer = staff("Support").post(reverse("admin:extend_gift", args=(given.pk,)), form)

    assert answer.status_code == 302
    assert GiftCode.objects.get().expires_at == end


def test_a_user_is_blocked_and_unblocked() -> None:
    client = staff("Support")

    def send(name: str) -> bool:
        form = {"key": str(uuid4()), "note": "tries codes", "user_id": "judy"}
        assert client.post(reverse(f"admin:{name}"), form).status_code == 302
        return GiftBlock.objects.filter(pk="judy").exists()

    assert [send("block_gifts"), send("unblock_gifts")] == [True, False]


def test_the_account_page_tells_of_gifts_sent_and_received() -> None:
    give("ivan", 20)
    given = gift("ivan", 10)
    redeem(given, "judy")

    sent = timeline.page("ivan", only=["gifts sent"]).entries
    received = timeline.page("judy", only=["gifts received"]).entries
    answers = [
        staff("Support").get(reverse("admin:account"), {"user": user}) for user in ("ivan", "judy")
    ]

    assert [(entry.title, entry.status) for entry in sent] == [
        ("Gift of 10 credits made", "depleted")
    ]
    assert [entry.title for entry in received] == ["Gift of 10 credits redeemed"]
    for answer in answers:
        assert reverse("admin:gift", args=(given.pk,)) in answer.content.decode()


def test_a_code_in_any_spelling_leads_to_creator_and_redeemer() -> None:
    give("ivan", 20)
    given = gift("ivan", 10)
    redeem(given, "judy")

    found = [
        [hit.user_id for hit in account_search.find(text.lower()).hits] for text in spellings(given)
    ]

    assert found == [["ivan", "judy"]] * 2


def test_an_address_leads_to_redeemers_and_creators_of_its_gifts() -> None:
    give("ivan", 20)
    given = gift("ivan", 10, target_email="kate@example.test")
    redeem(given, "kate", email="kate@example.test")

    found = [hit.user_id for hit in account_search.find("Kate@Example.test").hits]

    assert found == ["ivan", "kate"]


def test_a_row_leads_to_the_gifts_page_and_nonsense_to_none() -> None:
    give("ivan", 20)
    given = gift("ivan", 10)
    client = staff("Support")

    known = client.get(reverse("admin:gifts_giftcode_change", args=(given.pk,)))
    nonsense = client.get(reverse("admin:gifts_giftcode_change", args=("nonsense",)))

    assert known["Location"] == reverse("admin:gift", args=(given.pk,))
    assert nonsense.status_code == 404


def test_what_is_tried_beyond_the_limit_shows(settings: Any, judy: Caller) -> None:
    settings.GIFT_MISS_LIMITS = {"user": 2, "address": 99, "short codes": 99}

    answers = [judy.post("ABCDEFGHJKLM/redeem", {}).status_code for _ in range(5)]
    page = staff("Auditor").get(reverse("admin:gifts_giftmisses_changelist")).content.decode()

    assert answers == [404, 404, 429, 429, 429]
    assert GiftMisses.objects.get(pk="user:judy").refused == 3
    assert ">judy<" in page
    rows = [
        staff("Support").get(reverse("admin:gifts_giftmisses_change", args=(bucket,)))
        for bucket in GiftMisses.objects.order_by("bucket").values_list("pk", flat=True)
    ]
    assert [row.status_code for row in rows] == [302, 302]
    assert "/invalid-codes/address:127.0.0.1/" in rows[0]["Location"]
    assert "/account/?user=judy" in rows[1]["Location"]


def test_a_campaign_shows_the_share_that_was_redeemed() -> None:
    now = datetime.now(UTC)
    plan = CampaignPlan(
        4, Decimal(5), now + timedelta(days=30), actor="operator:sam", reason="spring"
    )
    campaign = campaigns.start("spring", plan, now=now)
    list(campaigns.make_codes(campaign, now=now))
    redeem(campaigns.codes_of(campaign)[0], "judy")

    page = staff("Support").get(reverse("admin:gifts_campaign_changelist")).content.decode()

    assert "1 of 4 (25%)" in page


def test_a_campaigns_page_leads_to_its_gifts_by_status() -> None:
    now = datetime.now(UTC)
    plan = CampaignPlan(
        4, Decimal(5), now + timedelta(days=30), actor="operator:sam", reason="spring"
    )
    campaign = campaigns.start("spring/2026", plan, now=now)
    list(campaigns.make_codes(campaign, now=now))
    made = list(campaigns.codes_of(campaign))
    redeem(made[0], "judy")
    give("ivan", 5)
    other = gift("ivan", 5)
    sam = staff("Support")

    page = sam.get(reverse("admin:campaign", args=("spring/2026",))).content.decode()
    lists = [
        sam.get(reverse("admin:gifts_giftcode_changelist") + query).content.decode()
        for query in ("?campaign=spring/2026&status=active", "?creator=ivan", "?campaign=none")
    ]

    assert "Redeemed: 1 of 4" in page
    assert "?campaign=spring%2F2026&amp;status=active" in page
    shown = [[one.code[-4:] in text for one in (*made, other)] for text in lists]
    assert shown == [[False, True, True, True, False], [False] * 4 + [True], [False] * 5]
    assert sam.get(reverse("admin:campaign", args=("none",))).status_code == 404


def test_a_gifts_page_links_its_transactions_and_tells_what_staff_did() -> None:
    give("ivan", 20)
    given = gift("ivan", 10, days=5)
    client = staff("Support")
    end = datetime.now(UTC) + timedelta(days=30)
    form = {"key": str(uuid4()), "note": "on holiday", "end": f"{end:%Y-%m-%dT%H:%M}"}
    client.post(reverse("admin:extend_gift", args=(given.pk,)), form)
    arrival = redeem(given, "judy").redemption.transaction_id

    page = client.get(reverse("admin:gift", args=(given.pk,))).content.decode()

    for entry in (given.payment_id, arrival):
        assert reverse("admin:transaction", args=(entry,)) in page
    assert "on holiday" in page
    assert "judy" in page
    assert reverse("admin:cancel_gift", args=(given.pk,)) not in page


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        (" judy", "Blanks and invisible characters at the beginning or the end are not allowed."),
        (
            "judy\u200b",
            "Blanks and invisible characters at the beginning or the end are not allowed.",
        ),
        ("ju\u0007dy", "Control characters are not allowed."),
        ("\u00a0", "This field may not be blank."),
        ("x" * 256, "Ensure this value has at most 255 characters"),
    ],
)
@pytest.mark.parametrize("path", ["gifts/block/", "gifts/unblock/", "export/"])
def test_forms_take_the_ids_that_the_api_takes(
    fiona: Client, path: str, user: str, sentence: str
) -> None:
    fields = {"key": str(uuid4()), "note": "tries codes", "user_id": user, "what": "gifts"}

    page = fiona.post(f"/admin/{path}", {**fields, "confirmed": "1"}).content.decode()

    assert sentence in page
    assert not GiftBlock.objects.exists()
    assert not StaffAction.objects.exists()
