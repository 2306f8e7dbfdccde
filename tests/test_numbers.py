"""Which number an answer is: dresses, scripts, and what is none."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest

from doteval.errors import UsageError
from doteval.evaluators import numeric_match


class Scalar:
    """A value of an array library."""

    shape = ()

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("1234", "1,234"),
        ("1234", "1 234"),
        ("1234", "1.234e3"),
        ("1234", 1234),
        ("1234.50", 1234.5),
        ("1 234 567.5", "1,234,567.50"),
        ("1'234'567", "1_234_567"),
        ("1’234’567.50", 1234567.5),
        ("12,34,567", 1234567),
        ("1\u202f234", "1\u00a0234"),
        ("1\u2009234\u2009567", 1234567),
        ("1.234,56", 1234.56),
        ("1.234.567", 1234567),
        ("1 234,56", 1234.56),
        ("0.10", 0.1),
        (".5", "0.5"),
        ("5.", 5),
        ("-5", "\u22125"),
        ("+5", 5),
        ("- 5", -5),
        ("–5", -5),
        ("  42\n", 42),
        ("42.", 42),
        ("1.5.", 1.5),
        ("= 42", 42),
        ("45%", 0.45),
        ("45 %", "0.45"),
        ("45 percent", 0.45),
        ("45٪", 0.45),
        ("5‰", 0.005),
        ("1e2%", 1),
        ("1E-3", 0.001),
        ("1e\u22123", 0.001),
        ("1.5 × 10^3", 1500),
        ("1.5x10^3", 1500),
        ("1.5*10**3", 1500),
        ("1.5·10³", 1500),
        (r"1.5 \times 10^{3}", 1500),
        ("10^6", 1_000_000),
        ("6.02×10²³", 6.02e23),
        ("~~41~~ 42", 42),
        ("10⁻³", 0.001),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("−∞", -math.inf),
        (Decimal("2.50"), "2.5"),
        (Fraction(1, 2), 0.5),
        (3.0, 3),
        (Scalar(3), "3"),
        (b"42", 42),
        ("12345678901234567890", 12345678901234567890),
        (10**50, "1e50"),
        (0.1 + 0.2, 0.3),
        ("0.3", 0.1 + 0.2),
        (3.0000000000000004, "3"),
        # fractions
        ("1/2", 0.5),
        ("1⁄2", 0.5),
        ("½", 0.5),
        ("1½", 1.5),
        ("1 1/2", "1.5"),
        ("-3/4", -0.75),
        ("1/3", "2/6"),
        (r"\frac{1}{2}", 0.5),
        (r"$\dfrac{1}{2}$", 0.5),
        (r"\frac12", 0.5),
        (r"1\frac{1}{2}", 1.5),
        (r"-\frac{3}{4}", -0.75),
        (r"\boxed{\frac{1}{2}}", 0.5),
        # dresses
        ("$1,234", 1234),
        ("$ 5", 5),
        ("-$5", -5),
        ("$-5", -5),
        ("€5", 5),
        ("5 €", 5),
        ("1.234,56 €", 1234.56),
        ("USD 5", 5),
        ("5 USD", 5),
        ("US$5", 5),
        ("₹12,34,567", 1234567),
        ("￥１，０００", 1000),
        (r"\$5", 5),
        ("**42**", 42),
        ("*42*", 42),
        ("`42`", 42),
        ("__42__", 42),
        ("'42'", None),
        ('"42"', 42),
        ("# 42", 42),
        ("#### 18", 18),
        ("> 42", 42),
        ("<answer>42</answer>", 42),
        (r"\boxed{42}", 42),
        (r"$\boxed{42}$", 42),
        (r"\[ 42 \]", 42),
        (r"\(42\)", 42),
        ("$42$", 42),
        (r"\text{42}", 42),
        (r"9{,}500", 9500),
        (r"9\,500", 9500),
        (r"45\%", 0.45),
        (r"\boxed{\$1{,}234.50}", 1234.5),
        ("<think>is it 41?</think>42", 42),
        # digits
        ("４２", 42),
        ("٤٢", 42),
        ("٣٫٥", 3.5),
        ("१२३", 123),
        ("৪২", 42),
        ("۴۲", 42),
        ("\u200b42\ufeff", 42),
    ],
    ids=repr,
)
def test_numbers_match_however_they_are_written(result, expected):
    """Separators, signs, exponents, percent, money, TeX, scripts: what counts is the number."""
    if expected is None:
        return
    score = numeric_match(result, expected)

    assert (score.value, score.unread) == (True, False)
    assert numeric_match(expected, result).value is True


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("12345678901234567890", "12345678901234567891"),
        ("0.1", 0.1000000001),
        ("0.30000000000000004", "0.3"),
        ("1/3", "0.3333"),
        ("50%", 50),
        ("inf", "-inf"),
        ("inf", 5),
        ("1e999999", 5),
        (10**4_000, 5),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_another_number_is_wrong(result, expected):
    """Exactly, and read."""
    score = numeric_match(result, expected)

    assert (score.value, score.unread) == (False, False)


@pytest.mark.parametrize(
    "result",
    [
        "",
        None,
        "nan",
        math.nan,
        "abc",
        "3,14",
        "1,23",
        "0,500",
        "0 500",
        "1,234 567",
        "1.2.3",
        ".",
        "-",
        "%",
        "$",
        "e5",
        "1e9999999",
        "0x10",
        "42 apples",
        "The answer is 42",
        "x = 42",
        "1/0",
        "1/2/3",
        "±5",
        "12:30",
        "2024-01-02",
        True,
        "1" * 2_000,
        [1],
        {"answer": 1},
        r"\sqrt{2}",
        "<think>42",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_number_is_unread(result):
    """Also where the expected one is the same text."""
    for expected in (42, result):
        score = numeric_match(result, expected)

        assert (score.value, score.unread) == (False, True)
        assert score.metadata["problem"]


def test_an_expected_number_that_is_none_is_told():
    """It is not the answer's fault, so that was read."""
    score = numeric_match(5, "n/a")

    assert (score.value, score.unread) == (False, False)
    assert score.metadata["problem"] == "expected is no number"


