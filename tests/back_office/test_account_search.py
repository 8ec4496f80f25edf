"""Support finds the account for whatever a ticket contains."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.ledger import campaign_grants, grant_files
from credits.models import (
    Contact,
    GrantCampaign,
    MoneyBack,
    Purchase,
    SettingsChange,
    StaffAction,
)
from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import Campaign, GiftBlock, GiftMisses, GiftRedemption
from mana_credits.api import tokens
from mana_credits.back_office.account import account_search
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification
from tests.api import Caller
from tests.back_office.operators import operator
from tests.credits.test_money_back import paid
from tests.environment import PROVIDER
from tests.factories import gift, give, hold, redeem, wish
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def found(text: str) -> list[str]:
    return [hit.user_id for hit in account_search.find(text).hits]


def named(user_id: str, email: str = "", name: str = "", *, verified: bool = True) -> None:
    Contact.objects.create(
        user_id=user_id, email=email, name=name, email_verified=verified, seen_at=NOW
    )


def test_a_search_asks_each_table_once() -> None:
    give("alice", 7)

    with CaptureQueriesContext(connection) as seen:
        assert found("alice") == ["alice"]

    asked = [query["sql"] for query in seen]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    "pasted",
    [
        *("Carol C <carol@example.test>", "mailto:carol@example.test", '"carol@example.test"'),
        *("„carol@example.test“", "(carol@example.test).", "\u200bcarol@example.test"),
        *("'Carol C'", "U-CAROL", "[u-carol]", "`u-carol`,"),
    ],
)
def test_an_account_is_found_by_what_is_pasted_from_an_e_mail(pasted: str) -> None:
    give("u-carol", 7)
    named("u-carol", "carol@example.test", "Carol C")
    named("u-dora", "dora@example.test", "Dora D")

    assert found(pasted) == ["u-carol"]


def test_an_id_with_quotes_is_found_as_it_is() -> None:
    for user_id in ("'u'", "u"):
        give(user_id, 7)

    assert found("'u'") == ["'u'"]
    assert found('"u"') == ["u"]
    assert found('"') == []


def test_who_came_with_a_token_is_found_by_its_address(sam: Client) -> None:
    give("u-carol", 7)
    carol = Caller.with_token(PROVIDER.token("u-carol", email="Carol@Example.test", name="Carol C"))
    carol.get("balance")
    tokens.seen_users.write()

    answer = sam.get("/admin/search-accounts/", {"q": "carol@example.TEST"})

    assert answer["Location"] == "/admin/account/?user=u-carol"
    page = sam.get("/admin/account/?user=u-carol").content.decode()
    assert "Carol C · carol@example.test" in page


@pytest.mark.parametrize(
    "text", ["carol", "CAROL@", "ol@exam", "Danvers", "carol dan", "u-7f", "U-7F"], ids=str
)
def test_a_part_of_an_address_or_a_name_is_enough(text: str) -> None:
    named("u-7f3a", "carol@example.test", "Carol Danvers")
    named("u-1111", "dora@elsewhere.test", "Dora")

    assert found(text) == ["u-7f3a"]


@pytest.mark.parametrize("text", ["%", "_", "a%e", "\\"])
def test_a_wildcard_is_a_character(text: str) -> None:
    named("u-1", "alice@example.test", "Alice")

    assert found(text) == []


def test_the_end_of_a_gift_code_leads_to_both_people() -> None:
    give("ivan", 50)
    made = gift("ivan", 5)
    redeem(made, "judy")

    link = f"https://credits.test/g/{made.code}?lang=de"
    page = f"https://credits.test/admin/gift/{made.pk}/"
    for text in (made.code[-4:], made.code[-4:].lower(), f"••••{made.code[-4:]}", link, page):
        assert {"ivan", "judy"} <= set(found(text))


def test_numbers_and_ids_of_a_purchase_lead_to_its_buyer() -> None:
    bought = paid()
    back = MoneyBack.objects.create(
        stripe_id="re_1",
        kind="refund",
        stripe_payment_intent_id=bought.stripe_payment_intent_id or "",
        amount_cents=1,
        state="open",
        created_at=NOW,
    )
    StripeEvent.objects.create(
        id="evt_x1", type="x", created_at=NOW, received_at=NOW, payload="{}", purchase=bought
    )
    number = Purchase.objects.get(pk=bought.pk).number

    for text in (str(number), f"#{number}", f"Purchase {number}", str(back.stripe_id), "evt_x1"):
        assert found(text) == [bought.user_id]
    assert found(f"https://dashboard.stripe.com/payments/{bought.stripe_payment_intent_id}") == [
        bought.user_id
    ]
    # Telephones begin a line with a capital letter, and some forms shout.
    intent = str(bought.stripe_payment_intent_id)
    for text in ("Re_1", "RE_1", "EVT_X1", intent.capitalize(), intent.upper()):
        assert found(text) == [bought.user_id], text


def test_the_id_of_any_row_leads_to_its_accounts() -> None:
    give("ivan", 50)
    made = gift("ivan", 5)
    redeem(made, "judy")
    redemption = GiftRedemption.objects.get()
    held = hold("ivan", 2)
    bought = paid()
    back = MoneyBack.objects.create(
        kind="refund",
        stripe_payment_intent_id=bought.stripe_payment_intent_id or "",
        amount_cents=1,
        state="requested",
        created_at=NOW,
    )
    wish("ivan", low_balance=3)
    change = SettingsChange.objects.get()
    why = Justification("goodwill", "asked")
    balance_adjustments.adjust(operator("sam"), "ivan", Decimal(1), why=why, key=uuid4(), now=NOW)
    act = StaffAction.objects.latest("pk")

    for row, people in {
        made: ["ivan", "judy"],
        redemption: ["ivan", "judy"],
        held: ["ivan"],
        back: [bought.user_id],
        change: ["ivan"],
        act: ["ivan"],
    }.items():
        assert found(str(row.pk)) == people, row
        assert found(f" {str(row.pk).upper()} ") == people, row


def test_a_campaign_leads_to_the_accounts_of_its_grants_and_gifts() -> None:
    file = grant_files.parse(b"user_id,credits\nalice,5\nbob,5\n", "the file")
    grants = GrantCampaign(id=uuid4(), name="Spring", state="running", asked_by="s", asked_at=NOW)
    campaign_grants.store(grants, file)
    give("carol", 20)
    plan = CampaignPlan(2, Decimal(5), NOW + timedelta(days=30), actor="operator:sam")
    list(campaigns.make_codes(campaigns.start("Birthday", plan, now=NOW), now=NOW))

    assert found(str(grants.pk)) == ["alice", "bob"]
    assert found("Spring") == ["alice", "bob"]
    assert found("SPRING") == found(" spring ") == ["alice", "bob"]
    assert found("birthday") == found("Birthday") == [Campaign.objects.get().account_id]


@pytest.mark.parametrize("text", ["https://help.test/T-4711", "T-4711", "t-4711", "4711"])
def test_a_ticket_leads_to_the_account_it_was_about(text: str) -> None:
    give("alice", 5)
    why = Justification("goodwill", "asked", "https://help.test/T-4711")
    balance_adjustments.adjust(operator("sam"), "alice", Decimal(1), why=why, key=uuid4(), now=NOW)

    assert found(text) == ["alice"]


def test_sixty_matches_are_said_to_be_more_and_paged(sam: Client) -> None:
    for number in range(60):
        named(f"u-{number:02}", f"person-{number:02}@many.test")

    first = account_search.find("many.test")
    second = account_search.find("many.test", after=first.next)
    third = account_search.find("many.test", after=second.next)
    page = sam.get("/admin/search-accounts/?q=many.test").content.decode()
    more = sam.get("/admin/search-accounts/?q=many.test&after=u-39").content.decode()

    assert [len(one.hits) for one in (first, second, third)] == [20, 20, 20]
    assert third.next == ""
    assert [hit.user_id for one in (first, second, third) for hit in one.hits] == [
        f"u-{number:02}" for number in range(60)
    ]
    assert "The first 20 accounts; there are more" in page
    assert "after=u-19" in page
    assert "The last 20 accounts" in more


def test_many_rows_of_one_account_hide_no_other() -> None:
    give("anna", 200)
    give("zoe", 20)
    for _ in range(30):
        gift("anna", 1, target_email="kate@example.test")
    gift("zoe", 1, target_email="kate@example.test")

    assert found("kate@example.test") == ["anna", "zoe"]


def test_what_is_echoed_is_what_is_stored() -> None:
    named("u-1", "carol@example.test", "Carol Danvers")

    (exact,) = account_search.find(" CAROL@example.test ").hits
    (part,) = account_search.find("danv").hits

    assert exact.found == "E-mail address carol@example.test"
    assert part.found == "Name Carol Danvers"


def test_a_user_without_credits_has_a_page(sam: Client) -> None:
    named("u-new", "new@example.test", verified=False)

    page = sam.get("/admin/account/?user=u-new").content.decode()

    assert "never had credits" in page
    assert "new@example.test (not confirmed)" in page
    assert sam.get("/admin/account/?user=nobody").status_code == 404


def test_every_row_of_invalid_codes_leads_to_a_page(sam: Client) -> None:
    for bucket in ("user:mallory", "address:192.0.2.7", "address:2001:db8::", "short codes"):
        GiftMisses.objects.create(bucket=bucket, misses=4, refused=1, since=NOW)

    rows = [
        sam.get(f"/admin/gifts/giftmisses/{key}/change/", follow=True)
        for key in (
            "user_3Amallory",
            "address_3A192.0.2.7",
            "address_3A2001_3Adb8_3A_3A",
            "short%20codes",
        )
    ]

    assert [row.status_code for row in rows] == [200, 200, 200, 200]
    assert "Tried 4 invalid gift codes" in rows[0].content.decode()
    assert all("Invalid codes of" in row.content.decode() for row in rows[1:])


def test_an_account_says_that_it_is_blocked_and_unblocks(sam: Client) -> None:
    give("mallory", 5)
    GiftBlock.objects.create(user_id="mallory", by="fiona", why="guessed codes", since=NOW)

    page = sam.get("/admin/account/?user=mallory").content.decode()
    listed = sam.get("/admin/gifts/giftblock/mallory/change/")
    form = {"user_id": "mallory", "note": "called us", "key": str(uuid4())}
    done = sam.post("/admin/gifts/unblock/?user=mallory", form)

    assert f"since {NOW:%Y-%m-%d %H:%M:%S} by fiona: guessed codes" in page
    assert "/admin/gifts/unblock/?user=mallory" in page
    assert listed["Location"] == done["Location"] == "/admin/account/?user=mallory"
    assert not GiftBlock.objects.exists()
    after = sam.get("/admin/account/?user=mallory").content.decode()
    assert "/admin/gifts/block/?user=mallory" in after
    assert "blocked from gifts</span>" not in after
