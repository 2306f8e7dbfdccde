"""
What came of a row: what its function's return value says, or what it raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from .concurrency.reading import beneath, is_of_another_loop, speaker
from .errors import ResultError, RowError, UsageError
from .record import FINAL, Failure, Outcome, Result, Score, of_labels
from .redaction import redact, safe_without
from .text import safe

_LONGEST_MESSAGE = 10_000  # characters kept of what an exception says
_LONGEST_TRACEBACK = 20_000  # characters kept, from its end


def outcome_of(value: Any, name: str, secrets: tuple[str, ...] = ()) -> Outcome:
    """
    What a function's return value says about its row.

    Args:
        value: a Result, a Score, several Scores, a bool or a number.
        name: of the function; bare bools and numbers become a Score of this name.
        secrets: values that must not be stored in a Failure, see `redaction.secrets_of`.

    Returns:
        a Result whose scores are Scores with unique names, or the Failure that `error=` makes.
        What was returned is never changed: it is the user's, who may return it for other rows
        and from other evaluations.

    Raises:
        ResultError: it is nothing of the kind; the message names its type.
    """
    if type(value) is not Result:
        value = _as_result(value, name)
    if value.error is not None:
        said = safe_without(secrets, value.error, _LONGEST_MESSAGE, newlines=True)
        kind = FINAL if value.final else "error"
        return Failure(kind, said, "", altered(value, error=said))
    scores = value.scores
    if len(scores) == 1 and _is_plain(scores[0]):
        return value  # type: ignore[no-any-return]  # nearly always
    if not scores:
        raise ResultError(
            f"{name}() returned a Result without scores; give it one, or error='why not'"
        )
    made = tuple(_as_score(score, name) for score in scores)
    seen: set[str] = set()
    for score in made:
        if score.name in seen:
            raise ResultError(
                f"{name}() returned two scores named {score.name!r}; tell them apart with "
                "name=, as in exact_match(a, b, name='strict')"
            )
        seen.add(score.name)
    return altered(value, scores=made)


def altered(result: Result, **changes: Any) -> Result:
    """A copy of a Result with other values of some attributes."""
    copy = Result()
    for name in Result.__slots__:
        setattr(copy, name, changes[name] if name in changes else getattr(result, name))
    return copy


_PLAIN = frozenset({bool, int, float})
_TEXTS = frozenset({str})


def _is_plain(score: Any) -> bool:
    """Whether a score can be stored as it is."""
    return (
        type(score) is Score
        and type(score.value) in _PLAIN
        and type(score.name) is str
        and type(score.metrics) is tuple
        and {*map(type, score.metrics)} <= _TEXTS  # in C: this is asked of every row
    )


def _as_result(value: Any, name: str) -> Result:
    if isinstance(value, Result):
        return value
    if isinstance(value, (Score, bool, int, float)):
        return Result(value)
    if isinstance(value, (tuple, list)) and value:
        if all(isinstance(item, Score) for item in value):
            return Result(*value)
    elif hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return Result(value.item())  # a scalar of numpy's
    hint = "; is a `return` missing?" if value is None else ""
    raise ResultError(
        f"{name}() returned {type(value).__name__}; expected a Result, a Score, several Scores, "
        f"a bool or a number{hint}"
    )


def _as_score(score: Any, name: str) -> Score:
    if not isinstance(score, Score):
        return Score(name, score, ("accuracy",) if isinstance(score, bool) else ("mean",))
    if _is_plain(score):
        return score
    if not isinstance(score.name, str):
        raise ResultError(f"a score of {name}() is named {score.name!r:.80}; expected a text")
    value: Any = score.value
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = value.item()
    if not isinstance(value, (bool, int, float, str)):
        raise ResultError(
            f"the score {score.name!r} of {name}() has a value of type {type(value).__name__}; "
            "expected a bool, a number or a label"
        )
    metrics, expected = _metrics_of(score, name), score.expected
    if isinstance(value, str):
        if expected is not None and not isinstance(expected, str):
            raise ResultError(
                f"the score {score.name!r} of {name}() is a label, held against {expected!r:.80}; "
                "expected a text"
            )
        value, expected = str(value), None if expected is None else str(expected)
        metrics = of_labels(metrics, expected is not None)
    return Score(str(score.name), value, metrics, score.metadata, expected, bool(score.unread))


def _metrics_of(score: Score, name: str) -> tuple[str, ...]:
    """The names of its metrics, which somebody may have given as functions."""
    from .metrics import names_of

    given: Any = (score.metrics,) if isinstance(score.metrics, str) else score.metrics
    try:
        each = list(given) if isinstance(given, Iterable) else [given]
        return tuple(str(one) if isinstance(one, str) else names_of([one])[0] for one in each)
    except UsageError as error:
        raise ResultError(f"the score {score.name!r} of {name}(): {error}") from error


_ANOTHER_LOOP = (
    " (a client, lock or queue was made on another event loop than that of the rows, as by "
    "asyncio.run() or an `await` in a notebook; make it where the rows use it)"
)


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,16}\b")  # of an object: it differs in each row


def failure_of(error: BaseException, secrets: tuple[str, ...]) -> Failure:
    """
    An exception as it is stored: its type, message and traceback, without local variables and
    without what looks like a credential.

    Args:
        secrets: values that must not be stored, see `redaction.secrets_of`.
    """
    import traceback

    error = speaker(error)
    try:
        lines = "".join(traceback.format_exception(type(error), error, _theirs(error)))
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # its str or repr raised, somewhere in the chain
        lines = f"(the traceback can not be shown: {type(problem).__name__})\n"
    said = safe_without(secrets, error, _LONGEST_MESSAGE, newlines=True)
    for other in beneath(error):
        more = safe_without(secrets, other, _LONGEST_MESSAGE, newlines=True)
        said += f" ({type(other).__name__}: {more})" if more not in said else ""
    said = _ADDRESS.sub("", said)
    kept = error.result if isinstance(error, RowError) else None
    return Failure(
        type(error).__name__,
        f"{said}{_ANOTHER_LOOP}" if is_of_another_loop(error) else said,
        safe(redact(lines, secrets)[-_LONGEST_TRACEBACK:], newlines=True),
        kept if isinstance(kept, Result) else None,
    )


def _theirs(error: BaseException) -> Any:
    """The traceback from the first frame that is not ours."""
    tb = error.__traceback__
    while tb is not None and f"{_package(tb)}.".startswith(f"{__package__}."):
        if tb.tb_next is None:
            break
        tb = tb.tb_next
    return tb


def _package(tb: TracebackType) -> str:
    """Of the module that a traceback begins in; "": a script."""
    return tb.tb_frame.f_globals.get("__package__") or ""
