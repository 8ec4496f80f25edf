"""Usual values are taken at once: never one that a step-by-step judgement would refuse."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from credits.api import json_object, wire_fields
from credits.api.json_object import JsonObject
from credits.api.wire_fields import (
    CreditsField,
    ReasonField,
    ShortTextField,
    TextField,
    UserIdField,
)

CHARACTERS = st.sampled_from(list(' ab:"\\\0\n\x7f\x85ä\u200b\ud800\ufeff'))
TEXTS = st.one_of(st.text(CHARACTERS, max_size=12), st.text(st.characters(), max_size=300))
VALUES = st.one_of(
    *(TEXTS, st.none(), st.booleans(), st.integers(), st.decimals(), st.integers(-(2**70), 2**70)),
    st.lists(TEXTS, max_size=2),
)
FIELDS = [
    TextField(),
    TextField(max_length=10),
    TextField(allow_blank=True),
    ShortTextField(max_length=10),
    ShortTextField(max_length=10, allow_blank=True, allow_null=True),
    UserIdField(),
    ReasonField(max_length=20),
]


def judged(field: Any, value: Any) -> Any:
    """Return what the field makes of a value, or what is wrong with it."""
    try:
        return field.run_validation(value)
    except ValidationError as error:
        return str(error.detail)


def step_by_step(field: Any, value: Any) -> Any:
    """Return the same without the short way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire_fields, "is_usual", lambda _: False)
        patch.setattr(json_object, "_is_plain", lambda _: False)
        return judged(field, value)


@pytest.mark.parametrize("field", FIELDS, ids=lambda one: type(one).__name__)
@given(value=VALUES)
def test_strings(field: Any, value: Any) -> None:
    assert judged(field, value) == step_by_step(field, value)


@given(value=st.dictionaries(TEXTS, st.one_of(VALUES, st.dictionaries(TEXTS, VALUES, max_size=1))))
def test_objects(value: dict[str, Any]) -> None:
    field = JsonObject()

    assert judged(field, value) == step_by_step(field, value)


@pytest.mark.parametrize("length", [100, 101, 600, 16_380])
@pytest.mark.parametrize("character", ["a", '"', "\\"])
@pytest.mark.parametrize("count", [1, 16, 17])
def test_objects_of_any_size(length: int, character: str, count: int) -> None:
    field = JsonObject()
    value = {str(number): character * (length // count) for number in range(count)}

    assert judged(field, value) == step_by_step(field, value)


@given(value=st.integers(-5, 5) | st.integers(10**11 - 5, 10**11 + 5) | st.booleans())
def test_whole_amounts_are_the_same_as_decimals(value: int) -> None:
    field = CreditsField()

    assert judged(field, value) == (
        judged(field, True) if value is True or value is False else judged(field, Decimal(value))
    )


def test_the_other_kinds_of_text_judge_for_themselves() -> None:
    with pytest.raises(ValidationError):
        ReasonField(max_length=20).run_validation(":chat")
