"""
What makes an evaluator of a function, and what a score keeps of its arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from ..errors import ResultError, UsageError
from ..plugins import Registry
from ..record import Score
from ..text import ELLIPSIS, safe

if TYPE_CHECKING:
    from ..metrics import Metrics

registry: Registry[Callable[..., Any]] = Registry(
    "evaluator",
    "evaluators",
    {
        "ast_evaluation": "evaluators.calls",
        "choice_match": "evaluators.choices",
        "classify": "evaluators.labels",
        "contains": "evaluators.texts",
        "exact_match": "evaluators.texts",
        "f1": "evaluators.texts",
        "numeric_match": "evaluators.numbers",
        "one_of": "evaluators.texts",
        "regex_match": "evaluators.texts",
        "similarity": "evaluators.texts",
        "valid_json": "evaluators.structure",
    },
)

ACCURACY = ("accuracy",)  # what summarises true and false
MEAN = ("mean",)  # and numbers
SHARE = ("mean", "0..1")  # numbers of a known range


# --- what a score keeps of its arguments ------------------------------------------------------

_LONGEST_TEXT = 1_000  # characters of one text; the row and the answer are stored whole elsewhere
_MOST_TEXT = 4_000  # characters of all texts in one list or mapping
_MOST_ITEMS = 100  # values in one list or mapping, nested ones counted
_MOST_BITS = 8_192  # of an integer; from about 14,000 on the interpreter refuses to print it
_SCALARS = frozenset({bool, float, type(None)})


def brief(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    The arguments of an evaluator as small JSON-like metadata.

    A text keeps its first 1,000 characters and then says how many there were. Lists and mappings
    keep their first 100 values and 4,000 characters of text. What is not JSON-like becomes a short
    text. Nothing that was passed is held on to, so it may change later.

    Raises:
        ResultError: an argument is, or holds, something that is still to be awaited.
    """
    kept = {}
    for name, value in arguments.items():
        kind = type(value)
        if (kind is str and len(value) <= _LONGEST_TEXT) or kind in _SCALARS:
            kept[name] = value
        else:
            kept[name] = _Shortening(name).of(value)
    return kept


