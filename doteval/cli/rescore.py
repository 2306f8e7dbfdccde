"""
`doteval rescore`: stored answers, scored once more.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import NotFound, UsageError
from ..text import similar
from .call import EVALUATION, Answer, Call, command, option
from .round import (
    ASKED,
    BUDGET,
    FRESH,
    MAX_ERRORS,
    PARAMS,
    QUIET,
    Chosen,
    Round,
    asked_of,
    refuse_resources,
)


@command(
    "score the stored answers of an experiment once more, into a new one; no model is asked again",
    "doteval rescore baseline scoring.py::strict --into baseline-strict\n"
    "doteval compare baseline baseline-strict         # which rows have changed\n"
    "doteval rescore baseline --edit fixes.csv --into baseline-mended",
    option("old", metavar="OLD", help="the experiment whose answers are scored"),
    option(
        "target",
        metavar="FILE::FUNCTION",
        nargs="?",
        help="takes columns of the rows, prompt, model_response, metadata, usage, scores by name",
    ),
    option("--into", metavar="NEW", help="the experiment to make, or to resume; it is needed"),
    EVALUATION,
    option(
        "--edit",
        metavar="FILE.csv",
        help="scores put right by hand: key or id of the row, score, value; other columns, such "
        "as who and why, are kept beside what was computed",
    ),
    FRESH,
    MAX_ERRORS,
    BUDGET,
    PARAMS,
    *ASKED,
    QUIET,
)
def run(call: Call) -> Answer:
    """The answers have new scores."""
    from ..running import Answers
    from ..storage import Named

    options, place = call.options, call.place()
    if not (options.into or "").strip():
        raise UsageError("--into NEW is missing: the new scores are an experiment of their own")
    answers = Answers(place, options.old, options.evaluation)
    with ExitStack() as stack:
        function = None if options.target is None else _function(options.target, stack)
        asked = asked_of(call)
        evaluation, scored = answers.scored(function, options.edit, None, asked, options.into)
        target = options.target or options.edit
        chosen = [Chosen(Named(answers.name), target, evaluation, scored, asked.params, answers)]
        refuse_resources(chosen)
        typed = ["rescore", options.old, *[options.target] * (function is not None)]
        for name in ("evaluation", "edit", "into"):
            value = getattr(options, name)
            typed += [] if value is None else [f"--{name}", value]
        return Answer(code=Round(call, place, scored, options.into, *typed).run(chosen))


def _function(target: str, stack: ExitStack) -> Any:
    """
    The function that is meant.

    Raises:
        NotFound: there is no such file or function; says what there is.
        ImportFailed: the file raised.
    """
    from ..files import imported

    file, _, name = target.partition("::")
    module = stack.enter_context(imported(Path(file)))
    own = [
        each
        for each, thing in vars(module).items()
        if callable(thing) and getattr(thing, "__module__", None) == module.__name__
    ]
    if not name and len(own) == 1:
        name = own[0]
    if name not in vars(module):
        said = f"has no function {name!r}" if name else "has several functions, or none"
        raise NotFound(f"{file} {said}{similar(name, own, own[:10], cutoff=0.5)}")
    return vars(module)[name]
