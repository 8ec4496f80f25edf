"""Creating and redeeming gifts in a browser, each by a different user."""

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger import ledger
from gifts.models import GiftCode
from tests.browser.people import BUDGET_BYTES, PHONE, somebody
from tests.factories import gift, give, redeem

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_a_gift_goes_from_one_person_to_another(home: str, browser: Browser) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_label("Credits", exact=True).fill("12.5")
        alice.page.get_by_label("Message").fill("For you!")
        expect(alice.page.locator("#preview")).to_contain_text("Alice has a gift for you")
        expect(alice.page.locator("#preview")).to_contain_text("12.5")
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_role("heading", name="Your gift is ready")).to_be_visible()
        expect(alice.page.get_by_role("img", name="QR code of the gift's link")).to_be_visible()
        link = alice.page.locator("#ready .link a").inner_text()
    with somebody(browser, home, "demo-bob", language="de", viewport=PHONE) as bob:
        bob.page.goto(link)
        bob.page.get_by_role("link", name="Einlösen").click()
        expect(bob.page.get_by_text("For you!")).to_be_visible()
        bob.page.get_by_role("button", name="Einlösen").click()
        expect(bob.page.get_by_text("Eingelöst! Du hast jetzt 12,5 Credits.")).to_be_visible()
        bob.visit("/gifts")
        expect(bob.page.locator("#received-list li")).to_contain_text("Von Alice")

    assert ledger.balance_of("demo-alice").available == 87.5
    assert ledger.balance_of("demo-bob").available == 12.5


def test_a_personal_gift_is_made_once_its_address_is_whole(home: str, browser: Browser) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_role("radio", name="One person").check()
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_text("Please enter a whole e-mail address.")).to_be_visible()
        expect(alice.page.get_by_role("textbox", name="E-mail address")).to_be_focused()
        assert GiftCode.objects.count() == 0

        alice.page.get_by_role("textbox", name="E-mail address").fill("bob@example.test")
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_text("Only bob@example.test can redeem")).to_be_visible()

    assert GiftCode.objects.get().target_email == "bob@example.test"


def test_more_than_there_is_cannot_be_given(home: str, browser: Browser) -> None:
    give("demo-alice", 5)

    with somebody(browser, home, "demo-alice", language="de") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_role("button", name="Geschenk erstellen").click()

        expect(alice.page.get_by_role("alert")).to_contain_text(
            "Deine Credits reichen nicht: Du brauchst 10 und hast 5."
        )
        assert GiftCode.objects.count() == 0

        alice.page.get_by_label("Credits", exact=True).fill("5")
        alice.page.get_by_role("button", name="Geschenk erstellen").click()
        expect(alice.page.get_by_role("heading", name="Dein Geschenk ist fertig")).to_be_visible()
        expect(alice.page.get_by_role("alert")).to_be_hidden()
    assert GiftCode.objects.count() == 1


def test_a_gift_is_taken_back(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    gift("demo-alice", 40)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#created")
        alice.page.get_by_role("button", name="Take back").click()
        dialog = alice.page.get_by_role("dialog")
        expect(dialog).to_contain_text("you get 40 credits back")
        dialog.get_by_role("button", name="Take it back").click()

        expect(alice.page.locator("#created-list li")).to_contain_text("Taken back")
        expect(alice.page.get_by_role("status")).to_contain_text("you have 40 credits again")
    assert ledger.balance_of("demo-alice").available == 100


def test_a_link_and_a_qr_code_can_be_had_of_an_open_gift(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40)

    with somebody(browser, home, "demo-alice") as alice:
        alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        alice.visit("/gifts#created")
        alice.page.get_by_role("button", name="Copy link").click()
        expect(alice.page.get_by_role("status")).to_contain_text("Copied")
        copied = alice.page.evaluate("navigator.clipboard.readText()")
        alice.page.get_by_role("button", name="QR code").click()
        expect(alice.page.get_by_role("img", name="QR code")).to_be_visible()
        assert alice.transferred() < BUDGET_BYTES

    assert copied == f"{home}/g/{made.code}"


@pytest.mark.parametrize("target", [None, "bob@example.test"])
def test_ones_own_gift_has_no_redeem_button(
    home: str, browser: Browser, target: str | None
) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40, target_email=target)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/gifts/redeem/{made.code}")

        expect(alice.page.locator("h1:visible")).to_have_text(["This is your own gift"])
        expect(alice.page.locator("#redeem")).to_be_hidden()
        expect(alice.page.get_by_role("link", name="See your gifts")).to_be_visible()


def test_a_gift_for_somebody_else_offers_another_account(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40, target_email="bob@example.test")

    with somebody(browser, home, "demo-carol", language="de") as carol:
        carol.visit(f"/gifts/redeem/{made.code}")

        expect(carol.page.get_by_text("Es ist für eine andere E-Mail-Adresse")).to_be_visible()
        expect(carol.page.locator("#redeem")).to_be_hidden()
        expect(carol.page.get_by_role("link", name="Konto wechseln").last).to_be_visible()


