from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from doteval import ForEach, foreach, run
from doteval.cli import main
from doteval.concurrency import Sequential, executors
from doteval.concurrency.executors import Elsewhere, Journey
from doteval.errors import ExecutorError, UsageError
from doteval.storage import open_store
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


def test_rows_whose_pool_breaks_make_one_new_pool_together():
    """Whether their call was under way or just about to begin."""
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self):
            super().__init__(1)
            pools.append(self)
            self.lost = []

        def submit(self, function, *arguments):
            if self is not pools[0]:
                return super().submit(function, *arguments)
            if len(self.lost) == 2:
                for future in self.lost:
                    future.set_exception(BrokenExecutor("a worker died"))
                raise BrokenExecutor("a worker died")
            self.lost.append(Future())
            return self.lost[-1]

    async def main():
        elsewhere = Elsewhere(Pool)
        numbers = await asyncio.gather(*(elsewhere.call(partial(int, text)) for text in "123"))
        elsewhere.close()
        return numbers

    assert asyncio.run(main()) == [(None, 1), (None, 2), (None, 3)]
    assert len(pools) == 2


@pytest.mark.parametrize(
    "evaluation", [travellers.eval_retried, travellers.eval_also_async], ids=["def", "async def"]
)
def test_retries_of_another_library_travel_with_the_function(evaluation, tmp_path):
    summary = quiet(evaluation, marks=str(tmp_path))

    assert (summary.scored, summary.failed) == (4, 0)
    assert {path.read_text() for path in tmp_path.iterdir()} == {".."}


def test_retries_of_another_library_that_a_worker_would_not_find_are_refused():
    """The module has the plain function under its name, without them."""
    work = ForEach(executor=travellers.pool, retries=travellers.Blocking())("n", [1])

    with pytest.raises(UsageError, match="decorate it where it is defined"):
        quiet(work(travellers.top_level))


def test_a_row_that_kills_every_worker_fails_in_the_end():
    summary = quiet(travellers.eval_always_dies)

    assert dict(summary.errors) == {"BrokenProcessPool": 1}


def test_a_pool_that_was_given_ready_made_can_not_be_made_again():
    given = travellers.pool(1)

    async def main():
        await Elsewhere(given).call(partial(os._exit, 9))

    with pytest.raises(ExecutorError, match="pass executor= a function that makes one"):
        asyncio.run(main())

    given.shutdown()


def outcome(path):
    """Status and error of each run of experiment "e", and how many records there are."""
    store = open_store(path)
    (name,) = store.evaluations("e")
    runs = [(run.status, run.error) for run in store.runs("e")]
    records = len(list(store.records("e", name)))
    store.close()
    return runs, records


def test_a_pool_that_breaks_ends_the_run_and_fails_no_row(tmp_path):
    """What was finished is kept, and a pool that works does the rest."""
    path = tmp_path / "results.db"
    given = travellers.pool(1)
    work = ForEach(concurrency=Sequential(), executor=given)("n", range(6))(travellers.dies_at_3)
    with pytest.raises(ExecutorError, match="the executor is broken"):
        run(work, "e", path, progress=False, mark=str(tmp_path / "died"))
    given.shutdown()
    ((status, error),), kept = outcome(path)

    assert (status, kept) == ("failed", 3)
    assert "can not be made again" in error

    with travellers.pool(1) as given:
        work = ForEach(executor=given)("n", range(6))(travellers.dies_at_3)
        summary = run(work, "e", path, progress=False, mark=str(tmp_path / "died"))

    assert (summary.scored, summary.failed, summary.attempts) == (6, 0, 6)


def refuse():
    raise OSError("no scheduler at 10.0.0.7")


def closed():
    given = ThreadPoolExecutor(1)
    given.shutdown()
    return given


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (refuse, "the executor can not be made: OSError: no scheduler at 10.0.0.7"),
        (lambda: 5, "expected a function that makes an executor.* it returned 5"),
        (closed, "the executor takes no rows: cannot schedule new futures after shutdown"),
        (closed(), "the executor takes no rows: cannot schedule new futures after shutdown"),
    ],
    ids=["raises", "makes something else", "makes a closed one", "is closed"],
)
def test_an_executor_that_can_not_work_is_told_once_and_fails_no_row(executor, message, tmp_path):
    """A thousand rows would say the same, and a retry would hear it again."""
    work = ForEach(executor=executor)("n", range(1_000))(travellers.on_any_thread)

    with pytest.raises(ExecutorError, match=message):
        run(work, "e", tmp_path / "results.db", progress=False)

    assert outcome(tmp_path / "results.db")[1] == 0


EVALUATIONS = """
from doteval import ForEach

@ForEach(executor=lambda: None)("n", [1, 2])
def eval_nowhere(n):
    return True

@ForEach()("n", [1, 2])
def eval_here(n):
    return True
"""


@pytest.fixture
def folder(pytester):
    """A working directory with a store, and an evaluation whose executor can not work."""
    (pytester.path / ".doteval").mkdir()
    (pytester.path / "eval_x.py").write_text(EVALUATIONS)
    return pytester


def test_the_command_line_runs_the_evaluations_that_can_run(folder, capsys):
    code = main(["run", "eval_x.py"])
    out, err = capsys.readouterr()

    assert code == 1
    assert "doteval: eval_nowhere: executor=: expected a function that makes an executor" in err
    assert "eval_here · complete" in out


def test_pytest_tells_of_the_executor_without_a_traceback(folder):
    result = folder.runpytest("eval_x.py", "--experiment", "e")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["executor=: expected a function that makes an executor*"])
    result.stdout.no_fnmatch_line("*executors.py*")


