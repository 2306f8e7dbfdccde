from __future__ import annotations

import json
import os
import random
import sqlite3
import stat
from pathlib import Path

import pytest

from doteval.errors import Busy, StoreError, UsageError
from doteval.record import STALE, SUPERSEDED, Score
from doteval.reporting.summary import summarise
from doteval.storage import doctor
from doteval.storage.doctor import check, filesystem_of, fix
from doteval.storage.locks import acquire_all, is_held, release
from doteval.storage.place import Place
from doteval.storage.schema import VERSION

from .made import a_failure, a_run, a_store, an_attempt, an_entry, names_of, said_by

V = "f.py::v"
COUNT = 400
LITTLE = "DELETE FROM bodies WHERE record = 2"  # a damage


@pytest.fixture
def place(path):
    return Place("sqlite", path, path.parent)


@pytest.fixture
def filled(path, place):
    """A store with two experiments, closed."""
    store = a_store(path)
    for name in ("e", "other"):
        number = store.begin(a_run(name))
        store.add(
            number,
            [
                an_entry(
                    f"{n}",
                    None if n % 10 else a_failure(),
                    row={"text": f"{n}", "filler": "x" * (n % 7) * 200},
                )
                for n in range(COUNT)
            ],
        )
        store.add(number, [an_attempt("0"), an_attempt("10")])
        store.end(number, a_run(name, status="complete"))
    store.close()
    return place


def texts(report):
    return [finding.text for finding in report.findings]


def sql(path, *statements):
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def pages_of(path, table):
    """The numbers of a table's leaf pages, from 1."""
    db = sqlite3.connect(path)
    try:
        return [
            page
            for (page,) in db.execute(
                "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)
            )
        ]
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no dbstat to find a table's pages with")
    finally:
        db.close()


