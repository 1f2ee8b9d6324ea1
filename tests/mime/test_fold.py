"""i;unicode-casemap."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.fold import fold, fold_within

EQUAL = [
    ("Hello", "hELLO"),
    ("ÄÖÜ", "äöü"),
    ("é", "e\u0301"),
    ("ﬁn", "FIN"),
    ("Ｆｕｌｌ", "full"),
    ("ǆ", "ǅ"),
    ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("ПРИВЕТ", "привет"),
    ("①", "1"),
    ("ſ", "S"),
    ("µ", "Μ"),
    ("K", "k"),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left: str, right: str) -> None:
    assert fold(left) == fold(right)


@pytest.mark.parametrize(("left", "right"), [("a", "b"), ("ß", "ss"), ("e", "é"), ("ı", "i\u0307")])
def test_different(left: str, right: str) -> None:
    assert fold(left) != fold(right)


def rfc5051(text: str) -> str:
    """The RFC's own procedure: simple title case of each character, then compatibility decomposition."""
    titled = "".join(one.title() if len(one.title()) == 1 else one for one in text)
    return unicodedata.normalize("NFKD", titled)


@given(st.text(max_size=30))
def test_whatever_rfc5051_makes_equal_is_equal(text: str) -> None:
    assert fold(rfc5051(text)) == fold(text)


@given(
    st.text(st.characters(max_codepoint=0x3FF), max_size=20), st.text(st.characters(max_codepoint=0x3FF), max_size=20)
)
def test_ascii_and_other_text_fold_alike(left: str, right: str) -> None:
    assert fold(left + "a" + right) == fold(left + "A" + right)
    assert fold(left + "\n" + right) == fold(left) + "\n" + fold(right)


@pytest.mark.parametrize("line", ["Straße ﬁn é\u0323 漢\n", "ü" * 300_000 + "\n"], ids=["lines", "one-line"])
def test_a_long_text_folds_as_its_lines_do(line: str) -> None:
    assert fold(line * (500_000 // len(line))) == fold(line) * (500_000 // len(line))


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f73"], ids=["marks", "made of marks"])
def test_marks_without_end_are_put_in_order_by_stretches(marks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Putting marks in a row in order costs the square of their number: a text of them alone would keep a process busy
    for minutes."""
    real, longest = unicodedata.normalize, 0

    def noted(form: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return real(form, text)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(unicodedata, "normalize", noted)
    text = "a" + marks * (60_000 // len(marks))
    folded = fold(text)
    assert longest <= 128
    assert sorted(folded) == sorted(real("NFKD", marks) * (60_000 // len(marks)) + "A")


@pytest.mark.parametrize("text", ["", "abc\n", "Straße ﬁn\n" * 30_000, "\ufdfa" * 300_000])
@pytest.mark.parametrize("most", [0, 1, 200_000, 10_000_000])
def test_what_is_folded_within_a_bound_is_its_beginning(text: str, most: int) -> None:
    assert fold_within(text, most) == fold(text)[:most]
