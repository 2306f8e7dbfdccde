"""
doteval: write an evaluation as a function; it is run over a dataset, fast, and nothing is lost::

    from doteval import foreach, Result
    from doteval.evaluators import exact_match

    @foreach("question,answer", [("2 + 2 = ?", "4")])
    def eval_sums(question, answer, model):
        return Result(exact_match(model(question), answer), prompt=question)
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` and what it loads would be all that this import costs
if TYPE_CHECKING:
    from typing import Any

    from .concurrency.notes import note
    from .concurrency.pace import RateLimit
    from .concurrency.retry import Retry
    from .errors import DotevalError, congested
    from .evaluation import Evaluation, ForEach, foreach
    from .reader import experiments, records
    from .record import Failure, Record, Result, Score
    from .replay import replayable
    from .reporting.compare import Comparison, compare
    from .reporting.judgement import gate
    from .reporting.summary import Summary
    from .runner import rescore, run, run_async

__version__ = "0.1.0"

# Where each public name lives; it is loaded when it is first asked for (PEP 562), so that
# importing the package costs next to nothing.
_HOMES = {
    "Comparison": "reporting.compare",
    "DotevalError": "errors",
    "Evaluation": "evaluation",
    "Failure": "record",
    "ForEach": "evaluation",
    "RateLimit": "concurrency.pace",
    "Record": "record",
    "Result": "record",
    "Retry": "concurrency.retry",
    "Score": "record",
    "Summary": "reporting.summary",
    "compare": "reporting.compare",
    "congested": "errors",
    "experiments": "reader",
    "foreach": "evaluation",
    "gate": "reporting.judgement",
    "note": "concurrency.notes",
    "records": "reader",
    "replayable": "replay",
    "rescore": "runner",
    "run": "runner",
    "run_async": "runner",
}

__all__ = [
    "Comparison",
    "DotevalError",
    "Evaluation",
    "Failure",
    "ForEach",
    "RateLimit",
    "Record",
    "Result",
    "Retry",
    "Score",
    "Summary",
    "compare",
    "congested",
    "experiments",
    "foreach",
    "gate",
    "note",
    "records",
    "replayable",
    "rescore",
    "run",
    "run_async",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