def overwrite(path, page, data=b"\xa5" * 4096):
    with open(path, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(data)


# ------------------------------------------------------------------------------- looking


def test_a_healthy_store_is_healthy(filled):
    """With the facts that somebody who asks for help is asked for."""
    report = check(filled)

    assert report.findings == ()
    assert report.is_healthy
    assert (report.facts["experiments"], report.facts["records"]) == (2, 2 * COUNT)
    assert report.facts["size"] == filled.path.stat().st_size
    assert report.facts["schema"] == VERSION
    assert report.facts["journal"] == "persist"
    assert json.loads(json.dumps(report.to_dict()))["healthy"] is True


def test_nothing_is_done_to_a_healthy_store(filled):
    """No copy is made either."""
    before = filled.path.read_bytes()

    repair = fix(filled)

    assert (repair.backup, repair.done, repair.saved) == (None, (), None)
    assert filled.path.read_bytes() == before
    assert not list(filled.path.parent.glob("*.damaged*"))


@pytest.mark.parametrize("look", [check, fix])
def test_only_files_have_a_doctor(look, path):
    """What is in memory or behind a plugin has other ones."""
    with pytest.raises(UsageError, match="memory:// is not a file"):
        look(Place("memory", None, path.parent))
    with pytest.raises(StoreError, match="there is no store at"):
        look(Place("sqlite", path, path.parent))


def test_permissions_are_told_with_what_mends_them(filled):
    """Prompts and answers are nobody else's business; a store that others may read is whole."""
    filled.path.chmod(0o644)

    report = check(filled)

    assert [finding.level for finding in report.findings] == ["note"]
    assert "results.db can be read or written by others (mode 0644, not 0600)" in texts(report)[0]
    assert texts(report)[0].endswith("`chmod 600 results.db`")
    assert report.is_healthy


def test_what_may_not_be_written_is_told(unprivileged):
    """A run would fail; a look at it does not."""
    path = unprivileged / "results.db"
    a_store(path).close()
    path.chmod(0o400)
    unprivileged.chmod(0o500)

    report = check(Place("sqlite", path, unprivileged))

    assert [finding.level for finding in report.findings] == ["risk", "risk"]
    assert "results.db may not be read and written by you" in texts(report)[0]
    assert "nothing may be made in" in texts(report)[1]


def test_a_risky_file_system_is_told(filled, monkeypatch):
    """SQLite's own documentation warns of them."""
    monkeypatch.setattr(doctor, "filesystem_of", lambda path: "nfs4")

    report = check(filled)

    assert "file system of the kind nfs4" in texts(report)[0]
    assert report.is_healthy


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/x.db", "ext4"),
        ("/mnt/a b/x.db", "nfs4"),
        ("/mnt/a b/c/x.db", "tmpfs"),
        ("/mnt/abc/x.db", "ext4"),
        ("/", "ext4"),
    ],
)
def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount(tmp_path, path, kind):
    """A later mount hides an earlier one; blanks are written as octal numbers."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "rootfs / rootfs rw 0 0\n/dev/sda / ext4 rw 0 0\nserver:/x /mnt/a\\040b nfs4 rw 0 0\n"
        "none /mnt/a\\040b/c tmpfs rw 0 0\n"
    )

    assert filesystem_of(Path(path), mounts) == kind


def test_elsewhere_nobody_says_the_kind_of_a_file_system(tmp_path):
    """Only Linux has that list."""
    assert filesystem_of(tmp_path, tmp_path / "none") is None
    (tmp_path / "empty").write_text("")
    assert filesystem_of(tmp_path, tmp_path / "empty") is None


def test_a_disk_that_is_nearly_full_is_told(filled, monkeypatch):
    """A commit that finds no room ends a run."""
    monkeypatch.setattr(doctor, "_free", lambda path: 5 * 2**20)

    assert "there are only 5 MB left on its disk" in texts(check(filled))[0]


def test_where_nobody_knows_the_free_space_it_is_not_judged(filled, monkeypatch):
    """As on Windows."""
    monkeypatch.setattr(doctor, "_free", lambda path: None)

    assert check(filled).facts["free"] is None
    assert check(filled).findings == ()


# ------------------------------------------------------------------------------- runs


def test_a_run_that_was_killed_is_no_damage(path, place):
    """It is told; readers show it as interrupted, and the next run resumes it."""
    store = a_store(path)
    store.begin(a_run())
    store.close()

    report = check(place)

    assert report.is_healthy
    assert "1 run ended without a word" in texts(report)[0]
    assert (fix(place).backup, sorted(path.parent.glob("*.damaged*"))) == (None, [])


def test_a_run_without_an_end_is_interrupted_in_a_store_made_anew(path, place):
    """Its lock is free, so nobody works on it; its records are what it has done."""
    store = a_store(path)
    store.add(store.begin(a_run()), [an_entry("a"), an_entry("b")])
    store.close()
    sql(path, "DELETE FROM scores WHERE record = 2")

    fix(place)

    store = a_store(path)
    assert store.runs("e")[0].status == "interrupted"
    assert store.database.all("SELECT DISTINCT status FROM runs") == [("interrupted",)]
    store.close()


def test_a_store_that_is_in_use_is_looked_at_but_not_read_through(path, place):
    """Reading it all would make the run wait."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry()])
    sql(path, "UPDATE bodies SET body = 'x'")

    report = check(place)

    assert texts(report) == ["1 run going on: the texts were not read"]
    assert report.is_healthy
    store.close()


def test_a_store_that_is_in_use_is_not_mended(filled):
    """Neither by this process nor by another."""
    sql(filled.path, LITTLE)
    store = a_store(filled.path)
    store.begin(a_run("third"))

    with pytest.raises(Busy, match="a run is going on"):
        fix(filled)

    store.close()
    assert fix(filled).report.is_healthy


def test_where_nothing_can_be_locked_nothing_is_mended(unprivileged):
    """The new file could not be made there either."""
    path = unprivileged / "results.db"
    a_store(path).close()
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="can not be locked .* mend the copy"):
        fix(Place("sqlite", path, unprivileged))


def test_while_a_store_is_mended_no_run_begins(path):
    """All its locks are taken at once."""
    store = a_store(path)
    file = path.with_name("results.db.lock")
    lock = acquire_all(file)

    with pytest.raises(Busy):
        store.begin(a_run())
    assert acquire_all(file) is None
    assert is_held(file, "anything")
    release(lock)
    store.begin(a_run())
    assert acquire_all(file) is None
    store.close()


