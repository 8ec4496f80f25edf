"""User ids have no blank and no invisible character at an end, in whatever script."""

import unicodedata

import pytest

from credits import labels, spreadsheets
from gifts import code_format

BMP = [chr(code) for code in range(1, 0xFFFE) if not 0xD800 <= code < 0xE000]
FORMATS = [one for one in BMP if unicodedata.category(one) == "Cf"]
# Signs of Arabic numbers and Syriac abbreviations are of this category and visible.
VISIBLE = {chr(code) for code in (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2)}
FILLERS = ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u180b", "\u2800", "\u3164", "\uffa0"]
INVISIBLE = [*(one for one in FORMATS if one not in VISIBLE), *FILLERS]


@pytest.mark.parametrize("character", INVISIBLE)
def test_an_invisible_character_at_an_end_is_rejected(character: str) -> None:
    assert labels.error_for_user_id(f"alice{character}") == "outer"
    assert labels.error_for_user_id(f"{character}alice") == "outer"
    assert labels.error_for_user_id(f"al{character}ice") is None


@pytest.mark.parametrize("character", [one for one in BMP if one.isspace() and one > "\x9f"])
def test_a_blank_at_an_end_is_rejected(character: str) -> None:
    assert labels.error_for_user_id(f"alice{character}") == "outer"


@pytest.mark.parametrize("character", ["\u00e4", "\u3042", "\u0663", "-", "/", "\U0001f381"])
def test_every_visible_character_is_accepted(character: str) -> None:
    assert labels.error_for_user_id(f"{character}alice{character}") is None


@pytest.mark.parametrize("character", INVISIBLE)
def test_no_invisible_character_hides_a_formula(character: str) -> None:
    (_, line) = spreadsheets.lines(["text"], [[f"{character}=1+1"]])

    assert line == f'"\'{character}=1+1"\r\n'


@pytest.mark.parametrize("character", INVISIBLE)
def test_a_gift_code_is_read_past_invisible_characters(character: str) -> None:
    assert code_format.read(character.join("ABCDEFGH23")) == "ABCDEFGH23"
