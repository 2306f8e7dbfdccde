"""
The evaluations of one command, run one after the other: what `run` and `rescore` share.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, DotevalError, ExecutorError, UsageError
from ..flags import AGAIN, FLAGS
from ..quantities import Allowance, Param, tag, words
from ..record import FINAL, Failure, Record, failure_hint
from ..views.figures import plural
from ..views.media import brief
from .call import FAILED, INCONCLUSIVE, OK, SIGNALLED, Call, Option, option, quoted, typed

if TYPE_CHECKING:
    from ..budget import Budget
    from ..evaluation import Evaluation
    from ..reporting.progress import Snapshot
    from ..reporting.summary import Summary
    from ..running import Answers, Execution, Options
    from ..running.until import Until
    from ..storage import Named, Place

    Listener = Callable[[Snapshot], object]


def _budget(said: str) -> Budget:
    from ..budget import Budget

    return Budget.parse(said)


def asked(name: str, **settings: Any) -> Option:
    """An option that runs under pytest have too."""
    return option(f"--{name}", **FLAGS[name], **settings)


# What commands that run take.
FRESH = asked("fresh")
MAX_ERRORS = asked("max-errors", type=typed(Allowance.parse), default=Allowance())
BUDGET = asked("budget", type=typed(_budget))
PARAMS = option("-P", type=typed(Param.parse), default=[], **FLAGS["param"])
ASKED = (  # of a run, by whichever command
    *map(asked, ("keep-config", "keep-going", "note", "calls", "calls-from")),
    asked("tag", type=typed(tag), default=[]),
)
QUIET = option(
    "--quiet",
    "-q",
    action="count",
    default=0,
    help="no progress while it runs; -qq: no summary either",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    An evaluation to run, its name in the store, what to type to run it alone, what is asked of its
    run, and what is given to its function.

    `answers` are those of another experiment, where these are its dataset.
    """

    name: Named
    target: str
    evaluation: Evaluation[..., Any]
    options: Options
    params: Mapping[str, Any]
    answers: Answers | None = None


def asked_of(call: Call) -> Options:
    """What is asked of each run: the parser keeps it under the names of `Options`."""
    from ..running import Options

    given = {name: value for name, value in vars(call.options).items() if name in Options.__slots__}
    params = {each.name: each.value for each in given["params"]}
    return Options.read(**{**given, "params": params, "tags": dict(given["tags"])})


def refuse_resources(chosen: Sequence[Chosen]) -> None:
    """
    Fixtures are pytest's: say so before the first row costs anything.

    Raises:
        UsageError: an evaluation needs what only pytest can give, or has no use for a parameter.
    """
    from ..running.version import distributed

    needed = {
        each.target: [name for name in each.evaluation.resources if name not in given]
        for each in chosen
        for given in [distributed(each.evaluation, each.params)]
    }
    first = next((each for each in chosen if needed[each.target]), None)
    if first is None:
        return
    names = " and ".join(map(repr, needed[first.target]))
    plain = [each.target for each in chosen if not needed[each.target]]
    raise UsageError(
        f"{first.target} needs {names}: `doteval run` has no fixtures, so run it with "
        f"`pytest {quoted(first.target)}`"
        + (f"; these can be run here: {', '.join(plain)}" if plain else "")
    )


_INTERRUPTIONS = {
    int(signal.SIGTERM): "terminated",
    int(getattr(signal, "SIGHUP", 1)): "the terminal was closed",
}