def test_a_run_of_another_process_keeps_the_store_from_being_mended(filled, start):
    """Whatever evaluation it works on."""
    sql(filled.path, LITTLE)
    process = start(
        """
        import sys
        from storage.made import a_run, a_store
        store = a_store(sys.argv[1])
        store.begin(a_run("theirs"))
        print("begun", flush=True)
        sys.stdin.readline()
        """,
        filled.path,
    )
    process.stdout.readline()

    with pytest.raises(Busy):
        fix(filled)


# ------------------------------------------------------------------- what belongs together


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM evaluations WHERE id = 2", "400 records of no evaluation"),
        ("DELETE FROM experiments WHERE id = 2", "1 evaluation of no experiment"),
        ("DELETE FROM records WHERE id <= 3", "3 texts of no record"),
        ("DELETE FROM bodies WHERE record <= 3", "3 records without texts"),
        ("DELETE FROM scores WHERE record IN (2, 3)", "2 results without scores"),
        ("UPDATE bodies SET body = '{' WHERE record = 5", "1 record with damaged texts"),
        ("UPDATE bodies SET body = '[]' WHERE record = 5", "1 record with damaged texts"),
        ("UPDATE bodies SET body = x'00' WHERE record = 5", "1 record with damaged texts"),
        ("UPDATE runs SET evaluation = 77 WHERE id = 1", "1 run of no evaluation"),
        ("UPDATE attempts SET evaluation = 77 WHERE id = 1", "1 attempt of no evaluation"),
        (
            "UPDATE score_names SET evaluation = 77 WHERE id = 1",
            "1 name of a score of no evaluation",
        ),
        ("DROP INDEX records_live", "an index is missing"),
        (
            "DROP INDEX records_live; "
            "INSERT INTO records SELECT 9999, evaluation, run, key, digest, repeat, position, "
            "state, 'E', 1, 1, 1, 1, 1, 1, 1, 1, NULL FROM records WHERE id = 2",
            "1 row counted more than once",
        ),
    ],
)
def test_what_belongs_to_nothing_is_told_and_mended(filled, statement, text):
    """Nobody knows how it came about; the store is whole afterwards."""
    sql(filled.path, *statement.split("; "))

    report = check(filled)
    repair = fix(filled)

    assert any(text in found for found in texts(report))
    assert {finding.level for finding in report.findings} == {"damage"}
    assert not report.is_healthy
    assert repair.report.is_healthy
    assert repair.report.findings == ()
    assert check(Place("sqlite", repair.backup, filled.anchor)).findings == report.findings


def test_what_was_deleted_does_not_come_back(filled):
    """Its rows were not swept away yet."""
    sql(
        filled.path,
        "UPDATE evaluations SET experiment = -id WHERE id = 2",
        "DELETE FROM experiments WHERE id = 2",
        LITTLE,
    )

    repair = fix(filled)

    assert repair.saved == (COUNT, 1, 0, 0)
    assert repair.report.findings == ()
    store = a_store(filled.path)
    assert [name for name, _ in store.experiments()] == ["e"]
    store.close()


def test_a_result_without_scores_becomes_a_failure_and_runs_again(filled):
    """It was paid for, and counts for nothing without them."""
    sql(filled.path, "DELETE FROM scores WHERE record = 2")

    fix(filled)

    store = a_store(filled.path)
    (lost,) = [r for r in store.records("e", V, failed=True) if r.outcome.type == "Lost"]
    assert lost.row["text"] == "1"
    assert lost.outcome.message.startswith("its scores are lost")
    number = store.begin(a_run())
    assert [one.failed for one in store.stored(number)][1]
    store.close()


def test_a_result_without_texts_keeps_its_scores(filled):
    """So nothing need be paid for again."""
    sql(filled.path, "DELETE FROM bodies WHERE record = 2")

    fix(filled)

    store = a_store(filled.path)
    record = list(store.records("e", V))[1]
    assert record.outcome.scores == (Score("right", True, ("accuracy",)),)
    assert record.row == {"?": "it could not be read any more when the store was repaired"}
    store.close()


