"""
The language of gates: a sentence such as "exact_match.accuracy >= 0.8 @ 95%" to a Gate.

    gates     = all { "or" all },  all = gate { "and" gate },  gate may be "(" gates ")"
    gate      = [ evaluation ":" ] subject [ "by" column { "," column } ] comparison threshold
                [ "@" confidence [ "anytime" ] [ "of all rows" ] ]
    subject   = score [ "." metric [ ".low" | ".high" ] ] | "each(" score ")"
              | a figure of the summary: "errors", "missing", ...
    threshold = number [ "%" ]
              | "baseline(" experiment ")" [ "*" number ] [ ( "+" | "-" ) number [ "%" ] ]

Names with blanks or signs stand in quotes. A gate without an evaluation in front holds for every
evaluation, or for the one that stands before the first of those it is combined with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isclose
from typing import TYPE_CHECKING, NoReturn, Union

from ..errors import UsageError

PASS, FAIL, UNDECIDED = "pass", "fail", "undecided"  # what becomes of a gate

if TYPE_CHECKING:  # gates are read when a session begins, which may have no evaluations
    from .summary import Summary


@dataclass(frozen=True, slots=True)
class Baseline:
    """
    Another experiment's figure as the threshold.

    Attributes:
        experiment: its name.
        offset: what is added to its figure; in the unit of the metric.
        factor: what its figure is multiplied by before.
    """

    experiment: str
    offset: float = 0.0
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Gate:
    """
    What has to hold.

    Attributes:
        text: as it was written.
        evaluation: the only one that it is about, by full or short name, with or without its
            parameters; None: all.
        subject: name of a score, or of a figure of the summary.
        metric: of the score; None: the only one that it has, or the subject is no score.
        is_score: whether the subject can only be a score, because it was quoted or has a metric.
        sign: ">=", "<=", ">", "<" or "==".
        threshold: a number, or a Baseline.
        percent: whether the threshold was written in percent: of counts, their share is meant.
        confidence: the whole interval of this confidence must hold; None: the figure must.
        anytime: whether that interval is one that may be looked at again and again.
        of_all: whether it is about the rows of this dataset, and no others like them.
        each: whether every row has to fulfil it, by the mean of its repeats.
        end: "low" or "high" where it is about that end of the 95 % interval; else "".
        by: columns, where each slice of the rows by their values has to fulfil it.
    """

    text: str
    evaluation: str | None
    subject: str
    metric: str | None
    is_score: bool
    sign: str
    threshold: float | Baseline
    percent: bool = False
    confidence: float | None = None
    anytime: bool = False
    each: bool = False
    end: str = ""
    by: tuple[str, ...] = ()
    of_all: bool = False

    def concerns(self, evaluation: str) -> bool:
        """Whether it is about an evaluation of this full name."""
        if self.evaluation is None:
            return True
        from .views import short_name

        short = short_name(evaluation)
        bare = (evaluation.partition("[")[0], short.partition("[")[0])
        return self.evaluation in (evaluation, short, *bare)

    def holds(self, value: float, threshold: float) -> bool:
        """
        Whether a figure fulfils it; NaN never does.

        Sums of floats depend on their order and on who adds them up. What differs by less than
        ten digits is equal, so that one store has one verdict on every machine.
        """
        if isclose(value, threshold, rel_tol=1e-10, abs_tol=1e-12):
            value = threshold
        return _HOLDS[self.sign](value, threshold)


@dataclass(frozen=True, slots=True)
class Combined:
    """
    Several gates, all of which have to hold, or one of which has to.

    Attributes:
        text: as it was written.
        word: "and" or "or".
        parts: the gates.
    """

    text: str
    word: str
    parts: tuple[Gate | Combined, ...]

    def concerns(self, evaluation: str) -> bool:
        """Whether one of them is about an evaluation of this full name."""
        return any(part.concerns(evaluation) for part in self.parts)


AnyGate = Union[Gate, Combined]


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, threshold: value >= threshold,
    "<=": lambda value, threshold: value <= threshold,
    ">": lambda value, threshold: value > threshold,
    "<": lambda value, threshold: value < threshold,
    "==": lambda value, threshold: value == threshold,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """
    What a gate can ask of a summary beside its scores.

    Attributes:
        read: the figure; None where it is unknown.
        of: of which number it is a share when the threshold is in percent; None: of none.
        is_share: whether it is a share itself.
    """

    read: Callable[[Summary], float | None]
    of: Callable[[Summary], float | None] | None = None
    is_share: bool = False


def _tokens(usage: Mapping[str, float | None]) -> float | None:
    known = [usage.get(part) for part in ("input_tokens", "output_tokens")]
    return None if None in known else sum(filter(None, known))


def _latency(part: str) -> Figure:
    return Figure(lambda summary: summary.latency.get(part))


FIGURES: Mapping[str, Figure] = {
    "errors": Figure(lambda summary: summary.failed, lambda summary: summary.done),
    "missing": Figure(lambda summary: summary.missing, lambda summary: summary.total),
    "stale": Figure(lambda summary: summary.stale),
    "versions": Figure(lambda summary: max(1, len(summary.versions)) if summary.done else 0),
    "unread": Figure(lambda summary: summary.unread, lambda summary: summary.scored),
    "empty": Figure(lambda summary: summary.empty, lambda summary: summary.scored),
    "flaky": Figure(lambda summary: None, lambda summary: None),  # of rows, see `Evidence.rows`
    "scored": Figure(lambda summary: summary.scored),
    "coverage": Figure(lambda summary: summary.coverage, is_share=True),
    "duration": Figure(lambda summary: summary.duration),
    "cost": Figure(lambda summary: summary.usage.get("cost")),
    "tokens": Figure(lambda summary: _tokens(summary.usage)),
    "latency.mean": _latency("mean"),
    "latency.p50": _latency("p50"),
    "latency.p95": _latency("p95"),
    "latency.most": _latency("most"),
}


# --- the parser -------------------------------------------------------------------------------


class GateError(UsageError):
    """
    A gate that can not be read.

    Attributes:
        problem: what is wrong, in one line.
        text: the gate.
        at: where in the text it goes wrong, from 0.
    """

    def __init__(self, problem: str, text: str, at: int) -> None:
        self.problem, self.text, self.at = problem, text, at
        super().__init__(f"{problem}\n  {text}\n  {' ' * at}^")


def parse(text: str) -> AnyGate:
    """
    Read a gate, or several that are combined.

    Raises:
        GateError: it is none; the message has a caret under the mistake.
    """
    return _Parser(text).whole()


_SIGNS = (">=", "<=", "==", ">", "<", "≥", "≤")  # those of two characters first
_ASCII = {"≥": ">=", "≤": "<="}
_ENDS_A_NAME = frozenset("<>=≥≤!'\"")
_ENDS_A_COLUMN = _ENDS_A_NAME | {","}
_EACH = "each("
_INTERVAL = ("low", "high")
_A = {"experiment": "an experiment", "score": "a score"}
_NUMBER = frozenset("0123456789.eE+-_")


def _end_of(metric: str | None) -> tuple[str | None, str]:
    """A metric, and the end of its interval that is meant: "accuracy.low"."""
    name, dot, end = (metric or "").rpartition(".")
    return (name, end) if dot and end in _INTERVAL else (metric, "")


class _Parser:
    """The text and how far it was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._for: str | None = None  # the evaluation that was named last

    def whole(self) -> AnyGate:
        """All of the text."""
        found = self._any()
        if self._blank() < len(self._text):
            self._refuse("nothing may follow here but another gate, after `and` or `or`")
        return replace(found, text=self._text)

    def _any(self) -> AnyGate:
        return self._combined("or", lambda: self._combined("and", self._one))

    def _combined(self, word: str, part: Callable[[], AnyGate]) -> AnyGate:
        """Parts with this word between them."""
        start = self._blank()
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return Combined(self._text[start : self._at].strip(), word, tuple(parts))

    def _takes(self, word: str) -> bool:
        """Whether this word is next; then it is passed over."""
        at = self._blank()
        after = self._text[at + len(word) : at + len(word) + 1]
        if not self._text.startswith(word, at) or not (after.isspace() or after == "("):
            return False
        self._at += len(word)
        return True

    def _one(self) -> AnyGate:
        start = self._blank()
        if self._peek() != "(":
            return self._gate(start)
        self._at += 1
        found = self._any()
        if self._blank() >= len(self._text) or self._peek() != ")":
            self._refuse("expected a closing bracket here, or `and`, or `or`")
        self._at += 1
        return found

    def _gate(self, start: int) -> Gate:
        evaluation = self._for = self._scope() or self._for
        at = self._blank()
        each = self._text.startswith(_EACH, at)
        subject, metric, is_score = self._of_each() if each else self._subject()
        metric, end = _end_of(metric)
        by = self._by()
        sign = self._sign()
        threshold, percent = self._threshold()
        before = self._blank()
        confidence, anytime, of_all = self._confidence()
        gate = Gate(
            self._text[start : self._at].strip(),
            evaluation,
            subject,
            metric,
            is_score,
            sign,
            threshold,
            percent,
            confidence,
            anytime,
            each,
            end,
            by,
            of_all,
        )
        self._check(gate, at, before)
        return gate

    def _check(self, gate: Gate, subject: int, at: int) -> None:
        """What is well written and makes no sense."""
        figure = None if gate.is_score else FIGURES.get(gate.subject)
        if gate.confidence is not None and gate.sign == "==":
            self._refuse("an interval can not equal a number; use >= or <= before", at)
        if gate.each and (gate.confidence is not None or isinstance(gate.threshold, Baseline)):
            self._refuse("each row is held against a number, without an interval", subject)
        if gate.end and (gate.confidence is not None or isinstance(gate.threshold, Baseline)):
            self._refuse(
                f"the {gate.end} end of an interval is held against a number alone", subject
            )
        if gate.by and gate.each:
            self._refuse("each row is held against the number already; leave `by` out", subject)
        if gate.of_all and (gate.by or isinstance(gate.threshold, Baseline)):
            self._refuse("`of all rows` goes with a number, and not with `by`; leave it out", at)
        if figure is None:
            return
        if gate.of_all and gate.subject != "errors":
            self._refuse(f"{gate.subject} is not about all rows; scores and errors are", subject)
        if gate.by and gate.subject != "errors":
            self._refuse(f"{gate.subject} is not known by slices; scores and errors are", subject)
        if isinstance(gate.threshold, Baseline) and gate.confidence is not None:
            self._refuse(f"{gate.subject} has no interval against a baseline; leave it out", at)
        if gate.confidence is not None and not (figure.of and gate.percent):
            self._refuse(f"{gate.subject} has no interval; only shares of the rows have", at)
        if gate.percent and not (figure.of or figure.is_share):
            self._refuse(f"{gate.subject} is no share; give it a plain number", subject)

    # ---------------------------------------------------------------- its parts

    def _scope(self) -> str | None:
        """The evaluation before a colon; "::" is a part of names."""
        start = self._blank()
        if self._peek() in ("'", '"'):
            name = self._quoted()
            if self._blank() < len(self._text) and self._peek() == ":":
                self._at += 1
                return name
            self._at = start
            return None
        end = self._colon(start)
        if end is None:
            return None
        name = self._text[start:end].strip()
        if not name:
            self._refuse("expected the name of an evaluation before the colon", start)
        self._at = end + 1
        return name

    def _colon(self, start: int) -> int | None:
        """Where the name of an evaluation ends: "::" is a part of it, and so may ":" be."""
        signs = (*_SIGNS, "'", '"')
        ends = [i for i in (self._text.find(sign, start) for sign in signs) if i >= 0]
        head = self._text[: min(ends, default=len(self._text))]
        colons = [i for i in range(start, len(head)) if head[i] == ":"]
        single = [i for i in colons if ":" not in (head[i - 1 : i], head[i + 1 : i + 2])]
        before_blank = [i for i in single if head[i + 1 : i + 2].isspace()]
        return next(iter(before_blank or single), None)

    def _subject(self) -> tuple[str, str | None, bool]:
        """The score or figure, its metric, and whether it must be a score."""
        start = self._blank()
        quoted = self._peek() in ("'", '"')
        if quoted:
            name, metric = self._quoted(), None
        else:
            word = self._word()
            stem, bracket, options = word.partition("(")  # as in share(no answer)
            name, dot, metric = stem.rpartition(".")
            metric += f"{bracket}{options}"
            if not dot or word in FIGURES:
                name, metric = word, None
            elif metric in _INTERVAL and "." in name:  # exact_match.accuracy.low
                name, _, of = name.rpartition(".")
                metric = f"{of}.{metric}"
        if not name:
            expected = "a score such as exact_match.accuracy, or " + ", ".join(FIGURES)
            self._refuse(f"expected {expected}", start)
        if quoted and self._peek() == ".":
            self._at += 1
            metric = self._quoted() if self._peek() in ("'", '"') else self._word()
        elif metric == "" and self._peek() in ("'", '"'):
            metric = self._quoted()
        if metric == "":
            self._refuse("expected a metric such as accuracy after the dot")
        return name, metric, quoted or metric is not None

    def _of_each(self) -> tuple[str, None, bool]:
        """The score in "each(score)"."""
        self._at += len(_EACH)
        return self._named("score"), None, True

    def _by(self) -> tuple[str, ...]:
        """The columns after the word "by"; none where it does not stand there."""
        if not self._takes("by"):
            return ()
        columns = [self._column()]
        while self._blank() < len(self._text) and self._peek() == ",":
            self._at += 1
            columns.append(self._column())
        return tuple(columns)

    def _column(self) -> str:
        start = self._blank()
        if self._peek() in ("'", '"'):
            return self._quoted()
        while (char := self._peek()) and not char.isspace() and char not in _ENDS_A_COLUMN:
            self._at += 1
        if self._at == start:
            self._refuse("expected the name of a column, as in `by difficulty`", start)
        return self._text[start : self._at]

    def _sign(self) -> str:
        at = self._blank()
        for sign in _SIGNS:
            if self._text.startswith(sign, at):
                self._at += len(sign)
                return _ASCII.get(sign, sign)
        self._refuse("expected a comparison here: >=, <=, >, < or ==")

    def _threshold(self) -> tuple[float | Baseline, bool]:
        start = self._blank()
        if not self._text.startswith("baseline", start):
            return self._number()
        self._at += len("baseline")
        if self._blank() >= len(self._text) or self._peek() != "(":
            self._refuse("expected the name of an experiment in brackets, as in baseline(main)")
        self._at += 1
        experiment = self._named("experiment")
        factor = self._factor()
        self._blank()
        if self._peek() not in ("+", "-"):
            return Baseline(experiment, factor=factor), False
        sign = -1 if self._peek() == "-" else 1
        self._at += 1
        at = self._blank()
        if self._peek() in ("+", "-"):
            self._refuse("expected a number without a sign here", at)
        offset, percent = self._number()
        return Baseline(experiment, sign * offset, factor), percent

    def _factor(self) -> float:
        """What follows a "*"; 1 where there is none."""
        if self._blank() >= len(self._text) or self._peek() != "*":
            return 1.0
        self._at += 1
        at = self._blank()
        factor, _ = self._number()
        if factor <= 0:
            self._refuse("expected a factor above 0, as in baseline(main) * 0.99", at)
        return factor

    def _named(self, what: str) -> str:
        """A name, with or without quotes, and the closing bracket after it."""
        start = self._blank()
        if self._peek() in ("'", '"'):
            name = self._quoted()
            end = self._blank()
        else:
            end = self._text.find(")", start)
            end = len(self._text) if end < 0 else end
            name = self._text[start:end].strip()
        if not name:
            self._refuse(f"expected the name of {_A[what]} here", start)
        if self._text[end : end + 1] != ")":
            self._refuse("expected a closing bracket here", end)
        self._at = end + 1
        return name

    def _number(self) -> tuple[float, bool]:
        """A number, divided by 100 where a percent sign follows; and whether one does."""
        start = self._blank()
        while self._peek() and self._peek() in _NUMBER:
            self._at += 1
        said = self._text[start : self._at]
        try:
            value = float(said)
        except ValueError:
            self._refuse("expected a number here, as in 0.8 or 80%", start)
        if not abs(value) < float("inf"):
            self._refuse("this number is too large", start)
        after = self._blank()
        if self._peek() != "%":
            self._at = after
            return value, False
        self._at += 1
        try:  # 0.7 / 100 is not 0.007 but its neighbour
            return float(f"{said}e-2"), True
        except ValueError:  # it has an exponent already
            return value / 100, True

    def _confidence(self) -> tuple[float | None, bool, bool]:
        """What follows an "@", and whether it is for any time, and of all rows."""
        if self._blank() >= len(self._text) or self._peek() != "@":
            return None, False, False
        self._at += 1
        start = self._blank()
        value, percent = self._number()
        if not 0 < value < 1:
            hint = f"; {value:g}% perhaps?" if not percent and 1 < value < 100 else ""
            self._refuse(f"expected a confidence between 0 and 1, as in 95%{hint}", start)
        anytime, of_all = self._follows("anytime"), self._follows("of all rows")
        return value, anytime or of_all, of_all

    def _follows(self, words: str) -> bool:
        """Whether these are next; then they are passed over."""
        found = self._text.startswith(words, self._blank())
        self._at += len(words) if found else 0
        return found

    # --------------------------------------------------------------- characters

    def _blank(self) -> int:
        """Pass over blanks."""
        while self._peek().isspace():
            self._at += 1
        return self._at

    def _peek(self) -> str:
        """The next character; "" at the end."""
        return self._text[self._at : self._at + 1]

    def _word(self) -> str:
        """
        A name up to a blank, a comparison or a quote; "@" may be in it, as in pass@3, and anything
        between brackets.
        """
        start = self._at
        while (char := self._peek()) and not char.isspace() and char not in _ENDS_A_NAME:
            closing = self._text.find(")", self._at) if char == "(" else -1
            self._at = max(self._at, closing) + 1
        return self._text[start : self._at]

    def _quoted(self) -> str:
        start = self._at
        end = self._text.find(self._peek(), start + 1)
        if end < 0:
            self._refuse("this quote is not closed", start)
        if end == start + 1:
            self._refuse("expected a name between the quotes", start)
        self._at = end + 1
        return self._text[start + 1 : end]

    def _refuse(self, problem: str, at: int | None = None) -> NoReturn:
        raise GateError(problem, self._text, self._at if at is None else at)
