"""
One evaluation in the call phase of its item: run, told and judged.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

from ..declarations import as_config
from ..errors import DatasetError, DotevalError, ExecutorError
from ..quantities import Allowance
from ..record import FINAL, Failure, Record, failure_hint
from ..reporting.gate import PASS, AnyGate, AtHand, Stored, Verdict, judge
from ..reporting.summary import Summary
from ..running import Execution
from ..running import Options as Asked
from ..storage import Named, Place, named, open_store
from ..text import safe
from ..views.figures import plural
from ..views.media import brief
from .loop import SessionLoop
from .options import Options
from .terminal import Screen, command, stored


class Call:
    """
    Run an evaluation over its dataset.

    Args:
        item: of pytest, its fixtures set up.
        evaluation: what `item.obj` is: an Evaluation, or a bound one.
        options: of the session.
        experiment: name to store the results under.
        place: of the store.
        again: whether this session has run it before; what that has stored is not superseded.
        screen: where progress is shown.
        fatal: exceptions that end the run wherever they are raised.
        config: what fixtures have put into `eval_config`.
        fixtures: the functions of the item's fixtures.

    Attributes:
        execution: the run.
        summary: of everything stored; None before the end, and where nothing is.
    """

    def __init__(
        self,
        item: Any,
        evaluation: Any,
        *,
        options: Options,
        experiment: str,
        place: Place,
        again: bool,
        screen: Screen,
        fatal: tuple[type[BaseException], ...],
        config: Mapping[str, Any],
        fixtures: Iterable[Callable[..., Any]],
    ) -> None:
        self._item = item
        self._options = options
        self._screen = screen
        self._first: Record | None = None
        self.summary: Summary | None = None
        asked = Asked(**options.asked)
        params = asked.params if "eval_params" in item.fixturenames else {}
        params = {**params, **as_config(config, "the fixture eval_config")}
        self._shard = asked.shard
        self.execution = Execution(
            evaluation,
            replace(asked, fresh=asked.fresh and not again, params=params),
            name=name_of(item, place),
            experiment=experiment,
            place=place,
            resources={
                parameter: item.funcargs[parameter]
                for parameter in evaluation.__signature__.parameters
                if parameter in item.funcargs
            },
            listener=screen.listener,
            on_record=self._meet,
            fatal=fatal,
            reached=fixtures,
        )

    def run(self, loop: SessionLoop) -> None:
        """
        Run what has no result yet, on the session's loop.

        Raises:
            DotevalError: the store, the dataset or another run made it end early.
        """
        execution = self.execution
        with self._screen.showing():
            self.summary = loop.drive(execution.run, execution.interrupt)

    def _meet(self, record: Record) -> None:
        """Keep the first failure."""
        if self._first is None and isinstance(record.outcome, Failure):
            self._first = record

    # ------------------------------------------------------------------- judgement

    def verdict(self) -> str | None:
        """
        Why the item fails because of its rows or of a gate; None where it passes.

        Notes for the summary are taken on the way.
        """
        said = [each for each in (self._verdict_of_rows(), self._verdict_of_gates()) if each]
        return "\n".join(said) or None

    def _verdict_of_gates(self) -> str | None:
        """What does not hold, or is undecided, of everything that is stored."""
        execution = self.execution
        gates = [gate for gate in self._options.gates if gate.concerns(execution.ledger.name)]
        if not gates:
            return None
        summary = self.summary
        if self._shard is not None and summary is not None and summary.missing != 0:
            execution.notes.append("gates are about all shards: merge them, then `doteval gate`")
            return None
        failed = []
        for each in self._judged(gates):
            said = f"gate {each.gate.text}: {each.told}"
            if each.outcome == PASS:
                execution.notes.append(said)
            else:
                word = "" if each.outcome == "fail" else f"{each.outcome}: "
                failed.append(f"{word}{said}")
        return "\n".join(failed)

    def _judged(self, gates: list[AnyGate]) -> list[Verdict]:
        """The complete stored set is judged, not only what this session ran."""
        ledger = self.execution.ledger
        if ledger.place.path is None and self.summary is not None:  # a memory is gone by now
            return judge(gates, AtHand(self.summary))
        store = open_store(ledger.place)
        try:
            return judge(gates, Stored(store, ledger.experiment, [ledger.name]))
        finally:
            store.close()

    def _verdict_of_rows(self) -> str | None:
        """Why the item fails because of rows that failed, or that its budget has left out."""
        execution = self.execution
        errors = Counter(
            {**execution.errors, FINAL: execution.errors.get(FINAL, 0) + execution.final}
        )
        failed, rows = errors.total(), execution.done + execution.skipped
        if execution.skipped and not execution.done:
            execution.notes.append(
                f"nothing to do: {plural(execution.skipped, 'row')} stored before; to run anew: "
                f"{self.command('--fresh')}"
            )
        lines = [note for note in execution.notes if note.startswith("stalled: ")]
        if self.summary is None or self.summary.missing != 0:  # nothing is left to be stopped else
            lines += [note for note in execution.notes if note.startswith("stopped: ")]
        if execution.until is not None and execution.until.outcome != PASS:
            if execution.until.over and not failed:  # a resume would change nothing
                return str(execution.until)
            lines.append(str(execution.until))
        if execution.status == "stopped":
            lines += [f"stopped: {execution.cause}", *self._first_failure()]
            execution.notes.append(f"to go on anyway: {self.command('--eval-keep-going')}")
        elif failed:
            said = f"{failed:,} of {plural(rows, 'row')} failed"
            allowance = self._options.allowance or Allowance()
            if execution.status != "stalled" and allowance.covers(failed, rows):
                execution.notes.append(f"{said}, which --eval-max-errors allows")
            else:
                lines += [f"{said}: {_counts(+errors)}", *self._first_failure()]
        return "\n".join([*lines, f"resume: {self.command()}"]) if lines else None

    def _first_failure(self) -> list[str]:
        if self._first is None:  # those that failed are of an earlier run
            return []
        execution = self.execution
        told = _told(self._first, execution.first_error, execution.evaluation.file)
        return [f"first: {told}"]

    def refusal(self, error: BaseException) -> str:
        """What to say where the store, the dataset, the executor or another run ended it early."""
        said = safe(error, 2_000)
        cause = error.__cause__
        its_own = cause is not None and not isinstance(cause, DotevalError)
        if isinstance(error, (DatasetError, ExecutorError)) and its_own and self.execution.done:
            # What it raised itself may pass; two equal ids, say, are to be mended.
            return f"{said}\nresume: {self.command()}"
        return said

    def command(self, *more: str) -> str:
        """The command that runs this evaluation again."""
        file = os.path.relpath(self._item.path, self._item.config.invocation_params.dir)
        arguments = ["::".join([file, *_below_file(self._item)])]
        arguments += ["--experiment", self.execution.ledger.experiment]
        return command([*arguments, *self._options.repeated, *more])

    # --------------------------------------------------------------------- telling

    def entry(self) -> str:
        """What came out, as text that can travel with a report."""
        execution, ledger = self.execution, self.execution.ledger
        if self.summary is None and execution.done + execution.skipped:
            self.summary = stored(ledger.place, ledger.experiment, ledger.name)
        return json.dumps(
            {
                "name": ledger.name,
                "experiment": ledger.experiment,
                "summary": None if self.summary is None else asdict(self.summary),
                "notes": execution.notes,
                "status": execution.status,
            },
            default=str,
        )


def begun(item: Any, place: Place, experiment: str) -> str:
    """What is known of an evaluation before its call: for the time until it ends."""
    entry = {"name": name_of(item, place).name, "experiment": experiment, "status": "interrupted"}
    return json.dumps(entry)


def name_of(item: Any, place: Place) -> Named:
    """
    The name of an evaluation in the store: its node id, with the path from its project's root.

    Made of the names of the nodes: the path in a node id depends on the configuration file, and
    pytest-xdist may add a group at its end.
    """
    return named(item.path, "::".join(_below_file(item)), place, item.config.rootpath)


def _below_file(item: Any) -> list[str]:
    """The names of the nodes from below the file down to the item."""
    names: list[str] = []
    while not isinstance(item.obj, ModuleType):
        names.insert(0, item.name)
        item = item.parent
    return names


def _counts(errors: Mapping[str, int]) -> str:
    ordered = sorted(errors.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{safe(kind, 80)} {n:,}" for kind, n in ordered)


def _told(record: Record, error: BaseException | None, file: str) -> str:
    """What a failed row said, and the last line of the evaluation's file before that."""
    outcome: Any = record.outcome
    said = f"row {record.position}: {safe(outcome.type, 80)}: {brief(outcome.message, 300)}"
    if outcome.type == "Skipped":  # by pytest.skip()
        said += " (a row can not be skipped: leave it out of the dataset, or skip in a fixture)"
    hint = failure_hint(outcome.type, outcome.message)
    if error is None or type(error).__name__ != outcome.type:
        return said + hint
    lines = [line for name, line in _places(error) if name == file]
    return f"{said} ({safe(os.path.basename(file))}:{lines[-1]}){hint}" if lines else said + hint


def _places(error: BaseException) -> Iterator[tuple[str, int]]:
    """Files and lines that led to an exception."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
