"""
What people fell into with the ancestor, dotevals 0.23, does not happen here.

Where a trap belongs to one room, that room's tests have it:

- it needed a package that it did not declare:
  `test_architecture.py::test_nothing_but_the_standard_library_is_imported`
- every row raised, and pytest said "1 passed":
  `test_pytest_plugin.py::test_failed_rows_fail_the_item`
- Sequential and Batch crashed on an `async def`:
  `test_strategies.py::test_every_strategy_runs_async_tasks`
- Adaptive never left its start, and never saw an error:
  `test_strategies.py::test_adaptive_reaches_its_maximum_where_nothing_limits_it`,
  `test_loop.py::test_a_gate_hears_of_every_attempt`
- a row put in front was never run, and another was paid for twice:
  `test_runner.py::test_reordering_appending_and_repeating_rows_run_only_what_is_new`
- a short row vanished without a word:
  `test_runner.py::test_a_row_that_fits_no_column_fails_alone`
- a line that was half written emptied the store:
  `faults/test_kills.py::test_kill_9`
- `SlidingWindow(0)` gave no results and no error:
  `test_strategies.py::test_a_window_needs_a_whole_number_of_one_or_more`
- Ctrl-C ended with a raw traceback:
  `test_pytest_plugin.py::test_an_interrupted_run_keeps_what_is_finished`,
  `test_cli.py::test_a_signal_ends_the_run_and_the_same_command_resumes`
- `show` of an unknown experiment was a success:
  `test_cli.py::test_an_unknown_experiment_is_not_found`

Those that go through several rooms are here.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from doteval import Result, Score, foreach, metrics, run
from doteval.cli import main
from doteval.errors import StoreError
from doteval.evaluators import exact_match
from doteval.metrics import metric

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in a folder of its own, with a place for a store."""
    work = tmp_path / "a" / "b" / "work"
    (work / ".doteval").mkdir(parents=True)
    monkeypatch.chdir(work)
    return work


def test_the_traps_that_are_tested_elsewhere_are_tested_there():
    """The list above leads to tests that exist."""
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", __doc__ or "")

    assert len(named) == 12
    for file, test in named:
        assert f"def {test}(" in (HERE / file).read_text(encoding="utf-8"), (file, test)


def test_functions_of_one_name_in_two_files_share_nothing(folder, capsys):
    """Each evaluation has results of its own, also where only the file tells them apart."""
    for file, answer in (("eval_one.py", "True"), ("eval_two.py", "False")):
        (folder / file).write_text(
            "from doteval import foreach\n"
            "@foreach('n', range(3))\n"
            f"def eval_same(n):\n    return {answer}\n",
            encoding="utf-8",
        )
        assert main(["run", file, "--experiment", "x", "-qq"]) == 0
    main(["list"])
    main(["show", "x"])
    shown = capsys.readouterr().out

    assert re.search(r"^x +complete +2 +6/6 ", shown, re.MULTILINE)
    assert re.search(r"eval_one.py::eval_same .*?accuracy +100%", shown, re.DOTALL)
    assert re.search(r"eval_two.py::eval_same .*?accuracy +0%", shown, re.DOTALL)