def test_the_redeemer_sees_when_the_gift_was_redeemed(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit(f"/gifts/redeem/{made.code}")
        bob.page.get_by_role("button", name="Redeem").click()
        expect(bob.page.get_by_text("Redeemed! You now have 40 credits.")).to_be_visible()
        bob.page.reload()

        expect(bob.page.get_by_text("You redeemed this gift on")).to_be_visible()
        expect(bob.page.locator("h1:visible")).to_have_text(["You have redeemed this gift"])
        expect(bob.page.get_by_text("Valid until")).to_be_hidden()
        expect(bob.page.locator("#redeem")).to_be_hidden()


def test_the_giver_sees_the_message_the_redemption_and_sends_again(
    home: str, browser: Browser
) -> None:
    give("demo-alice", 100)
    redeem(gift("demo-alice", 20, message="For the redeemer"), "demo-carol")
    gift("demo-alice", 5, target_email="bob@example.test", message="For Bob")

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#created")
        waiting, redeemed = alice.page.locator("#created-list li").all()

        expect(waiting).to_contain_text("For Bob")
        letter = waiting.get_by_role("link", name="Send").get_attribute("href") or ""
        assert letter.startswith("mailto:bob%40example.test?subject=A%20gift%20of%20credits&body=")
        expect(redeemed).to_contain_text("For the redeemer")
        expect(redeemed).to_contain_text("Redeemed on ")
        expect(redeemed.locator(".doings")).to_have_count(0)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("1.00001", "Credits have at most 4 decimals."),
        ("0.00001", "A gift holds 1 to 10,000 credits."),
        ("10001", "A gift holds 1 to 10,000 credits."),
    ],
)
def test_an_impossible_amount_says_what_is_wrong(
    home: str, browser: Browser, amount: str, problem: str
) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_label("Credits", exact=True).fill(amount)
        alice.page.get_by_role("button", name="Create the gift").click()

        expect(alice.page.locator("#totalCredits-problem")).to_be_visible()
        assert alice.page.locator("#totalCredits-problem").inner_text() == problem
    assert GiftCode.objects.count() == 0


def test_a_stranger_sees_the_gift_and_signs_in_to_redeem_it(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40)

    with somebody(browser, home) as bob:
        bob.visit("/gifts/redeem")
        bob.page.get_by_label("Code of the gift").fill(made.code.lower())
        bob.page.get_by_role("button", name="View the gift").click()
        bob.page.get_by_role("link", name="Sign in to redeem").click()
        bob.page.get_by_role("link", name="Bob").click()
        bob.page.get_by_role("button", name="Redeem").click()

        expect(bob.page.get_by_text("Redeemed! You now have 40 credits.")).to_be_visible()
    assert ledger.balance_of("demo-bob").available == 40


def test_too_many_wrong_codes_meet_a_kind_wait(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/gifts/redeem")
        bob.page.evaluate(
            """async () => {
                for (let i = 0; i < 31; i += 1) await fetch('/api/v1/gifts/ABCDEFGHJKLM');
            }"""
        )
        bob.visit("/gifts/redeem/ABCD-EFGH-JKLM")

        expect(bob.page.get_by_role("heading", name="Please wait a little")).to_be_visible()
        expect(bob.page.get_by_text("Please try again in 10 minutes.")).to_be_visible()


def test_a_gift_that_was_redeemed_cannot_be_redeemed_again(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 40)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit(f"/gifts/redeem/{made.code}")
        redeem(made, "demo-carol")
        bob.page.get_by_role("button", name="Redeem").click()
        expect(bob.page.get_by_role("alert")).to_contain_text("This gift was already redeemed")
        bob.page.reload()

        expect(bob.page.get_by_role("heading", name="This gift has been redeemed")).to_be_visible()
        assert bob.page.locator("#redeem").is_hidden()
    assert ledger.balance_of("demo-bob").available == 0


def test_a_personal_gift_has_a_redeem_button_for_its_person_only(
    home: str, browser: Browser
) -> None:
    give("demo-alice", 100)
    made = gift("demo-alice", 5, target_email="demo-bob@example.test")
    own = gift("demo-alice", 5, target_email="bob@example.test")

    with somebody(browser, home, "demo-bob") as bob:
        bob.page.goto(f"{home}/g/{made.code}")
        expect(bob.page.get_by_role("link", name="Redeem", exact=True)).to_have_count(0)
        expect(bob.page.get_by_role("link", name="Sign in to redeem")).to_be_visible()
        buttons = {}
        for one in (made, own):
            bob.visit(f"/gifts/redeem/{one.code}")
            expect(bob.page.get_by_text("This gift is for one person")).to_be_visible()
            button = bob.page.get_by_role("button", name="Redeem", exact=True)
            buttons[one.target_email] = button.is_visible()

    assert sorted(buttons.values()) == [False, True]


def test_a_link_that_cannot_be_copied_is_shown(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    code = gift("demo-alice", 1).code

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#created")
        deny = "() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException()); }"
        alice.page.evaluate(deny)
        alice.page.get_by_role("button", name="Copy link").click()

        expect(alice.page.get_by_role("alert")).to_contain_text(f"/g/{code}")
