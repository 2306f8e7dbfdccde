"""The comparison itself, against a stand-in: the real model is not part of any check."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Answer, Endpoint

from .__main__ import Figures, main, verdict


@pytest.fixture
def endpoint():
    """Answers each review at once, and a half of them right."""
    endpoint = Endpoint()
    body = {"choices": [{"text": " positive"}], "usage": {"prompt_tokens": 65}}
    endpoint.behave = lambda endpoint: Answer(body=body)
    yield endpoint
    endpoint.close()


def test_every_strategy_runs_in_every_round(endpoint, capsys):
    """Six of them, after a few rows to warm up."""
    main(["--url", endpoint.url, "--rounds", "2", "--rows", "10"])
    told = capsys.readouterr().out

    assert endpoint.requests == 8 + 2 * 6 * 10
    assert told.count("50.0% right") == 12
    assert "| SlidingWindow(32) |" in told


@pytest.mark.parametrize(
    ("adaptive", "kept"),
    [(Figures(9.1, 1.9, 1), True), (Figures(8.9, 0.1, 1), False), (Figures(20, 2.1, 1), False)],
)
def test_adaptive_is_judged_by_the_best_window(adaptive, kept):
    """Speed alone is worth nothing at any latency."""
    windows = {"SlidingWindow(1)": [Figures(1, 0.1, 1)], "SlidingWindow(8)": [Figures(10, 1, 1)]}

    assert verdict({"Adaptive": [adaptive], **windows})[1] is kept
