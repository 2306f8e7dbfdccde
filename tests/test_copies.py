"""What each attempt at a row is given."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import pytest

from doteval import ForEach
from doteval.concurrency import Retry, SlidingWindow
from doteval.runner import run
from doteval.running.copies import on_copies
from tests import travellers


@dataclass
class Chat:
    messages: list = field(default_factory=list)


def copied(**row):
    return on_copies(dict, **row)


@pytest.mark.parametrize("concurrency", [None, SlidingWindow(3)])
def test_each_repeat_finds_the_row_as_the_dataset_gave_it(concurrency):
    """A chat appends to its messages; no other repeat reads them, nor the next run."""
    rows = [([{"role": "user"}],)]
    seen = []

    @ForEach(concurrency=concurrency, repeats=3)("messages", rows)
    async def eval_chat(messages):
        messages += [{}, {}]
        messages[0]["role"] = "changed"
        seen.append(len(messages))
        return True

    records = []
    run(eval_chat, storage="memory://", progress=False, on_record=records.append)

    assert seen == [3, 3, 3]
    assert rows == [([{"role": "user"}],)]
    assert [record.row for record in records] == [{"messages": [{"role": "user"}]}] * 3


def test_each_attempt_finds_the_row_as_the_dataset_gave_it():
    """Else a lost connection would change what the model is asked."""
    seen = []

    @ForEach(retries=Retry(attempts=3, first=0.001, longest=0.001))("messages", [([],)])
    def eval_chat(messages):
        messages.append("hello")
        seen.append(list(messages))
        if len(seen) < 3:
            raise ConnectionError
        return True

    run(eval_chat, storage="memory://", progress=False)

    assert seen == [["hello"]] * 3


def test_a_row_that_runs_in_another_process_travels_with_its_values():
    work = ForEach(executor=ProcessPoolExecutor)("messages", [([1, 2],)])(travellers.eval_length)

    assert run(work, storage="memory://", progress=False).scored == 1


def test_all_kinds_of_data_are_copied():
    row = {"list": [[1]], "dict": {"a": {2}}, "tuple": ([3],)}
    row["chat"] = Chat(["x"])

    copy = copied(**row)

    assert copy == row
    copy["list"][0].append(0)
    copy["dict"]["a"].add(0)
    copy["tuple"][0].append(0)
    copy["chat"].messages.append(0)
    assert row == {"list": [[1]], "dict": {"a": {2}}, "tuple": ([3],), "chat": Chat(["x"])}


def test_what_can_not_be_copied_is_shared_and_what_stands_beside_it_is_not():
    """A lock is of use because it is the same one for all."""
    lock, data = threading.Lock(), [1]

    copy = copied(tools={"lock": lock, "data": data}, walk=(n for n in data))

    assert copy["tools"]["lock"] is lock
    assert copy["tools"]["data"] == data
    assert copy["tools"]["data"] is not data
    assert list(copy["walk"]) == [1]


def test_data_that_refuse_to_be_copied_are_shared():
    class Stubborn(dict):
        def __deepcopy__(self, made):
            raise NotImplementedError

    stubborn = Stubborn(a=1)

    assert copied(value=stubborn)["value"] is stubborn


def test_what_was_one_object_stays_one():
    shared = [1]
    shared.append(shared)

    copy = copied(a=shared, b=(shared,))

    assert copy["a"] is copy["b"][0] is copy["a"][1]
    assert copy["a"] is not shared
