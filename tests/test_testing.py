from __future__ import annotations

import pytest

from doteval import testing
from doteval.records import Result, Score
from doteval.storage import open_store
from doteval.storage.memory import MemoryStore


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
