"""
What an attempt has said about itself so far, which is kept whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from ..record import NO_USAGE, Usage, refuse_awaitable
from ..text import safe


class Noted(dict[str, Any]):
    """
    What one attempt has noted, under the names of the parameters of `note`.

    Its `usage` is a list of what each call used, as `Usage`; what of it could not be read stands
    under `problem`.

    Attributes:
        earlier: what the attempt before it had noted that had noted anything; None: there is none.
        charged: of its usage, what budgets have counted already.
        calls: the Log of those of its calls that are kept, see `replay`; None: there is none.
    """

    earlier: Noted | None = None
    charged: Usage = NO_USAGE
    calls: Any = None

    def next(self) -> Noted:
        """For the row's next attempt, which begins with nothing, and keeps what was used."""
        after = Noted()
        after.earlier = self if self else self.earlier
        return after

    def before(self) -> Iterator[Noted]:
        """What earlier attempts have noted, the latest first."""
        earlier = self.earlier
        while earlier is not None:
            yield earlier
            earlier = earlier.earlier


# Of the attempt that is running here. Threads and tasks of the row see the same object.
ATTEMPT: ContextVar[Noted | None] = ContextVar("doteval_attempt", default=None)


def note(
    *,
    prompt: Any = None,
    model_response: Any = None,
    usage: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """
    Keep what is known of a row so far, so that it is there whatever happens after it.

        answer = await client.ask(question)
        note(prompt=question, model_response=answer.text, usage=answer.usage)
        return exact_match(parse(answer.text), expected)  # should it raise, nothing is lost

    A Failure has it then: of a row whose scoring raises, or whose time is up. A Result that gives
    the same field itself wins; metadata of both are kept, the Result's where both have a key.
    What attempts have used that failed is added to that of the last one.

    Outside of a row, as where the evaluation is called by hand, nothing is kept.

    Args:
        prompt: what the model was asked; any JSON-like value. The last call in a row counts.
        model_response: what it answered; any JSON-like value. The last call in a row counts.
        usage: as `Result(usage=...)` takes it; of several calls in a row it is added up.
        metadata: a mapping of what else is worth keeping; those of several calls are merged.

    Raises:
        TypeError: `metadata` is no mapping, or something was not awaited.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"note(metadata={safe(repr(metadata), 80)}): expected a mapping, or None")
    given = {"prompt": prompt, "model_response": model_response}
    for name, value in {**given, "usage": usage, "metadata": metadata}.items():
        refuse_awaitable(f"note() takes in {name}=", value)
    noted = ATTEMPT.get()
    if noted is None:
        return
    noted.update({name: value for name, value in given.items() if value is not None})
    if usage is not None:
        from ..usage import read_usage  # what it knows of clients is loaded where one is noted

        used, problem = read_usage(usage)
        noted.setdefault("usage", []).append(used)  # threads of one row may note at once
        if problem:
            noted["problem"] = problem
    if metadata is not None:
        noted.setdefault("metadata", {}).update(metadata)
