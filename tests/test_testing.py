from __future__ import annotations

import pytest

from doteval import testing
from doteval.record import Result, Score
from doteval.storage import open_store
from doteval.storage.claims import Claims
from doteval.storage.memory import MemoryStore
from doteval.storage.sqlite import SqliteStore


@pytest.mark.parametrize("check", testing.STORE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("address", ["memory://", "results.db"])
def test_the_stores_of_doteval_pass_the_checks_for_plugins(check, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    check(lambda: open_store(address))


class Forgetful(MemoryStore):
    """A store that a plugin's author would want to hear about."""

    def total_of(self, experiment, evaluation):
        return 7


@pytest.mark.parametrize("check", [testing.a_total_is_kept], ids=lambda check: check.__name__)
def test_a_store_that_forgets_is_found_out(check, tmp_path):
    with pytest.raises(AssertionError, match="expected None, got 7"):
        check(lambda: Forgetful(tmp_path))


class Volatile(MemoryStore):
    """Says that it outlives its object, and does not."""

    inline = False


class Buffered(SqliteStore):
    """Keeps what is added for itself until the run ends."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept = []

    def add(self, number, entries):
        self.kept.extend(entries)

    def end(self, number, run):
        super().add(number, self.kept)
        super().end(number, run)


class Alone(SqliteStore):
    """Knows of no other process that may run the same evaluation."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._claims = Claims(None)


class Whole(SqliteStore):
    """Has not heard of shards."""

    def begin(self, run, *, fresh=False, part=""):
        return super().begin(run, fresh=fresh)


class Divided(SqliteStore):
    """Takes a shard of whatever division."""

    def _refuse_other_division(self, *arguments):
        pass


class Mixed(SqliteStore):
    """Finds an evaluation in whatever experiment."""

    def number_of(self, experiment, name):
        return self._db.all("SELECT max(id) FROM evaluations WHERE name = ?", name)[0][0]


class Silent(SqliteStore):
    """Exports nothing."""

    def facts(self, experiment):
        return iter(())


class Keyless(SqliteStore):
    """Tells values, but not of which rows."""

    def values(self, *arguments):
        return ((b"", value) for _, value in super().values(*arguments))


class Generous(SqliteStore):
    """Sends everything at once."""

    def stored(self, number, after=0, limit=2_000):
        return super().stored(number, after, 1_000_000)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (Volatile, testing.what_was_added_outlives_its_object),
        (Buffered, testing.what_was_added_outlives_its_object),
        (Alone, testing.what_was_added_outlives_its_object),
        (Divided, testing.shards_are_run_side_by_side),
        (Whole, testing.a_fresh_shard_supersedes_its_own_rows),
        (Mixed, testing.experiments_and_evaluations_do_not_mix),
        (Silent, testing.facts_make_an_experiment_again),
        (Keyless, testing.sums_agree_with_the_records),
        (Generous, testing.a_resume_sees_what_is_stored),
    ],
)
def test_a_wrong_store_is_found_out(wrong, check, tmp_path):
    """Each does one thing otherwise, and loses, pays twice or confuses because of it."""
    where = (tmp_path,) if issubclass(wrong, MemoryStore) else (tmp_path / "s.db", tmp_path)

    with pytest.raises(AssertionError):
        check(lambda: wrong(*where))


class Deaf(MemoryStore):
    """Never refuses anything."""

    def evaluations(self, experiment):
        return []


def test_an_error_that_does_not_come_is_found_out(tmp_path):
    with pytest.raises(AssertionError, match="expected NotFound"):
        testing.an_empty_store_holds_nothing(lambda: Deaf(tmp_path))


class Rounding(MemoryStore):
    """Loses what does not fit."""

    def records(self, *arguments, **options):
        for record in super().records(*arguments, **options):
            yield type(record)(
                record.key, record.position, record.repeat, record.row, Result(Score("v", 0)),
                record.attempts, record.started, record.duration, record.waited,
                record.concurrency,
            )  # fmt: skip


def test_a_value_that_changes_is_found_out(tmp_path):
    with pytest.raises(AssertionError, match="a score of nan"):
        testing.odd_values_survive(lambda: Rounding(tmp_path))
