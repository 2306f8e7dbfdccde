"""
`doteval run`: evaluations without pytest.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, DotevalError, ExecutorError, NotFound, UsageError
from ..quantities import Allowance, Axis, Param, Shard, parse_rows, tag, words
from ..record import FINAL, Failure, Record, failure_hint, new_name
from ..text import similar
from ..views.media import brief
from .call import (
    FAILED,
    INCONCLUSIVE,
    OK,
    SIGNALLED,
    USAGE,
    Answer,
    Call,
    command,
    option,
    program,
    quoted,
    typed,
)  # fmt: skip
from .plan import planned

if TYPE_CHECKING:
    from ..budget import Budget
    from ..evaluation import Evaluation
    from ..reporting.progress import Snapshot
    from ..reporting.summary import Summary
    from ..running import Answers, Execution, Options
    from ..running.until import Until
    from ..storage import Named, Place

    Listener = Callable[[Snapshot], object]


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


# What a command that resumes repeats: options, and where the parser keeps them.
_REPEATED = {
    "--samples": "samples",
    "--max-errors": "max_errors",
    "--shard": "shard",
    "-P": "params",
    "--grid": "grid",
    "--budget": "budget",
    "--keep-going": "keep_going",
    "--calls": "calls",
    "--calls-from": "calls_from",
    "--until": "until",
}


def _budget(said: str) -> Budget:
    from ..budget import Budget

    return Budget.parse(said)


def asked_of(call: Call) -> Options:
    """What is asked of each run: the parser keeps it under the names of `Options`."""
    from ..running import Options

    given = {name: value for name, value in vars(call.options).items() if name in Options.__slots__}
    params = {each.name: each.value for each in given["params"]}
    return Options.read(**{**given, "params": params, "tags": dict(given["tags"])})


def again(call: Call, *typed: str) -> list[str]:
    """What was typed, as the command that resumes repeats it."""
    for name, kept in _REPEATED.items():
        typed += tuple(words(name, getattr(call.options, kept, None)))
    return list(typed)


def _experiment(said: str) -> str:
    if said.strip():
        return said
    raise argparse.ArgumentTypeError("an experiment needs a name that is not blank")


# What commands that run take.
FRESH = option(
    "--fresh", action="store_true", help="run all rows anew; old records no longer count"
)
MAX_ERRORS = option(
    "--max-errors",
    metavar="N|P%",
    type=typed(Allowance.parse),
    default=Allowance(),
    help="how many rows of an evaluation may fail without failing the command (default: none)",
)
BUDGET = option(
    "--budget",
    metavar="LIMITS",
    type=typed(_budget),
    help="what each evaluation may use up, such as time=30m,tokens=2M,cost=5,errors=5%%: then "
    "nothing new starts, and the same command resumes",
)
PARAMS = option(
    "-P",
    dest="params",
    metavar="NAME=VALUE",
    type=typed(Param.parse),
    action="append",
    default=[],
    help="a value for the parameter NAME of the evaluations, or in a mapping for their "
    "parameter `params`; kept with the run; JSON, or else a text",
)
KEEP_CONFIG = option(
    "--keep-config",
    action="store_true",
    help="resume although the last run had another config; its rows and new ones then stand "
    "in one figure, which says so",
)
KEEP_GOING = option(
    "--keep-going",
    action="store_true",
    help="go on although nothing succeeds: a run that can not succeed ends early otherwise",
)
TAGS = option(
    "--tag",
    dest="tags",
    metavar="NAME=VALUE",
    type=typed(tag),
    action="append",
    default=[],
    help="a tag of the experiment, which `list` shows and finds; can be given several times",
)
NOTE = option(
    "--note", metavar="TEXT", help="a sentence about the experiment, for `list` and `show`"
)
CALLS = option(
    "--calls",
    choices=("live", "reuse", "replay"),
    help="of calls that are replayable: make them, and keep them (the default); serve those "
    "that are known; or serve all, where one that is not known raises, so that nothing is paid",
)
CALLS_FROM = option(
    "--calls-from",
    metavar="NAME",
    help="the only experiment whose calls are served (default: all of the store)",
)
ASKED = (KEEP_CONFIG, KEEP_GOING, TAGS, NOTE, CALLS, CALLS_FROM)  # of a run, by whichever command
QUIET = option(
    "--quiet",
    "-q",
    action="count",
    default=0,
    help="no progress while it runs; -qq: no summary either",
)


@command(
    "run the evaluations of a file, those that need no fixtures; the same command resumes",
    "doteval run eval_sums.py --experiment baseline\n"
    "doteval run eval_sums.py::eval_addition --samples 20\n"
    "doteval run eval_sums.py --experiment baseline --fresh      # all rows anew\n"
    "doteval run eval_sums.py --max-errors 2%\n"
    "doteval run eval_sums.py --experiment sizes --grid model=small,large --grid prompt=v1,v2\n"
    "doteval run eval_sums.py --experiment v2 --tag prompt=v2 --note 'shorter prompt'\n"
    "doteval run eval_sums.py --plan          # what would run, how long, at what cost\n"
    "doteval run eval_sums.py --experiment baseline --budget time=30m,tokens=2M\n"
    'doteval run eval_sums.py --until "exact_match >= 0.8 @ 95%"   # no row more than it takes\n'
    "doteval run eval_sums.py --experiment baseline --shard 2/4   # on the second of 4 machines\n"
    "doteval run eval_sums.py --calls replay --calls-from baseline   # no model is called",
    option("files", metavar="FILE[::NAME]", nargs="+", help="a file, or one of its evaluations"),
    option(
        "--experiment",
        metavar="NAME",
        type=_experiment,
        help="where to store the results; the same name again resumes "
        "(default: a new name, made of the time)",
    ),
    option(
        "--samples",
        metavar="N",
        type=typed(parse_rows),
        help="only the first N rows of each dataset",
    ),
    FRESH,
    MAX_ERRORS,
    option(
        "--shard",
        metavar="I/N",
        type=typed(Shard.parse),
        help="only part I of N of the rows, chosen by what is in them, so on every machine the "
        "same; `doteval merge` brings the stores together",
    ),
    BUDGET,
    PARAMS,
    option(
        "--until",
        metavar="GATE",
        help="end each evaluation as soon as it is decided, as in 'exact_match >= 0.8 @ 95%%': "
        "exit code 0 if it holds, 1 if not, 3 if rows or budget are used up before",
    ),
    option(
        "--grid",
        metavar="NAME=A,B",
        type=typed(Axis.parse),
        action="append",
        default=[],
        help="run each evaluation once with each of these values for its parameter NAME, as an "
        "evaluation of its own, such as eval_sums[small]; given several times, with each "
        "combination",
    ),
    *ASKED,
    option(
        "--plan",
        action="store_true",
        help="check everything and tell what would run, without calling a function or storing "
        "anything",
    ),
    QUIET,
    forms=("json",),
)
def run(call: Call) -> Answer:
    """Run what was chosen, one evaluation after the other."""
    from ..reporting.grammar import GateError
    from .gate import point

    if call.options.form and not call.options.plan:
        raise UsageError("--json is for --plan; what is stored is printed by `doteval show --json`")
    place = call.place()
    with ExitStack() as stack:
        try:
            options = asked_of(call)
        except GateError as error:
            point(call, error)
            return Answer(code=USAGE)
        chosen = _crossed(_chosen(call.options.files, place, stack, options), call.options.grid)
        refuse_resources(chosen)
        if call.options.plan:
            return planned(
                call, place, [(each.name, each.evaluation, each.options) for each in chosen]
            )
        experiment = call.options.experiment or new_name()
        typed = again(call, "run", *call.options.files, "--experiment", experiment)
        return Answer(code=Round(call, place, options, experiment, typed).run(chosen))


# --- choosing ---------------------------------------------------------------------------------


def _chosen(
    targets: Sequence[str], place: Place, stack: ExitStack, options: Options
) -> list[Chosen]:
    """
    The evaluations that are meant, each once, in the order given.

    Raises:
        NotFound: there is no such file or evaluation.
        ImportFailed: a file raised.
    """
    from ..files import evaluations_in, imported, why_none
    from ..storage import named

    found: dict[str, dict[str, Evaluation[..., Any]]] = {}
    chosen: dict[Named, Chosen] = {}
    for target in targets:
        file, _, wanted = target.partition("::")
        known = found.get(file)
        if known is None:
            module = stack.enter_context(imported(Path(file)))
            known = found[file] = evaluations_in(module)
            if not known:
                raise NotFound(f"{file} has no evaluation: {why_none(module)}")
        for name in [wanted] if wanted else known:
            if name not in known:
                others = list(known)
                said = similar(name, others, others[:10], cutoff=0.7)
                raise NotFound(f"{file} has no evaluation {name!r}{said}")
            full = named(file, name, place)
            chosen.setdefault(
                full, Chosen(full, f"{file}::{name}", known[name], options, options.params)
            )
    return list(chosen.values())


def _crossed(chosen: Sequence[Chosen], axes: Sequence[Axis]) -> list[Chosen]:
    """
    Each with each combination of the values, which its name tells in brackets.

    Raises:
        UsageError: a parameter is given twice.
    """
    if not axes or not chosen:
        return list(chosen)
    names = [*chosen[0].options.params, *(axis.params[0].name for axis in axes)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the parameter {twice!r} is given twice, by --grid and by --grid or -P")
    crossed = []
    for each in chosen:
        for cell in product(*(axis.params for axis in axes)):
            said = f"[{'-'.join(param.said.partition('=')[2].strip() for param in cell)}]"
            named = [f"{name}{said}" for name in (each.name.name, *each.name.formerly)]
            params = {**each.options.params, **{param.name: param.value for param in cell}}
            options = replace(each.options, params=params)
            name = each.name._replace(name=named[0], formerly=tuple(named[1:]))
            crossed.append(replace(each, name=name, options=options, params=params))
    return crossed


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


# --- running ----------------------------------------------------------------------------------


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
        typed: the command that resumes.
    """

    def __init__(
        self, call: Call, place: Place, options: Options, experiment: str, typed: Sequence[str]
    ) -> None:
        self._call = call
        self._place = place
        self._options = options
        self._experiment = experiment
        self._typed = typed
        self._shows = call.options.quiet < 2
        self._failed = 0  # rows
        self._final = 0  # of them, those that do not run again
        self._stopped = False  # early, because nothing can succeed
        self._heals = False  # whether trying again may be all that is needed
        self._first: Record | None = None  # that failed, of the evaluation that is being run
        self._clear: Callable[[], object] = lambda: None

    def run(self, chosen: Sequence[Chosen]) -> int:
        """Run them; the exit code of the worst."""
        from ..reporting.progress import printing_above, progress_on

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
            self._say_hint(f"the rows that failed: {self._see()}")
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
        from ..views.figures import plural

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
        from ..views.figures import plural

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
        from ..views.figures import plural

        what = _INTERRUPTIONS.get(number, "interrupted")
        stored = plural(execution.done + execution.skipped, "row")
        self._say("")
        self._call.complain(f"{what}: {stored} of {execution.evaluation.__name__} stored")
        if execution.waited_for:
            self._call.complain(f"it waited: {execution.waited_for}")
        self._call.complain(f"to resume: {self._again()}")
        return SIGNALLED + number

    # ------------------------------------------------------------- how to go on

    def _again(self, *more: str) -> str:
        """This command with the experiment's name: it resumes, unless `--fresh` is added."""
        return f"{program()} {quoted(*self._typed, *more, *self._storage())}"

    def _see(self) -> str:
        return f"{program()} {quoted('show', self._experiment, '--errors', *self._storage())}"

    def _storage(self) -> list[str]:
        storage = self._call.options.storage
        return [] if storage is None else ["--storage", storage]

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