def test_a_function_that_a_worker_does_not_find_is_told_before_the_first_row(tmp_path):
    """As one of a notebook's cell: it is in `__main__` here, and in no other process."""
    import __main__

    work = ForEach(executor=travellers.pool)("n", range(10))(travellers.on_a_visit("__main__"))
    __main__.eval_guest = work
    try:
        with pytest.raises(
            ExecutorError, match=r"eval_guest\(\) of the module __main__ can not be"
        ):
            run(work, "e", tmp_path / "results.db", progress=False)
    finally:
        del __main__.eval_guest

    assert outcome(tmp_path / "results.db")[1] == 0


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


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_the_class_of_an_executor_makes_one(kind):
    summary = quiet(ForEach(executor=kind)("n", [1, 2])(travellers.on_any_thread))

    assert summary.scored == 2


def test_a_client_of_a_cluster_is_asked_for_its_executor():
    """As Dask's, whose own `submit` gives futures that nobody else can wait for."""

    class Client:
        submit = None

        def get_executor(self):
            return ThreadPoolExecutor(1)

    summary = quiet(ForEach(executor=Client())("n", [1, 2])(travellers.on_any_thread))

    assert summary.scored == 2


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("processes", "write executor=ProcessPoolExecutor, imported from concurrent.futures"),
        ("threads", "write executor=ThreadPoolExecutor, imported from concurrent.futures"),
        (3, "or a zero-argument callable that makes one$"),
    ],
)
def test_what_is_no_executor_is_refused_with_what_to_write(given, advice):
    with pytest.raises(UsageError, match=advice):
        ForEach(executor=given)


def test_a_resource_that_can_not_travel_is_told_before_the_first_row():
    with pytest.raises(UsageError, match="'client' can not travel to another process"):
        quiet(travellers.eval_with_client, client=threading.Lock())


def test_an_instance_that_can_not_travel_is_told_before_the_first_row():
    suite = travellers.Suite()
    suite.client = threading.Lock()

    with pytest.raises(UsageError, match="'self' can not travel to another process"):
        quiet(suite.eval_method)


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
    path.write_text(
        "from tests.travellers import logged\n"
        "@logged\n"  # which stands in another file
        "def add(a, b):\n"
        "    return a + b\n"
    )
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
    with pytest.raises(ExecutorError, match="can not be found by a worker.* put it into a module"):
        journey(1, 2)


@pytest.mark.parametrize("executor", [4, object()])
def test_what_is_no_executor_is_explained(executor):
    with pytest.raises(UsageError, match="expected an executor of concurrent.futures"):
        ForEach(executor=executor)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system has no /proc")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_workers_of_a_run_that_was_killed_end(tmp_path, method):
    """Also one that has not got a row; nobody would give them work, or tell them to end."""
    (tmp_path / "eval_slow.py").write_text(
        "import multiprocessing, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from pathlib import Path\n"
        "from doteval import ForEach\n"
        "def pool():\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    return ProcessPoolExecutor(3, mp_context=context)\n"
        "@ForEach(executor=pool)('n', range(1))\n"
        "def eval_slow(n):\n"
        "    Path(f'began-{n}').touch()\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "doteval", "run", "eval_slow.py", "-qq"], cwd=tmp_path
    )
    until = time.monotonic() + 60
    while not (tmp_path / "began-0").exists() and time.monotonic() < until:
        time.sleep(0.05)
    ours = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    run.kill()
    run.wait()

    while (left := [each for each in ours if _is_alive(each)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(ours) >= 2
    assert left == []


def test_a_worker_is_told_of_the_end_of_its_parent(monkeypatch):
    """By what the system tells of a process that has ended; the pool's own beginning comes too."""
    read, write = os.pipe()
    monkeypatch.setattr(executors, "_watching", 0)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(sentinel=read))
    ended, begun = threading.Event(), []

    executors._end_with_parent(lambda code: ended.set())
    executors._begin(begun.append, (1,))  # which watches no second time
    assert begun == [1] and not ended.is_set()
    os.close(write)

    assert ended.wait(30)
    os.close(read)


def test_a_worker_that_nothing_tells_looks_after_its_parent(monkeypatch):
    """As in loky's processes, which only know the number that their parent had."""
    parent = SimpleNamespace(sentinel=None, pid=7)
    parents = iter([7, 7, 1])
    monkeypatch.setattr(executors, "_watching", 0)
    monkeypatch.setattr(executors, "_LOOK", 0.001)
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    ended = threading.Event()

    executors._end_with_parent(lambda code: ended.set())

    assert ended.wait(30)
    assert next(parents, None) is None


def test_what_an_error_says_of_the_endpoint_comes_back_with_it(tmp_path):
    """Its cause does not travel, and it may not itself: a 429 is one all the same."""
    work = ForEach(executor=travellers.pool)("n", [1])(travellers.refused_once)
    summary = quiet(work, folder=str(tmp_path))

    assert (summary.scored, summary.attempts) == (1, 3)


class Tearing:
    """Takes results for errors, as Dask's does where a worker dies as its result arrives."""

    def __init__(self, times):
        self.times = times

    def submit(self, function, *arguments):
        future = Future()
        self.times -= 1
        try:
            result = function(*arguments)
            if self.times >= 0:
                _, _, _ = result
            future.set_result(result)
        except ValueError as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize(("times", "scored"), [(3, 1), (4, 0)])
def test_a_result_that_its_executor_tears_is_computed_again(times, scored):
    """A row is not guilty of it, up to three times."""
    work = ForEach(executor=Tearing(times), retries=0)("n", [1])(travellers.on_any_thread)
    summary = quiet(work)

    assert summary.scored == scored


def _is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # dead, and nobody has asked after it