def test_records_whose_evaluation_is_lost_get_a_name(filled):
    """They can be looked at, and exported."""
    sql(filled.path, "DELETE FROM evaluations WHERE id = 2", "DELETE FROM score_names")

    repair = fix(filled)

    assert repair.saved.unnamed == 1
    store = a_store(filled.path)
    assert [name for name, _ in store.experiments()] == ["e", "other", "recovered"]
    assert store.evaluations("recovered") == ["recovered::2"]
    tally = store.tally("recovered", "recovered::2")
    assert (tally.scored, tally.failed, list(tally.scores)) == (360, 40, ["recovered 2"])
    store.close()


def test_an_experiment_whose_name_is_lost_gets_another(filled):
    """By its number."""
    sql(filled.path, "DELETE FROM experiments WHERE id = 2")

    fix(filled)

    store = a_store(filled.path)
    assert store.tally("recovered 2", V).scored == 360
    store.close()


def test_names_that_hold_anything_cost_themselves(filled):
    """What belongs to nothing then is passed over, or has a name of our own; no name is twice."""
    sql(
        filled.path,
        "INSERT INTO experiments VALUES (7, 'bad', 'no time')",
        "INSERT INTO evaluations VALUES (7, 'no number', 'bad', NULL, 0, NULL, 0)",
        "UPDATE attempts SET evaluation = 7 WHERE id = 1",
        "UPDATE evaluations SET experiment = 9, total = 'no number' WHERE id = 1",
        "UPDATE experiments SET name = 'recovered 9' WHERE id = 2",
    )

    repair = fix(filled)

    assert repair.saved == (2 * COUNT, 0, 0, 0)
    assert repair.report.findings == ()
    store = a_store(filled.path)
    assert store.evaluations("recovered 9") == [V, f"{V} (recovered 2)"]
    assert [len(store.attempts("recovered 9", name)) for name in (V, f"{V} (recovered 2)")] == [
        1,
        2,
    ]
    store.close()


def test_of_two_records_of_one_row_the_last_counts(filled):
    """As it would have, had the first been superseded."""
    sql(
        filled.path,
        "DROP INDEX records_live",
        "UPDATE records SET key = (SELECT key FROM records WHERE id = 2) WHERE id = 3",
    )

    fix(filled)

    store = a_store(filled.path)
    assert names_of(store.records("e", V, state=SUPERSEDED)) == ["1"]
    store.close()


def test_states_and_the_ledger_are_kept(path, place):
    """A repair changes nothing that was whole."""
    store = a_store(path)
    number = store.begin(a_run(header={"a": [1]}))
    store.add(number, [an_entry("a"), an_entry("b", a_failure()), an_entry("c", digest=b"d" * 8)])
    store.add(number, [an_entry("b", replaces=2), an_attempt("b", message="why")])
    store.mark(number, [1], STALE)
    store.total(number, 3)
    store.end(number, a_run(status="interrupted", finished=3.0, error="no"))
    before = dump(path)
    store.close()
    sql(path, "INSERT INTO bodies VALUES (99, '{}')")

    fix(place)

    assert dump(path) == before


def dump(path):
    """Everything that is stored but what is only kept for speed."""
    db = sqlite3.connect(path)
    db.execute("UPDATE evaluations SET sums = NULL, summed = -1, revision = 0")
    found = {
        table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        for table in ("experiments", "evaluations", "runs", "records", "scores", "score_names",
                      "attempts", "bodies")
    }  # fmt: skip
    db.close()
    return found


# ----------------------------------------------------------------------- damaged files


def saved_names(path, experiment="e"):
    store = a_store(path)
    try:
        assert store.database.all("PRAGMA integrity_check") == [("ok",)]
        return {record.row.get("text"): record for record in store.records(experiment, V)}
    finally:
        store.close()


