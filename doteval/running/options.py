"""
What is asked of a run, as one value: each door makes it, and nothing between the door and the place
that uses an option knows the option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..budget import Budget, as_budget
from ..declarations import as_config
from ..errors import UsageError
from ..evaluation import Evaluation
from ..quantities import Shard, read
from ..replay import LIVE, MODES
from ..reporting.grammar import FIGURES, Gate, parse


@dataclass(frozen=True, slots=True)
class Options:
    """
    What is asked of a run; without any of them, all rows that have no Result yet are run.

    Attributes:
        samples: only the first so many rows of the dataset; None: all.
        fresh: supersede what earlier runs recorded.
        budget: what the run may use up; None: anything.
        shard: only the rows whose key falls into this part; None: all.
        params: plain values by name that decide over the answers; kept with the run.
        keep_config: resume although the last run had another config.
        keep_going: never end the run early because nothing succeeds, see `Breaker`.
        tags: plain texts by name to find the experiment by.
        note: a text about it; None: nothing new to say.
        calls: what becomes of calls that are `replayable`: "live", "reuse" or "replay".
        calls_from: the only experiment whose calls are served; None: all of the store.
        until: a gate with a confidence: rows run in the order of their keys until it is decided.
    """

    samples: int | None = None
    fresh: bool = False
    budget: Budget | None = None
    shard: Shard | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    keep_config: bool = False
    keep_going: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    calls: str = LIVE
    calls_from: str | None = None
    until: Gate | None = None

    @classmethod
    def read(cls, **given: Any) -> Options:
        """
        Understand what somebody gave: a budget and a shard may be texts.

        Raises:
            UsageError: one of them makes no sense; the message names it.
        """
        read = cls(**{name: _READERS.get(name, _as_it_is)(each) for name, each in given.items()})
        if read.calls_from is not None and read.calls == LIVE:
            raise UsageError(
                f"calls_from={read.calls_from!r:.80} says where calls are served from; say also "
                'calls="reuse" or calls="replay"'
            )
        return read


def _samples(given: Any) -> int | None:
    if given is None or (type(given) is int and given >= 1):
        return given
    raise UsageError(f"samples={given!r:.80}: expected a whole number of rows, 1 or more")


def _shard(given: Any) -> Shard | None:
    return given if given is None or isinstance(given, Shard) else read(_parsed, given, "shard")


def _parsed(given: Any) -> Shard:
    return Shard.parse(str(given))


def _params(given: Any) -> dict[str, Any]:
    return as_config(given, "run(params=...)")


def _tags(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    plain = (str, int, float, bool)
    if isinstance(given, Mapping) and all(
        isinstance(name, str) and name.strip() and isinstance(value, plain)
        for name, value in given.items()
    ):
        return {name.strip(): str(value) for name, value in given.items()}
    raise UsageError(f"tags={given!r:.80}: expected names and texts, as in tags={{'prompt': 'v2'}}")


def _note(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return (given or "").strip() or None
    raise UsageError(f"note={given!r:.80}: expected a text")


def _calls(given: Any) -> str:
    if given is None or given in MODES:
        return given or LIVE
    raise UsageError(f"calls={given!r:.80}: expected one of: {', '.join(MODES)}")


def as_until(given: Any) -> Gate | None:
    """
    What `until=` stands for.

    Raises:
        GateError: the text is no gate; the message has a caret under the mistake.
        UsageError: it is none that can be asked after every row.
    """
    if given is None:
        return None
    gate = given if isinstance(given, Gate) else parse(str(given))
    if not isinstance(gate, Gate):
        raise UsageError(f"until {gate.text!r}: expected one gate, without `and` and `or`")
    if gate.by:
        raise UsageError(
            f"until {gate.text!r}: a run ends when the whole is decided, before the smaller slices "
            "can be; leave `by` out here, and ask for the slices with a gate"
        )
    if gate.confidence is None:
        raise UsageError(
            f"until {gate.text!r}: say how sure it has to be, as in '{gate.text} @ 95%'"
        )
    if (
        gate.each
        or gate.end
        or not (gate.is_score or is_of_errors(gate) or gate.subject not in FIGURES)
    ):
        raise UsageError(f"until {gate.text!r}: expected a score, or a share of errors")
    return gate


def is_of_errors(gate: Gate) -> bool:
    """Whether it is about the share of rows that fail."""
    return not gate.is_score and gate.subject == "errors"


def _as_it_is(given: Any) -> Any:
    return given


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "samples": _samples,
    "budget": as_budget,
    "shard": _shard,
    "params": _params,
    "tags": _tags,
    "note": _note,
    "calls": _calls,
    "until": as_until,
}


def resources_for(evaluation: Evaluation[..., Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """
    Values of the function's other parameters.

    Raises:
        UsageError: one is missing, or is of no parameter.
    """
    parameters = evaluation.__signature__.parameters
    unknown = [name for name in resources if name not in parameters]
    if unknown:
        raise UsageError(
            f"{evaluation.__name__}() has no parameter {unknown[0]!r} to pass a value to; "
            f"its parameters beside the columns are: {', '.join(parameters) or 'none'}"
        )
    missing = [name for name in evaluation.resources if name not in resources]
    if missing:
        raise UsageError(
            f"{evaluation.__name__}() needs a value for {', '.join(map(repr, missing))}: pass it "
            f"as run(..., {_as_argument(missing[0])}), or run it under pytest, where it "
            "is a fixture"
        )
    return dict(resources)


_ARGUMENTS = frozenset(  # of run(), which can not be passed to the function by themselves
    {
        *("evaluation", "experiment", "storage", "progress", "on_record", "on_limit", "on_finish"),
        *("resources", *Options.__slots__),
    }
)


def _as_argument(name: str) -> str:
    return f"resources={{{name!r}: ...}}" if name in _ARGUMENTS else f"{name}=..."
