from __future__ import annotations

import asyncio
import os
import pickle
import threading
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from doteval import ForEach, foreach, run
from doteval.concurrency.executors import Elsewhere, Journey
from doteval.errors import NotFound, UsageError
from tests import travellers

quiet = partial(run, storage="memory://", progress=False)


def pids(evaluation):
    seen = []
    summary = quiet(evaluation, on_record=seen.append)
    return summary, {score.value for record in seen for score in record.outcome.scores}


@pytest.mark.parametrize(
    "evaluation", [travellers.eval_plain, travellers.eval_async], ids=["def", "async def"]
)
def test_rows_run_in_other_processes(evaluation):
    """What travels is a name: the worker imports the module and unwraps the evaluation."""
    summary, seen = pids(evaluation)

    assert summary.scored == 6
    assert os.getpid() not in seen


def test_a_method_travels_with_its_instance():
    summary = quiet(travellers.Suite().eval_method)

    assert summary.scores["eval_method"]["mean"].value == 11.5


def test_what_a_row_raises_or_can_not_send_back_is_its_failure():
    summary = quiet(travellers.eval_raises)

    assert dict(summary.errors) == {"SystemExit": 1, "Untransportable": 1, "ValueError": 1}


def test_a_worker_that_dies_costs_no_row(tmp_path):
    """The pool is made again, and the rows that were in it run again."""
    summary = quiet(travellers.eval_dies_once, marks=str(tmp_path))

    assert (summary.scored, summary.failed) == (8, 0)
    assert (tmp_path / "died").exists()


def test_a_row_that_kills_every_worker_fails_in_the_end():
    summary = quiet(travellers.eval_always_dies)

    assert dict(summary.errors) == {"BrokenProcessPool": 1}


def test_a_pool_that_was_given_ready_made_can_not_be_made_again():
    given = travellers.pool(1)

    async def main():
        await Elsewhere(given).call(partial(os._exit, 9))

    with pytest.raises(BrokenExecutor, match="pass executor= a function that makes one"):
        asyncio.run(main())

    given.shutdown()


def test_an_executor_of_the_caller_stays_open():
    with ThreadPoolExecutor(2) as given:

        @ForEach(executor=given)("n", [1, 2])
        def eval_local(n):
            return True

        with pytest.raises(UsageError, match="define it at the top level of a module"):
            quiet(eval_local)

        summary = quiet(ForEach(executor=given)("n", [1, 2])(travellers.top_level))
        again = given.submit(int, "3").result()

    assert (summary.scored, again) == (2, 3)


class Foreign:
    """An executor of another library, whose `shutdown` knows less."""

    down = 0

    def __init__(self):
        self._inside = ThreadPoolExecutor(1)

    def submit(self, function, *arguments):
        return self._inside.submit(function, *arguments)

    def shutdown(self, wait=True):
        Foreign.down += 1
        self._inside.shutdown(wait=wait)


def test_an_executor_that_knows_no_cancelling_is_shut_down_without():
    summary = quiet(ForEach(executor=Foreign)("n", [1, 2])(travellers.on_any_thread))

    assert (summary.scored, Foreign.down) == (2, 1)


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_an_executor_can_be_named(name):
    summary = quiet(ForEach(executor=name)("n", [1, 2])(travellers.on_any_thread))

    assert summary.scored == 2


def test_an_unknown_name_of_an_executor_lists_the_known_ones():
    with pytest.raises(NotFound, match="processes"):
        ForEach(executor="proceses")


def test_a_resource_that_can_not_travel_is_told_before_the_first_row():
    with pytest.raises(UsageError, match="'client' can not travel to another process"):
        quiet(travellers.eval_with_client, client=threading.Lock())


def test_evaluations_made_in_a_loop_travel_by_the_name_that_was_assigned(monkeypatch):
    hidden = foreach("n", [1])(travellers.nested())
    hidden.__name__ = "eval_hidden"
    monkeypatch.setattr(travellers, "eval_hidden", hidden, raising=False)

    journey = Journey(hidden.function, hidden)

    assert pickle.loads(pickle.dumps(journey))(n=1) is True


def test_a_module_that_can_not_be_imported_is_loaded_from_its_file(tmp_path):
    """As those that pytest and `doteval run` load by their path."""
    import importlib.util
    import sys

    path = tmp_path / "eval_by_path.py"
    path.write_text("def add(a, b):\n    return a + b\n")
    spec = importlib.util.spec_from_file_location("eval_by_path_of_this_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    journey = Journey(module.add, module.add)
    del sys.modules[spec.name]

    assert journey(1, 2) == 3

    del sys.modules[spec.name]
    path.rename(tmp_path / "gone.txt")
    journey._file = str(tmp_path / "gone.txt")
    with pytest.raises(ImportError):
        journey(1, 2)


@pytest.mark.parametrize("executor", [4, object()])
def test_what_is_no_executor_is_explained(executor):
    with pytest.raises(UsageError, match="expected an executor of concurrent.futures"):
        ForEach(executor=executor)
