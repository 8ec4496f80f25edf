"""The HTTP session of Stripe's library, which expects Stripe's JSON in every 2xx answer."""

from typing import Any

import requests

from credits import http_deadline


def session(seconds: float) -> requests.Session:
    """Return a session whose calls end within `seconds`, and whose 2xx answers are Stripe's.

    A proxy in between may answer with any JSON. The library would return it, or fail with an
    AttributeError, which looks like a defect of the service.
    """
    made = http_deadline.session(seconds)
    made.hooks["response"].append(_require_object)
    return made


def _require_object(answer: requests.Response, **_: Any) -> None:
    """Raise requests.RequestException unless the answer is an error or one of Stripe's objects."""
    if answer.ok:
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("object"), str):
            raise requests.exceptions.InvalidJSONError("The answer is not an object of Stripe")
