"""The comparison itself, against a stand-in: the real model is not part of any check."""

from __future__ import annotations

from pathlib import Path

import pytest

from doteval import records
from doteval.cli import main as cli
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


def test_the_tutorial_asks_a_model_that_is_at_hand(endpoint, tmp_path, monkeypatch):
    """The same file that runs without one."""
    page = Path(__file__).parents[2] / "docs/tutorials/scale-with-async.md"
    told = page.read_text(encoding="utf-8").partition('title="eval_reviews.py"\n')[2]
    (tmp_path / "eval_reviews.py").write_text(told.partition("```")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_URL", endpoint.url)

    assert cli(["run", "eval_reviews.py", "--experiment", "real", "-q"]) == 0
    assert endpoint.requests == 4
    assert [record.outcome.model_response for record in records("real")] == ["positive"] * 4


@pytest.mark.parametrize(
    ("adaptive", "kept"),
    [(Figures(9.1, 1.9, 1), True), (Figures(8.9, 0.1, 1), False), (Figures(20, 2.1, 1), False)],
)
def test_adaptive_is_judged_by_the_best_window(adaptive, kept):
    """Speed alone is worth nothing at any latency."""
    windows = {"SlidingWindow(1)": [Figures(1, 0.1, 1)], "SlidingWindow(8)": [Figures(10, 1, 1)]}

    assert verdict({"Adaptive": [adaptive], **windows})[1] is kept
