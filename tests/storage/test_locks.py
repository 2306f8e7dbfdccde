from __future__ import annotations

import os
import shutil
import signal

import pytest

from doteval.storage import locks
from doteval.storage.locks import acquire, is_held, release

from .made import said_by

HOLDER = """
    import sys
    from pathlib import Path
    from doteval.storage import locks
    lock = locks.acquire(Path(sys.argv[1]), "a", shared="shared" in sys.argv)
    print("taken" if lock else "refused", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.lock"


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No test leaves a descriptor or a lock behind."""
    yield
    mine = [file for file in locks._descriptors if file.pid == os.getpid()]
    assert mine == []
    assert not locks._held


def test_a_lock_is_taken_once(file):
    """Neither the same process nor the same name gets it twice, until it is given back."""
    lock = acquire(file, "a")

    assert acquire(file, "a") is None
    assert is_held(file, "a")
    release(lock)
    assert not is_held(file, "a")
    release(acquire(file, "a"))


def test_names_do_not_exclude_each_other(file):
    """Giving one back keeps the other."""
    first, second = acquire(file, "a"), acquire(file, "b")

    release(first)

    assert is_held(file, "b")
    assert not is_held(file, "a")
    release(second)


def test_shared_locks_go_together_and_exclude_the_one_that_is_alone(file):
    """The last of the sharers frees the name."""
    first, second = acquire(file, "a", shared=True), acquire(file, "a", shared=True)

    assert acquire(file, "a") is None
    release(first)
    assert acquire(file, "a") is None
    release(second)
    alone = acquire(file, "a")
    assert acquire(file, "a", shared=True) is None
    release(alone)


def test_another_process_excludes_us(file, start):
    """The kernel keeps the lock for it, and frees it when it ends."""
    process = start(HOLDER, file)
    assert process.stdout.readline() == "taken\n"

    assert acquire(file, "a") is None
    assert is_held(file, "a")
    assert not is_held(file, "b")
    said_by(process)
    assert not is_held(file, "a")


def test_processes_share(file, start):
    """Shards of one evaluation run in different processes."""
    process = start(HOLDER, file, "shared")
    assert process.stdout.readline() == "taken\n"

    lock = acquire(file, "a", shared=True)
    assert lock is not None
    release(lock)
    assert acquire(file, "a") is None
    said_by(process)


def test_kill_9_frees_the_lock(file, start):
    """There is no pid file to remove by hand."""
    process = start(HOLDER, file)
    process.stdout.readline()

    process.send_signal(signal.SIGKILL)
    process.communicate()

    release(acquire(file, "a"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_lock(file, start):
    """A pool's orphaned worker must not block the evaluation for ever."""
    code = """
        import os, sys, time
        from pathlib import Path
        from doteval.storage import locks
        lock = locks.acquire(Path(sys.argv[1]), "a")
        child = os.fork()
        if child == 0:
            locks.release(lock)  # it has none; this must not harm its parent
            assert locks.is_held(Path(sys.argv[1]), "a")
            os.close(1)
            os.close(2)
            os.read(0, 1)  # the orphan lives on
            os._exit(0)
        print("taken", flush=True)
        os.read(0, 1)
        os._exit(0)
    """
    process = start(code, file)
    assert process.stdout.readline() == "taken\n"
    assert acquire(file, "a") is None

    process.stdin.write("x")  # the parent or its child: send both their byte in turn
    process.stdin.flush()
    process.stdin.write("x")
    process.stdin.flush()
    process.wait(timeout=60)

    release(acquire(file, "a"))
    process.communicate()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_orphan_does_not_keep_the_lock(file, start):
    """The parent is killed while its child lives."""
    code = """
        import os, sys
        from pathlib import Path
        from doteval.storage import locks
        lock = locks.acquire(Path(sys.argv[1]), "a")
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
        print("taken", flush=True)
        import time
        time.sleep(600)
    """
    process = start(code, file)
    assert process.stdout.readline() == "taken\n"

    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)

    release(acquire(file, "a"))
    process.stdin.write("x")  # the orphan ends
    process.communicate()


def test_a_folder_that_was_deleted_and_made_again_has_new_locks(tmp_path):
    """Who runs in the old one can keep nobody from using the new one."""
    file = tmp_path / "in" / "x.lock"
    file.parent.mkdir()
    old = acquire(file, "a")
    shutil.rmtree(file.parent)
    file.parent.mkdir()

    new = acquire(file, "a")

    assert new is not None
    assert acquire(file, "a") is None
    release(old)
    assert is_held(file, "a")
    release(new)


def test_one_file_by_two_paths_is_one(file, tmp_path, start):
    """Closing one of two descriptors would drop the lock that the other holds."""
    lock = acquire(file, "a")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)

    assert acquire(link / "x.lock", "a") is None
    assert not is_held(link / "x.lock", "b")
    assert said_by(start(HOLDER, file)) == "refused\n"
    release(lock)


def test_without_a_file_nobody_has_a_lock(file):
    """Asking makes none."""
    assert not is_held(file, "a")
    assert not file.exists()


def test_asking_needs_no_right_to_write(unprivileged):
    """`doteval list` on a colleague's store tells whether a run is alive."""
    file = unprivileged / "x.lock"
    release(acquire(file, "a"))
    file.chmod(0o400)

    assert not is_held(file, "a")


def test_a_file_that_can_not_be_opened_is_an_error(tmp_path):
    """It is for the caller to say what that means."""
    with pytest.raises(OSError):
        acquire(tmp_path, "a")


def test_one_refusal_is_none(file, start):
    """Somebody who asks has the lock for a moment; a run that starts then is not refused."""
    code = """
        import sys
        from pathlib import Path
        from doteval.storage import locks
        print("up", flush=True)
        while True:
            locks.is_held(Path(sys.argv[1]), "a")
    """
    release(acquire(file, "a"))
    process = start(code, file)
    process.stdout.readline()

    for _ in range(300):
        lock = acquire(file, "a")
        assert lock is not None
        release(lock)


def test_names_of_any_kind_have_a_lock(file):
    """Lone surrogates come from file names that are not UTF-8."""
    lock = acquire(file, "\ud800\0é")

    assert is_held(file, "\ud800\0é")
    release(lock)
    release(lock)  # once more harms nobody


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="a system without links")
def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path):
    """Who may put one there would choose which file we make."""
    (tmp_path / "x.lock").symlink_to(tmp_path / "theirs")

    with pytest.raises(OSError):
        locks.acquire(tmp_path / "x.lock", "a")
    assert not (tmp_path / "theirs").exists()
