from __future__ import annotations

import pytest

from doteval.errors import StoreError
from doteval.storage.claims import Claims

from .made import a_run


@pytest.fixture(params=["file", "memory"])
def file(request, tmp_path):
    """Of the locks; None for a store in memory."""
    return tmp_path / "x.lock" if request.param == "file" else None


@pytest.fixture
def claims(file):
    claims = Claims(file)
    yield claims
    claims.close()


def test_an_evaluation_is_run_once(claims):
    """Until its run gives it back."""
    claim = claims.make(a_run(), "")

    assert claims.make(a_run(), "") is None
    assert claims.is_running(a_run(), "")
    claims.give_back(claim)
    assert not claims.is_running(a_run(), "")
    assert claims.make(a_run(), "") is not None


def test_evaluations_and_experiments_do_not_exclude_each_other(claims):
    """Whoever compares two models runs both at once."""
    claims.make(a_run("e", "f.py::v"), "")

    assert claims.make(a_run("e", "f.py::w"), "") is not None
    assert claims.make(a_run("other", "f.py::v"), "") is not None


def test_shards_run_beside_each_other(claims):
    """Each of them once."""
    assert claims.make(a_run(), "1/2") is not None
    assert claims.make(a_run(), "2/2") is not None
    assert claims.make(a_run(), "2/2") is None
    assert claims.is_running(a_run(), "1/2")


def test_a_run_of_all_rows_and_a_shard_exclude_each_other(claims):
    """Both would pay for the shard's rows."""
    shard = claims.make(a_run(), "1/2")
    assert claims.make(a_run(), "") is None

    claims.give_back(shard)

    whole = claims.make(a_run(), "")
    assert claims.make(a_run(), "1/2") is None
    claims.give_back(whole)
    assert claims.make(a_run(), "1/2") is not None


def test_two_objects_of_one_process_exclude_each_other(tmp_path):
    """POSIX would let a process lock a byte twice."""
    first, second = Claims(tmp_path / "x.lock"), Claims(tmp_path / "x.lock")
    first.make(a_run(), "1/2")

    assert second.make(a_run(), "1/2") is None
    assert second.make(a_run(), "") is None
    assert second.is_running(a_run(), "1/2")
    other = second.make(a_run(), "2/2")
    second.give_back(other)
    assert second.make(a_run(), "") is None
    first.close()
    assert second.make(a_run(), "") is not None
    second.close()


def test_without_the_right_to_write_nothing_can_be_locked(unprivileged):
    """A run needs a lock; the message says what that takes."""
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="can not be locked: Permission denied; a run needs"):
        Claims(unprivileged / "x.lock").make(a_run(), "")


def test_a_run_whose_lock_can_not_be_read_is_believed(unprivileged):
    """It is better to wait for a dead run than to delete a living one's records."""
    claims = Claims(unprivileged / "x.lock")
    claims.give_back(claims.make(a_run(), ""))
    (unprivileged / "x.lock").chmod(0)

    assert claims.is_running(a_run(), "")
