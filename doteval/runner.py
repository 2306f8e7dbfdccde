"""
`run` and `run_async`: an evaluation, called like a function.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, ParamSpec

from .budget import Budget
from .errors import UsageError
from .evaluation import BoundEvaluation, Evaluation, ForEach
from .record import Record, new_name
from .reporting.display import Heartbeat, Live, Notebook, notebook, printing_above, progress_on
from .reporting.summary import Summary
from .running import Answers, Execution, Options, driver, evaluation_name
from .running.version import distributed
from .storage import Named, locate
from .text import safe


async def run_async(
    evaluation: Evaluation[..., Any] | BoundEvaluation,
    experiment: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    samples: int | None = None,
    progress: bool | Callable[[Record], object] | None = None,
    *,
    fresh: bool = False,
    budget: Budget | str | None = None,
    shard: str | None = None,
    on_record: Callable[[Record], object] | None = None,
    on_limit: Callable[[Mapping[str, Any]], object] | None = None,
    on_finish: Callable[[Summary], object] | None = None,
    resources: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    keep_config: bool = False,
    keep_going: bool = False,
    tags: Mapping[str, object] | None = None,
    note: str | None = None,
    calls: str = "live",
    calls_from: str | None = None,
    until: str | None = None,
    **named: NoReturn,
) -> Summary:
    """
    Run an evaluation inside the running event loop. See `run`.
    """
    if not isinstance(evaluation, (Evaluation, BoundEvaluation)):
        raise UsageError(
            f"run() takes an evaluation, a function decorated with @foreach(...); got "
            f"{safe(evaluation, 80)}"
        )
    options = Options.read(
        samples=samples,
        fresh=fresh,
        budget=budget,
        shard=shard,
        params=params,
        keep_config=keep_config,
        keep_going=keep_going,
        tags=tags,
        note=note,
        calls=calls,
        calls_from=calls_from,
        until=until,
    )
    place = locate(storage)
    shown = _shown(progress)
    execution = Execution(
        evaluation,
        options,
        name=evaluation_name(evaluation, place),
        experiment=new_name() if experiment is None else _name(experiment),
        place=place,
        resources={**distributed(evaluation, options.params), **_together(resources, named)},
        listener=shown,
        on_record=_both(on_record, progress if callable(progress) else None),
        on_limit=on_limit,
    )
    return await _done(execution, shown, on_finish)


async def _done(
    execution: Execution,
    shown: Live | Heartbeat | Notebook | None,
    on_finish: Callable[[Summary], object] | None,
) -> Summary:
    try:
        with printing_above(shown):
            summary = await driver.in_order(execution.run())
    finally:
        if shown is not None:
            shown.close()
    if on_finish is not None:
        on_finish(summary)
    return summary


P = ParamSpec("P")


def _taking_what(
    other: Callable[P, object],
) -> Callable[[Callable[..., Summary]], Callable[P, Summary]]:
    """For a type checker: the decorated function takes what the other one does."""
    return lambda function: function


@_taking_what(run_async)
def run(
    evaluation: Evaluation[..., Any] | BoundEvaluation,
    experiment: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    samples: int | None = None,
    progress: bool | Callable[[Record], object] | None = None,
    **options: Any,
) -> Summary:
    """
    Run an evaluation over its dataset: every row that has no successful Result yet.

    Works where a loop is already running (a notebook), in a thread with a loop of its own.

    Args:
        evaluation: a function decorated with `@foreach(...)`.
        experiment: name to store the records under; the same name again resumes. None: a new
            name, made of the time.
        storage: address of the store, see `storage.locate`; None: that of the project.
        samples: only the first so many rows of the dataset.
        progress: None: a live line where there is a terminal or a notebook; True: also plain lines
            elsewhere; False: nothing; or a callable that receives each durable Record.
        fresh: True: supersede what earlier runs recorded.
        budget: what the run may use up, such as "time=30m,tokens=2M"; it then drains and stops.
        shard: "i/n": only part i of n of the rows, by their keys, on every machine the same.
        on_record: called with each durable Record.
        on_limit: called with each change of the adaptive limit: `at`, `limit`, `reason`.
        on_finish: called with the Summary.
        resources: values of the function's other parameters, by name; only those that are named
            like an argument of `run` have to stand here.
        params: plain values by name that decide over the answers, such as `{"model": "large"}`:
            each goes to the function's parameter of its name, those that have none together to
            its parameter `params`. They are kept with the run, as `ForEach(config=...)` is.
        keep_config: True: resume although the last run had another config.
        keep_going: True: go on even if nothing succeeds, see `ForEach(fail_fast=)`.
        tags: of the experiment, such as `{"prompt": "v2"}`; those of a later run are added, and a
            name that is there gets the new value.
        note: a text about the experiment; a later one takes its place.
        calls: what becomes of calls that are `replayable`: "live": they are made, and kept;
            "reuse": what is known is served; "replay": what is not known raises.
        calls_from: the only experiment whose calls are served; None: all of the store.
        until: a gate with a confidence, such as "exact_match >= 0.8 @ 95%": rows run in the order
            of their keys until it holds, does not hold, or none is left. The interval is one that
            holds at every look.
        **options: the arguments above, and the function's other parameters by name.

    Returns:
        the Summary of everything stored for this evaluation of this experiment.

    Raises:
        UsageError: a parameter is missing, unknown or out of range.
        Busy: another run is working on this evaluation.
        StoreError: the store can not be read or written; nothing durable is lost.
        DatasetError: the dataset raised or is empty; the rows before it are stored.
        ExecutorError: the executor can not run any row; what was finished is stored.
    """
    main = partial(run_async, evaluation, experiment, storage, samples, progress, **options)
    return driver.run(main)


def rescore(
    function: Callable[..., Any] | None,
    experiment: str,
    into: str,
    evaluation: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    progress: bool | Callable[[Record], object] | None = None,
    *,
    edit: str | os.PathLike[str] | None = None,
    foreach: ForEach | None = None,
    fresh: bool = False,
    budget: Budget | str | None = None,
    on_record: Callable[[Record], object] | None = None,
    on_limit: Callable[[Mapping[str, Any]], object] | None = None,
    on_finish: Callable[[Summary], object] | None = None,
    resources: Mapping[str, Any] | None = None,
    keep_config: bool = False,
    keep_going: bool = False,
    calls: str = "live",
    calls_from: str | None = None,
    **named: Any,
) -> Summary:
    """
    Score the stored answers of an experiment once more, as an experiment of its own. The model that
    has answered is not asked again.

        def scored(model_response, answer):
            return exact_match(model_response.strip(), answer)

        rescore(scored, "baseline", into="baseline-2")

    The records have the rows, repeats, prompts and answers of the old ones, and the new scores, so
    `compare` shows which have changed. A row that has no answer fails. The same call resumes.

    Args:
        function: plain or asynchronous, as that of an evaluation; its parameters are columns of the
            rows, and `prompt`, `model_response`, `metadata`, `usage` and `scores` of the old
            record. A bare bool or number has the name of the one score that those have, else of
            the evaluation. None: the scores stay, for `edit`.
        experiment: whose answers.
        into: the new experiment.
        evaluation: of it, by its full or short name; None: the only one.
        storage: as in `run`, and so are progress, fresh, budget, on_record, on_limit, on_finish,
            resources, keep_config, keep_going, calls and calls_from.
        edit: path of a CSV file of scores that somebody has put right: `key` or `id` of the row,
            `score`, `value`, perhaps `repeat`; what was computed stands in the score's metadata.
        foreach: a ForEach with the policy: strategy, retries, rate limit; None: that of a new one.
        **named: the function's other parameters.

    Returns:
        the Summary of the new experiment's evaluation.

    Raises:
        NotFound: there is no such experiment or evaluation; and what `run` raises.
    """
    place = locate(storage)
    answers = Answers(place, experiment, evaluation)
    options = Options.read(
        fresh=fresh, budget=budget, keep_config=keep_config, keep_going=keep_going, calls=calls,
        calls_from=calls_from,
    )  # fmt: skip
    evaluated, options = answers.scored(function, edit, foreach, options, _name(into))
    shown = _shown(progress)
    execution = Execution(
        evaluated,
        options,
        name=Named(answers.name),
        experiment=into,
        place=place,
        resources=_together(resources, named),
        listener=shown,
        on_record=_both(on_record, progress if callable(progress) else None),
        on_limit=on_limit,
        answers=answers,
    )
    return driver.run(partial(_done, execution, shown, on_finish))


def _together(resources: Mapping[str, Any] | None, named: dict[str, Any]) -> dict[str, Any]:
    if resources is None:
        return named
    if not isinstance(resources, Mapping):
        raise UsageError(
            f"run(resources={safe(repr(resources), 80)}): expected a mapping of the function's "
            "parameters to their values"
        )
    twice = [name for name in resources if name in named]
    if twice:
        raise UsageError(f"run() got {twice[0]!r} twice: by itself and in resources=")
    return {**resources, **named}


def _name(experiment: object) -> str:
    if isinstance(experiment, str) and experiment.strip():
        return experiment
    raise UsageError(
        f"experiment={experiment!r:.80}: expected a name that is not blank, or None for a new one"
    )


def _shown(progress: object) -> Live | Heartbeat | Notebook | None:
    """Who shows the progress."""
    if progress not in (None, True):
        return None
    cell = notebook()
    if cell is not None:
        return cell
    shown = progress_on(sys.stderr, os.environ)
    return shown if progress or isinstance(shown, Live) else None


def _both(
    first: Callable[[Record], object] | None, second: Callable[[Record], object] | None
) -> Callable[[Record], object] | None:
    if first is None or second is None:
        return first or second

    def both(record: Record) -> None:
        first(record)
        second(record)

    return both
