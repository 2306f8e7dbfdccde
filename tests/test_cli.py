"""The command line, through `main([...])` in this process and a few times as a real one."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from argparse import ArgumentTypeError, Namespace
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

import doteval
from doteval.cli import NAMES, Call, Command, main, named, parsed
from doteval.cli.call import Answer, program
from doteval.cli.watch import height, watch
from doteval.record import Run
from doteval.storage import open_store
from doteval.views.terminal import Terminal

EVALUATIONS = """
import asyncio
from doteval import ForEach, Result, Score, foreach
from doteval.concurrency import Adaptive

def exact(value):
    return Score("exact", value, ("accuracy",))

@foreach("question,answer", [(f"{n} + 1 = ?", str(n + 1)) for n in range(8)])
def eval_sums(question, answer):
    '''Knows sums with small numbers.'''
    return Result(exact(len(answer) == 1 and answer != "4"), prompt=question, model_response="4")

@ForEach(concurrency=Adaptive(2), retries=0)("n", range(12))
async def eval_flaky(n):
    await asyncio.sleep(0.001)
    if n in (3, 7):
        raise ValueError(f"no idea\\nabout {n}")
    return Result(exact(True), usage={"input_tokens": 10, "output_tokens": 2, "cost": 0.5})
"""


class Tty(io.StringIO):
    """A stand-in for a stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without a store above it."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["doteval"])
    (tmp_path / ".doteval").mkdir()
    (tmp_path / "eval_x.py").write_text(EVALUATIONS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def stored(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A working directory with a finished experiment "first" of two evaluations."""
    main(["run", "eval_x.py", "--experiment", "first", "-qq"])
    capsys.readouterr()
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code of a command, what it wrote to stdout, and to stderr."""
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command wrote to stdout, where all is well."""
    code, out, err = said(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that a command printed."""
    return json.loads(answered(capsys, *arguments), parse_constant=pytest.fail)


def process(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m doteval ...` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "doteval", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip


# ------------------------------------------------------------------------- the program


def test_no_command_prints_the_help_and_is_bad_usage(folder, capsys):
    """Whoever types `doteval` alone learns what there is."""
    code, out, err = said(capsys)

    assert code == 2
    assert out == ""
    assert all(name in err for name in NAMES)


def test_version(folder, capsys):
    """`--version` names the program and its version."""
    assert answered(capsys, "--version") == f"doteval {doteval.__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_with_an_example(folder, capsys, name):
    """The help of a command shows how it is typed."""
    shown = answered(capsys, name, "--help")

    assert re.search(rf"examples?:\n  doteval {name} ?", shown)
    assert "--storage" in shown and "--color" in shown


VALUES = {  # of options that do not take every word
    "--color": "never", "--samples": "3", "--max-errors": "2%", "--shard": "1/2",
    "-P": "model=m", "--tag": "k=v", "--calls": "live", "--confidence": "90%",
    "--budget": "time=1h", "--margin": "1%",
    "--grid": "a=1,2",
    "--format": "csv", "--keep": "8w", "--row": "0", "--sample": "3",
}  # fmt: skip


def words_of(name: str) -> tuple[list[str], list[list[str]]]:
    """Words for each positional argument of a command, of "+" and "*" three; and its options."""
    words: list[str] = []
    options = [["--storage", "s.db"], ["--color", "never"]]
    options += [[f"--{form}"] for form in named(name).forms[:1]]  # of several one may be said
    for names, settings in named(name).options:
        if not names[0].startswith("-"):
            words += [
                f"{names[0]}{n}" for n in range(3 if settings.get("nargs", "?") in "+*" else 1)
            ]
        elif settings.get("action") in ("store_true", "count"):
            options += [[each] for each in names]
        else:
            options += [[each, VALUES.get(names[0], "some value")] for each in names]
    return words, options


@pytest.mark.parametrize("name", NAMES)
def test_an_option_may_stand_anywhere_among_the_arguments(name):
    """Of every command each option, and each two of them, between any two of its arguments."""
    words, options = words_of(name)
    for first in options:
        for second in options if words else [[]]:
            both = first if first[0] == (second or first)[0] else first + second
            expected = parsed([name, *words, *both])
            for at in range(len(words) + 1):
                assert parsed([name, *words[:at], *both, *words[at:]]) == expected
                assert (
                    parsed([name, *first, *words[:at], *both[len(first) :], *words[at:]])
                    == expected
                )


def test_a_home_of_nobody_is_bad_usage(folder, capsys):
    """A path below the home of a user whom the machine does not know is a mistake in the path."""
    code, out, err = said(capsys, "list", "--storage", "~nosuch-user/x.db")

    assert (code, out) == (2, "")
    assert "'~nosuch-user/x.db': Could not determine home directory" in err


def test_what_follows_two_dashes_is_no_option():
    """Names may begin with a dash."""
    options = parsed(["report", "-o", "-", "a", "--", "-o", "--json"])

    assert (options.experiments, options.output) == (["a", "-o", "--json"], "-")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["show", "first", "--jsn"], "unknown: '--jsn'; see `doteval show --help`"),
        (["--json", "show", "first"], "unknown: '--json'; see `doteval show --help`"),
        (["list", "more"], "unknown: 'more'; see `doteval list --help`"),
        (["shwo", "first"], "there is no command 'shwo'; did you mean 'show'?"),
        (["gate"], "the following arguments are required: NAME; see `doteval gate --help`"),
    ],
)
def test_what_nobody_asked_for_is_bad_usage(folder, capsys, arguments, error):
    """An option or a word too many, a command that is none: the error says what it is."""
    assert said(capsys, *arguments) == (2, "", f"doteval: {error}\n")


@pytest.mark.parametrize("value", ["", "-1", "x", "nan", "9" * 5000, "9" * 400 + "d", "\u0663"])
def test_no_value_of_an_option_shows_a_private_name(value):
    """Of every option that is read, a wrong value is told with what was expected."""
    for command in map(named, NAMES):
        for _, settings in command.options:
            if "type" in settings:
                with suppress(ArgumentTypeError):  # of any other error argparse names the function
                    settings["type"](value)


def test_every_door_copes_with_a_score_without_an_interval(folder, capsys):
    """Where all numbers are the same there is none, and it is told where there is room."""
    (folder / "eval_same.py").write_text(
        "from doteval import foreach\n@foreach('q', [1, 2, 3])\ndef eval_same(q): return 1.0\n"
    )
    assert "no interval: all values are the same" in answered(
        capsys, "run", "eval_same.py", "--experiment", "one", "-q"
    )
    main(["run", "eval_same.py", "--experiment", "two", "-qq"])
    found = told(capsys, "show", "one", "--json")["evaluations"][0]["scores"]["eval_same"]["mean"]

    assert (found["value"], found["n"], found["low"], found["high"]) == (1.0, 3, None, None)
    assert "no interval: all values are the same" in answered(capsys, "show", "one")
    assert re.search(r"eval_same +1 +- ", answered(capsys, "list"))
    assert "| **1** | - |" in answered(capsys, "export", "one", "--format", "markdown")
    assert "no interval: all values are the same" in answered(capsys, "report", "one", "-o", "-")
    assert said(capsys, "compare", "one", "two", "--margin", "1%")[0] == 3
    assert (
        "all differences are the same"
        in said(capsys, "compare", "one", "two", "--margin", "1%", "--markdown")[1]
    )


def test_the_reference_lists_every_command():
    """The table at its top has a line for each, which leads to its heading."""
    page = Path(doteval.__file__).parent.parent / "docs" / "reference" / "cli.md"
    text = page.read_text(encoding="utf-8")
    heads = re.findall(r"^## `doteval (.*)`$", text, re.MULTILINE)
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", f"doteval {head}".lower()).replace(" ", "-") for head in heads
    }
    listed = re.findall(r"^\| \[`([a-z]+)`\]\(#([a-z0-9-]+)\) \|", text, re.MULTILINE)

    assert [name for name, _ in listed] == list(NAMES)
    assert {anchor for _, anchor in listed} == anchors


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_documented(name):
    """The reference has a heading for each command and a line for each of its options."""
    page = Path(doteval.__file__).parent.parent / "docs" / "reference" / "cli.md"
    section = (
        page.read_text(encoding="utf-8").partition(f"## `doteval {name}")[2].partition("\n## ")[0]
    )

    assert section
    for form in named(name).forms:
        assert f"`--{form}" in section
    for names, settings in named(name).options:
        shown = settings.get("metavar", "") if not names[0].startswith("-") else names[0]
        assert f"`{shown}" in section


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["list", "--nonsense"],
        ["show"],
        ["list", "--color", "pink"],
        ["run", "eval_x.py", "--samples", "0"],
        ["run", "eval_x.py", "--samples", "many"],
        ["run", "eval_x.py", "--experiment", " "],
        ["run", "eval_x.py", "--max-errors", "-1"],
        ["run", "eval_x.py", "--max-errors", "101%"],
        ["run", "eval_x.py", "--max-errors", "nan%"],
        ["run", "eval_x.py", "--max-errors", "few"],
        ["list", "--storage", "sqlite://"],
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(folder, capsys, arguments):
    """A mistake is told in one line on stderr."""
    code, out, err = said(capsys, *arguments)

    assert code == 2
    assert out == ""
    assert err.startswith("doteval: ") and err.count("\n") == 1


def test_an_unknown_option_points_to_the_help_of_its_command(folder, capsys):
    """The help to look at is that of the command."""
    _, _, err = said(capsys, "show", "x", "--nonsense")

    assert err == "doteval: unknown: '--nonsense'; see `doteval show --help`\n"


def test_storage_stands_before_or_after_the_command(folder, capsys):
    """`--storage` given first is not forgotten when the command's own options are read."""
    before = said(capsys, "--storage", "other.db", "list")
    after = said(capsys, "list", "--storage", "other.db")

    assert before == after
    assert "other.db" in before[2]


def test_a_bug_is_shown_as_python_shows_it_and_is_no_verdict(folder, capsys, monkeypatch):
    """Only errors on purpose become one line; Python's own exit code would say "regression"."""

    def broken(call: object) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setattr("doteval.cli.list.run", Command("list", "x", "", (), (), broken))
    code, out, err = said(capsys, "list")

    assert (code, out) == (70, "")
    assert err.startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError\ndoteval: a fault of doteval" in err


WRITERS = (
    ["compare", "first", "second", "--markdown"],
    ["compare", "first", "second"],
    ["compare", "first", "second", "--json"],
    ["export", "first", "--format", "markdown"],
    ["export", "first", "--format", "csv"],
    ["export", "first"],
    ["report", "first", "-o", "-"],
    ["show", "first", "--full"],
    ["gate", "first", "missing >= 0"],
    ["list"],
    ["plugins"],
    ["datasets"],
)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_no_writer_of_stdout_stumbles_over_its_encoding(stored, capsys, monkeypatch, encoding):
    """What the encoding lacks is shown as escapes; documents are UTF-8, whatever it is."""
    main(["run", "eval_x.py", "--experiment", "second", "-qq"])
    capsys.readouterr()
    for arguments in WRITERS:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with redirect_stdout(stream):
            assert main(arguments) in (0, 3)

            print("the stream is left as it was", end="")
            with pytest.raises(UnicodeEncodeError):
                print("\u2705")


def test_markdown_for_a_pull_request_is_utf_8(stored):
    """Windows redirects in cp1252, where there is no check mark; a crash would say "regression"."""
    environ = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-m", "doteval", "compare", "first", "first", "--markdown",
         "--evaluation", "eval_sums", "--other", "eval_sums"],
        cwd=stored, capture_output=True, timeout=60, env=environ,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("utf-8").startswith("### \u2705 ")


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes a stream")
@pytest.mark.parametrize(("stream", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0)])
def test_a_closed_stream_loses_its_text_and_not_the_answer(stored, stream, code):
    """Who closes the output wants the exit code alone."""
    line = f'"{sys.executable}" -m doteval list {stream}; echo $?; exec >&2;'
    done = subprocess.run(["sh", "-c", line], cwd=stored, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == str(code)
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------- list


def test_list_without_a_store_says_how_to_get_one(folder, capsys):
    """Nothing is there: that is no error, and the next step is told."""
    shown = answered(capsys, "list")

    assert shown.startswith("There are no experiments here yet.")
    assert "doteval run FILE" in shown
    assert str(Path(".doteval", "results.db")) in shown
    assert not list(folder.joinpath(".doteval").iterdir())


def test_list_of_a_store_without_experiments(folder, capsys):
    """An empty store is told like none."""
    open_store(folder / ".doteval" / "results.db").close()

    assert answered(capsys, "list").startswith("There are no experiments here yet.")
    assert told(capsys, "list", "--json") == {"experiments": []}


def test_list_shows_what_there_is(stored, capsys):
    """Rows, errors, the first score with its interval, and the status of each experiment."""
    header, _, row = answered(capsys, "list").splitlines()

    assert header.split() == [
        *("experiment", "status", "evals", "rows", "errors", "score"),
        *("value", "95%", "CI", "when", "took"),
    ]
    assert re.fullmatch(
        r"first +complete +2 +20/20 +2 +exact \+1 +88% +47–99\.7% +just now +[\d.]+ m?s", row
    )


def test_list_ends_with_what_happened_last(stored, capsys):
    """The experiment that was touched last stands next to the prompt, a resumed one too."""
    main(["run", "eval_x.py::eval_sums", "--experiment", "second", "-qq"])
    names = [each["experiment"] for each in told(capsys, "list", "--json")["experiments"]]
    main(["run", "eval_x.py::eval_sums", "--experiment", "first", "-qq"])
    resumed = [each["experiment"] for each in told(capsys, "list", "--json")["experiments"]]

    assert names == ["first", "second"]
    assert resumed == ["second", "first"]


def test_list_as_json_does_not_round(stored, capsys):
    """The figures of all evaluations, as they were computed."""
    (listed,) = told(capsys, "list", "--json")["experiments"]

    assert (listed["total"], listed["scored"], listed["failed"]) == (20, 18, 2)
    sums = listed["evaluations"][0]["scores"]["exact"]["accuracy"]
    assert sums["value"] == 0.875
    assert len(str(sums["low"])) > 8


# ------------------------------------------------------------------------------- show


def test_show_tells_of_each_evaluation(stored, capsys):
    """Rows, success rate, scores, timing, tokens, errors, and the strategy with its path."""
    shown = answered(capsys, "show", "first")

    assert re.match(r"first · 2 evaluations · 2 runs · just now\n\neval_sums · complete\n", shown)
    assert "8 of 8 scored · 100% answered" in shown
    assert "exact  accuracy  88%  95% CI 47–99.7%  n = 8" in shown
    assert "10 of 12 scored · 2 failed · 83.3% answered" in shown
    assert re.search(r"time +[\d.]+ m?s · [\d.,]+ rows/s · latency p50 [\d.]+ ms, p95", shown)
    assert "100 in · 20 out · cost 5" in shown
    assert "errors    2 ValueError" in shown
    assert "Adaptive(initial_concurrency=2)" in shown
    assert re.search(r"limit     2( → \d+)*\n", shown)


def test_show_as_json(stored, capsys):
    """One document: the experiment, its runs, and the summaries of its evaluations."""
    shown = told(capsys, "show", "first", "--json")

    assert list(shown) == ["experiment", "runs", "evaluations"]
    assert [each["evaluation"] for each in shown["runs"]] == [
        "eval_x.py::eval_sums", "eval_x.py::eval_flaky",
    ]  # fmt: skip
    assert shown["runs"][1]["history"][0]["limit"] == 2
    sums, flaky = shown["evaluations"]
    assert sums["scores"]["exact"]["accuracy"]["n"] == 8
    assert flaky["errors"] == {"ValueError": 2}


def test_show_as_json_has_the_records_where_they_are_asked_for(stored, capsys):
    """`--full` adds all records, `--errors` those that failed."""
    full = told(capsys, "show", "first", "--full", "--json")["evaluations"]
    failed = told(capsys, "show", "first", "--errors", "--json")["evaluations"]

    assert [len(each["records"]) for each in full] == [8, 12]
    assert full[0]["records"][2]["row"] == {"question": "2 + 1 = ?", "answer": "3"}
    assert full[0]["records"][2]["scores"] == {"exact": True}
    assert [len(each["records"]) for each in failed] == [0, 2]
    assert failed[1]["records"][0]["error"]["message"] == "no idea\nabout 3"


def test_one_evaluation_by_its_short_or_its_full_name(stored, capsys):
    """`--evaluation` leaves the others out."""
    for name in ("eval_sums", "eval_x.py::eval_sums"):
        shown = answered(capsys, "show", "first", "--evaluation", name)

        assert "eval_sums" in shown
        assert "eval_flaky" not in shown


def test_an_unknown_evaluation_is_not_found(stored, capsys):
    """What may have been meant is told."""
    code, out, err = said(capsys, "show", "first", "--evaluation", "eval_sum")

    assert (code, out) == (1, "")
    assert "no evaluation 'eval_sum'; did you mean 'eval_sums'?" in err
    assert (
        "there are: 'eval_sums', 'eval_flaky'"
        in said(capsys, "show", "first", "--evaluation", "x")[2]
    )


def test_evaluations_of_one_short_name_are_told_apart(stored, capsys):
    """Where a short name is not enough, the full one is shown and asked for."""
    (stored / "eval_y.py").write_text(EVALUATIONS, encoding="utf-8")
    main(["run", "eval_y.py::eval_sums", "--experiment", "first", "-qq"])
    code, _, err = said(capsys, "show", "first", "--evaluation", "eval_sums")
    shown = answered(capsys, "show", "first")

    assert code == 2
    assert "eval_x.py::eval_sums, eval_y.py::eval_sums" in err
    assert "\neval_x.py::eval_sums  complete" in shown
    assert "\neval_flaky            complete" in shown


def test_show_full_prints_every_record(stored, capsys):
    """The row, prompt, answer, scores and errors, whole."""
    shown = answered(capsys, "show", "first", "--full")

    assert re.search(
        r"row 3 · exact False · \S+ ms\n"
        r"  question     3 \+ 1 = \?\n"
        r"  row: answer  4\n"
        r"  prompt       3 \+ 1 = \?\n"
        r"  answer       4\n",
        shown,
    )
    assert shown.count("\nrow ") == 20
    assert "  error      no idea\n             about 7\n  traceback  Traceback" in shown


def test_show_errors_prints_the_failed_records_in_brief(stored, capsys):
    """What each said, and its row; and that there are none where there are none."""
    shown = answered(capsys, "show", "first", "--errors")

    assert shown.startswith("eval_sums\n  no row failed\n\neval_flaky\n\nrow 3 · ValueError · ")
    assert "\n  no idea\n  about 3\n  n=3\n" in shown
    assert shown.count("\nrow ") == 2


def test_show_concurrency(stored, capsys):
    """How the limit moved and why; a fixed one is told as such."""
    shown = answered(capsys, "show", "first", "--concurrency")

    assert "eval_sums · Sequential · last run complete" in shown
    assert "the limit did not move" in shown
    assert re.search(r" +at +limit +throughput +reason\n", shown)
    assert re.search(r" 2 +- +start\n", shown)


def test_show_concurrency_after_a_resume_with_nothing_to_do(folder, capsys):
    """The run that had something to do is shown."""
    (folder / "eval_all.py").write_text(
        "from doteval import ForEach\nfrom doteval.concurrency import Adaptive\n"
        "@ForEach(concurrency=Adaptive(3))('n', range(3))\n"
        "async def eval_all(n): return True\n",
        encoding="utf-8",
    )
    for _ in range(2):
        main(["run", "eval_all.py", "--experiment", "all", "-qq"])
    capsys.readouterr()

    shown = answered(capsys, "show", "all", "--concurrency")

    assert re.search(r" 3 +- +start\n", shown)


def test_an_evaluation_without_records(folder, capsys):
    """A run that ended before its first row leaves nothing to print."""
    (folder / "eval_none.py").write_text(
        "from doteval import foreach\n@foreach('n', [])\ndef eval_none(n): ...\n", encoding="utf-8"
    )
    code, _, err = said(capsys, "run", "eval_none.py", "--experiment", "none")

    assert code == 1
    assert "has no rows" in err
    assert "no records" in answered(capsys, "show", "none", "--full")
    assert told(capsys, "show", "none", "--full", "--json")["evaluations"][0]["records"] == []
    assert "failed" in answered(capsys, "list")


def test_an_unknown_experiment_is_not_found(stored, capsys):
    """Exit code 1, and what may have been meant."""
    code, out, err = said(capsys, "show", "fist")

    assert (code, out) == (1, "")
    assert "no experiment 'fist'" in err
    assert "did you mean 'first'?" in err


def test_without_a_store_there_is_no_experiment(folder, capsys):
    """ "Nothing is there" is not "it can not be read"."""
    code, _, err = said(capsys, "show", "first")

    assert code == 1
    assert "there is no store at" in err
    assert said(capsys, "show", "x", "--storage", "eval_x.py/in/a/file.db")[0] == 1


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_store_that_can_not_be_read_is_exit_code_4(folder, capsys, content):
    """A foreign file is refused with one line; an empty one is a store without experiments."""
    (folder / "foreign.db").write_bytes(content)
    code, _, err = said(capsys, "list", "--storage", "foreign.db")

    assert code == (4 if content else 0)
    assert err.count("\n") == (1 if content else 0)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_path_that_leads_nowhere_is_not_a_store_that_is_not_there(folder, capsys):
    """Out of reach is exit code 4, not an empty list."""
    (folder / "round.db").symlink_to("round.db")
    code, _, err = said(capsys, "list", "--storage", "round.db")

    assert code == 4
    assert err.startswith("doteval: the store")


def test_the_search_for_a_store_may_end_at_a_closed_door(folder, capsys, monkeypatch):
    """A folder on the way up that may not be looked into is told as that."""

    def refuse(storage: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret/.doteval")

    monkeypatch.setattr("doteval.storage.locate", refuse)
    code, _, err = said(capsys, "list")

    assert code == 4
    assert "can not be read: /secret/.doteval: Permission denied" in err


def test_a_folder_is_no_store(folder, capsys):
    """It is told to name a file."""
    code, _, err = said(capsys, "list", "--storage", ".")

    assert code in (2, 4)
    assert "name a file inside it" in err


def test_hostile_names_and_texts_are_shown_harmless(folder, capsys):
    """No control character of a model's answer reaches the terminal."""
    (folder / "eval_evil.py").write_text(
        "from doteval import Result, Score, foreach\n"
        "@foreach('q', ['\\x1b[2J\\x07'])\n"
        "def eval_evil(q):\n"
        "    return Result(Score('a\\x1bb', True), model_response='\\u202eabc\\x7f')\n",
        encoding="utf-8",
    )
    main(["run", "eval_evil.py", "--experiment", "e\x1bx", "-qq"])
    shown = [
        answered(capsys, *arguments)
        for arguments in (
            ["list"],
            ["list", "--json"],
            ["show", "e\x1bx"],
            ["show", "e\x1bx", "--full"],
            ["show", "e\x1bx", "--full", "--json"],
        )
    ]

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", "".join(shown))


def test_figures_that_json_does_not_know_are_null(folder, capsys):
    """NaN and the infinities would make the document unreadable elsewhere."""
    (folder / "eval_nan.py").write_text(
        "from doteval import foreach\n"
        "@foreach('n', [float('nan')])\ndef eval_nan(n): return float('inf')\n",
        encoding="utf-8",
    )
    main(["run", "eval_nan.py", "--experiment", "nan", "-qq"])
    (evaluation,) = told(capsys, "show", "nan", "--full", "--json")["evaluations"]

    assert evaluation["records"][0]["row"] == {"n": None}
    assert evaluation["scores"]["eval_nan"]["mean"]["value"] is None


# --------------------------------------------------------------- terminals and pipes


def test_colours_only_on_a_terminal(stored, monkeypatch, capsys):
    """A pipe gets none unless `--color always`; NO_COLOR and `--color never` turn them off."""

    def coloured(*arguments: str, out: io.StringIO) -> bool:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["show", "first", *arguments]) == 0
        return "\x1b[" in out.getvalue()

    monkeypatch.setenv("TERM", "xterm")

    assert coloured(out=Tty())
    assert not coloured("--color", "never", out=Tty())
    assert not coloured(out=io.StringIO())
    assert coloured("--color", "always", out=io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(out=Tty())


@pytest.mark.parametrize("width", [48, 80, 120])
def test_what_is_shown_fits_the_terminal(stored, monkeypatch, width):
    """No line is wider than the window, except what is never cut."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(width))
    for arguments in (["list"], ["show", "first"], ["show", "first", "--concurrency"],
                      ["show", "first", "--full"], ["show", "first", "--errors"]):  # fmt: skip
        out = Tty()
        monkeypatch.setattr(sys, "stdout", out)
        main(arguments)
        # A command to copy is not broken, and the name of an experiment is not cut.
        lines = [line for line in out.getvalue().splitlines() if "doteval show" not in line]

        assert lines
        assert max(map(len, lines)) <= width or arguments == ["list"]


def test_a_terminal_is_told_where_to_look_next(stored, monkeypatch):
    """Failed rows are one command away; scripts are spared the hint."""
    out = Tty()
    monkeypatch.setattr(sys, "stdout", out)
    main(["show", "first", "--color", "never"])

    assert out.getvalue().endswith("\nthe 2 rows that failed: doteval show first --errors\n")


def test_a_hint_can_be_typed_as_it_stands(stored, monkeypatch):
    """It names the store that was named, and no line ends within it, however narrow the window."""
    out = Tty()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "40")
    main(["show", "first", "--color", "never", "--storage", ".doteval/results.db"])

    assert out.getvalue().endswith(
        "\nthe 2 rows that failed:\n  doteval show first --errors --storage .doteval/results.db\n"
    )


def test_a_report_says_how_to_look_at_it(stored, monkeypatch):
    """A sentence without a command flows as all sentences do."""
    out = Tty()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "40")
    main(["report", "first", "--color", "never"])

    assert out.getvalue().splitlines()[1:] == [
        "open it in a browser; it needs no", "  network and may be sent as it is",
    ]  # fmt: skip


def test_ascii_where_the_encoding_needs_it(stored):
    """A stream that can not carry the glyphs gets plain characters."""
    done = process("show", "first", cwd=stored, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "95% CI 47 to 99.7%" in done.stdout


def test_a_reader_that_leaves_early_ends_the_output_quietly(stored):
    """`doteval show X --full | head` prints no error."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "doteval", "show", "first", "--full", "--json"],
        cwd=stored, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.close()
    complaints = writer.stderr.read()
    writer.stderr.close()

    assert writer.wait(60) == 0
    assert complaints == b""


# ------------------------------------------------------------------ a narrow terminal


def test_forty_columns_are_enough(stored, capsys, monkeypatch):
    """No table or line is wider, but for words that have no blank; the verdict is there."""
    main(["run", "eval_x.py", "--experiment", "second", "-qq"])
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (
        ["compare", "first", "second"], ["show", "first"], ["list"], ["plugins"],
    ):  # fmt: skip
        with redirect_stdout(Tty()) as out:
            main(arguments)
        for line in out.getvalue().splitlines():
            assert len(line) <= 40 or len(line.split()) <= 2  # a label and a word
        if arguments[0] == "compare":
            assert "verdict" in out.getvalue()
            assert "no loss seen" in out.getvalue()


# ------------------------------------------------------------------ watching


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """A terminal of 24 lines that can be drawn on."""
    out = Tty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    return out


def at(screen: Tty, *arguments: str) -> int:
    """The exit code of a command whose output is a terminal."""
    with redirect_stdout(screen):
        return main(list(arguments))


def watched(out: Tty, *frames: list[str], pauses: Any = None) -> int:
    """Watch frames go by; all but the last, which stays, say that something is running."""
    coming = list(frames)
    now = 0.0

    def frame(call: Call) -> tuple[Answer, bool]:
        return Answer(coming[0]), len(coming) > 1 and bool(coming.pop(0))

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds
        if pauses is not None:
            pauses(seconds)

    call = Call(Namespace(color="auto"), out, out, Terminal(width=80, live=True))
    return watch(call, frame, pause, lambda: now).code


def test_a_frame_is_drawn_over_the_one_before(screen):
    """At most once a second, until nothing has run for ten seconds; the last frame stays."""
    pauses: list[float] = []

    code = watched(screen, ["1 of 3", "a"], ["2 of 3"], ["3 of 3"], pauses=pauses.append)

    assert code == 0
    assert screen.getvalue() == (
        "\r\x1b[J1 of 3\na\n\r\x1b[2A\x1b[J2 of 3\n\r\x1b[1A\x1b[J3 of 3\n"
    )
    assert pauses == [1.0] * 11


def test_a_pause_between_two_evaluations_does_not_end_the_watching(screen):
    """Nothing runs while a fixture is made; the run goes on all the same."""
    running = [True, *[False] * 9, True, *[False] * 10]
    now = 0.0

    def frame(call: Call) -> tuple[Answer, bool]:
        return Answer([f"{len(running)} left"]), running.pop(0)

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds

    call = Call(Namespace(color="auto"), screen, screen, Terminal(width=80, live=True))

    assert watch(call, frame, pause, lambda: now).code == 0
    assert running == []


def test_what_is_higher_than_the_window_shows_its_head_and_its_end_while_it_changes(screen):
    """Only what is on the screen can be drawn over; the last frame is whole."""
    lines = [f"line {n}" for n in range(40)]

    watched(screen, lines, lines)

    first, last = screen.getvalue().split("\r\x1b[23A\x1b[J")
    assert first.removeprefix("\r\x1b[J").splitlines() == [*lines[:2], *lines[-21:]]
    assert last.splitlines() == lines


def test_a_line_wider_than_the_window_is_drawn_over_as_a_whole(screen):
    """It takes several rows; colours and wide characters are counted as they look."""
    wide = "x" * 81, "\x1b[1m" + "x" * 80 + "\x1b[0m", "\u4e00" * 81, ""

    watched(screen, list(wide), ["end"])

    assert screen.getvalue().endswith("\n\r\x1b[7A\x1b[Jend\n")


def test_wide_lines_take_the_room_of_others(screen):
    """Of 24 lines, one stays free."""
    watched(screen, ["x" * 800] * 3 + ["y"], ["z"])

    assert screen.getvalue().startswith(f"\r\x1b[J{'x' * 800}\n{'x' * 800}\ny\n\r\x1b[21A")


def test_a_line_higher_than_the_window_is_left_out(screen):
    """Nothing of it could be drawn over."""
    watched(screen, ["x" * 80 * 24], ["z"])

    assert screen.getvalue() == "\r\x1b[Jz\n"


def test_a_resized_window_is_drawn_anew(screen, monkeypatch):
    """Nobody knows how many lines the old frame takes in it."""
    narrower = lambda seconds: monkeypatch.setenv("COLUMNS", "40")  # noqa: E731

    watched(screen, ["one"], ["two"], pauses=narrower)

    assert screen.getvalue() == "\r\x1b[Jone\n\x1b[H\x1b[2Jtwo\n"


def test_ctrl_c_ends_the_watching_and_nothing_else(screen):
    """It is the way out, so it is no failure."""

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    assert watched(screen, ["one"], ["two"], pauses=interrupted) == 0
    assert screen.getvalue() == "\r\x1b[Jone\n\r\x1b[J"


@pytest.mark.parametrize("arguments", [("list",), ("show", "first")])
def test_watching_ends_where_nothing_runs(stored, screen, arguments):
    """What has come out is shown once."""
    assert at(screen, *arguments, "--watch") == 0
    assert "complete" in screen.getvalue()


def test_a_run_in_another_terminal_is_watched_to_its_end(folder, screen, capsys):
    """Frames while it runs, and one of what came out of it."""
    (folder / "eval_wait.py").write_text(
        "import pathlib, time\nfrom doteval import foreach\n"
        "@foreach('n', range(2))\n"
        "def eval_wait(n):\n"
        "    while n and not pathlib.Path('go').exists():\n        time.sleep(0.01)\n"
        "    return True\n",
        encoding="utf-8",
    )
    other = subprocess.Popen(
        [sys.executable, "-m", "doteval", "run", "eval_wait.py", "--experiment", "w", "-qq"],
        cwd=folder,
    )
    drawn: list[str] = []

    def frame(call: Call) -> tuple[Answer, bool]:
        answer = named("list").run(call)
        drawn.append("\n".join(answer.lines))
        if "running" in drawn[-1]:
            (folder / "go").touch()
        return answer, "complete" not in drawn[-1]

    options = Namespace(color="auto", watch=False, form=None, storage=None, tags=[], trend=False)
    call = Call(options, screen, screen, Terminal(width=80, live=True))
    code = watch(call, frame, lambda seconds: None, lambda: float(len(drawn))).code

    assert code == 0
    assert other.wait(60) == 0
    assert any("running" in each for each in drawn)
    assert "complete" in drawn[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--watch"), "--watch draws on a terminal, and the output is none"),
        (("show", "first", "--watch"), "the output is none"),
        (("list", "--watch", "--json"), "does not go with --json"),
        (("show", "first", "--watch", "--full"), "does not go with --full"),
    ],
)
def test_what_can_not_be_watched(stored, capsys, arguments, message):
    """Bad usage, told in one line."""
    code, out, err = said(capsys, *arguments)

    assert (code, out) == (2, "")
    assert message in err


def test_a_terminal_may_not_know_its_height():
    """24 lines are what terminals have had since there were any."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        known = height(stream)
    os.close(master)

    assert known == height(io.StringIO()) == 24


def test_output_that_can_not_be_written_is_told(stored, monkeypatch, capsys):
    """A full disk behind `>` is an error, in one line."""

    class Full(io.StringIO):
        def write(self, chars: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    code = main(["list"])

    assert code == 4
    assert "No space left on device" in capsys.readouterr().err


def test_nobody_may_listen_to_complaints(folder, monkeypatch):
    """A closed stderr changes no exit code."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    assert main(["show", "nothing"]) == 1


def test_ctrl_c_while_something_is_read_is_130(stored, monkeypatch, capsys):
    """Whoever interrupts `show` sees no traceback."""

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("doteval.reporting.summary.summarise", interrupted)

    assert said(capsys, "show", "first") == (130, "", "")


# ---------------------------------------------------------------------------- changing


def test_rename(stored, capsys):
    """The experiment has its new name, and what was renamed is told."""
    assert answered(capsys, "rename", "first", "better") == (
        "renamed 'first' to 'better': 2 evaluations, 20 records\n"
    )
    assert said(capsys, "show", "first")[0] == 1
    assert said(capsys, "show", "better")[0] == 0


def test_a_name_that_is_taken_is_refused(stored, capsys):
    """Two experiments are never merged by a slip."""
    main(["run", "eval_x.py::eval_sums", "--experiment", "second", "-qq"])
    code, _, err = said(capsys, "rename", "first", "second")

    assert code == 2
    assert "there is an experiment 'second' already" in err


def test_delete_asks_nobody_without_a_terminal(stored, capsys):
    """A script has to say `--yes`."""
    code, _, err = said(capsys, "delete", "first")

    assert code == 2
    assert "--yes" in err
    assert answered(capsys, "delete", "first", "--yes") == (
        "deleted 'first': 2 evaluations, 20 records\n"
    )
    assert said(capsys, "show", "first")[0] == 1


@pytest.mark.parametrize(
    ("answer", "code", "end"),
    [
        ("y\n", 0, "deleted 'first': 2 evaluations, 20 records\n"),
        ("n\n", 1, "nothing was deleted\n"),
        ("\n", 1, "nothing was deleted\n"),
        ("", 1, "\nnothing was deleted\n"),
    ],
)
def test_delete_asks_at_a_terminal(stored, monkeypatch, answer, code, end):
    """Only a yes deletes."""
    out = Tty()
    monkeypatch.setattr(sys, "stdin", Tty(answer))
    monkeypatch.setattr(sys, "stdout", out)

    assert main(["delete", "first"]) == code
    assert out.getvalue() == f"delete 'first': 2 evaluations, 20 records? [y/N] {end}"


# --------------------------------------------------------------------------------- run


def test_run_shows_the_summary_and_stores(folder, capsys):
    """The block at the end is the one that `show` prints."""
    out = answered(capsys, "run", "eval_x.py::eval_sums", "--experiment", "e")
    shown = answered(capsys, "show", "e")

    assert out.startswith("experiment e\n\neval_sums · complete\n")
    assert out.partition("\n\n")[2] == shown.partition("\n\n")[2]


def test_rows_that_fail_fail_the_command(folder, capsys):
    """Exit code 1, the first failure, and how to see and to resume the rest."""
    code, out, err = said(capsys, "run", "eval_x.py", "--experiment", "my e", "--samples", "6")

    assert code == 1
    assert re.fullmatch(
        r"doteval: eval_flaky: 1 of 6 rows failed; first: row 3, ValueError: no idea about 3\n", err
    )
    assert "the rows that failed: doteval show 'my e' --errors\n" in out
    assert out.endswith(" doteval run eval_x.py --experiment 'my e' --samples 6\n")


def test_wrong_answers_fail_nothing(folder, capsys):
    """Scores are figures, not verdicts."""
    assert said(capsys, "run", "eval_x.py::eval_sums")[0] == 0


@pytest.mark.parametrize(("allowed", "code"), [("1", 1), ("2", 0), ("16%", 1), ("17%", 0)])
def test_failures_may_be_allowed(folder, capsys, allowed, code):
    """`--max-errors` takes a number of rows or a share of them."""
    found, out, _ = said(capsys, "run", "eval_x.py::eval_flaky", "--max-errors", allowed)

    assert found == code
    assert ("--max-errors" in out) == bool(code)


def test_a_run_without_a_name_gets_one(folder, capsys):
    """The name is told, and it is in the list."""
    out = answered(capsys, "run", "eval_x.py::eval_sums")
    name = out.splitlines()[0].removeprefix("experiment ")

    assert re.fullmatch(r"\d{8}_\d{6}_[0-9a-f]{8}", name)
    assert name in answered(capsys, "list")


def test_a_run_with_nothing_to_do_says_so(stored, capsys):
    """It passes, with the command that begins anew."""
    out = answered(capsys, "run", "eval_x.py::eval_sums", "--experiment", "first")
    words = " ".join(out.split())

    assert "nothing to do: 8 rows stored before" in words
    assert words.endswith("doteval run eval_x.py::eval_sums --experiment first --fresh")


def test_fresh_runs_all_rows_anew(stored, capsys):
    """The old records no longer count."""
    out = answered(capsys, "run", "eval_x.py::eval_sums", "--experiment", "first", "--fresh")

    assert "nothing to do" not in out
    assert "8 of 8 scored" in out


def test_only_failures_run_again(stored, capsys):
    """The same command resumes: what is finished stays."""
    code, _, err = said(capsys, "run", "eval_x.py::eval_flaky", "--experiment", "first")

    assert code == 1
    assert "2 of 12 rows failed" in err


def test_quiet_twice_prints_complaints_only(folder, capsys):
    """`-qq` leaves what went wrong."""
    code, out, err = said(capsys, "run", "eval_x.py", "-qq")

    assert (code, out) == (1, "")
    assert err.startswith("doteval: eval_flaky: ")


def test_progress_is_a_live_line_on_a_terminal(folder, monkeypatch, capsys):
    """It is drawn on stderr and erased at the end; what rows print stands above it."""
    (folder / "eval_slow.py").write_text(
        "import time\nfrom doteval import foreach\n"
        "@foreach('n', range(3))\n"
        "def eval_slow(n):\n    print('row', n)\n    time.sleep(0.15)\n    return True\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", err := Tty())
    monkeypatch.setattr(sys, "stdout", out := Tty())

    assert main(["run", "eval_slow.py"]) == 0
    assert "/3" in err.getvalue()
    assert err.getvalue().endswith("\x1b[J")
    assert "row 0\nrow 1\nrow 2\n" in out.getvalue()

    monkeypatch.setattr(sys, "stderr", err := Tty())
    assert main(["run", "eval_slow.py", "-q"]) == 0
    assert err.getvalue() == ""


def test_an_evaluation_that_needs_fixtures_is_refused_before_the_first_row(folder, capsys):
    """It is told to run under pytest, and nothing was run or stored."""
    (folder / "eval_needy.py").write_text(
        f"{EVALUATIONS}\n@foreach('n', [1])\ndef eval_needy(n, model, judge): return True\n",
        encoding="utf-8",
    )
    code, out, err = said(capsys, "run", "eval_needy.py")
    (folder / "below").mkdir()
    os.chdir("below")  # what is told can be typed here
    alone = said(capsys, "run", "../eval_needy.py::eval_needy")

    assert (code, out) == (2, "")
    assert "needs 'model' and 'judge'" in err
    assert "pytest eval_needy.py::eval_needy" in err
    assert "can be run here: eval_needy.py::eval_sums, eval_needy.py::eval_flaky" in err
    assert alone[0] == 2
    assert "pytest ../eval_needy.py::eval_needy" in alone[2]
    assert "can be run here" not in alone[2]
    assert not (folder / ".doteval" / "results.db").exists()


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("missing.py", 1, "there is no file missing.py"),
        (".", 2, "is a folder; name a file"),
        ("eval_x.py::eval_sum", 1, "no evaluation 'eval_sum'; did you mean 'eval_sums'?"),
        ("plain.py", 1, "plain.py has no evaluation: no function in it is decorated with @for"),
        ("copied.py", 1, "its evaluations are made with acme.evals, another copy of this library"),
        ("again.py", 1, "its evaluations are imported from their_home; run the file of that"),
        ("off.py", 1, "it says `__test__ = False`"),
        ("options.py", 2, 'ForEach(concurrency=..., retries=...)("question,answer", dataset)'),
        ("bare.py", 2, '@foreach("question,answer", dataset) above the function'),
        ("broken.py", 2, "broken.py:3 can not be imported: NameError: name 'oops'"),
    ],
)
def test_a_target_that_can_not_be_run(folder, capsys, target, code, message):
    """What is wrong with it is told in one line."""
    (folder / "plain.py").write_text("x = 1\n", encoding="utf-8")
    copy = "class Evaluation: pass\nEvaluation.__module__ = 'acme.evals.evaluation'\n"
    (folder / "copied.py").write_text(f"x = 1\n{copy}eval_x = Evaluation()\n")
    (folder / "their_home.py").write_text(EVALUATIONS)  # it stays imported, under its own name
    (folder / "again.py").write_text("from their_home import eval_sums\n")
    (folder / "off.py").write_text(f"{EVALUATIONS}\neval_sums.__test__ = False\ndel eval_flaky\n")
    start = "from doteval import foreach\n@foreach"
    (folder / "options.py").write_text(f"{start}('q', [1], concurrency=1, retries=2)\ndef f(q): 1")
    (folder / "bare.py").write_text(f"{start}\ndef f(q): 1")
    (folder / "broken.py").write_text(
        "def f():\n    oops\nf()\n".replace("f()\n", "f()", 0), encoding="utf-8"
    )
    found, _, err = said(capsys, "run", target)

    assert found == code
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("rows", "hint"),
    [
        ("'missing.csv'", False),
        ("'https://example.com/x.csv'", False),
        ("[]", False),
        ("[{'id': 1, 'q': 1}, {'id': 1, 'q': 2}]", False),
        ("lambda: iter([{'id': 1, 'q': 1}, 1 / 0])", False),
        ("rows", True),
    ],
)
def test_to_resume_is_told_where_a_resume_may_heal(folder, capsys, rows, hint):
    """A dataset that raised may not raise again; a missing file or two equal ids will."""
    (folder / "eval_y.py").write_text(
        "from doteval import foreach\ndef rows():\n"
        "    yield {'id': 1, 'q': 1}\n    yield {'id': 2, 'q': 2}\n    raise OSError('gone')\n"
        f"@foreach('id,q', {rows})\ndef eval_y(id, q): return True\n"
    )
    code, out, err = said(capsys, "run", "eval_y.py")

    assert code == 1
    assert ("to resume: doteval run eval_y.py" in out) is hint
    assert ("'https://example.com/x.csv' is an address" in err) is ("https" in rows)


