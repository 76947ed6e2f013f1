"""Numbers, intervals and p values as text."""

from __future__ import annotations

from functools import partial

import pytest

from dashboard.shared.text.numbers import BRACKETS, between, counted, number, p_value, share, spread, with_interval

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (12345.0, "", "12,345"), (-0.01234, "", "−0.0123"), (0.5, "", "0.5"), (999.7, "", "1,000"),
        (1234.5, "", "1,234"), (99.94, "", "99.9"), (float("inf"), "", "inf"), (NAN, "", "–"), (None, ".2f", "–"),
        (-0.256, "+.0%", "−26%"), (0.5, "+.1f", "+0.5"), (-0.04, ".1f", "0.0"), (-0.04, "+.0%", "−4%"),
        (-0.001, "+.0%", "0%"), (float("-inf"), "", "−inf"),
    ],
)  # fmt: skip
def test_a_number_has_a_true_minus_and_few_digits(value: float | None, form: str, text: str) -> None:
    assert number(value, form) == text


def test_a_number_without_an_interval_has_no_dash_beside_it() -> None:
    assert with_interval(2.31, 1.9, 2.8, ".1f", "×") == "2.3× [1.9, 2.8]"
    assert with_interval(2.31, NAN, NAN, ".1f", "×") == "2.3×"
    assert with_interval(404, 251, 651) == "404 [251, 651]"


def test_a_range_of_one_number_is_one_number() -> None:
    assert (spread(0, 3), spread(0, 0), spread(0, 0.001, ".0%"), spread(NAN, 1)) == ("0 to 3", "0", "0%", "–")


def test_an_interval_needs_both_ends() -> None:
    assert between(0.1, 2000) == "0.1 to 2,000"
    assert between(-0.125, 0.5, share) == "−12 % to 50 %"
    assert between(-1, 1, "+.1f", BRACKETS) == "[−1.0, +1.0]"
    assert between(1, 2, partial(number, form=".2f"), "({}, {})") == "(1.00, 2.00)"
    assert between(NAN, 1) == between(1, NAN, BRACKETS) == "–"


def test_a_p_value_follows_its_letter() -> None:
    assert [p_value(value) for value in (0.0312, 1e-9, NAN)] == ["= 0.031", "< 0.0001", "not computed"]
    assert p_value(0.5, equals="") == "0.5"


def test_one_is_no_plural() -> None:
    assert [counted(n, "task") for n in (0, 1, 1234)] == ["0 tasks", "1 task", "1,234 tasks"]
