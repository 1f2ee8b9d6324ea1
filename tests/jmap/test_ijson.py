"""I-JSON: what it refuses and what it reads. RFC 7493 2, RFC 8620 1.5."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.jmap.ijson import BadJson, read_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0\ufffe\uffff"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(value=values)
def test_what_is_i_json_is_read_as_it_is(value: object) -> None:
    try:
        read = read_json(json.dumps(value))
    except BadJson:
        assert any(
            0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE for c in json.dumps(value, ensure_ascii=False)
        )
        return
    assert read == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"from": "ann", "from": "bob"}', '"from" stands twice in one object.'),
        ('[{"a": 1, "b": {"c": 1, "d": 2, "c": 3}}]', '"c" stands twice in one object.'),
        ('{"a": 1, "\\u0061": 2}', '"a" stands twice in one object.'),
        ('["\\ud83d"]', "A string has D83D in it, which is no character."),
        ('{"\\udc00": 1}', "A string has DC00 in it, which is no character."),
        ('"\\ufdd0"', "A string has FDD0 in it, which is no character."),
        ('"\\ufffe"', "A string has FFFE in it, which is no character."),
        ('"\\ud83f\\udfff"', "A string has 1FFFF in it, which is no character."),
        ("[NaN]", "NaN is no number in JSON."),
        ("[1e999]", "A number is larger than numbers may be."),
        ("-Infinity", "-Infinity is no number in JSON."),
        ("{", "This cannot be read as JSON."),
        ("", "This cannot be read as JSON."),
        ("'a'", "This cannot be read as JSON."),
        ("[" * 100_000, "This cannot be read as JSON."),
        ("9" * 5_000, "This cannot be read as JSON."),
        (b'"\xff"', "This is not UTF-8."),
        (b'\xef\xbb\xbf"a"', "This cannot be read as JSON."),
    ],
)
def test_what_is_not_is_refused_and_said(text: str | bytes, said: str) -> None:
    with pytest.raises(BadJson) as refused:
        read_json(text)
    assert str(refused.value) == said


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_which_of_many_names_stands_twice_is_found_in_one_pass() -> None:
    """A look back from each of half a million names would take hours."""
    many = ",".join(f'"{number}": 0' for number in range(500_000))
    with pytest.raises(BadJson, match='"499999" stands twice'):
        read_json("{" + many + ', "499999": 1}')
