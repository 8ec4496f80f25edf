"""No text in any field of any request is an internal error, also if the answer quotes it."""

from typing import Any

import pytest

from tests.api import Caller
from tests.mana_credits.test_recorded_requests import DESCRIPTION, METHODS, fields
from tests.refusals import assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_stored")]

PATHS = {
    "code": "ABCDEFGHJK",
    "purchaseId": "f91aed79-86e2-4a3c-9d53-0d7c1a2b3c4d",
}


def bodies() -> list[tuple[str, str, str]]:
    """Return the method, the path and the name of every field of every request."""
    found = set()
    for path, methods in DESCRIPTION["paths"].items():
        for method in METHODS & methods.keys():
            content = methods[method].get("requestBody", {}).get("content", {})
            for body in content.values():
                found |= {(method, path, name) for name in fields(body["schema"])}
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["\ud800", "x\udfff", "a\0b"])
def test_an_odd_text_in_any_field_is_refused_by_its_name(caller: Caller, text: str) -> None:
    for method, path, field in bodies():
        answer = getattr(caller, method)(path.format(**PATHS), {field: text})

        assert answer.status_code == 400, (path, field)
        assert field in answer.json()["details"], (path, field)


@pytest.mark.parametrize("text", ["\ud800", "weekly", "", 1, True, ["monthly"], {}])
def test_an_unknown_value_of_a_list_is_answered_with_the_list(caller: Caller, text: Any) -> None:
    answer = caller.post("sync/activate", {"interval": text})

    assert_refused(answer, "interval")
    assert answer.json()["details"] == {
        "interval": ["One of these is expected: monthly, quarterly, yearly."]
    }