class _Shortening:
    """What may still be kept of one argument."""

    def __init__(self, argument: str) -> None:
        self.argument = argument
        self.characters = _MOST_TEXT
        self.items = _MOST_ITEMS

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if type(value) in _SCALARS:
            return value
        if isinstance(value, float):
            return float(value)
        if isinstance(value, int):
            bits = value.bit_length()
            return int(value) if bits <= _MOST_BITS else f"an integer of {bits:,} bits"
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._sequence(value)
        if _is_pending(value):
            raise ResultError(
                f"the argument {self.argument!r} of an evaluator is of type "
                f"{type(value).__name__}, expected what it gives; was an `await` forgotten?"
            )
        return safe(value, 200)

    def _text(self, text: str) -> str:
        room = max(0, min(_LONGEST_TEXT, self.characters))
        self.characters -= min(len(text), room)
        if len(text) <= room:
            return str(text)
        return f"{text[:room]}{ELLIPSIS} ({len(text):,} characters)"

    def _sequence(self, values: Collection[Any]) -> list[Any]:
        kept: list[Any] = []
        for value in values:
            if self.items <= 0:
                kept.append(f"{ELLIPSIS} ({len(values):,} values)")
                break
            self.items -= 1
            kept.append(self.of(value))
        return kept

    def _mapping(self, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in mapping.items():
            if self.items <= 0:
                kept[ELLIPSIS] = f"({len(mapping):,} keys)"
                break
            self.items -= 1
            kept[self._text(key if isinstance(key, str) else safe(key, 100))] = self.of(value)
        return kept


def _is_pending(value: Any) -> bool:
    """
    Whether it is of use only once it has been awaited. A pool or a client can be awaited as well,
    but serves without: those that do are asynchronous contexts.
    """
    kind = type(value)
    return hasattr(kind, "__await__") and (hasattr(kind, "send") or not hasattr(kind, "__aenter__"))


# --- one's own ---------------------------------------------------------------------------------

Scorer = Callable[..., Any]

if TYPE_CHECKING:
    P = ParamSpec("P")
    S = TypeVar("S", covariant=True)

    class Evaluator(Protocol[P, S]):
        """What `evaluator` makes of a function: it takes the same, and `name=`."""

        __name__: str

        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> S: ...
        @overload
        def __call__(self, *args: Any, name: str | None, **kwargs: Any) -> S: ...

    class Maker(Protocol):
        """What makes an evaluator of a function."""

        @overload
        def __call__(
            self, function: Callable[P, Coroutine[Any, Any, Any]], /
        ) -> Evaluator[P, Coroutine[Any, Any, Score]]: ...
        @overload
        def __call__(self, function: Callable[P, Any], /) -> Evaluator[P, Score]: ...


@overload
def evaluator(
    function: Callable[P, Coroutine[Any, Any, Any]], /
) -> Evaluator[P, Coroutine[Any, Any, Score]]: ...


@overload
def evaluator(function: Callable[P, bool | float | Score], /) -> Evaluator[P, Score]: ...


@overload
def evaluator(
    positional: Metrics | None = None, /, *, metrics: Metrics | None = None, name: str | None = None
) -> Maker: ...


def evaluator(
    given: Any = None, /, *, metrics: Metrics | None = None, name: str | None = None
) -> Any:
    """
    Make an evaluator of a function that returns a bool, a number or a `Score`.

    ::

        @evaluator(metrics="accuracy")
        def is_polite(result):
            return "please" in result

    Every call takes `name=`, the name of the score, which tells two uses of one evaluator apart.
    The metadata of the score are the call's arguments by name, cut as in `brief`. An `async def`
    gives an evaluator to be awaited.

    Args:
        metrics: one or several: names, metrics, or functions of a list of values. Without them
            true/false is summarised by `accuracy` and numbers by `mean`.
        name: of its scores; the function's name without it.

    Raises:
        UsageError: the function has a parameter `name` or can not be called.
        NotFound: nobody knows a metric.
        ResultError: (the evaluator) the function returned something else.
    """
    if given is not None and metrics is None and _is_plain_function(given):
        return _evaluator_of(given, None, name)
    from ..metrics import names_of  # the built-in evaluators know theirs

    chosen = metrics if given is None else given
    summaries = None if chosen is None else names_of(chosen)
    return lambda function: _evaluator_of(function, summaries, name)


def _is_plain_function(thing: Any) -> bool:
    """Whether `@evaluator` stands above a function without brackets."""
    from ..metrics import Metric

    return callable(thing) and not isinstance(thing, Metric)


def _evaluator_of(function: Scorer, metrics: tuple[str, ...] | None, name: str | None) -> Scorer:
    import inspect

    if not callable(function):
        raise UsageError(f"evaluator() decorates a function, not {type(function).__name__}")
    names, rest = _parameters(function)
    default = name or str(getattr(function, "__name__", type(function).__name__))

    def kept(args: Sequence[Any], kwargs: Any) -> dict[str, Any]:
        arguments = dict(zip(names, args, strict=False))  # defaults may stay out
        if rest is not None and len(args) > len(names):
            arguments[rest] = args[len(names) :]
        arguments.update(kwargs)
        arguments.pop("self", None)
        return brief(arguments)

    called = type(function).__call__  # of an object; a function has its own
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):

        @functools.wraps(function)
        async def score_later(*args: Any, name: str | None = None, **kwargs: Any) -> Score:
            metadata = kept(args, kwargs)  # as they are now, and none of them to be awaited
            return _score_of(await function(*args, **kwargs), name, default, metrics, metadata)

        return score_later

    @functools.wraps(function)
    def score(*args: Any, name: str | None = None, **kwargs: Any) -> Score:
        metadata = kept(args, kwargs)
        return _score_of(function(*args, **kwargs), name, default, metrics, metadata)

    return score


def _parameters(function: Scorer) -> tuple[tuple[str, ...], str | None]:
    """Names of the positional parameters, and of the one that takes the rest."""
    import inspect

    parameters = inspect.signature(function).parameters.values()
    if any(parameter.name == "name" for parameter in parameters):
        raise UsageError(
            f"the evaluator {getattr(function, '__name__', function)!r} has a parameter 'name', "
            "which every evaluator takes already for the name of the score; call yours otherwise"
        )
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rest = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    return tuple(p.name for p in parameters if p.kind in by_position), rest[0] if rest else None


def _score_of(
    value: Any,
    name: str | None,
    default: str,
    metrics: tuple[str, ...] | None,
    arguments: Mapping[str, Any],
) -> Score:
    if isinstance(value, Score):
        return replace(
            value,
            name=name or value.name,
            metrics=metrics or value.metrics,
            metadata=arguments if value.metadata is None else value.metadata,
        )
    if not isinstance(value, (bool, int, float)):
        value = _scalar(value, default)
    if metrics is None:
        metrics = ACCURACY if isinstance(value, bool) else MEAN
    return Score(name or default, value, metrics, arguments)


def _scalar(value: Any, evaluator_name: str) -> bool | int | float:
    """The value of a numpy or torch scalar."""
    if getattr(value, "shape", None) == ():
        value = value.item()
        if isinstance(value, (bool, int, float)):
            return value
    forgotten = "; was an `await` forgotten?" if hasattr(value, "__await__") else ""
    raise ResultError(
        f"the evaluator {evaluator_name!r} returned {type(value).__name__}, expected True or "
        f"False, a number or a Score{forgotten}"
    )
