"""Remembered answers: a cache of Stripe's answers, for a rehearsal that repeats its calls."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


class RememberedAnswers:
    """The reading functions of `credits.payments.stripe_api`; each call is made once."""

    def __init__(self, stripe: ModuleType) -> None:
        self._stripe = stripe
        self._answers: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the function `name` with a cache by its arguments."""

        def ask(*question: Any) -> Any:
            asked = (name, *question)
            if asked not in self._answers:
                answer = getattr(self._stripe, name)(*question)
                # An iterator could be read only once.
                self._answers[asked] = list(answer) if isinstance(answer, Iterator) else answer
            return self._answers[asked]

        return ask
