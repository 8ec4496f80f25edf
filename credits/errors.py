"""The base class of all errors that the domain expects and a caller can handle."""

from typing import Any, ClassVar


class DomainError(Exception):
    """An expected error.

    `code` is stable and in snake_case. `status` is the HTTP status of the API's answer. `details`
    is a mapping of plain values (Decimal allowed) or None. `retry_after` is the number of whole
    seconds to wait before a retry, or None. With `says_error` the answer repeats the message as
    `error`, for existing clients. With status 400, `field` names the invalid field in snake_case;
    `body` means the whole request. Subclasses are defined beside the function that raises them.
    `by_code` maps each code to its class; the database functions return such a code when they
    reject a call.
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