@pytest.mark.parametrize("table", ["records", "bodies", "scores"])
def test_a_damaged_page_costs_what_stood_on_it(filled, table):
    """Everything else is saved, on both sides of it."""
    pages = pages_of(filled.path, table)
    overwrite(filled.path, pages[len(pages) // 2])

    report = check(filled)
    repair = fix(filled)

    assert report.findings[0].level == "damage"
    assert repair.report.findings == ()
    saved = repair.saved
    lost = 2 * COUNT - saved.records
    costs = {"records": lost, "bodies": saved.without_texts, "scores": saved.without_scores}
    assert 0 < costs.pop(table) < 500
    assert set(costs.values()) == {0}
    found = saved_names(filled.path) | saved_names(filled.path, "other")
    assert {"0", f"{COUNT - 1}"} <= set(found)


@pytest.mark.parametrize("table", ["records_of", "records_failed", "runs_of"])
def test_a_damaged_index_costs_nothing(filled, table):
    """It is made anew from what it was made of."""
    overwrite(filled.path, pages_of(filled.path, table)[0])

    repair = fix(filled)

    assert repair.saved == (2 * COUNT, 0, 0, 0)
    assert repair.report.findings == ()


@pytest.mark.parametrize("table", ["experiments", "evaluations", "runs", "score_names", "attempts"])
def test_a_damaged_small_table_costs_names(filled, table):
    """The records are there, under names of our own."""
    overwrite(filled.path, pages_of(filled.path, table)[0])

    repair = fix(filled)

    assert repair.saved.records == 2 * COUNT
    assert repair.report.findings == ()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 60,
        b"\xa5" * 4096,
        b"SQLite format 3\0" + b"\xa5" * 52 + b"dote" + bytes(4024),
    ],
)
def test_a_store_without_its_first_page_is_left_as_it_is(filled, data):
    """There stands where all else is; what to try is told."""
    overwrite(filled.path, 1, data)
    before = filled.path.read_bytes()

    assert check(filled).findings[0].level == "damage"
    with pytest.raises(StoreError, match=r"left as it is; take a backup, or .* \.recover"):
        fix(filled)

    assert filled.path.read_bytes() == before
    assert {file.suffix for file in filled.path.parent.iterdir()} == {".db", ".db-journal", ".lock"}


def test_a_list_of_tables_that_was_emptied_is_told(filled):
    """It says nothing of what was there."""
    sql(filled.path, "PRAGMA writable_schema = 1", "DELETE FROM sqlite_master")

    with pytest.raises(StoreError, match="its list of tables is lost"):
        fix(filled)


def test_a_table_that_is_lost_costs_what_stood_in_it(filled):
    """The others are read."""
    sql(filled.path, "DROP TABLE runs", "DROP TABLE attempts")

    repair = fix(filled)

    assert repair.saved == (2 * COUNT, 0, 0, 0)
    assert repair.report.findings == ()
    store = a_store(filled.path)
    assert [run.uid for run in store.runs("e")] == ["recovered-1"]
    store.close()


def test_a_truncated_store_keeps_its_beginning(filled):
    """A copy that was interrupted."""
    with open(filled.path, "r+b") as file:
        file.truncate(filled.path.stat().st_size // 2 // 4096 * 4096)

    repair = fix(filled)

    assert repair.saved.records > 0
    assert repair.report.findings == ()


def test_random_damage_is_survived(filled):
    """Whatever pages are hit, a repair ends with a store that is whole."""
    chance = random.Random(5)
    original = filled.path.read_bytes()
    pages = len(original) // 4096
    saved = []
    for _ in range(12):
        damaged = bytearray(original)
        for page in chance.sample(range(1, pages), 4):
            at = page * 4096 + chance.randrange(4000)
            damaged[at : at + 96] = chance.randbytes(96)
        filled.path.write_bytes(damaged)
        report = check(filled)
        if report.is_healthy:
            continue  # it hit what was free
        repair = fix(filled)
        assert repair.report.findings == ()
        saved.append(repair.saved.records)

    assert len(saved) > 6
    assert sum(saved) / len(saved) > COUNT


def test_a_file_that_never_was_a_store_is_left_alone(path, place):
    """Nor is a newer store, or one of which nothing is left."""
    path.write_bytes(b"question,answer\n" * 1_000)
    with pytest.raises(StoreError, match=r"nothing can be read of .* not a database"):
        fix(place)

    sql_path = path.with_name("theirs.db")
    sql(sql_path, "CREATE TABLE theirs (a)")
    with pytest.raises(StoreError, match="a database of another program"):
        fix(Place("sqlite", sql_path, path.parent))

    newer = path.with_name("newer.db")
    a_store(newer).close()
    sql(newer, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer doteval"):
        fix(Place("sqlite", newer, path.parent))


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ("UPDATE runs SET header = '{' WHERE id = 1", 2),
        ("UPDATE runs SET header = '[]' WHERE id = 1", 2),
        ("UPDATE runs SET history = '[}' WHERE id = 1", 2),
        ("UPDATE runs SET started = 'x' WHERE id = 1", 2),
        ("UPDATE score_names SET metrics = 'x' WHERE id = 1", 2),
        ("UPDATE evaluations SET sums = '{'", 2),
    ],
)
def test_a_damaged_document_is_told_and_costs_itself(filled, change, runs):
    """Whoever reads it hears of damage, and not of JSON."""
    sql(filled.path, change, "UPDATE bodies SET body = '{' WHERE record = 1")
    if "started" not in change and "'[]'" not in change:
        store = a_store(filled.path)
        with pytest.raises(StoreError, match="is damaged .* see `doteval doctor`"):
            [summarise(store, "e", V), list(store.records("e", V)), store.runs("e")]
        store.close()

    repair = fix(filled)

    assert repair.saved == (2 * COUNT, 1, 0, 0)
    assert repair.report.findings == ()
    store = a_store(filled.path)
    assert len([run for name in ("e", "other") for run in store.runs(name)]) == runs
    store.close()


