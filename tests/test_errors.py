from __future__ import annotations

import pytest

import doteval
from doteval.errors import Congested, DotevalError


def test_a_function_can_report_congestion_itself():
    """For clients that hide a 429 behind a return value."""
    with pytest.raises(Congested, match="retry after 2.5 s") as caught:
        raise doteval.congested(retry_after=2.5)

    assert caught.value.retry_after == 2.5
    assert str(doteval.congested()) == "the endpoint is congested"


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
def test_a_congestion_lasts_some_seconds(bad):
    with pytest.raises(ValueError, match="expected seconds, 0 or more, or None"):
        doteval.congested(retry_after=bad)


def test_all_errors_can_be_caught_at_once():
    assert all(
        issubclass(kind, DotevalError)
        for name, kind in vars(doteval.errors).items()
        if isinstance(kind, type) and kind.__module__ == "doteval.errors"
    )


def test_public_names_are_there_and_others_are_not():
    assert set(doteval.__all__) <= set(dir(doteval))
    assert all(getattr(doteval, name) is not None for name in doteval.__all__)
    with pytest.raises(AttributeError, match="no attribute 'foreech'"):
        doteval.foreech  # noqa: B018
