"""`/credits` explains prices by units."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin, Priced
from tests.browser.people import somebody
from tests.factories import give, meter

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

OPERATION = "ai_chat_gpt4"


EN = """
10,000,000,000 input tokens at 0.0004 per 1,000 · at least 0.01 credits · 3,990.01 credits not charged
1,200 input tokens at 0.0004 per 1,000 · 300 output tokens at 0.00000012 per 1,000 · at least 0.01 credits
0.0004 credits per 1,000 input tokens · 0.00000012 credits per 1,000 output tokens · at least 0.01 credits
"""  # noqa: E501
DE = """
10.000.000.000 Eingabe-Token zu 0,0004 je 1.000 · mindestens 0,01 Credits · 3.990,01 Credits nicht abgebucht
1.200 Eingabe-Token zu 0,0004 je 1.000 · 300 Ausgabe-Token zu 0,00000012 je 1.000 · mindestens 0,01 Credits
0,0004 Credits je 1.000 Eingabe-Token · 0,00000012 Credits je 1.000 Ausgabe-Token · mindestens 0,01 Credits
"""  # noqa: E501


@pytest.mark.parametrize(("language", "texts"), [("en", EN), ("de", DE)])
def test_a_use_and_a_price_by_units_are_explained(
    home: str, browser: Browser, language: str, texts: str, tmp_path: Path
) -> None:
    above, used, price = texts.strip().splitlines()
    give("demo-alice", 10)
    meter(minimum="0.01", inputTokens="0.0004", outputTokens="0.00000012")
    units = {"inputTokens": 1200, "outputTokens": 300}
    memo = Memo("chat", "An answer")
    ledger.spend("demo-alice", Priced(OPERATION, None, units), memo=memo, origin=Origin("user"))
    most = Priced(OPERATION, None, {"inputTokens": 1000})
    held = reservations.reserve("demo-alice", most, reason="chat", origin=Origin("service"))
    pk = held.reservation.pk
    reservations.commit(pk, origin=Origin("service"), units={"inputTokens": 10**10})

    with somebody(browser, home, "demo-alice", language=language) as alice:
        alice.visit("/credits")
        units_of = alice.page.locator("#latest [data-field=units]")
        expect(units_of).to_have_text([above, used, ""])
        expect(units_of.nth(2)).to_be_hidden()
        alice.page.screenshot(path=tmp_path / f"{language}.png", full_page=True)
        alice.visit("/credits#costs")
        line = alice.page.locator("#cost-list li", has_text=price)

        expect(line.locator("[data-field=per]")).to_have_text(price)
        expect(line.locator("[data-field=cost]")).to_be_hidden()
