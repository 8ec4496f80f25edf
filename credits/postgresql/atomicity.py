"""A decorator for functions that must run inside a transaction of their caller."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class TransactionRequired(RuntimeError):
    """A function that requires its caller's transaction was called outside one."""


def transaction_required(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Make the function raise TransactionRequired unless the caller has opened a transaction.

    For functions whose locks must last until the caller commits, or whose rows must commit together
    with the caller's.
    """

    @wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if not connection.in_atomic_block:
            raise TransactionRequired(f"{function.__qualname__} needs a transaction")
        return function(*args, **kwargs)

    return checked
