"""Pages of the back office: sound for axe in both themes, no page wider than a screen, charts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from playwright.sync_api import Page, expect

from credits.ledger import Memo, Origin, ledger
from credits.models import (
    ActRequest,
    AdjustmentRequest,
    JobRun,
    OutboxMessage,
    Package,
    Reservation,
    StaffAction,
    Transaction,
)
from credits.outbox import outbox
from gifts.models import GiftCode
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from tests.back_office.operators import operator
from tests.browser.test_back_office_policy import (  # noqa: F401  (fixtures)
    PATHS,
    office,
    page,
    problems,
)
from tests.browser.test_every_page import axe_finds, fits, keep
from tests.factories import gift, give, hold, package, spend

pytestmark = pytest.mark.browser

LISTS = (
    *("credits/transaction/", "accounts/", "service_events/eventmessage/"),
    *("service_events/eventsubscription/", "internal_api/servicekey/", "new-operation/"),
)


def details() -> list[str]:
    """Return the pages of a row of each kind."""
    kinds: dict[str, Any] = {
        "transaction": Transaction,
        "staff-action": StaffAction,
        "package": Package,
        "reservation": Reservation,
        "gift": GiftCode,
        "message": OutboxMessage,
        "approvals": ActRequest,
    }
    of_rows = [f"{kind}/{model.objects.latest('pk').pk}/" for kind, model in kinds.items()]
    return [*of_rows, "operation/ai_chat_gpt4/", "sync/?user=alice"]


def test_axe_finds_nothing_on_any_page(
    office: str,  # noqa: F811
    page: Page,  # noqa: F811
    request: pytest.FixtureRequest,
) -> None:
    hold("alice", 3)
    with transaction.atomic():
        outbox.tell("alice", {"body": "x"}, key="k", now=datetime.now(UTC))
    theme = request.node.callspec.params["page"]

    for path in (*PATHS, *LISTS, *details()):
        page.goto(office + path)
        page.wait_for_load_state()

        assert axe_finds(page) == [], path
        assert fits(page), path
        keep(page, f"looks-{path.strip('/').replace('/', '-').partition('?')[0]}-{theme}")


def test_no_list_hides_a_column_at_1280(office: str, page: Page) -> None:  # noqa: F811
    for number in range(3):
        give(f"a-user-with-a-name-{number}", 1_000_000)
        spend(f"a-user-with-a-name-{number}", 0.5, app_id="questions")
        gift(f"a-user-with-a-name-{number}", 9_999)

    for path in ("credits/transaction/", "credits/staffaction/", "gifts/giftcode/"):
        page.goto(office + path)
        hidden = "e => e.scrollWidth - e.clientWidth"
        assert page.locator(".bo-list").evaluate(hidden) <= 0, path


def test_tables_are_readable_on_a_phone(office: str, page: Page) -> None:  # noqa: F811
    now = datetime.now(UTC)
    JobRun.objects.create(
        name="reconcile_stripe",
        started_at=now,
        failed_at=now,
        error="DoesNotReconcile: 1 unexplained difference",
        result={"unexplained": 1},
    )
    AdjustmentRequest.objects.create(
        user_id="alice",
        amount=250,
        reason="failed_operation",
        note="The answer did not arrive, see the ticket",
        requested_by="sam",
        requested_at=now,
    )
    page.set_viewport_size({"width": 360, "height": 740})

    for path in ("", "adjustments/", "accounts/", "staff/", "credits/transaction/"):
        page.goto(office + path)

        assert fits(page), path
        if path:
            assert page.evaluate(BROKEN) == [], path


def test_charts_are_drawn_with_readable_labels_and_follow_the_theme(
    office: str,  # noqa: F811
    page: Page,  # noqa: F811
    problems: list[str],  # noqa: F811
) -> None:
    page.goto(office)
    page.wait_for_function("Object.keys(Chart.instances).length === 4")
    size = page.evaluate(
        "Math.min(...Object.values(Chart.instances).map(c => c.options.font.size))"
    )
    colour = "Object.values(Chart.instances)[0].data.datasets[0].backgroundColor"
    first = page.evaluate(colour)

    page.locator("[x-on\\:click='openUserLinks = !openUserLinks']").first.click()
    for theme in ("dark", "light"):
        page.locator(f"[x-on\\:click=\"switchTheme('{theme}')\"]").first.click()
        page.wait_for_timeout(200)
        if page.evaluate(colour) != first:
            break

    assert size >= 12
    assert page.evaluate(colour) != first
    assert page.locator(".bo-figure dd").first.evaluate("e => getComputedStyle(e).whiteSpace") == (
        "nowrap"
    )
    assert problems == []


def test_the_pages_of_a_list_are_turned_with_its_filters(
    office: str,  # noqa: F811
    page: Page,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 3)
    for _ in range(8):
        spend("alice", 1, app_id="chat")

    page.goto(office + "credits/transaction/?type__exact=usage")
    for _ in range(2):
        expect(page.locator("#result_list tbody tr")).to_have_count(3)
        page.click("text=Next page")
        page.wait_for_load_state()

    expect(page.locator(".bo-pages")).to_contain_text("3 on this page, the last")
    assert "type__exact=usage" in page.url
    page.click("text=First page")
    expect(page.locator(".bo-pages")).to_contain_text("more follow")
    assert "type__exact=usage" in page.url


# Of an inline text, the words that the browser broke into several lines.
BROKEN = """() => {
  const broken = [];
  for (const cell of document.querySelectorAll('#result_list td, #result_list th, .bo-table td')) {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const word of walker.currentNode.data.matchAll(/[\\p{L}\\d]{2,18}/gu)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, word.index);
        range.setEnd(walker.currentNode, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


def test_no_short_word_of_a_table_is_broken(office: str, page: Page) -> None:  # noqa: F811
    for number, actor in enumerate(("service:campaigns", "operator:fiona")):
        ledger.grant(
            f"a-user-with-a-name-{number}",
            Decimal("1234567.8901"),
            memo=Memo("questions", "Credits to try documents of any length"),
            origin=Origin(actor),
            cause=f"grant:{number}",
        )
    for model in admin.site._registry:
        options = model._meta
        page.goto(f"{office}{options.app_label}/{options.model_name}/")
        assert page.evaluate(BROKEN) == [], options.model_name

    for path in ("adjustments/", "accounts/", "staff/", ""):
        page.goto(office + path)
        assert page.evaluate(BROKEN) == [], path


def test_the_longest_words_fit(office: str, page: Page) -> None:  # noqa: F811
    longest = "W" * 255
    give(longest, 500)
    entry = ledger.grant(
        longest,
        Decimal(1),
        memo=Memo(description="W" * 255),
        origin=Origin("user"),
        cause="grant:w",
    ).transaction
    sent = gift(longest, 5, message="W" * 255)
    held = hold(longest, 1)
    sold = package(name="W" * 100, description="W" * 500)
    User.objects.create(username="W" * 150, is_staff=True)
    sam = operator("sam")
    why = Justification("goodwill", "W" * 1000, "W" * 500)
    for amount in (1, 5000):
        balance_adjustments.adjust(
            sam, longest, Decimal(amount), why=why, key=uuid4(), now=datetime.now(UTC)
        )
    user = f"?user={longest}"
    paths = (
        *(f"account/{user}", f"account/adjust/{user}", f"sync/{user}", f"gifts/block/{user}"),
        *(f"transaction/{entry.pk}/", f"transaction/{entry.pk}/reverse/", f"gift/{sent.pk}/"),
        *(f"reservation/{held.pk}/", f"reservation/{held.pk}/release/", f"package/{sold.pk}/"),
        *(f"package/{sold.pk}/change/", f"gift/{sent.pk}/cancel/", "adjustments/", "staff/"),
        f"adjustments/{AdjustmentRequest.objects.latest('pk').pk}/",
        f"staff-action/{StaffAction.objects.latest('pk').pk}/",
        f"staff/operator/?name={'W' * 150}",
        "search-accounts/?q=WWW",
    )

    for path in paths:
        response = page.goto(office + path)

        assert response
        assert (response.status, fits(page)) == (200, True), path[:60]
