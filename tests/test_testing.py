from __future__ import annotations

from dataclasses import replace

import pytest

from doteval import testing
from doteval.errors import DotevalError
from doteval.storage import open_store
from doteval.storage.backend import Line
from doteval.storage.claims import Claims
from doteval.storage.sqlite import SqliteStore
from tests.plugin.doteval_folder import FolderStore


@pytest.mark.parametrize("check", testing.STORE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("address", ["memory://", "results.db"])
def test_the_stores_of_doteval_pass_the_checks_for_plugins(check, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    check(lambda: open_store(address))


@pytest.mark.parametrize("check", testing.STORE_CHECKS, ids=lambda check: check.__name__)
def test_a_plugins_store_passes_its_checks(check, tmp_path):
    """One that writes no more than what a backend must."""
    check(lambda: FolderStore(tmp_path / "s"))


class Volatile(SqliteStore):
    """Says that it outlives its object, and does not."""

    inline = False


class Buffered(FolderStore):
    """Keeps what is added for itself until the run ends."""

    def __init__(self, folder):
        super().__init__(folder)
        self.kept = []

    def add(self, number, lines, states):
        self.kept.append((lines, states))

    def end(self, number, run):
        for lines, states in self.kept:
            super().add(number, lines, states)
        super().end(number, run)


class Alone(FolderStore):
    """Knows of no other process that may run the same evaluation."""

    def __init__(self, folder):
        super().__init__(folder)
        self.claims = Claims(None)


class Whole(FolderStore):
    """Has not heard of shards."""

    def begin(self, run, part):
        return super().begin(run, "")


class Mixed(FolderStore):
    """Finds an evaluation in whatever experiment."""

    def _journal(self, of):
        return super()._journal(("e", of[1]))


class Forgetful(FolderStore):
    """Keeps records, and nothing else."""

    def add(self, number, lines, states):
        super().add(number, [line for line in lines if line.stored], states)


class Careless(FolderStore):
    """Leaves records as they are."""

    def add(self, number, lines, states):
        super().add(number, lines, {})


class Generous(FolderStore):
    """Sends everything at once."""

    def stored(self, number, after, limit):
        return super().stored(number, after, 1_000_000)


class Rounding(FolderStore):
    """Loses what does not fit."""

    def records(self, *of):
        for line in super().records(*of):
            yield Line(line.text.replace('"NaN"', "0"), line.stored)


class Deaf(FolderStore):
    """Never refuses anything."""

    def runs(self, *of):
        return [replace(run, status="complete") for run in super().runs(*of)]


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (Volatile, testing.what_was_added_outlives_its_object),
        (Buffered, testing.what_was_added_outlives_its_object),
        (Alone, testing.what_was_added_outlives_its_object),
        (Whole, testing.shards_are_run_side_by_side),
        (Mixed, testing.experiments_and_evaluations_do_not_mix),
        (Forgetful, testing.what_is_no_record_is_kept),
        (Careless, testing.a_fresh_shard_supersedes_its_own_rows),
        (Careless, testing.stale_records_count_no_more),
        (Generous, testing.a_resume_sees_what_is_stored),
        (Rounding, testing.odd_values_survive),
        (Deaf, testing.what_runs_can_not_be_deleted),
    ],
)
def test_a_wrong_store_is_found_out(wrong, check, tmp_path):
    """Each does one thing otherwise, and loses, pays twice or confuses because of it."""
    where = (None, tmp_path) if wrong is Volatile else (tmp_path / "s",)

    with pytest.raises((AssertionError, DotevalError)):
        check(lambda: wrong(*where))