def test_an_assertion_is_told_to_be_a_score(folder, capsys):
    """People who write tests assert; a wrong answer is then a failure that raises the score."""
    (folder / "eval_y.py").write_text(
        "from doteval import foreach\n@foreach('q', [1])\ndef eval_y(q):\n    assert q == 2\n"
    )
    _, _, err = said(capsys, "run", "eval_y.py")

    assert "AssertionError; return the comparison instead of asserting it: a wrong answer is" in err


def test_an_evaluation_named_twice_runs_once(folder, capsys):
    """A file and one of its evaluations overlap."""
    out = answered(capsys, "run", "eval_x.py::eval_sums", "eval_x.py::eval_sums")

    assert out.count("eval_sums · complete") == 1


def test_the_other_evaluations_run_after_one_whose_dataset_breaks(folder, capsys):
    """What was finished of it is stored; the command fails in the end."""
    (folder / "eval_y.py").write_text(
        "from doteval import foreach\n"
        "def rows():\n    yield 1\n    raise OSError('gone')\n"
        "@foreach('n', rows)\ndef eval_broken(n): return True\n"
        "@foreach('n', [1])\ndef eval_whole(n): return True\n",
        encoding="utf-8",
    )
    code, out, err = said(capsys, "run", "eval_y.py", "--experiment", "y")

    assert code == 1
    assert "eval_whole · complete" in out
    assert "raised OSError after 1 row: gone" in err
    assert "to resume: doteval run eval_y.py --experiment y" in out


