"""What a row has noted is kept, whatever happens after it."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from doteval import ForEach, Result, Retry, Score, foreach, note, records, run
from doteval.cli import main
from doteval.concurrency import AsyncSequential, Sequential, SlidingWindow
from doteval.errors import RowError
from doteval.record import Failure
from tests import travellers
from tests.test_loop import ServerError
from tests.test_usage import flown

USED = {"input_tokens": 10, "output_tokens": 5}
quiet = partial(run, storage="memory://", progress=False)


def kept(evaluation, **options):
    """The summary of a run, and what is kept of each row: prompt, answer, metadata, tokens."""
    seen = {}

    def remember(record):
        outcome = record.outcome
        result = outcome.result if isinstance(outcome, Failure) else outcome
        seen[record.position] = result and (result.prompt, result.model_response, result.metadata)

    summary = quiet(evaluation, on_record=remember, **options)
    return summary, seen


def fails_after_the_call(n):
    note(prompt=f"{n}?", usage=USED)
    note(model_response="an answer", usage=USED, metadata={"finish": "stop"})
    note(metadata={"turns": 2})
    raise ValueError("the scoring broke")


async def fails_after_the_call_later(n):
    await asyncio.to_thread(note, prompt=f"{n}?", usage=USED)
    await asyncio.sleep(0)
    note(model_response="an answer", usage=USED, metadata={"finish": "stop", "turns": 2})
    raise ValueError("the scoring broke")


@pytest.mark.parametrize(
    ("function", "strategy"),
    [
        (fails_after_the_call, Sequential()),
        (fails_after_the_call, AsyncSequential()),
        (fails_after_the_call, SlidingWindow(2)),
        (fails_after_the_call_later, SlidingWindow(2)),
    ],
)
def test_a_failure_has_what_was_noted_before_it(function, strategy):
    """In the calling thread, in threads of ours, and in tasks and threads of the function."""
    summary, seen = kept(ForEach(concurrency=strategy)("n", [1, 2])(function))

    noted = ("an answer", {"finish": "stop", "turns": 2})
    assert seen == {0: ("1?", *noted), 1: ("2?", *noted)}
    assert dict(summary.errors) == {"ValueError": 2}
    assert (summary.usage["input_tokens"], summary.usage["output_tokens"]) == (40, 20)


def test_what_was_noted_travels_back_from_another_process():
    """With what was returned, and with what was raised; what can not be pickled as a text."""
    summary, seen = kept(travellers.eval_notes)

    assert [seen[n][:2] for n in range(3)] == [("0?", "yes"), ("1?", "yes"), ("2?", "yes")]
    assert seen[2][2]["client"].startswith("<unlocked _thread.lock")
    assert summary.failed == 2
    assert summary.usage["input_tokens"] == 30


def test_a_row_whose_time_is_up_keeps_what_it_noted():
    """Cancelled, or abandoned because it does not listen."""
    release = threading.Event()

    @ForEach(timeout=0.05, concurrency=SlidingWindow(2), retries=0)("n", [1])
    async def eval_slow(n):
        note(prompt="cancelled")
        await asyncio.sleep(60)

    @ForEach(timeout=0.05, concurrency=SlidingWindow(2), retries=0)("n", [1])
    def eval_deaf(n):
        note(prompt="in a thread")
        release.wait(60)

    assert kept(eval_slow)[1] == {0: ("cancelled", None, None)}
    assert kept(eval_deaf)[1] == {0: ("in a thread", None, None)}
    release.set()


def quick(**options):
    return ForEach(retries=Retry(attempts=3, first=0, longest=0), **options)


def test_a_result_wins_over_what_was_noted():
    """Metadata of both are kept; what the Result says itself is not added up again."""

    @foreach("n", [1])
    def eval_both(n):
        note(prompt="noted", model_response="noted", usage=USED, metadata={"a": 1, "b": 1})
        return Result(True, prompt="returned", usage=USED, metadata={"b": 2})

    summary, seen = kept(eval_both)

    assert seen == {0: ("returned", "noted", {"a": 1, "b": 2})}
    assert summary.usage["input_tokens"] == 10


def test_what_failed_attempts_used_is_added_and_what_they_said_is_not():
    """An answer of one attempt is not shown as that of another, but it was paid for."""
    tries = iter(range(3))

    @quick()("n", [1])
    def eval_third_time(n):
        if (attempt := next(tries)) < 2:
            note(prompt=f"attempt {attempt}", usage=USED, metadata={"attempt": attempt})
            raise ServerError()
        return Result(True, usage=USED)

    summary, seen = kept(eval_third_time)

    assert seen == {0: (None, None, None)}
    assert summary.usage["input_tokens"] == 30


def test_a_failure_shows_the_latest_attempt_that_noted_anything():
    """The answer that was paid for is there, although the attempts after it got none."""
    tries = iter(range(3))

    @quick()("n", [1])
    def eval_judge_is_down(n):
        if next(tries) == 0:
            note(model_response="an answer", usage=USED)
        raise ServerError()

    summary, seen = kept(eval_judge_is_down)

    assert seen == {0: (None, "an answer", None)}
    assert (summary.failed, summary.usage["input_tokens"]) == (1, 10)


def test_a_budget_counts_what_rows_noted_that_failed():
    """Also of their attempts before the last, and of what is returned and can not be recorded."""

    @quick()("n", range(1_000))
    def eval_costly(n):
        note(usage={"cost": 1.0})
        if n % 2:
            raise ServerError()

    assert quiet(eval_costly, budget="cost=20").missing > 900


def test_a_budget_counts_each_attempt_when_it_fails():
    """A judge that is down for an hour does not hide what the model costs meanwhile."""
    asked = []

    @ForEach(concurrency=SlidingWindow(2))("n", range(1_000))
    async def eval_judge_is_down(n):
        asked.append(n)
        note(usage={"cost": 1.0, "input_tokens": 10})
        await asyncio.sleep(1)
        raise ServerError()

    summary = flown(eval_judge_is_down, "cost=20")[0]

    assert 20 <= len(asked) <= 22
    assert summary.status == "incomplete"


def test_what_was_charged_when_an_attempt_failed_is_not_charged_again():
    tries = iter([True, False] * 50)

    @quick(concurrency=SlidingWindow(1))("n", range(50))
    async def eval_second_time(n):
        note(usage={"cost": 1.0})
        if next(tries):
            raise ServerError()
        return True

    summary, notes = flown(eval_second_time, "cost=99.5")

    assert (summary.scored, summary.usage["cost"]) == (50, 100)
    assert "a cost of 100 has reached the limit of 99.5" in notes[0]


def test_what_a_judge_used_that_gave_no_verdict_is_added_to_what_was_noted():
    """They are two calls."""

    @foreach("n", [1])
    def eval_judged(n):
        note(prompt="?", usage=USED)
        error = RowError("no verdict")
        error.result = Result(error="no verdict", metadata={"judgement": "hm"}, usage=USED)
        raise error

    summary, seen = kept(eval_judged)

    assert seen == {0: ("?", None, {"judgement": "hm"})}
    assert summary.usage["input_tokens"] == 20


def test_usage_that_can_not_be_read_is_told_and_fails_no_row():
    @foreach("n", [1])
    def eval_odd(n):
        note(usage={"words": 7})
        return Result(True)

    summary, notes = flown(eval_odd)

    assert summary.scored == 1
    assert notes == ["usage is a dict with words; none is a name of tokens or cost"]


def test_an_evaluation_called_by_hand_notes_nothing():
    """And a row does not see what another noted."""

    @foreach("n", [1, 2])
    def eval_plain(n):
        if n == 1:
            note(prompt="of the first")
        return Score("s", 1)

    assert eval_plain(1) == Score("s", 1)
    assert kept(eval_plain)[1] == {0: ("of the first", None, None), 1: (None, None, None)}


async def answer():
    return "late"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: note(metadata=["a"]), r"note\(metadata=\['a'\]\): expected a mapping"),
        (lambda: note(metadata=7), "expected a mapping, or None"),
        (
            lambda: note(prompt="a", model_response=answer()),
            "model_response= .* was awaited, not",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_what_is_no_note_is_refused_at_the_call(given, said):
    """By hand as in a run."""
    with pytest.raises(TypeError, match=said):
        given()


# ------------------------------------------------------------------------- for good


def refusing(asked):
    @foreach("n", [1, 2, 3])
    def eval_refused(n):
        asked.append(n)
        if n > 1:
            return Result(prompt=f"{n}?", error="the model refused", usage=USED, final=n == 2)
        return True

    return eval_refused


def test_a_final_error_does_not_run_again(tmp_path):
    """It counts as failed, from the store too, and after a move into another one."""
    asked = []
    first = run(refusing(asked), "e", tmp_path / "a.db", progress=False)
    moved = tmp_path / "moved.jsonl"
    assert main(["export", "e", "--output", str(moved), "--storage", str(tmp_path / "a.db")]) == 0
    assert main(["import", str(moved), "--storage", str(tmp_path / "b.db")]) == 0

    for name in ("a.db", "b.db"):
        asked.clear()
        again = run(refusing(asked), "e", tmp_path / name, progress=False)
        assert asked == [3]
        assert (again.scored, again.failed, again.missing) == (1, 2, 0)
        assert dict(again.errors) == dict(first.errors) == {"error": 1, "final error": 1}
    (failed,) = (each for each in records("e", storage=tmp_path / "b.db") if each.position == 1)
    assert (failed.outcome.result.prompt, failed.outcome.result.final) == ("2?", True)


def test_a_row_with_an_id_whose_content_changed_runs_although_it_was_final(tmp_path):
    """It is another row."""
    seen = []
    for content in ("old", "new", "new"):

        @foreach("id,text", [("a", content)])
        def eval_changing(id, text):
            seen.append(text)
            return Result(error="no", final=True)

        last = run(eval_changing, "e", tmp_path / "a.db", progress=False)

    assert seen == ["old", "new"]
    assert (last.failed, last.stale) == (1, 0)


def test_a_resume_tells_of_final_errors_and_fails_with_them(tmp_path, monkeypatch, capsys):
    """In the command line; what it proposes is what would run them."""
    monkeypatch.chdir(tmp_path)
    Path("eval_x.py").write_text(
        "from doteval import Result, foreach\n"
        "@foreach('n', [1, 2])\n"
        "def eval_x(n):\n"
        "    return True if n == 1 else Result(error='refused', prompt='2?', final=True)\n"
    )

    assert main(["run", "eval_x.py", "--experiment", "e"]) == 1
    assert main(["run", "eval_x.py", "--experiment", "e"]) == 1

    out, err = capsys.readouterr()
    assert "1 stored row failed with final=True: not run again" in out
    assert main(["run", "eval_x.py", "--experiment", "e", "--plan"]) == 0
    assert "1 stored row failed with final=True" in capsys.readouterr().out
    assert "eval_x: 1 of 2 rows failed\n" in err
    assert "run eval_x.py --experiment e --fresh\n" in out
    assert main(["show", "e", "--errors"]) == 0
    assert "prompt: 2?" in capsys.readouterr().out


def test_pytest_fails_where_a_row_failed_for_good(pytester):
    pytester.makepyfile(
        eval_x="from doteval import Result, foreach\n"
        "@foreach('n', [1, 2])\n"
        "def eval_x(n):\n"
        "    return True if n == 1 else Result(error='refused', final=True)\n"
    )

    for _ in range(2):
        result = pytester.runpytest("eval_x.py", "--experiment", "e")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*1 of 2 rows failed: final error 1*"])


def test_final_is_true_or_false():
    with pytest.raises(TypeError, match=r"Result\(final='yes'\): expected True or False"):
        Result(error="no", final="yes")
    assert repr(Result(error="no", final=True)) == "Result(error='no', final=True)"
    assert repr(Result(True)) == "Result(True)"
