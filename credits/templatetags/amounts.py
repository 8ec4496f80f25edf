"""Amounts of credits, formatted for people."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from credits.amounts import plain

register = template.Library()


@register.filter
def credits(amount: Decimal) -> str:  # noqa: A001  # the filter's name in templates
    """Return `amount` in the page's language, without trailing zeros: 10,000.5 or 10.000,5."""
    return number_format(plain(amount), force_grouping=True)