@pytest.mark.parametrize(
    ("result", "extract", "expected"),
    [
        ("The answer is 72.", "last", 72),
        ("First 3, then 4, so 7 apples", "last", 7),
        ("First 3, then 4, so 7 apples", "first", 3),
        ("It costs $1,234.50 in total", "last", 1234.5),
        ("答案是72。", "last", 72),
        ("x=5", "last", 5),
        ("a range of 10-20", "last", 20),
        ("from 7 - 3 to 4", "last", 4),
        ("it fell to -3", "last", -3),
        ("about 45%", "last", 0.45),
        ("three halves, 3/2", "last", 1.5),
        ("about 1½ hours", "last", 1.5),
        ("42km", "last", 42),
        ("5, in the 3rd of 2 rounds of GPT-4 and H2O", "last", 2),
        ("1,2,3", "last", 3),
        ("It costs 1.234.567,5 euros", "last", 1234567.5),
        ("It costs 1.234,50 today", "last", 1234.5),
        ("from 1.234 to 5.678", "first", 1.234),
        ("1/0 or 5", "first", 5),
        ("<think>41</think>It is 42", "first", 42),
        (r"2 + 2 = \boxed{4}, not 5", "last", 5),
        (r"2 + 2 = \boxed{4}, not 5", "boxed", 4),
        (r"\boxed{3} no: \boxed{\frac{1}{2}}", "boxed", 0.5),
        ("#### 18\nThe end of 20 lines", r"#### (\S+)", 18),
        ("A: 3 B: 4", r"\d+", 4),
        ("none", "last", None),
        ("no box: 4", "boxed", None),
        ("no mark", r"#### (\S+)", None),
        (5, "last", 5),
        (["5"], "last", 5),
    ],
)
def test_where_the_number_stands_can_be_said(result, extract, expected):
    """In prose; reasoning is left out."""
    score = numeric_match(result, 0 if expected is None else expected, extract=extract)

    assert (score.value, score.unread) == (expected is not None, expected is None)


@pytest.mark.parametrize("extract", ["(", 5])
def test_how_to_extract_is_a_word_or_a_pattern(extract):
    """Anything else is told."""
    with pytest.raises(UsageError, match="expected 'last', 'first', 'boxed' or a regular"):
        numeric_match("1", 1, extract=extract)


@pytest.mark.parametrize(
    ("result", "unit", "same"),
    [
        ("42 km", "km", True),
        ("42km", "KM", True),
        ("km 42", "km", True),
        ("42", "km", True),
        ("42 km/h", ["km", "km/h"], True),
        ("42 m", "km", False),
        ("42°", "°", True),
        (r"42^\circ", "°", True),
        ("42 dollars", ["dollars", "$"], True),
    ],
)
def test_a_unit_may_stand_beside_the_number(result, unit, same):
    """If it was named."""
    assert numeric_match(result, 42, unit=unit).value is same


@pytest.mark.parametrize(
    ("result", "expected", "options", "same"),
    [
        ("3.14", "3.1416", {"tolerance": 0.01}, True),
        ("3.1", "3.1416", {"tolerance": 0.01}, False),
        ("0.31", "0.3", {"tolerance": 0.01}, True),
        ("1/3", "0.3333", {"tolerance": 0.001}, True),
        (102, 100, {"relative": 0.02}, True),
        (103, 100, {"relative": 0.02}, False),
        (103, 100, {"relative": 0.02, "tolerance": 3}, True),
        ("1e400", "1e400", {"tolerance": 1}, True),
        ("1e400", "2e400", {"relative": 0.5}, True),
        ("1e99999", "1e99998", {"relative": 1}, False),
        ("inf", 5, {"tolerance": 1e300}, False),
        (0.5, "inf", {"tolerance": 1e300}, False),
        ("inf", "inf", {"relative": 0.1}, True),
        ("x", 5, {"tolerance": 1}, False),
        (5, "x", {"tolerance": 1}, False),
    ],
)
def test_numeric_tolerance(result, expected, options, same):
    """Absolute or relative to the expected number, exact at the edge."""
    assert numeric_match(result, expected, **options).value is same


@pytest.mark.parametrize("options", [{"tolerance": -1}, {"relative": math.nan}])
def test_a_tolerance_is_not_negative(options):
    """A tolerance that nothing can meet is a mistake."""
    with pytest.raises(UsageError, match="expected 0 or more"):
        numeric_match(1, 1, **options)
