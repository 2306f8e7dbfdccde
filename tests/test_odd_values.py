"""Whatever stands in a store: no traceback, no hang, and the doctor knows what a reader refuses."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from doteval.cli import main
from doteval.storage import open_store
from doteval.storage.columns import odd_in
from doteval.storage.database import Database
from tests.odd_values import trial
from tests.stocked import right, stock


@pytest.mark.parametrize("seed", range(4))
def test_an_odd_value_is_no_fault_of_ours(tmp_path: Path, seed: int) -> None:
    """One value in one column of one row; `python -m tests.odd_values` tries more of them."""
    assert trial(tmp_path, 50, seed, commands=2) == {}


@pytest.mark.long
def test_many_odd_values_are_no_fault_of_ours(tmp_path: Path) -> None:
    """A thousand stores."""
    assert trial(tmp_path, 1_000, 99, commands=2) == {}


@pytest.mark.parametrize(
    ("select", "row", "said"),
    [
        ("records.id, position", (1, "x"), "position is 'x', expected a whole number, 0 or more"),
        ("key", (b"short",), "key is b'short', expected 16 bytes"),
        ("digest", (None,), None),
        ("cost", (float("inf"),), "cost is inf, expected a number, 0 or more, of a sensible size"),
        ("value", ("118059162071741130342",), None),
        ("value", ("1e3",), "value is '1e3', expected a number"),
        ("attempts.error", (None,), "attempts.error is None, expected a text"),
        ("records.error", (None,), None),
        ("status", ("won",), "status is 'won', expected one of: running, complete, incomplete"),
    ],
)  # fmt: skip
def test_a_value_is_of_its_columns_kind(select: str, row: tuple[object, ...], said: str) -> None:
    """SQLite would hold anything."""
    found = odd_in(select, [row])

    assert found == said or (said is not None and str(found).startswith(said))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Of two experiments, of which the first is damaged."""
    path = tmp_path / "results.db"
    with closing(open_store(path)) as made:
        stock(made, "bad", [right(n) for n in range(3)])
        stock(made, "good", [right(n) for n in range(3)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute('UPDATE runs SET history = \'[{"at": "x"}]\' WHERE id = 1')
    return path


def test_a_damaged_experiment_is_shown_beside_the_others(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As damaged, without any figure, and with an exit code that says so."""
    assert main(["list", "--storage", str(store)]) == 4

    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines() if "bad" in line or "good" in line] == [
        ["bad", "damaged"],
        ["good", "complete"],
    ]
    assert "experiment 'bad': " in err and "a change in 'history'" in err and "doctor" in err
    assert main(["show", "good", "--storage", str(store)]) == 0
    assert main(["list", "--json", "--storage", str(store)]) == 4
    assert '"status": "damaged"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scores SET name = 999 WHERE record = 1",
        "UPDATE scores SET value = 5, boolean = 1 WHERE record = 1",
        "UPDATE scores SET value = 'x' WHERE record = 1",
        "UPDATE records SET waited = 'x' WHERE id = 1",
    ],
)
@pytest.mark.parametrize(
    "typed", ["list", "show bad --full", "export bad --format jsonl", "doctor --fix"]
)
def test_what_is_added_up_is_looked_at(store: Path, change: str, typed: str) -> None:
    """SQL takes a text for 0, and a score that nobody knows for none."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE runs SET history = NULL")
        db.execute("UPDATE evaluations SET summed = -1")  # so it is added up anew
        db.execute(change)
    where = ["--storage", str(store)]

    assert main(["doctor", *where]) == 1
    assert main([*typed.split(), *where]) == (0 if "--fix" in typed else 4)


def test_a_damaged_experiment_can_be_deleted(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then nothing is damaged any more."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE score_names SET n = 'x' WHERE id = 1")

    assert main(["delete", "bad", "--yes", "--storage", str(store)]) == 0
    assert "can not be counted" in capsys.readouterr().out
    assert main(["doctor", "--storage", str(store)]) == 0


def test_an_experiment_whose_name_is_lost_is_listed(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a name of our own, by which nothing is found."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE experiments SET name = CAST(x'ff' AS TEXT) WHERE id = 1")

    assert main(["list", "--storage", str(store)]) == 4
    assert "experiment 1, whose name is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            "ALTER TABLE experiments RENAME TO e0; CREATE VIEW experiments AS WITH RECURSIVE c(x) "
            "AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x id, 'e' name, 1.0 created FROM c",
            "the view 'experiments'",
        ),
        (
            "CREATE TRIGGER again AFTER INSERT ON bodies BEGIN UPDATE records SET state = 2; END",
            "the trigger 'again'",
        ),
        ("CREATE VIRTUAL TABLE x USING fts4(y)", "the virtual table 'x'"),
    ],
)
def test_a_store_that_would_do_something_is_not_opened(
    store: Path, capsys: pytest.CaptureFixture[str], made: str, told: str
) -> None:
    """No query runs what somebody else has put into the file; its tables can be saved."""
    where = ["--storage", str(store)]
    with closing(sqlite3.connect(store)) as db:
        db.executescript(made)
    for typed in ("list", "show good", "export good", "delete good --yes", "prune --keep 0 --yes"):
        assert main([*typed.split(), *where]) == 4
        assert told in capsys.readouterr().err
    assert main(["doctor", *where]) == 1
    assert told in capsys.readouterr().out

    assert main(["doctor", "--fix", *where]) == 0
    assert main(["list", *where]) == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="a system without timers")
def test_ctrl_c_ends_a_query_without_end(store: Path) -> None:
    """SQLite would go on, and Python hear of it afterwards."""
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    database = Database(store)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            database.all(endless)
        assert database.all("SELECT count(*) FROM experiments") == [(2,)]
    finally:
        signal.signal(signal.SIGALRM, before)
        database.close()


def test_an_evaluation_whose_runs_are_lost_has_no_limit_to_show(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no last run."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE runs SET evaluation = 999")

    assert main(["show", "good", "--concurrency", "--storage", str(store)]) == 0
    assert "no run is known" in capsys.readouterr().out
    assert main(["show", "good", "--errors", "--storage", str(store)]) == 0


def test_sums_that_are_not_those_of_the_records_are_found(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A figure that looks like one, and that no record has, is worse than none."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE runs SET history = NULL")
        db.execute("UPDATE score_names SET total = 1.0 WHERE id = 2")
    typed = ["doctor", "--storage", str(store)]

    assert main(typed) == 1
    assert "are not those of its records" in capsys.readouterr().out
    assert main([*typed, "--fix"]) == 0
    assert main(["gate", "good", "exact.accuracy >= 1", "--storage", str(store)]) == 0
