"""Calls in the store: beside the records of their rows, found again by what was asked."""

from __future__ import annotations

import pytest

from doteval.errors import NotFound, UsageError
from doteval.record import Call
from doteval.storage import locate, open_store
from doteval.storage.encoding import dump
from doteval.storage.exchange import export_lines, import_lines
from doteval.storage.merging import merge

from .made import a_call, a_run, a_store, an_attempt, an_entry, key_of

EVALUATION = "f.py::v"


@pytest.fixture
def store(path):
    store = a_store(path)
    yield store
    store.close()


def filled(store, *entries, experiment="e"):
    """The uid of a run that adds these."""
    run = a_run(experiment)
    number = store.begin(run)
    store.add(number, entries)
    store.end(number, a_run(experiment, status="complete"))
    return run.uid


def kept_in(store, experiment="e"):
    return [call for _, call in store.calls(experiment, EVALUATION)]


def test_calls_come_back_as_they_were(store):
    """Row by row, each with the uid of its run; or those of one row alone."""
    calls = [a_call("b", "1"), a_call("a", "2", repeat=1), a_call("a", "3", number=4)]
    uid = filled(store, *calls, an_entry("a"), an_attempt("b"))

    assert list(store.calls("e", EVALUATION)) == [(uid, each) for each in (*calls[1:], calls[0])]
    assert [call for _, call in store.calls("e", EVALUATION, key_of("b"))] == [calls[0]]
    with pytest.raises(NotFound):
        store.calls("e", "other")


def test_many_calls_are_read_in_pages(store):
    """Of one row and of many, none is told twice."""
    calls = [a_call(f"{n % 3}", f"{n}") for n in range(1_203)]
    filled(store, *calls)

    assert sorted(kept_in(store)) == sorted(calls)


def test_a_call_is_found_by_what_was_asked(store):
    """The latest of the same row, else one of another row; of any experiment, or of one."""
    filled(store, a_call("a", response='"old"'), a_call("b", response='"b"'))
    filled(store, a_call("a", response='"new"'), experiment="later")

    def found(name="a", digest="?", repeat=0, number=0, experiment=None):
        call = store.known_call(key_of(digest), repeat, number, key_of(name), experiment)
        return call and call.response

    assert (found(), found("b"), found(experiment="e")) == ('"new"', '"b"', '"old"')
    assert found("unknown") == '"b"'
    assert not any([found(digest="!"), found(repeat=1), found(number=1)])
    with pytest.raises(NotFound, match="no experiment 'f'"):
        found(experiment="f")


def test_the_latest_requests_are_told(store):
    """To say what a call that is not known differs in."""
    filled(store, *(a_call("a", str(n)) for n in range(5)))
    filled(store, a_call("b", "other"), experiment="f")

    late = store.late_requests(2)

    assert late == [(call.key, call.request) for call in (a_call("b", "other"), a_call("a", "4"))]
    assert [key for key, _ in store.late_requests(9, "e")] == [key_of("a")] * 5


def test_calls_travel_with_their_experiment(store, tmp_path):
    """Through export and import, also twice; through merge; and they go with it."""
    calls = [a_call("a", response=dump("ü\ud800")), a_call("b", response='{"text": [1, null]}')]
    filled(store, *calls, an_entry("a"))
    lines = "".join(export_lines(store, "e")).encode().splitlines()
    other = open_store(tmp_path / "other.db")

    for _ in range(2):
        import_lines(other, lines)
    assert kept_in(other) == calls
    other.close()
    merge(locate(tmp_path / "merged.db"), [locate(tmp_path / "other.db")])
    merged = open_store(tmp_path / "merged.db", create=False)
    assert kept_in(merged) == calls
    merged.delete("e")
    assert merged.database.all("SELECT count(*) FROM calls") == [(0,)]
    merged.close()


def test_an_import_that_was_cut_short_brings_each_call_once(store, tmp_path):
    """The same lines once more finish it."""
    filled(store, a_call(), an_entry("a"))
    lines = "".join(export_lines(store, "e")).encode().splitlines()
    other = open_store(tmp_path / "other.db")

    with pytest.raises(UsageError, match="cut short"):
        import_lines(other, lines[:-1])
    import_lines(other, lines)

    assert kept_in(other) == [a_call()]
    other.close()


@pytest.mark.parametrize(
    ("told", "instead", "wrong"),
    [
        ('"response"', '"answer"', "a call has no 'response'"),
        ('"request": {', '"request": 1, "x": {', "'request' is no object"),
        ('"calls": 1', '"calls": 2', "should be 2 calls above, and there are 1"),
    ],
)
def test_a_line_that_is_no_call_is_told(store, tmp_path, told, instead, wrong):
    """With its number, and what was expected."""
    filled(store, a_call(), an_entry("a"))
    lines = [
        line.replace(told, instead).encode()
        for line in "".join(export_lines(store, "e")).splitlines()
    ]
    other = open_store(tmp_path / "other.db")

    with pytest.raises(UsageError, match=wrong):
        import_lines(other, lines)
    other.close()


def test_long_calls_make_short_pages(store):
    """No page holds more than a few megabytes of them."""
    calls = [a_call("a", str(n), response=f'"{"x" * 2_000_000}"') for n in range(6)]
    filled(store, *calls)

    assert kept_in(store) == calls
    assert isinstance(kept_in(store)[0], Call)
