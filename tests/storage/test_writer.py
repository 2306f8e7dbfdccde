from __future__ import annotations

import asyncio
import threading
import time

import pytest

from doteval.storage import writer as module
from doteval.storage.writer import Grouped, Inline

from .made import an_entry


class Disk:
    """Takes batches; can be held up, and can fail."""

    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()
        self.error = None

    def write(self, batch):
        self.busy.set()
        self.free.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(list(batch))


class Told:
    """What the loop's thread hears of the writer."""

    def __init__(self):
        self.durable = []
        self.errors = []
        self.prepared = []  # how many entries were durable then
        self.threads = set()

    def on_durable(self, entries):
        self.threads.add(threading.current_thread())
        self.durable += entries

    def on_error(self, error):
        self.threads.add(threading.current_thread())
        self.errors.append(error)

    def on_prepared(self):
        self.threads.add(threading.current_thread())
        self.prepared.append(len(self.durable))


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def told():
    return Told()


def grouped(disk, told):
    return Grouped(disk.write, told.on_durable, told.on_error, told.on_prepared)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "doteval-writer"]


def test_entries_become_durable_in_order(disk, told):
    """And the loop's thread hears of each, once."""

    async def main():
        writer = grouped(disk, told)
        for n in range(5_000):
            writer.put(n)
        await writer.close()

    asyncio.run(main())

    assert told.durable == [n for batch in disk.batches for n in batch] == list(range(5_000))
    assert told.threads == {threading.current_thread()}
    assert told.errors == []


def test_entries_that_wait_for_a_commit_share_the_next(disk, told):
    """That is the group commit: the slower the disk, the larger the groups."""

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("first")
        await asyncio.to_thread(disk.busy.wait)
        for n in range(300):
            writer.put(n)
        disk.free.set()
        await writer.close()

    asyncio.run(main())

    assert disk.batches == [["first"], list(range(300))]


def test_a_commit_takes_so_many_entries_at_most(disk, told):
    """Whoever waits for the first of them does not wait for all."""

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("first")
        await asyncio.to_thread(disk.busy.wait)
        for n in range(2_500):
            writer.put(n)
        disk.free.set()
        await writer.close()

    asyncio.run(main())

    assert [len(batch) for batch in disk.batches] == [1, 512, 512, 512, 512, 452]


class Preparing(Disk):
    """Says when its batches are prepared, and what the writer said of itself before and after."""

    def __init__(self):
        super().__init__()
        self.said = []

    def write(self, batch):
        before = self.writer.preparing
        self.writer.prepared()
        self.said.append((len(batch), before, self.writer.preparing))
        super().write(batch)


@pytest.mark.parametrize("size", [511, 512])
def test_only_a_full_commit_asks_the_loop_to_pause_while_it_is_prepared(told, size):
    """Until it needs nothing but the disk; what is less takes no time worth a pause."""
    disk = Preparing()

    async def main():
        disk.writer = grouped(disk, told)
        disk.writer._queue.extend(range(size - 1))  # so that one batch takes them all
        disk.writer.put("last")
        await disk.writer.close()

    asyncio.run(main())

    assert disk.said == [(size, size == 512, False)]
    assert told.prepared == ([0] if size == 512 else [])
    assert told.threads == {threading.current_thread()}


def test_a_full_commit_that_failed_is_prepared_no_longer(disk, told):
    """Whoever looks after that is not kept from ending."""
    disk.error = OSError("full")

    async def main():
        writer = grouped(disk, told)
        writer._queue.extend(range(511))
        writer.put("last")
        await asyncio.to_thread(disk.busy.wait)
        await writer.close()
        return writer.preparing

    assert asyncio.run(main()) is False
    assert [str(error) for error in told.errors] == ["full"]


def test_a_commit_takes_only_so_much_text(disk, told, monkeypatch):
    """Answers of megabytes do not gather to gigabytes."""
    monkeypatch.setattr(module, "_MOST_TEXT", 1_000)
    entries = [an_entry(n, row={"text": "x" * 400}) for n in range(5)]

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("first")
        await asyncio.to_thread(disk.busy.wait)
        for entry in entries:
            writer.put(entry)
        disk.free.set()
        await writer.close()

    asyncio.run(main())

    assert [len(batch) for batch in disk.batches] == [1, 3, 2]


def test_nothing_is_told_before_it_is_durable(disk, told):
    """A record that is counted is on the disk."""

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("a")
        await asyncio.to_thread(disk.busy.wait)
        for _ in range(10):
            await asyncio.sleep(0)
        before = list(told.durable)
        disk.free.set()
        await writer.close()
        return before

    assert asyncio.run(main()) == []
    assert told.durable == ["a"]


def test_after_an_error_nothing_more_is_written(disk, told):
    """It is told once; what came before it stays durable."""

    async def main():
        writer = grouped(disk, told)
        writer.put("a")
        await writer.call(lambda: None)
        disk.error = OSError("full")
        writer.put("b")
        with pytest.raises(OSError, match="full"):
            await writer.call(lambda: disk.batches.append("called"))
        disk.error = None
        writer.put("c")
        await writer.close()

    asyncio.run(main())

    assert disk.batches == [["a"]]
    assert told.durable == ["a"]
    assert [str(error) for error in told.errors] == ["full"]