class Round:
    """
    The evaluations of one command that runs some, one after the other.

    Args:
        call: the command.
        place: of the store.
        options: what is asked of each run.
        experiment: name to store the results under.
        typed: the command, without the options that what resumes repeats.
    """

    def __init__(
        self, call: Call, place: Place, options: Options, experiment: str, *typed: str
    ) -> None:
        self._call = call
        self._place = place
        self._options = options
        self._experiment = experiment
        self._typed = [*typed]
        for name in (*AGAIN, "grid"):
            kept = FLAGS.get(name, {}).get("dest", name).replace("-", "_")
            said = "-P" if name == "param" else f"--{name}"
            self._typed += words(said, getattr(call.options, kept, None))
        self._shows = call.options.quiet < 2
        self._failed = 0  # rows
        self._final = 0  # of them, those that do not run again
        self._stopped = False  # early, because nothing can succeed
        self._heals = False  # whether trying again may be all that is needed
        self._first: Record | None = None  # that failed, of the evaluation that is being run
        self._clear: Callable[[], object] = lambda: None

    def run(self, chosen: Sequence[Chosen]) -> int:
        """Run them; the exit code of the worst."""
        from ..reporting.display import printing_above, progress_on

        terminal = self._call.terminal
        self._say(f"experiment {terminal.paint(terminal.shown(self._experiment), 'strong')}")
        if self._call.options.quiet:
            return self._all(chosen, None)
        progress = progress_on(self._call.err, os.environ, self._call.options.color)
        self._clear = progress.clear
        try:
            with printing_above(progress):
                return self._all(chosen, progress)
        finally:
            progress.close()

    def _all(self, chosen: Sequence[Chosen], listener: Listener | None) -> int:
        from ..reporting.views import short_name

        codes = {OK}
        complaints = []
        for each in chosen:
            execution = self._execution(each, listener)
            try:
                code, problem = self._one(execution)
            except KeyboardInterrupt as error:
                return self._interrupted(execution, error.args[0] if error.args else signal.SIGINT)
            if problem:
                codes.add(code)
                complaints.append(f"{short_name(each.name.name)}: {problem}")
        self._say(*[""] * bool(complaints))
        for sentence in complaints:
            self._call.complain(sentence)
        if self._failed:
            see = self._call.to_type("show", self._experiment, "--errors")
            self._say_hint(f"the rows that failed: {see}")
            anew = ["--fresh"] if self._final == self._failed else []
            self._say_hint(f"to try them again:    {self._again(*anew)}")
        elif self._heals:
            self._say_hint(f"to resume: {self._again()}")
        if self._stopped:
            self._say_hint(f"to go on anyway:      {self._again('--keep-going')}")
        return next(code for code in (FAILED, INCONCLUSIVE, OK) if code in codes)

    def _execution(self, chosen: Chosen, listener: Listener | None) -> Execution:
        from ..running import Execution
        from ..running.version import distributed

        self._first = None
        return Execution(
            chosen.evaluation,
            chosen.options,
            name=chosen.name,
            experiment=self._experiment,
            place=self._place,
            resources=distributed(chosen.evaluation, chosen.params),
            listener=listener,
            on_record=self._meet,
            answers=chosen.answers,
        )

    def _meet(self, record: Record) -> None:
        if self._first is None and record.failed:
            self._first = record

    def _one(self, execution: Execution) -> tuple[int, str]:
        """Run one evaluation, tell what came out of it; the exit code, and what is wrong."""
        from ..running import drive

        try:
            summary = drive(execution.run, stops=lambda: execution.interrupt)
        except (DatasetError, ExecutorError) as error:
            # What it raised itself may pass; a missing file, or two equal ids, is to be mended.
            its_own = error.__cause__ is not None and not isinstance(error.__cause__, DotevalError)
            self._heals |= its_own and execution.done > 0
            return FAILED, str(error)
        finally:
            self._clear()
        self._tell(execution, summary)
        code, problem = self._verdict(execution, summary)
        self._heals |= bool(problem) and not (execution.until is not None and execution.until.over)
        return code, problem

    def _tell(self, execution: Execution, summary: Summary) -> None:
        from ..reporting.views import summary_lines

        notes = list(execution.notes)
        if not execution.done and execution.skipped:
            notes.append(
                f"nothing to do: {plural(execution.skipped, 'row')} stored before; to run anew: "
                f"{self._again('--fresh')}"
            )
        if self._options.shard is not None:
            notes.append(
                f"shard {self._options.shard}: the other rows are left to the other shards"
            )
        self._say("", *summary_lines(summary, self._call.terminal, notes=notes))

    def _verdict(self, execution: Execution, summary: Summary) -> tuple[int, str]:
        """
        Why the command fails: rows that failed, or a run that gave up; not wrong answers. A run
        that its budget has ended proves nothing either way.
        """
        failed = sum(execution.errors.values()) + execution.final
        done = execution.done + execution.skipped
        if execution.status == "stopped":
            self._failed += failed
            self._stopped = True
            return FAILED, f"stopped: {execution.cause}"
        if not self._call.options.max_errors.covers(failed, done):
            self._failed += failed
            self._final += execution.final + execution.errors.get(FINAL, 0)
            said = f"{failed:,} of {plural(done, 'row')} failed"
            return FAILED, f"{said}; {self._first_failure()}" if self._first else said
        stopped = [note for note in execution.notes if note.startswith("stopped: ")]
        if stopped and (execution.until is None or not execution.until.over):
            left = summary.missing != 0  # the last row may have spent the last of it
            return (INCONCLUSIVE, stopped[0].partition(";")[0]) if left else (OK, "")
        if execution.status != "complete":
            return FAILED, execution.status
        return (OK, "") if execution.until is None else _decided(execution.until)

    def _first_failure(self) -> str:
        first = self._first
        assert first is not None and isinstance(first.outcome, Failure)
        said = brief(first.outcome.message, 200)
        hint = failure_hint(first.outcome.type, first.outcome.message)
        return (
            f"first: row {first.position}, {first.outcome.type}{': ' if said else ''}{said}{hint}"
        )

    def _interrupted(self, execution: Execution, number: int) -> int:
        what = _INTERRUPTIONS.get(number, "interrupted")
        stored = plural(execution.done + execution.skipped, "row")
        self._say("")
        self._call.complain(f"{what}: {stored} of {execution.evaluation.__name__} stored")
        if execution.waited_for:
            self._call.complain(f"it waited: {execution.waited_for}")
        self._call.complain(f"to resume: {self._again()}")
        return SIGNALLED + number

    def _again(self, *more: str) -> str:
        """This command with the experiment's name: it resumes, unless `--fresh` is added."""
        return self._call.to_type(*self._typed, *more)

    def _say_hint(self, sentence: str) -> None:
        terminal = self._call.terminal
        self._say(terminal.paint(terminal.shown(sentence), "dim"))

    def _say(self, *lines: str) -> None:
        """Print to stdout; that nobody reads it any more is no reason to lose an evaluation."""
        if not self._shows:
            return
        try:
            self._call.say(*lines)
            self._call.out.flush()
        except (OSError, ValueError):
            self._shows = False


def _decided(until: Until) -> tuple[int, str]:
    """The exit code of a run that was to decide something, and why it is not 0."""
    from ..reporting.gate import FAIL, PASS

    code = {PASS: OK, FAIL: FAILED}.get(until.outcome, INCONCLUSIVE)
    return code, "" if code == OK else str(until)