def test_a_run_that_gave_up_fails(folder, capsys):
    """A stalled run is no success, even where all failures are allowed."""
    (folder / "eval_down.py").write_text(
        "from doteval import ForEach, Retry\n"
        "@ForEach(retries=Retry(patience=0.05))('n', range(3))\n"
        "async def eval_down(n): raise ConnectionError('refused')\n",
        encoding="utf-8",
    )
    code, _, err = said(capsys, "run", "eval_down.py", "--max-errors", "100%")

    assert code == 1
    assert "eval_down: stalled" in err


def test_two_runs_of_one_evaluation_exclude_each_other(stored, capsys):
    """The second is refused, with exit code 4, and so is changing what is being run."""
    store = open_store(stored / ".doteval" / "results.db")
    other = Run("0" * 32, "first", "eval_x.py::eval_sums", 0.0, None, 0.0, "running", 4711, {})
    store.begin(other)
    refused = [
        said(capsys, *arguments)
        for arguments in (
            ["run", "eval_x.py::eval_sums", "--experiment", "first", "-q"],
            ["delete", "first", "--yes"],
            ["rename", "first", "second"],
        )
    ]
    status = told(capsys, "list", "--json")["experiments"][0]["status"]
    store.close()

    assert [code for code, _, _ in refused] == [4, 4, 4]
    assert all("process 4711" in err for _, _, err in refused)
    assert status == "running"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(
    ("kind", "number", "code", "word"),
    [
        ("async def", signal.SIGINT, 130, "interrupted"),
        ("def", signal.SIGINT, 130, "interrupted"),
        ("async def", signal.SIGTERM, 143, "terminated"),
        ("async def", signal.SIGHUP, 129, "the terminal was closed"),
        ("def", signal.SIGHUP, 129, "the terminal was closed"),
    ],
)
def test_a_signal_ends_the_run_and_the_same_command_resumes(
    folder, capsys, kind, number, code, word
):
    """Finished rows are stored; how many, and how to resume, is told."""
    (folder / "eval_stop.py").write_text(
        "import asyncio, os, time\nfrom pathlib import Path\nfrom doteval import ForEach\n"
        "from doteval.concurrency import Sequential\n"
        "@ForEach(concurrency=Sequential())('n', range(5))\n"
        f"{kind} eval_stop(n):\n"
        "    if n == 3 and not Path('stopped').exists():\n"
        "        Path('stopped').touch()\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        f"        {'await asyncio' if kind == 'async def' else 'time'}.sleep(5)\n"
        "    return True\n",
        encoding="utf-8",
    )
    found, _, err = said(capsys, "run", "eval_stop.py", "--storage", "s.db", "--experiment", "s")
    resume = "run eval_stop.py --experiment s --storage s.db"

    assert found == code
    assert f"{word}: 3 rows of eval_stop stored\n" in err
    assert err.endswith(f"to resume: doteval {resume}\n")
    assert "5 of 5 scored" in answered(capsys, *resume.split())