def test_rows_that_come_again_are_left(filled):
    """A damaged tree can lead back to a page that was read."""
    first, *others = pages_of(filled.path, "records")
    content = bytearray(filled.path.read_bytes())
    for page in others[:3]:
        content[(page - 1) * 4096 : page * 4096] = content[(first - 1) * 4096 : first * 4096]
    filled.path.write_bytes(content)

    repair = fix(filled)

    assert 0 < repair.saved.records < 2 * COUNT
    assert repair.report.findings == ()


@pytest.mark.parametrize("at", [0, 4, -1])
def test_rows_in_disorder_are_left(filled, at):
    """A search among them does not find what is there."""
    start = (pages_of(filled.path, "records")[at] - 1) * 4096
    content = bytearray(filled.path.read_bytes())
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    pointers = [content[start + 8 + 2 * n : start + 10 + 2 * n] for n in range(count)]
    content[start + 8 : start + 8 + 2 * count] = b"".join(reversed(pointers))
    filled.path.write_bytes(content)

    repair = fix(filled)

    assert COUNT < repair.saved.records < 2 * COUNT
    assert repair.report.findings == ()


def test_rows_that_hold_anything_are_not_taken_over(filled):
    """A damaged page may still look like one."""
    sql(
        filled.path,
        "UPDATE records SET key = 'no key' WHERE id = 2",
        "UPDATE records SET state = 7 WHERE id = 3",
        "UPDATE scores SET name = 'no number' WHERE record = 4",
        "DELETE FROM bodies WHERE record = 5",
        "UPDATE scores SET name = 2 WHERE record = 6",  # of the other experiment
        "UPDATE scores SET value = 'no number', boolean = 0 WHERE record = 7",
        "UPDATE records SET started = 'no number' WHERE id = 8",
    )

    repair = fix(filled)

    assert repair.saved == (2 * COUNT - 2, 1, 3, 0)
    assert repair.report.findings == ()


