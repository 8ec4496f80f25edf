"""The base of all outcomes that the domain expects and a caller can act on."""

from typing import Any, ClassVar


class DomainError(Exception):
    """An expected refusal.

    `code` is stable and snake_case, `status` the HTTP status that the API answers with, `details` a
    mapping of plain values (Decimal allowed), or None; `retry_after` the whole seconds after which
    it is worth trying again, or None. With `says_error` the answer repeats the message as `error`.
    `field` names what a refusal of status 400 is about, in snake_case; `body` is the whole request.
    Subclasses stand beside the function that raises them; `by_code` finds the class of a code, by
    which the database's functions say why they moved nothing.
    """

    by_code: ClassVar[dict[str, type["DomainError"]]] = {}

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    message: ClassVar[str] = "Refused"
    says_error: ClassVar[bool] = False
    field: ClassVar[str] = "body"

    retry_after: int | None = None

    def __init_subclass__(cls) -> None:
        """Register the class under its code."""
        super().__init_subclass__()
        if "code" in cls.__dict__:
            DomainError.by_code[cls.code] = cls

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.text = message or self.message
        self.details = details or None
        super().__init__(self.text)