def test_a_closed_pipe_does_not_end_an_evaluation(folder, monkeypatch, capsys):
    """Results are worth more than the summary that nobody reads."""

    class Gone(io.StringIO):
        def write(self, chars: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    code = main(["run", "eval_x.py", "--experiment", "e"])
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    capsys.readouterr()

    assert code == 1
    assert [each["total"] for each in told(capsys, "show", "e", "--json")["evaluations"]] == [8, 12]


# ----------------------------------------------------------------------- as processes


def test_python_m_doteval(stored):
    """`python -m doteval` is the command, and says so where it names itself."""
    done = process("delete", "first", cwd=stored)
    shown = process("run", "--help", cwd=stored)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"  {Path(sys.executable).name} -m doteval run eval_sums.py" in shown.stdout


def test_commands_name_the_interpreter_that_ran_them(monkeypatch):
    """Many machines have no `python`, only a `python3`."""
    monkeypatch.setattr(sys, "argv", [str(Path("doteval", "__main__.py"))])
    monkeypatch.setattr(sys, "executable", str(Path("bin", "python3.99")))

    assert program() == "python3.99 -m doteval"


def test_what_the_command_line_stored_pytest_resumes(stored):
    """Both name an evaluation by its file from the store's anchor and its name."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "eval_x.py::eval_sums",
         "--experiment", "first"],
        cwd=stored, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "--experiment first --fresh" in done.stdout  # nothing was left to do


def test_a_crashed_run_is_shown_as_interrupted(folder, capsys):
    """A process that was killed leaves its rows, and no run that seems to go on for ever."""
    (folder / "eval_kill.py").write_text(
        "import os, time\nfrom doteval import foreach\n"
        "@foreach('n', range(9))\n"
        "def eval_kill(n):\n"
        "    time.sleep(0.003)\n"  # else the loop hands over all of them in one turn
        "    if n == 8:\n        time.sleep(0.3)\n        os._exit(9)\n"
        "    return True\n",
        encoding="utf-8",
    )
    done = process("run", "eval_kill.py", "--experiment", "k", cwd=folder)
    (listed,) = told(capsys, "list", "--json")["experiments"]

    assert done.returncode == 9
    assert listed["status"] == "interrupted"
    assert listed["scored"] == 8
    assert 0 < listed["duration"] < 60  # from its start to the end of its last record
    assert "last run interrupted\n" in answered(capsys, "show", "k", "--concurrency")


# ------------------------------------------------------------------ tables in other forms


@pytest.mark.parametrize(
    ("arguments", "markdown", "csv"),
    [
        (["list"], "| `first` | complete | 2 |", "first,complete,2,"),
        (
            ["show", "first"],
            "| `eval_flaky` | complete |",
            "eval_flaky,complete,12,2,exact,1.0,",
        ),
        (["gate", "first", "missing == 0"], "| pass | `missing == 0` |", "pass,missing == 0,"),
        (["compare", "first", "second"], "| `exact` | `accuracy` | 100% |", "exact,accuracy,1.0,"),
        (["compare", "first", "second", "third"], "| `accuracy` | 1-3 |", ",accuracy,1-3,first,"),
        (["plugins"], "| metric | `std` |", "metric,std,"),
        (["datasets"], "| dataset | splits |", "dataset,splits,"),
    ],
)
def test_a_table_can_be_had_as_markdown_and_csv(stored, capsys, arguments, markdown, csv):
    """The same rows, for a pull request and a spreadsheet."""
    for name in ("second", "third") if arguments[0] == "compare" else ():
        main(["run", "eval_x.py", "--experiment", name, "-qq"])

    assert markdown in said(capsys, *arguments, "--markdown")[1]
    assert csv in said(capsys, *arguments, "--csv")[1]


def test_records_are_no_table(stored, capsys):
    """What has no such form is bad usage."""
    code, out, err = said(capsys, "show", "first", "--full", "--csv")

    assert (code, out) == (2, "")
    assert "--csv is for tables" in err
