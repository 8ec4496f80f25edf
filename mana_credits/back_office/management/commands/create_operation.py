"""`manage.py create_operation`: request a new operation of the catalogue with its first price."""

import getpass
from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError

from credits import worker
from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice, NewOperation, Price
from credits.catalogue.metered_prices import MeteredPrice
from credits.errors import DomainError
from credits.management.arguments import amount, whole_number, wrong_label
from credits.management.progress import add_apply
from mana_credits.back_office.acts import new_operations, operator_accounts
from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.acts.price_changes import price_text


class Command(BaseCommand):
    """Requests a new operation, which a colleague approves."""

    help = (
        "Adds an operation to the catalogue, with a price per operation or by units. Without "
        "--apply it only checks the values and shows the price. With --apply it asks for a "
        "colleague's approval in the back office; apps can use the operation after that. The key "
        "cannot be changed later. Exits with 1 if a value is invalid or the key is taken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the key, the texts, the price, the reason and the operator."""
        parser.add_argument("key", help="the key that apps send, such as ai_music")
        for name, text in (("name", "its name"), ("category", "such as ai"), ("app", "its app")):
            parser.add_argument(f"--{name}", required=True, help=text)
        parser.add_argument("--name-de", help="its German name, if it differs")
        parser.add_argument("--description", default="", help="a sentence for users")
        _add_price(parser)
        parser.add_argument("--reason", required=True, help="the note in the audit trail")
        parser.add_argument(
            "--operator",
            default=getpass.getuser(),
            help="an operator of the back office (default: the shell's user)",
        )
        add_apply(parser)

    def handle(self, *, apply: bool, **options: Any) -> None:
        """Check the values, and request the operation with --apply."""
        new = NewOperation(*(options[field] for field in NewOperation._fields))
        try:
            first = _price(options)
            catalogue.require_valid_operation(new)
            catalogue.require_valid(new.key, first)
            if apply:
                _request(new, first, options)
        except DomainError as refusal:
            raise CommandError(f"{refusal.text} ({refusal.code})") from refusal
        self.stdout.write(f"{new.key} ({new.name}): {price_text(first)}")
        self.stdout.write(
            "This waits for a colleague's approval in the back office."
            if apply
            else "Nothing changed. Run it again with --apply."
        )


def _add_price(parser: ArgumentParser) -> None:
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--cost", type=amount, help="credits for one operation")
    kind.add_argument(
        "--unit-cost",
        type=_unit_cost,
        action="append",
        metavar="UNIT=CREDITS",
        help="credits per 1,000 units, such as inputTokens=0.4; once for each unit",
    )
    parser.add_argument("--per-items", type=whole_number, help="the cost is for so many items")
    parser.add_argument("--minimum", type=amount, help="the least credits of a use by units")
    parser.add_argument(
        "--may-overdraw", action="store_true", help="a commit by units may leave a debt"
    )


def _unit_cost(text: str) -> tuple[str, Decimal]:
    """Parse `UNIT=CREDITS`. Raises ArgumentTypeError."""
    unit, _, cost = text.partition("=")
    try:
        return unit, Decimal(cost)
    except InvalidOperation as error:
        raise ArgumentTypeError(f"expected a price such as inputTokens=0.4: {text!r}") from error


def _price(options: dict[str, Any]) -> AnyPrice:
    """Return the price in the options. Raises CommandError if they contradict each other."""
    by_units = options["unit_cost"] is not None
    wrong = {
        "--per-items needs --cost": by_units and options["per_items"] is not None,
        "--minimum needs --unit-cost": not by_units and options["minimum"] is not None,
        "--may-overdraw needs --unit-cost": not by_units and options["may_overdraw"],
        "--unit-cost names a unit twice": by_units
        and len(dict(options["unit_cost"])) < len(options["unit_cost"]),
    }
    if found := [sentence for sentence, is_wrong in wrong.items() if is_wrong]:
        raise CommandError("; ".join(found))
    if not by_units:
        return Price(options["cost"], options["per_items"])
    return MeteredPrice(dict(options["unit_cost"]), options["minimum"], options["may_overdraw"])


def _request(new: NewOperation, first: AnyPrice, options: dict[str, Any]) -> None:
    if sentence := wrong_label(options["reason"]):
        raise CommandError(f"--reason {sentence}")
    new_operations.request_operation(
        operator_accounts.acting_at_the_shell(options["operator"]),
        new,
        first,
        why=Justification(note=options["reason"]),
        key=uuid4(),
        now=worker.now(),
    )
