"""
What doteval itself raises. Each class also inherits the builtin that it resembles, so that
code which knows nothing of doteval still catches what it expects.
"""

from __future__ import annotations


class DotevalError(Exception):
    """The parent of everything that doteval raises on purpose."""


class UsageError(DotevalError, ValueError):
    """An evaluation, an option or an argument that can not work as it was given."""


class DatasetError(DotevalError, ValueError):
    """A dataset that can not be read, or a row that can not be identified."""


class RowError(DotevalError, ValueError):
    """
    One row that does not fit its columns; it fails that row and no other.

    Attributes:
        result: a Result with what is to be kept all the same, such as texts and usage; or None.
        is_news: whether it says anything about rows to come.
    """

    result: object = None
    is_news: bool = True


class ResultError(DotevalError, TypeError):
    """An evaluation function returned what can not be recorded."""


class NotFound(DotevalError, LookupError):
    """The name of an experiment, an evaluation or a plugin that nobody knows."""


class StoreError(DotevalError, OSError):
    """A store that can not be read or written."""


class Missed(DotevalError, LookupError):
    """A call that was to be served from what was kept, and is not there; nothing was asked."""


class DamageError(StoreError):
    """Something in a store that can not be what was written there; the rest may be as it was."""


class Busy(DotevalError, RuntimeError):
    """Another run is working on this evaluation of this experiment."""


class ExecutorError(DotevalError, RuntimeError):
    """The executor of an evaluation can not run its rows; none of them is to blame."""


class PluginError(DotevalError, ImportError):
    """A plugin that could not be loaded; the message names its distribution."""


class Congested(DotevalError):
    """
    The endpoint asked for fewer calls.

    Raised by `doteval.congested()`, for clients that swallow the endpoint's own answer.

    Attributes:
        retry_after: seconds until the endpoint wants to be called again, None if it said nothing.
    """

    def __init__(self, retry_after: float | None = None) -> None:
        hint = "" if retry_after is None else f"; retry after {retry_after:g} s"
        super().__init__(f"the endpoint is congested{hint}")
        self.retry_after = retry_after


def congested(retry_after: float | None = None) -> Congested:
    """
    Tell doteval, from inside an evaluation function, that the endpoint is congested.

    Write `raise doteval.congested(retry_after=2.0)` where a client hides a 429 behind a return
    value. The row is tried again, and the strategy slows down as it does for a real 429.

    Args:
        retry_after: seconds to leave the endpoint alone; None where it did not say.

    Raises:
        ValueError: retry_after is negative or not a finite number.
    """
    if retry_after is not None and not 0 <= retry_after < float("inf"):
        raise UsageError(
            f"congested(retry_after={retry_after!r}): expected seconds, 0 or more, or None"
        )
    return Congested(retry_after)
