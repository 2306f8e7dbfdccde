"""An experiment leaves a store as JSON Lines, and comes back from them as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doteval import Score, foreach, run
from doteval.errors import NotFound, UsageError
from doteval.record import STALE, SUPERSEDED, Attempt, Run, Usage
from doteval.storage import Store, open_store
from doteval.storage.archive import Kept, Opening, Paid, Ran
from doteval.storage.exchange import export_lines, import_lines
from doteval.storage.sqlite import SqliteStore
from tests.stocked import BEGAN, EVALUATION, HOSTILE, recorded, right, stock, wrong

OTHER = "tests/eval_y.py::eval_y[a]"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that is empty."""
    opened = open_store(tmp_path / "one.db")
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """Another one."""
    opened = open_store(tmp_path / "other.db")
    yield opened
    opened.close()


def fill(store: Store) -> None:
    """All that a store can hold: each state, each kind of score, each kind of text."""
    odd = (
        Score("exact", True, ("accuracy",), {"why": HOSTILE[6]}),
        Score("loss", math.nan, ("mean", "max")),
        Score("big", 2**70, ("mean",)),
        Score("low", -math.inf, ("mean",)),
        Score("high", math.inf, ("mean",)),
        Score("part", 0.1 + 0.2, ("mean",)),
    )
    records = [
        recorded(n, *odd, prompt=text, model_response=text, metadata={"n": math.nan})
        for n, text in enumerate(HOSTILE)
    ]
    failed = recorded(20, message=HOSTILE[6], traceback="Traceback", type="Err\ud800")
    told = recorded(21, error="refused", prompt=[1, None], usage=Usage(1, 2, 0.5))
    attempts = [Attempt(failed.key, 0, 1, BEGAN, 0.2, "congestion", "RateLimit", HOSTILE[6])]
    stock(
        store, "first", [*records, failed, told], total=30, attempts=attempts, digest=b"d" * 8,
        ended={"history": ({"at": 0.5, "limit": 2, "reason": "up", "throughput": None},)},
    )  # fmt: skip
    number = store.begin(
        Run("ab" * 16, "first", EVALUATION, BEGAN, None, 0.0, "running", 1, {"x": HOSTILE[6]})
    )
    store.mark(number, [2], STALE)
    store.mark(number, [3], SUPERSEDED)
    store.end(
        number,
        Run("ab" * 16, "first", EVALUATION, BEGAN, BEGAN + 1, 1.0, "failed", 1, {}, (), "disk"),
    )
    stock(store, "first", [right(1), wrong(2)], evaluation=OTHER, part="1/2")
    stock(store, "second", [right(1)])


def lines_of(store: Store, experiment: str = "first") -> list[bytes]:
    """The lines of an experiment."""
    return "".join(export_lines(store, experiment)).encode("ascii").splitlines(keepends=True)


def edited(lines: list[bytes], number: int, **changes: Any) -> list[bytes]:
    """The lines with fields of one of them (from 1) changed; `...` takes a field out."""
    fact = {**json.loads(lines[number - 1]), **changes}
    told = json.dumps({name: value for name, value in fact.items() if value is not ...})
    return [*lines[: number - 1], told.encode() + b"\n", *lines[number:]]


def of_type(lines: list[bytes], kind: str) -> int:
    """The number of the first line of a type."""
    return next(at for at, line in enumerate(lines, 1) if json.loads(line)["type"] == kind)


# ------------------------------------------------------------------------- there and back


def test_what_comes_back_is_what_left(store: Store, other: Store) -> None:
    """The export of the import has the very same bytes."""
    fill(store)
    lines = lines_of(store)

    name, amount = import_lines(other, lines)

    assert (name, amount) == ("first", (2, 3, 14, 1))
    assert lines_of(other) == lines