def test_a_store_that_was_cut_off_is_told_and_not_begun_anew(folder, capsys):
    """Damage is an error that leaves what can be rescued, never an empty store."""

    @foreach("n", range(3))
    def eval_torn(n):
        return n > 0

    run(eval_torn, "x", storage="torn.db", progress=False)
    whole = Path("torn.db").read_bytes()
    Path("torn.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"):
        run(eval_torn, "x", storage="torn.db", progress=False)

    assert main(["list", "--storage", "torn.db"]) == 4
    assert "damaged" in capsys.readouterr().err
    assert Path("torn.db").read_bytes() == whole[: len(whole) // 2]


@pytest.mark.parametrize("name", ["team/model", "../../x", "a\\b", "..", "/etc/x", "@", "x.jsonl"])
def test_any_name_of_an_experiment_resumes_and_stays_in_the_store(folder, name):
    """A name is a name: it has no part in where anything is written."""
    asked = []

    @foreach("n", range(3))
    def eval_named(n):
        asked.append(n)
        return True

    for _ in range(2):
        summary = run(eval_named, name, progress=False)

    assert (summary.experiment, summary.scored) == (name, 3)
    assert asked == [0, 1, 2]
    assert [path.name for path in folder.iterdir()] == [".doteval"]
    assert list(folder.parent.iterdir()) == [folder]
    assert {path.name for path in folder.parent.parent.parent.iterdir()} == {"a"}


def test_a_metric_that_nobody_knows_any_more_does_not_break_show(folder, monkeypatch, capsys):
    """The rest is shown, and the metric that is gone is named with the figure that its run kept."""
    known = metrics.registry
    monkeypatch.setattr(known, "_registered", dict(known._registered))

    @metric
    def mine(values):
        return sum(values)

    @foreach("n", range(3))
    def eval_metric(n):
        return Result(Score("size", n, ("mean", "mine")))

    run(eval_metric, "x", progress=False)
    del known._registered["mine"]
    code = main(["show", "x"])
    shown = capsys.readouterr().out

    assert code == 0
    assert "mean  1.0 " in shown
    assert "mine    3 " in shown
    assert "kept      size.mine is as its run computed it: there is no metric 'mine'" in shown


def test_rows_that_are_mappings_give_their_values(folder):
    """By the names of the columns, whatever their order and whatever else they hold."""
    asked = []

    @foreach("question,answer", [{"answer": "4", "id": 7, "question": "2 + 2"}])
    def eval_mapping(question, answer):
        asked.append((question, answer))
        return exact_match(answer, answer)

    run(eval_mapping, "x", progress=False)

    assert asked == [("2 + 2", "4")]


def test_a_date_in_a_row_is_kept_and_resumed(folder):
    """What JSON does not know kills no run."""
    asked = []

    @foreach("day", [datetime.date(2024, 2, 29), datetime.date(2025, 3, 1)])
    def eval_days(day):
        asked.append(day)
        return day.month == 2

    for _ in range(2):
        summary = run(eval_days, "x", progress=False)

    assert summary.scored == 2
    assert len(asked) == 2


def test_the_same_samples_twice_are_the_same_rows(folder):
    """Asking for five rows again gives these five, not five others."""
    asked = []

    @foreach("n", range(20))
    def eval_samples(n):
        asked.append(n)
        return True

    for _ in range(2):
        summary = run(eval_samples, "x", samples=5, progress=False)

    assert summary.scored == 5
    assert asked == [0, 1, 2, 3, 4]


def test_metrics_are_computed_at_the_end_and_not_at_each_row(folder, monkeypatch):
    """A run of many rows does not get slower with each of them."""
    known = metrics.registry
    monkeypatch.setattr(known, "_registered", dict(known._registered))
    computed = []

    @metric
    def counted(values):
        computed.append(len(values))
        return sum(values) / len(values)

    @foreach("n", range(200))
    def eval_many(n):
        return Result(Score("size", n, ("counted",)))

    before_the_end = []
    run(eval_many, "x", progress=lambda record: before_the_end.append(len(computed)))

    assert len(before_the_end) == 200
    assert before_the_end[-1] == 0
    assert computed[0] == 200


def test_each_item_has_its_own_fixture_while_it_is_open(pytester: pytest.Pytester):
    """Items of a parametrized fixture do not all run with the last one, nor after its teardown."""
    pytester.makepyfile(
        eval_fixtures="""
        import pytest
        from doteval import foreach

        class Client:
            def __init__(self, name):
                self.name, self.open, self.asked = name, True, 0

        @pytest.fixture(params=["small", "large"])
        def client(request):
            made = Client(request.param)
            yield made
            made.open = False
            assert made.asked == 3

        @foreach("n", range(3))
        async def eval_clients(n, client, request):
            assert client.open
            assert client.name in request.node.name
            client.asked += 1
            return True
        """
    )

    result = pytester.runpytest_subprocess("--experiment", "x", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=2)
