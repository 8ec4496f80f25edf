"""What has to run inside of a transaction of its caller."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class TransactionRequired(RuntimeError):
    """A function that relies on its caller's transaction was called outside of one."""


def transaction_required(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Make the function raise TransactionRequired unless the caller has opened a transaction.

    For functions whose locks must last, or whose rows must commit with the caller's.
    """

    @wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if not connection.in_atomic_block:
            raise TransactionRequired(f"{function.__qualname__} needs a transaction")
        return function(*args, **kwargs)

    return checked