def test_whatever_is_raised_in_the_thread_is_told(disk, told):
    """Not only what a database raises."""

    async def main():
        disk.error = SystemExit(3)
        writer = grouped(disk, told)
        writer.put("a")
        await writer.close()

    asyncio.run(main())

    assert isinstance(told.errors[0], SystemExit)


def test_a_call_comes_after_what_was_put_before_it(disk, told):
    """In the thread that owns the connection."""

    async def main():
        writer = grouped(disk, told)
        writer.put("a")
        found = await writer.call(lambda *got: (got, list(disk.batches), threads()), 1, 2)
        where = await writer.call(threading.current_thread)
        writer.put("b")
        await writer.close()
        return found, where

    (arguments, batches, writers), where = asyncio.run(main())

    assert arguments == (1, 2)
    assert batches == [["a"]]
    assert writers == [where]
    assert disk.batches == [["a"], ["b"]]


def test_what_a_call_raises_is_raised_to_the_caller_alone(disk, told):
    """The writer goes on."""

    async def main():
        writer = grouped(disk, told)
        with pytest.raises(ZeroDivisionError):
            await writer.call(lambda: 1 // 0)
        writer.put("a")
        await writer.close()

    asyncio.run(main())

    assert told.durable == ["a"]
    assert told.errors == []


def test_a_caller_may_give_up_waiting(disk, told):
    """The call is made; nobody is there for its value."""
    done = []

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("a")
        task = asyncio.create_task(writer.call(done.append, 1))
        await asyncio.to_thread(disk.busy.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        disk.free.set()
        await writer.close()

    asyncio.run(main())

    assert done == [1]


def test_the_thread_ends_with_the_writer(disk, told):
    """Nothing is left behind."""

    async def main():
        writer = grouped(disk, told)
        (thread,) = threads()
        await writer.close()
        return thread

    thread = asyncio.run(main())
    thread.join(timeout=10)

    assert not thread.is_alive()


def test_a_loop_that_is_closed_is_told_nothing(disk, told):
    """An interruption closed it; what was put is written all the same."""

    async def main():
        disk.free.clear()
        writer = grouped(disk, told)
        writer.put("a")
        await asyncio.to_thread(disk.busy.wait)
        return writer

    asyncio.run(main())
    (thread,) = threads()
    disk.free.set()
    while not disk.batches:
        time.sleep(0.001)

    assert told.durable == []
    assert thread.is_alive()
    assert thread.daemon


def test_a_busy_loop_does_not_starve_the_writer(store, number):
    """
    Rows become durable while a function keeps the interpreter to itself. Each statement costs
    the writer up to 5 ms of waiting for it, so a thousand rows must not be a thousand statements.
    """
    entries = [an_entry(n) for n in range(1_000)]
    durable = threading.Event()

    async def main():
        def write(batch):
            store.add(number, batch)
            durable.set()

        writer = Grouped(write, lambda entries: None, lambda error: None, lambda: None)
        for entry in entries:
            writer.put(entry)
        began = time.perf_counter()
        while not durable.is_set():
            sum(range(1_000))  # a loop that never waits
        spinning = time.perf_counter() - began
        await writer.close()
        return spinning

    assert asyncio.run(main()) < 2  # 0.05 to 0.2 s seen; one statement a row took 5 to 9 s


# ------------------------------------------------------------------------------- inline


def test_without_a_thread_an_entry_is_durable_at_once():
    """A store in memory needs none, so a virtual clock can drive a whole run."""
    disk, told = Disk(), Told()
    writer = Inline(disk.write, told.on_durable)

    writer.put("a")

    assert disk.batches == [["a"]]
    assert told.durable == ["a"]
    assert threads_started_by(writer) == 0


def threads_started_by(writer):
    before = set(threading.enumerate())  # some of another test may end meanwhile

    async def main():
        assert await writer.call(lambda a, b: a + b, 1, 2) == 3
        await writer.close()

    asyncio.run(main())
    return len(set(threading.enumerate()) - before)


# ------------------------------------------------------------------------------- looking


def test_who_looks_waits_for_no_commit_but_the_one_that_is_being_written(disk, told):
    """What was put after it, and before, may come later."""

    async def main():
        writer = grouped(disk, told)
        disk.free.clear()
        writer.put(an_entry("a"))
        await asyncio.to_thread(disk.busy.wait)
        writer.put(an_entry("b"))
        found = writer.look(lambda: len(disk.batches))
        given_up = writer.look(lambda: disk.batches.append("never"))
        given_up.cancel()
        disk.free.set()
        seen = await asyncio.wrap_future(found)
        await writer.close()
        return writer, seen

    writer, seen = asyncio.run(main())

    assert seen == 1
    assert len(disk.batches) == 2
    assert writer.look(lambda: "alone").result() == "alone"  # its thread is gone


def test_what_a_look_raises_is_told_to_who_asked(disk, told):
    """And the writer goes on."""

    async def main():
        writer = grouped(disk, told)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(writer.look(lambda: 1 / 0))
        await writer.close()

    asyncio.run(main())

    assert Inline(disk.write, told.on_durable).look(lambda: 3).result() == 3
