"""`manage.py create_operation` requests an operation as the back office does."""

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credits.catalogue import catalogue
from credits.catalogue.metered_prices import MeteredPrice
from credits.models import ActRequest, Operation
from tests.back_office.operators import acts, operator
from tests.back_office.test_second_person import decided

pytestmark = pytest.mark.django_db

MUSIC = ("ai_music", "--name=Music", "--category=ai", "--app=music", "--reason=New feature")


def run(*options: str, by: str = "fiona") -> str:
    out = StringIO()
    call_command("create_operation", *MUSIC, *options, f"--operator={by}", stdout=out)
    return out.getvalue()


def created() -> Any:
    return Operation.objects.get(pk="ai_music")


def test_without_apply_nothing_is_requested() -> None:
    said = run("--cost=1.5", "--per-items=10")

    assert "ai_music (Music): 1.5 credits for each started 10" in said
    assert "Nothing changed" in said
    assert not ActRequest.objects.exists()


def test_an_operation_is_offered_when_a_colleague_approves_it() -> None:
    operator("fiona")

    said = run("--cost=1.5", "--description=A song", "--apply")

    assert "waits for a colleague" in said
    assert not Operation.objects.filter(pk="ai_music").exists()
    asked = ActRequest.objects.get()
    assert (asked.requested_by, asked.note) == ("fiona", "New feature")
    decided("ada", asked.pk)
    assert (created().cost, created().description, created().active) == (
        Decimal("1.5"),
        "A song",
        True,
    )
    assert acts().filter(operator="fiona", subject="operation:ai_music").exists()


def test_an_operation_may_be_priced_by_units() -> None:
    operator("fiona")

    run(
        "--unit-cost=inputTokens=0.4",
        "--unit-cost=outputTokens=1",
        "--minimum=0.01",
        "--may-overdraw",
        "--apply",
    )
    decided("ada", ActRequest.objects.get().pk)

    assert catalogue.price_of(created()) == MeteredPrice(
        {"inputTokens": Decimal("0.4"), "outputTokens": Decimal(1)},
        Decimal("0.01"),
        may_overdraw=True,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "one of the arguments --cost --unit-cost is required"),
        (("--cost=1", "--unit-cost=a=1"), "not allowed with argument"),
        (("--cost=0",), "--cost"),
        (("--cost=NaN",), "--cost"),
        (("--cost=1", "--per-items=0"), "--per-items"),
        (("--cost=1", "--per-items=1000001"), "invalid_batch"),
        (("--cost=1", "--minimum=1"), "--minimum needs --unit-cost"),
        (("--cost=1", "--may-overdraw"), "--may-overdraw needs --unit-cost"),
        (("--unit-cost=tokens",), "expected a price such as inputTokens=0.4"),
        (("--unit-cost=tokens=1", "--per-items=5"), "--per-items needs --cost"),
        (("--unit-cost=tokens=1", "--unit-cost=tokens=2"), "names a unit twice"),
        (("--unit-cost=tokens=NaN",), "invalid_unit_costs"),
        (("--unit-cost=tokens=0",), "invalid_unit_costs"),
        (("--unit-cost=To kens=1",), "invalid_unit_costs"),
        (("--unit-cost==1",), "invalid_unit_costs"),
        (("--cost=1", "--category=toys"), "invalid_operation"),
        (("--cost=1", "--name="), "invalid_operation"),
        (("--cost=1", "--reason=\x07", "--apply"), "--reason"),
        (("--cost=1", "--operator=nobody", "--apply"), "operator"),
    ],
)
def test_invalid_values_are_refused(options: tuple[str, ...], message: str) -> None:
    operator("fiona")

    with pytest.raises(CommandError) as refused:
        call_command("create_operation", *MUSIC, "--operator=fiona", *options)

    assert message in str(refused.value)
    assert not ActRequest.objects.exists()


def test_a_taken_key_and_a_second_request_are_refused() -> None:
    operator("fiona")
    run("--cost=1", "--apply")

    with pytest.raises(CommandError, match="already_requested"):
        run("--cost=2", "--apply")
    decided("ada", ActRequest.objects.get().pk)
    with pytest.raises(CommandError, match="operation_exists"):
        run("--cost=1")


def test_only_those_who_change_prices_may_request() -> None:
    operator("sam")

    with pytest.raises(CommandError, match="not_permitted"):
        run("--cost=1", "--apply", by="sam")

    assert not ActRequest.objects.exists()
