"""Recording requests and responses as examples with stable values."""

import hashlib
import re
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z")
STRIPE = re.compile(r"\b(pi|cus|cs|price|seti)_\w+")
SOON, LATER = "2026-11-22T22:25:48.962Z", "2026-12-22T22:25:48.962Z"
# The values of fields that differ at each recording.
STABLE = {
    "date": SOON[:10],
    "month": SOON[:7],
    "digest": hashlib.sha256(b"an example").hexdigest(),
    "version": "5f3a0c1b9d2e4f68",
    "jws": "eyJhbGciOiJFZERTQSJ9.eyJ2ZXJzaW9uIjoxfQ.c2lnbmF0dXJl",
}
FUTURE = {"expiresAt", "nextChargeAt", "effectiveAt"}
CODE = "MANACARD24"
ROWS = 2


class Normalizer:
    """Replaces ids, times and codes. Equal ids stay equal in all examples."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._codes: dict[str, str] = {}

    def learn(self, code: str) -> None:
        """Treat `code` as a gift code from now on."""
        self._codes[code] = re.sub("[A-Z0-9]", "?", code)
        for letter in CODE:
            self._codes[code] = self._codes[code].replace("?", letter, 1)

    def __call__(self, value: Any, name: str = "") -> Any:
        """Return the stable value of a field `name`. Lists and mappings are shortened."""
        match value:
            case dict():
                kept = list(value.items())[: 3 if name == "operationCosts" else None]
                return {key: self(one, key) for key, one in kept}
            case list():
                return [self(one, name) for one in value[:ROWS]]
            case str():
                return self._text(value, name)
        return value

    def _text(self, value: str, name: str) -> str:
        if name in STABLE:
            return STABLE[name]
        for code, shown in self._codes.items():
            value = value.replace(code, shown)
        value = MOMENT.sub(LATER if name in FUTURE else SOON, value)
        value = STRIPE.sub(r"\1_example", value)
        return UUID.sub(lambda found: self._id(found[0]), value)

    def _id(self, value: str) -> str:
        number = len(self._ids) + 1
        return self._ids.setdefault(value, f"{number:08x}-86e2-4a3c-9d53-0d7c1a2b3c4d")