def test_a_store_tells_the_same_of_both(store: Store, other: Store) -> None:
    """Records of each state, runs, the ledger, aggregates and totals."""
    fill(store)
    import_lines(other, lines_of(store))

    for name in (EVALUATION, OTHER):
        for state in (0, STALE, SUPERSEDED):
            ours, theirs = (
                list(each.records("first", name, state=state)) for each in (store, other)
            )
            assert repr(ours) == repr(theirs)
        assert store.runs("first", name) == other.runs("first", name)
        assert store.attempts("first", name) == other.attempts("first", name)
        assert repr(store.tally("first", name)) == repr(other.tally("first", name))
        assert store.total_of("first", name) == other.total_of("first", name)
    assert [name for name, _ in other.experiments()] == ["first"]
    assert dict(other.experiments())["first"] == dict(store.experiments())["first"]


def test_a_copy_in_the_same_store_has_the_same_runs(store: Store) -> None:
    """A run's id is unique in its evaluation; a copy is known by its own."""
    fill(store)

    import_lines(store, lines_of(store), "copy")

    first, copy = ([each.uid for each in store.runs(name)] for name in ("first", "copy"))
    assert len(first) == 3
    assert copy == first
    assert repr(list(store.records("copy", OTHER))) == repr(list(store.records("first", OTHER)))