def test_an_unfinished_write_is_undone_before_anything_is_saved(path, place, tmp_path):
    """The journal is copied with the file, and belongs to it."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry(f"{n}", row={"text": f"{n}", "x": "x" * 3000}) for n in range(20)])
    store.end(number, a_run(status="complete"))
    store.close()
    crashed = tmp_path / "in" / "results.db"
    crashed.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = PERSIST")
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE bodies SET body = 'unfinished'")
    for name in ("results.db", "results.db-journal"):
        (crashed.parent / name).write_bytes((path.parent / name).read_bytes())
    db.close()

    report = check(Place("sqlite", crashed, tmp_path))

    assert [finding.level for finding in report.findings] == ["note", "note"]  # permissions
    assert set(saved_names(crashed)) == {f"{n}" for n in range(20)}


def test_a_wal_is_told(path, place):
    """It stays one while the other program has it open."""
    a_store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("SELECT count(*) FROM runs").fetchall()

    report = check(place)
    other.close()

    assert any("has made it a WAL" in text for text in texts(report))


def test_what_is_left_of_an_earlier_repair_does_no_harm(filled):
    """One that was killed leaves files behind, which the next one takes away."""
    sql(filled.path, LITTLE)
    for name in ("results.db.mending", "results.db.mending-journal"):
        filled.path.with_name(name).write_bytes(b"rubbish")

    repair = fix(filled)

    assert repair.saved == (2 * COUNT, 1, 0, 0)
    assert {file.name for file in filled.path.parent.iterdir()} == {
        "results.db", "results.db.damaged", "results.db.lock",
    }  # fmt: skip


def test_each_damaged_file_is_kept(filled):
    """None takes the place of another, and a name that a killed repair gave is used."""
    for n in ("", "-2", "-3"):
        sql(filled.path, f"DELETE FROM bodies WHERE record = 1{n[1:]}")
        os.link(filled.path, filled.path.with_name(f"results.db.damaged{n}"))
        assert fix(filled).backup.name == f"results.db.damaged{n}"


def test_where_a_file_has_one_name_the_damaged_one_is_copied(filled, monkeypatch):
    """As on a memory card."""
    sql(filled.path, LITTLE)
    before = filled.path.read_bytes()
    monkeypatch.setattr(os, "link", raising(PermissionError(1, "Operation not permitted")))

    repair = fix(filled)

    assert repair.backup.read_bytes() == before
    assert stat.S_IMODE(repair.backup.stat().st_mode) == 0o600


def test_a_linked_store_is_mended_where_it_is(filled, tmp_path):
    """The link goes on leading to it."""
    sql(filled.path, LITTLE)
    link = tmp_path / "link.db"
    link.symlink_to(filled.path)

    repair = fix(Place("sqlite", link, tmp_path))

    assert link.is_symlink()
    assert repair.report.findings == ()
    assert repair.backup == filled.path.with_name("results.db.damaged")


def raising(error):
    def function(*arguments):
        raise error

    return function


KILLED = """
import os, sys, sqlite3
from pathlib import Path
from doteval.storage.doctor import fix
from doteval.storage.place import Place

path, original = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
CALLS = {"execute", "executemany", "close", "link", "replace", "unlink", "fsync", "open"}
STEP = int(sys.argv[2])

def at(n):
    "Mend, and die before the n-th call that can reach a file; whether it came to that."
    pid = os.fork()
    if not pid:
        left = n
        def profile(frame, event, what):
            nonlocal left
            if event == "c_call" and what.__name__ in CALLS:
                left -= 1
                if not left:
                    os._exit(9)
        sys.setprofile(profile)
        fix(Place("sqlite", path, path.parent))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9

n = 1
while True:
    for file in path.parent.glob("results.db*"):
        file.unlink()
    path.write_bytes(original)
    if not at(n):
        break
    repair = fix(Place("sqlite", path, path.parent))
    assert repair.report.findings == (), (n, repair)
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM bodies JOIN records ON id = record").fetchone() == (12,)
    kept = [file for file in path.parent.glob("*.damaged*") if "journal" not in file.name]
    assert [file.name for file in kept] == ["results.db.damaged"], (n, kept)
    assert kept[0].read_bytes() == original, n
    assert not list(path.parent.glob("*.mending*")), n
    n += STEP
print(n)
"""


def test_a_repair_that_is_killed_anywhere_is_done_again(path, start):
    """At each moment the damaged store, or the whole one, has the store's name."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry(f"{n}") for n in range(12)])
    store.end(number, a_run(status="complete"))
    store.close()
    sql(path, LITTLE)

    step = 1 if "DOTEVAL_KILLS" in os.environ else 7
    assert int(said_by(start(KILLED, path, step), 300)) > 100


def test_a_run_that_stands_twice_is_saved_once(filled):
    """No store can be made so; a damaged file can."""
    sql(
        filled.path,
        "ALTER TABLE runs RENAME TO old", "CREATE TABLE runs AS SELECT * FROM old",
        "DROP TABLE old", "INSERT INTO runs SELECT * FROM runs WHERE id = 1",
        "UPDATE runs SET id = 100 WHERE rowid = (SELECT max(rowid) FROM runs)", LITTLE,
    )  # fmt: skip

    fix(filled)

    db = sqlite3.connect(filled.path)
    assert db.execute("SELECT count(*), count(DISTINCT uid) FROM runs").fetchone() == (2, 2)
    db.close()
