"""
One row, or one task, on its way: a single object from the dataset to the store.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .notes import Noted
from .reading import Reading


class Ending(Enum):
    """Who has cancelled an attempt that is running."""

    EXPIRED = "its time was up"
    CLOSED = "everything ends"


@dataclass(slots=True, eq=False)
class Row:
    """
    Attributes:
        call: starts one attempt, given the row by names: returns a value or an awaitable of one.
        inline: the call only makes an awaitable, so it may be made on the loop's thread.
        key, digest, position, repeat: what it is known by, see `keys`; of a task nothing.
        named: the row by column names. text: as JSON, from before the function could change it.
        replaces: id of the stored record that the row's next one takes the place of.
        attempts: started so far.
        noted: by the last attempt, see `notes`.
        started, ended: when the last attempt began and ended; seconds on the loop's clock.
        waited: seconds between attempts.
        concurrency: attempts in flight when the last one began, itself included.
        value: what the last attempt returned; meaningless while `error` is set.
        error: what the last attempt raised. reading: of that; None: nobody has read it.
        token: of the last attempt, as the gate knows it.
        tries: what the schedule remembers of attempts that failed; None: none has.
        timer: ends the attempt that is running. ending: who has cancelled it.
    """

    call: Callable[..., Any]
    inline: bool
    key: bytes = b""
    digest: bytes | None = None
    position: int = 0
    repeat: int = 0
    named: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    replaces: int | None = field(default=None, init=False)
    attempts: int = field(default=0, init=False)
    noted: Noted | None = field(default=None, init=False)
    waited: float = field(default=0.0, init=False)
    tries: Any = field(default=None, init=False)
    reading: Reading | None = field(default=None, init=False)
    timer: TimerHandle | None = field(default=None, init=False)
    ending: Ending | None = field(default=None, init=False)
    # The others are set when an attempt starts or ends.
    started: float = field(init=False)
    ended: float = field(init=False)
    concurrency: int = field(init=False)
    token: int = field(init=False)
    value: Any = field(init=False)
    error: BaseException | None = field(init=False)