def test_a_run_resumes_from_what_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are known by what is in them, in any store."""
    asked = []

    def eval_n(n: int) -> bool:
        asked.append(n)
        return n > 1

    made = foreach("n", range(4))(eval_n)
    run(made, "here", storage=str(tmp_path / "one.db"), progress=False)
    one, two = open_store(tmp_path / "one.db"), open_store(tmp_path / "two.db")
    import_lines(two, lines_of(one, "here"), "there")
    one.close()
    two.close()

    summary = run(made, "there", storage=str(tmp_path / "two.db"), progress=False)

    assert asked == [0, 1, 2, 3]
    assert (summary.scored, summary.status) == (4, "complete")


def test_long_experiments_are_read_and_written_in_pages(store: Store, other: Store) -> None:
    """More records than a page has, texts longer than a page has, more attempts than a page has."""
    records = [right(n, prompt="x" * (3_000_000 if n % 400 == 0 else 1)) for n in range(1_201)]
    attempts = [
        Attempt(records[0].key, 0, n, BEGAN, 0.1, "trouble", "E", "m") for n in range(5_001)
    ]
    stock(store, "first", records, attempts=attempts)
    lines = lines_of(store)

    assert import_lines(other, lines).amount == (1, 1, 1_201, 5_001)
    assert lines_of(other) == lines


def test_a_name_of_surrogates_is_found(store: Store, other: Store) -> None:
    """Whatever an experiment is called, it can be handed on."""
    stock(store, "\ud800", [right(1)])
    lines = lines_of(store, "\ud800")
    import_lines(other, lines)

    assert lines_of(other, "\ud800") == lines


def test_lines_are_json_for_everybody(store: Store) -> None:
    """A score that JSON does not know is a text."""
    fill(store)
    first = next(json.loads(line) for line in lines_of(store) if b'"record"' in line)

    assert first["scores"] == {
        "exact": True,
        "loss": "NaN",
        "big": 2**70,
        "low": "-Infinity",
        "high": "Infinity",
        "part": 0.1 + 0.2,
    }
    assert first["body"]["model_response"] == HOSTILE[0]
    assert (first["state"], first["digest"]) == ("live", (b"d" * 8).hex())


# ------------------------------------------------------------------------- while it is run


def test_a_record_and_its_replacement_are_never_both_live(store: Store, tmp_path: Path) -> None:
    """What is added after the export began is left out."""
    stock(store, "first", [recorded(n) for n in range(600)])
    writer = open_store(tmp_path / "one.db")
    facts = store.facts("first")
    begun = [next(facts) for _ in range(3)]
    stock(writer, "first", [right(599)], replaces=600)
    writer.close()

    told = [fact for fact in (*begun, *facts) if isinstance(fact, Kept)]

    assert len(told) == 600
    assert {fact.state for fact in told[:500]} == {0}
    assert told[599].state == SUPERSEDED


def test_a_run_that_began_meanwhile_is_left_out(store: Store, tmp_path: Path) -> None:
    """Each run that is told of was known when the export came to its evaluation."""
    stock(store, "first", [right(0)])
    known = store.runs("first")
    writer = open_store(tmp_path / "one.db")
    stock(writer, "first", [right(1)])
    writer.close()
    from doteval.storage.archive import facts

    told = list(facts(store._db, 1, lambda _: known))  # type: ignore[attr-defined]

    assert sum(isinstance(fact, Ran) for fact in told) == 1
    assert sum(isinstance(fact, Kept) for fact in told) == 1


def test_attempts_of_a_run_that_began_meanwhile_are_left_out(store: Store) -> None:
    """As its records are."""
    attempt = Attempt(right(1).key, 0, 1, BEGAN, 0.1, "trouble", "E", "m")
    stock(store, "first", [], attempts=[attempt])
    from doteval.storage.archive import facts

    told = list(facts(store._db, 1, lambda _: []))  # type: ignore[attr-defined]

    assert [type(fact) for fact in told] == [Opening]


def test_a_running_run_is_interrupted_elsewhere(store: Store, other: Store) -> None:
    """What it adds from now on does not come."""
    alive = Run("cd" * 16, "first", EVALUATION, BEGAN, None, 0.0, "running", 1, {})
    store.begin(alive)
    lines = lines_of(store)
    import_lines(other, lines)

    assert json.loads(lines[2])["status"] == "running"
    assert other.runs("first")[0].status == "interrupted"


# ------------------------------------------------------------------------- what is interrupted


def refused(store: Store, lines: list[bytes], name: str | None = None) -> str:
    """What an import says that fails."""
    with pytest.raises(UsageError) as told:
        import_lines(store, iter(lines), name)
    return str(told.value)


def test_the_same_lines_again_change_nothing(store: Store, other: Store) -> None:
    """They are known, also after the experiment got another name."""
    fill(store)
    lines = lines_of(store)
    import_lines(other, lines)
    again = import_lines(other, lines)

    assert again.amount == (2, 0, 0, 0)
    assert lines_of(other) == lines
    other.rename("first", "monday")
    assert import_lines(other, lines, "monday").amount == (2, 0, 0, 0)


@pytest.mark.parametrize("at", [450, 900, 1_150, 1_203])
def test_what_is_interrupted_shows_so_and_the_same_lines_finish_it(
    store: Store, other: Store, at: int
) -> None:
    """Page by page, in whatever state it was left; and its sums are those of its records."""
    attempts = [Attempt(right(n).key, 0, 1, BEGAN, 0.1, "trouble", "E", "m") for n in range(3)]
    stock(store, "first", [right(n) for n in range(1_200)], attempts=attempts)
    lines = lines_of(store)
    with pytest.raises(UsageError, match="cut short"):
        import_lines(other, lines[:at])

    assert {run.status for run in other.runs("first")} == {"interrupted"}
    assert 0 < other.tally("first", EVALUATION).scored <= 1_200
    assert import_lines(other, lines).amount.runs == 0
    assert lines_of(other) == lines
    assert other.tally("first", EVALUATION) == store.tally("first", EVALUATION)


def test_facts_that_hold_a_row_twice_in_one_run_are_refused(store: Store, other: Store) -> None:
    """At whatever distance; in two runs one of them counts, as when stores are merged."""
    stock(store, "first", [right(n) for n in range(600)])
    lines = lines_of(store)
    lines = edited([*lines[:590], lines[4], *lines[590:]], len(lines) + 1, records=601)

    assert "two live records of one row" in refused(other, lines)


def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    """An import changes nothing that is there of other runs, and mixes nothing."""
    fill(store)

    told = refused(store, lines_of(store, "second"), "first")
    assert "there is an experiment 'first' already, of other runs" in told
    assert "not blank" in refused(store, lines_of(store), " ")


@pytest.mark.parametrize("kept", range(1, 19))
def test_a_file_that_was_cut_short_is_refused(store: Store, other: Store, kept: int) -> None:
    """Wherever it was cut."""
    fill(store)
    lines = lines_of(store)
    assert len(lines) == 22

    assert f"ends after line {kept}" in refused(other, lines[:kept])
    assert f"line {kept + 1}: it is no JSON" in refused(other, [*lines[:kept], lines[kept][:-9]])


def test_an_empty_file_is_refused(store: Store) -> None:
    """There is nothing to import."""
    assert "the file is empty" in refused(store, [b"\n"])


def test_blank_lines_are_no_harm(store: Store, other: Store) -> None:
    """Editors add them."""
    fill(store)
    lines = lines_of(store)

    assert import_lines(other, [b"\n", *lines[:3], b"  \n", *lines[3:], b"\n"]).name == "first"


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"[1]\n", "line 1: expected an object, not list"),
        (b'{"type": "record"}\n', "line 1: expected the beginning"),
        (b'{"type": "experiment", "doteval": 2}\n', "line 1: format 2 is not known here, only 1"),
        (b'{"type": "experiment", "doteval": 1}\n', "line 1: 'name' is no text"),
        (b'{"type": "experiment", "doteval": 1, "name": "x"}\n', "line 1: 'created' is no number"),
        (b"[" * 100_000 + b"\n", "line 1: it is no JSON"),
        (b"\xff\n", "line 1: it is no JSON"),
    ],
)
def test_a_file_of_something_else_is_refused(store: Store, first: bytes, said: str) -> None:
    """The first line says what a file is."""
    assert said in refused(store, [first])


Change = Callable[[list[bytes]], list[bytes]]


def change(kind: str, **changes: Any) -> Change:
    """Change the first line of a type."""
    return lambda lines: edited(lines, of_type(lines, kind), **changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change("evaluation", evaluation=...), "'evaluation' is no text"),
        (change("evaluation", total=-1), "'total' is no whole number"),
        (change("evaluation", scores=[]), "'scores' is no object"),
        (change("evaluation", scores={"exact": "mean"}), "the metrics of score 'exact'"),
        (change("evaluation", scores={"exact": [1]}), "the metrics of score 'exact'"),
        (change("evaluation", scores={}), "has no score 'exact'"),
        (change("evaluation", type="folder"), "a line of type 'folder' is not known"),
        (change("run", evaluation="x"), "it belongs to an evaluation other than"),
        (change("run", run=5), "'run' is no text"),
        (change("run", part=None), "'part' is no text"),
        (change("run", history={}), "'history' is no list of objects"),
        (change("run", history=[1]), "a change in 'history' is no object"),
        (change("run", history=[{"at": 0}]), "a change in 'history' lacks 'at' or 'limit'"),
        (lambda lines: [*lines[:3], *lines[2:]], "is there twice"),
        (lambda lines: [*lines[:5], lines[2], *lines[5:]], "comes after a record"),
        (change("run", header={"figures": [1]}), "'figures' is [1], expected a list of figures"),
        (change("run", header={"figures": [{"of": {}}]}), "expected a list of figures"),
        (change("run", header={"tags": {"a": 1}}), "'tags' is {'a': 1}, expected an object of"),
        (change("run", header={"clean": 1}), "'clean' is 1, expected true, false or null"),
        (change("run", header={"shard": [1]}), "'header': 'shard' is [1], expected such as"),
        (change("run", part="a/b"), "'part' is 'a/b', expected a shard such as"),
        (change("run", status="tired"), "'status' is 'tired', expected one of: running, complete"),
        (change("run", started="now"), "'started' is no number"),
        (change("run", started=True), "'started' is no number"),
        (change("run", finished=2**64), "'finished' is no number"),
        (change("run", pid=1.5), "'pid' is no whole number"),
        (change("run", header=None), "'header' is no object"),
        (change("run", error=1), "'error' is no text"),
        (change("record", run="x"), "there is no run 'x'"),
        (change("record", state="dead"), "'state' is 'dead'"),
        (change("record", key="00"), "'key' is not 16 bytes"),
        (change("record", key="xy"), "'key' is not 16 bytes"),
        (change("record", digest="00"), "'digest' is not 8 bytes"),
        (change("record", repeat=None), "'repeat' is no whole number"),
        (change("record", position=True), "'position' is no whole number"),
        (change("record", attempts=2**63), "'attempts' is no whole number"),
        (change("record", attempts=2**32), "'attempts' is no whole number"),
        (change("record", input_tokens="1"), "'input_tokens' is no number"),
        (change("record", cost="1"), "'cost' is no number"),
        (change("record", started=math.nan), "'started' is no number of a sensible size"),
        (change("record", duration=math.inf), "'duration' is no number of a sensible size"),
        (change("record", scores={}), "a record has scores or an error, and not both"),
        (change("record", error="E"), "a record has scores or an error, and not both"),
        (change("record", scores={"exact": "yes"}), "score 'exact' is no number"),
        (change("record", scores={"new": 1}), "has no score 'new'"),
        (change("record", body="x"), "'body' is no object"),
        (change("record", body={}), "'body' has no row"),
        (change("record", body={"row": {}, "scores": [1]}), "'body': 'scores' is [1], expected"),
        (change("record", scores={"exact": 10**4250}), "an integer of 4,250 digits"),
        (change("record", scores={"\ud800": 1, "\\ud800": 2}), "'scores' has two of one name"),
        (change("attempt", outcome="luck"), "'outcome' is 'luck'"),
        (change("attempt", message=None), "'message' is no text"),
        (change("attempt", run="x"), "there is no run 'x'"),
        (change("end", records=1), "there should be 1 records above, and there are 14"),
        (change("end", attempts=2), "there should be 2 attempts above, and there are 1"),
        (lambda lines: [*lines, lines[1]], "line 23: nothing may follow the end"),
        (lambda lines: [lines[0], lines[2], *lines[1:]], "line 2: it belongs to an evaluation"),
        (lambda lines: [*lines[:-1], *lines[1:]], "is there twice"),
        (
            lambda lines: [*lines[:5], lines[4], *lines[5:]],
            "has two live records of one row, at position",
        ),
    ],
)
def test_a_damaged_file_is_refused(store: Store, other: Store, change: Change, said: str) -> None:
    """With the reason; and what stood before the mistake is made whole by the right lines."""
    fill(store)
    lines = lines_of(store)

    assert said in refused(other, change(lines))
    import_lines(other, lines)
    assert lines_of(other) == lines


def test_the_line_of_a_mistake_is_told(store: Store, other: Store) -> None:
    """A file may have a million of them."""
    fill(store)
    lines = lines_of(store)

    for number in (5, 10, 17):
        assert f"line {number}:" in refused(other, edited(lines, number, key="x"))


def test_what_the_tables_refuse_is_told_with_its_line(store: Store, other: Store) -> None:
    """A contradiction between lines is a mistake of the later one."""
    fill(store)
    lines = lines_of(store)
    number = of_type(lines, "record") + 3

    assert refused(other, edited(lines, number, run="x")).startswith(f"line {number}: ")


def test_an_experiment_that_is_not_there_is_not_found(store: Store) -> None:
    """Before the first line."""
    with pytest.raises(NotFound, match="no experiment 'nobody'"):
        next(iter(export_lines(store, "nobody")))


def test_facts_can_go_from_store_to_store(store: Store, other: Store) -> None:
    """Without lines between them."""
    fill(store)
    amount = other.adopt("first", 1.5, store.facts("first"))

    assert amount.records == 14
    assert repr(list(other.facts("first"))) == repr(list(store.facts("first")))
    assert {type(fact) for fact in other.facts("first")} == {Opening, Ran, Kept, Paid}


def test_a_run_beside_an_import_waits_for_no_more_than_a_page(store: Store, tmp_path: Path) -> None:
    """An import of an hour must not cost what a run has finished meanwhile."""
    stock(store, "first", [right(n) for n in range(1_201)])
    lines = lines_of(store)
    path = tmp_path / "one.db"
    running = SqliteStore(path, tmp_path, busy=0.05)
    number = running.begin(Run("cd" * 16, "other", EVALUATION, BEGAN, None, 0.0, "running", 1, {}))

    def slowly() -> Iterator[bytes]:
        for at, line in enumerate(lines):
            if at == 1_100:
                running.total(number, 5)
            yield line

    try:
        import_lines(store, slowly(), "again")
    finally:
        running.close()
