"""What people type: one table."""

from __future__ import annotations

import pytest

from doteval.budget import Budget
from doteval.errors import UsageError
from doteval.quantities import (
    Allowance,
    Param,
    Shard,
    count,
    exceeds,
    parse_age,
    parse_rate,
    parse_rows,
    read,
    seconds,
    share,
    words,
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (count, "5", 5),
        (count, " 2.5 ", 2.5),
        (count, "10k", 10_000),
        (count, "2 M", 2_000_000),
        (count, "0.5G", 500_000_000),
        (count, "90_000", 90_000),
        (count, "1,000,000", 1_000_000),
        (count, "5%", None),
        (count, "-5", None),
        (count, "k", None),
        (count, "5x", None),
        (count, "1" * 19, None),
        (count, "1" * 400, None),
        (count, "٥", None),
        (seconds, "90s", 90),
        (seconds, "1.5h", 5_400),
        (seconds, "30 min", 1_800),
        (seconds, "2 Hours", 7_200),
        (seconds, "30d", 2_592_000),
        (seconds, "8w", 4_838_400),
        (seconds, "30", None),
        (seconds, "1y", None),
        (share, "5%", 0.05),
        (share, "0.7%", 0.007),
        (share, "29 %", 0.29),
        (share, "120%", 1.2),
        (share, "5", None),
        (share, "2%%", None),
        (share, "nan%", None),
        (parse_rate, "500/min", ("requests", 500, 60)),
        (parse_rate, "90k tokens per Minute", ("tokens", 90_000, 60)),
        (parse_rate, "5rps", ("requests", 5, 1)),
        (parse_rate, "2M tpm", ("tokens", 2_000_000, 60)),
        (parse_rate, "1 request/week", ("requests", 1, 604_800)),
        (parse_rate, "500", None),
        (parse_rate, "1" * 30 + "/s", None),
        (parse_rows, "10", 10),
        (parse_rows, "2k", 2_000),
        (parse_age, "0", 0),
        (parse_age, "12h", 43_200),
        (Shard.parse, "2/4", (1, 4)),
        (Shard.parse, "01/10", (0, 10)),
        (Allowance.parse, "5", (5, 0.0, "5")),
        (Allowance.parse, " 2% ", (0, 0.02, "2%")),
        (Allowance.parse, "100%", (0, 1.0, "100%")),
        (Param.parse, "temperature=0.5", ("temperature", 0.5, "temperature=0.5")),
        (Param.parse, "model=large", ("model", "large", "model=large")),
        (Param.parse, 'model="5"', ("model", "5", 'model="5"')),
        (Param.parse, " stop = a=b", ("stop", " a=b", " stop = a=b")),
    ],
)
def test_quantities_are_read_as_people_write_them(parse, text, value):
    """In one grammar; None is what a text of another kind is."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_rows, "0", "expected a number of rows, 1 or more, as in 10"),
        (parse_rows, "2.5", "expected a number of rows"),
        (parse_age, "30", "expected a time such as 12h, 30d or 8w, or 0"),
        (parse_rate, "5/fortnight", "'fortnight' is no unit of time; use s, min, h or day"),
        (Shard.parse, "5/4", "expected i/n with 1 <= i <= n, such as 2/4"),
        (Shard.parse, "1/1000000", "expected i/n"),
        (Shard.parse, "0/4", "expected i/n"),
        (Allowance.parse, "101%", "expected a number of rows such as 5, or a share of them"),
        (Allowance.parse, "2.5", "expected a number of rows such as 5"),
        (Param.parse, "model", "expected NAME=VALUE, as in model=large"),
        (Param.parse, "1=2", "expected NAME=VALUE"),
    ],
)
def test_what_can_not_be_read_is_told_with_what_was_expected(parse, text, message):
    """And, by who asked, with what was given and where."""
    with pytest.raises(UsageError) as told:
        read(parse, text, "--option")

    assert str(told.value).startswith(f"--option={text!r}: {message}")


def test_a_shard_reads_as_it_was_typed():
    assert str(Shard(1, 4)) == "2/4"


@pytest.mark.parametrize(
    ("allowance", "covered"),
    [
        (Allowance(), [True, False, False, False]),
        (Allowance(29), [True, True, True, False]),
        (Allowance.parse("29%"), [True, True, True, False]),
    ],
)
def test_an_allowance_covers_its_bound(allowance, covered):
    """Of 100 rows 29 may fail when 29 or 29 % are allowed, though 0.29 * 100 is less than 29."""
    assert [allowance.covers(failed, 100) for failed in (0, 28, 29, 30)] == covered
    assert allowance.covers(0, 0)


def test_a_share_is_exceeded_by_more_than_it():
    """Of whatever number of rows: no share of whole percents is missed by a rounding."""
    for percent in range(1, 100):
        assert not exceeds(percent, 100, share(f"{percent}%"))
        assert exceeds(percent * 10 + 1, 1000, share(f"{percent}%"))


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (None, []),
        (20, ["--x", "20"]),
        (Shard(1, 4), ["--x", "2/4"]),
        (Allowance(), []),
        (Allowance.parse("2%"), ["--x", "2%"]),
        ([Param.parse("a=1"), Param.parse("b=[2]")], ["--x", "a=1", "--x", "b=[2]"]),
        (Budget.parse("time=30m"), ["--x", "time=30m"]),
        (Budget(time=60), []),
    ],
)
def test_what_was_given_can_be_typed_again(value, typed):
    """A command that resumes a run repeats its options as they were typed."""
    assert words("--x", value) == typed
