"""Calls that rows ask to be kept, and that are served from what was kept."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doteval import ForEach, Result, Retry, foreach, records, replayable, rescore, run
from doteval.cassette import kept, unpacked
from doteval.cli import main
from doteval.concurrency import Sequential, SlidingWindow
from doteval.errors import Missed, NotFound, UsageError
from doteval.record import Call
from doteval.storage import open_store
from doteval.storage.sqlite import SqliteStore
from tests.travellers import eval_asks_elsewhere


class Model:
    """A model that counts its calls; each answers the prompt and how many came before."""

    def __init__(self) -> None:
        self.calls = 0
        self.refuses = False

    def ask(self, prompt: str, temperature: float = 0.0) -> dict[str, Any]:
        self.calls += 1
        if self.refuses:
            raise ConnectionError("no")
        return {"text": f"{prompt} {self.calls}", "usage": {"input_tokens": 3, "cost": 0.5}}

    async def ask_later(self, prompt: str, temperature: float = 0.0) -> dict[str, Any]:
        await asyncio.sleep(0)
        return self.ask(prompt, temperature)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


Run = Callable[..., Any]


@pytest.fixture
def go(storage: Path) -> Run:
    """Run an evaluation under a name: the Summary, and the answers by position and repeat."""

    def go(evaluation: Any, name: str, **options: Any) -> tuple[Any, list[Any]]:
        summary = run(evaluation, name, storage, progress=False, **options)
        found = sorted(records(name, storage=storage), key=lambda each: each[1:3])
        told = [
            each.outcome.message if each.failed else each.outcome.model_response for each in found
        ]
        return summary, told

    return go


def kept_in(storage: Path, experiment: str) -> Iterator[Call]:
    store: Any = open_store(storage, create=False)
    try:
        for name in store.evaluations(experiment):
            for _, call in list(store.calls(experiment, name)):
                yield call
    finally:
        store.close()


def evaluation(ask: Any, rows: Any = ("a", "b"), **options: Any) -> Any:
    """An evaluation whose rows ask once."""
    options.setdefault("retries", 0)

    @ForEach(**options)("prompt", list(rows))
    def eval_asks(prompt: str) -> Result:
        answer = ask(prompt)
        return Result(True, model_response=answer["text"], usage=answer["usage"])

    return eval_asks


def evaluation_later(ask: Any, rows: Any = ("a", "b"), **options: Any) -> Any:
    options.setdefault("retries", 0)

    @ForEach(**options)("prompt", list(rows))
    async def eval_asks(prompt: str) -> Result:
        answer = await ask(prompt)
        return Result(True, model_response=answer["text"], usage=answer["usage"])

    return eval_asks


# --------------------------------------------------------------------------- serving


@pytest.mark.parametrize(
    ("make", "method", "options"),
    [
        (evaluation, "ask", {"concurrency": Sequential()}),
        (evaluation, "ask", {"concurrency": SlidingWindow(4)}),
        (evaluation_later, "ask_later", {}),
        (evaluation_later, "ask_later", {"concurrency": Sequential()}),
    ],
)
def test_what_was_asked_once_is_served_and_not_paid_again(make, method, options, model, go):
    """In another experiment, of plain and asynchronous functions, under every kind of strategy."""
    asks = make(replayable(getattr(model, method)), **options)
    first, answers = go(asks, "first")
    model.refuses = True

    second, again = go(asks, "second", calls="replay")

    assert model.calls == 2
    assert again == answers
    assert (first.calls, second.calls) == ({"made": 2, "served": 0}, {"made": 0, "served": 2})
    assert second.usage["cost"] == 1.0


def test_by_default_every_call_is_made(model, go, storage):
    """Nothing is served unless it is asked for; but everything is kept."""
    asks = evaluation(replayable(model.ask), ["a"])

    assert go(asks, "first")[1] == ["a 1"]
    assert go(asks, "second")[1] == ["a 2"]
    (call,) = kept_in(storage, "second")
    assert json.loads(call.request)["arguments"] == {"prompt": "a"}
    assert json.loads(call.response)["text"] == "a 2"


def test_what_is_not_known_is_asked_and_kept(model, go):
    """Reuse pays for what is new, and for nothing else."""
    ask = replayable(model.ask)
    go(evaluation(ask, ["a"]), "first")

    summary, answers = go(evaluation(ask, ["a", "b"]), "second", calls="reuse")

    assert answers == ["a 1", "b 2"]
    assert summary.calls == {"made": 1, "served": 1}
    assert go(evaluation(ask, ["b"]), "third", calls="reuse")[1] == ["b 2"]
    later = evaluation_later(replayable(model.ask_later), ["b"])
    assert go(later, "fourth", calls="reuse")[1] == ["b 3"]


def test_repeats_are_not_served_one_answer(model, go):
    """The repeat is a part of what a call is known by."""
    ask = replayable(model.ask)
    go(evaluation(ask, ["a"]), "first")

    _, answers = go(evaluation(ask, ["a"], repeats=3), "second", calls="reuse")

    assert answers == ["a 1", "a 2", "a 3"]


def test_an_agents_third_call_is_not_its_first(model, go):
    """Of equal calls of a row each has its own answer, in their order."""
    ask = replayable(model.ask)

    @foreach("prompt", ["a", "b"])
    def eval_agent(prompt):
        return Result(True, model_response=[ask(prompt)["text"] for _ in range(3)])

    _, first = go(eval_agent, "first")
    _, second = go(eval_agent, "second", calls="replay")

    assert first == second == [["a 1", "a 2", "a 3"], ["b 4", "b 5", "b 6"]]


def test_calls_that_a_row_makes_at_once_are_told_apart(model, go):
    """In the order in which they began."""
    ask = replayable(model.ask_later)

    @foreach("prompt", ["a"])
    async def eval_at_once(prompt):
        answers = await asyncio.gather(*(ask(prompt) for _ in range(3)))
        return Result(True, model_response=[each["text"] for each in answers])

    _, first = go(eval_at_once, "first")

    assert go(eval_at_once, "second", calls="replay")[1] == first == [["a 1", "a 2", "a 3"]]
    assert model.calls == 3


def test_equal_calls_of_different_rows_are_each_made_and_each_served_its_own(model, go):
    """A row gets what it got; a row that is new what any other got."""
    ask = replayable(model.ask)

    def asks_the_same(rows):
        @foreach("n", rows)
        def eval_same(n):
            return Result(True, model_response=ask("same")["text"])

        return eval_same

    assert go(asks_the_same([1, 2]), "first")[1] == ["same 1", "same 2"]
    _, answers = go(asks_the_same([1, 2, 3]), "second", calls="replay")

    assert answers[:2] == ["same 1", "same 2"]
    assert answers[2] in answers[:2]


def test_calls_of_one_experiment_are_served_where_it_is_named(model, go):
    """Else those of all, the latest first."""
    asks = evaluation(replayable(model.ask), ["a"])
    go(asks, "first")
    go(asks, "second")

    assert go(asks, "any", calls="replay")[1] == ["a 2"]
    assert go(asks, "one", calls="replay", calls_from="first")[1] == ["a 1"]
    with pytest.raises(NotFound, match="no experiment 'thrid'"):
        go(asks, "none", calls="replay", calls_from="thrid")


def test_the_scope_tells_apart_what_arguments_do_not(model, go):
    """Such as a version of the model, or its address."""
    go(evaluation(replayable(model.ask, "v1"), ["a"]), "first")

    assert go(evaluation(replayable(model.ask, "v2"), ["a"]), "second", calls="reuse")[1] == ["a 2"]


# --------------------------------------------------------------------------- misses


@pytest.mark.parametrize("method", ["ask", "ask_later"])
def test_a_replay_pays_for_nothing_and_says_what_differs(method, model, go):
    """The row fails with the argument that differs from the nearest call that is kept."""
    make = evaluation if method == "ask" else evaluation_later
    ask = replayable(getattr(model, method))
    go(make(ask, ["What is 2 + 2?", "other"]), "first")
    changed = functools.partial(ask, temperature=1.0)

    _, (asked,) = go(make(ask, ["What is 2+2?"]), "second", calls="replay")
    _, (more,) = go(make(changed, ["other"]), "third", calls="replay", calls_from="first")

    assert model.calls == 2
    assert asked == (
        f'calls="replay": this call of Model.{method}() is not kept in the store; the nearest one '
        'that is differs in prompt: "other" was kept, "What is 2+2?" is asked'
    )
    assert "not kept in experiment 'first'" in more
    assert more.endswith("differs in temperature, which it does not have")


def test_the_place_of_a_difference_is_told(model, go):
    """Deep in what was passed."""
    seen = []
    ask = replayable(lambda messages, **more: seen.append(messages) or {"text": "x", "usage": None})

    def asks(text, **more):
        @foreach("n", [1])
        def eval_chat(n):
            ask(
                [{"role": "system", "content": "be kind"}, {"role": "user", "content": text}],
                **more,
            )
            return True

        return eval_chat

    go(asks("hello", seed=1), "first")

    _, (text,) = go(asks("hallo", seed=1), "second", calls="replay")
    _, (fewer,) = go(asks("hello"), "third", calls="replay")

    assert """messages[1]['content']: "hello" was kept, "hallo" is asked""" in text
    assert fewer.endswith("differs in seed, which this one does not have")
    assert len(seen) == 1


def test_a_miss_of_what_was_asked_elsewhere_says_so(model, go):
    """Another scope, another repeat, a call more; or a function of which nothing is kept."""
    ask = replayable(model.ask)
    go(evaluation(ask, ["a"]), "first")

    def missed(asks):
        return go(asks, f"e{id(asks)}", calls="replay")[1][-1]

    assert 'scope: "" was kept, "2" is asked' in missed(
        evaluation(replayable(model.ask, "2"), ["a"])
    )
    assert "for repeat 1 of a row as the call number 1" in missed(evaluation(ask, ["a"], repeats=2))
    assert "no other of it; run once" in missed(evaluation(replayable(print), ["a"]))


def test_the_way_arguments_are_passed_does_not_matter(model, go):
    """By place, by name, or fixed beforehand: they are known by their names."""
    go(evaluation(replayable(functools.partial(model.ask, temperature=1.0)), ["a"]), "first")
    ask = replayable(model.ask)

    _, answers = go(
        evaluation(lambda prompt: ask(temperature=1.0, prompt=prompt), ["a"]), "x", calls="replay"
    )

    assert answers == ["a 1"]


def test_arguments_without_a_stable_form_are_refused_before_anything_is_paid(model, go):
    """With the path to them."""

    class Handle:
        pass

    asks = evaluation(lambda prompt: ask({"client": [Handle()]}), ["a"])
    ask = replayable(model.ask)

    _, (message,) = go(asks, "first")

    assert message.startswith("Model.ask()['prompt']['client'][0] is of type Handle, which has no")
    assert model.calls == 0


def test_the_calls_of_a_row_are_shown(model, go, storage, capsys, monkeypatch):
    """What was asked and answered, and what is new in it beside the nearest other call."""
    go(evaluation(replayable(model.ask, "v1"), ["a"]), "first")
    go(evaluation(replayable(model.ask, "v1"), ["a", "b"]), "second", calls="reuse")
    at = ["--storage", str(storage)]

    assert main(["show", "second", "--calls", "--row", "1", *at]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert main(["show", "second", "--calls", "--json", *at]) == 0
    served, made = json.loads(capsys.readouterr().out)["evaluations"][0]["records"]

    assert "Model.ask · scope v1" in shown
    assert 'prompt b response {"text": "b 2"' in shown
    assert 'new in prompt: "a" was kept, "b" is asked' in shown
    assert served["calls"] == []  # it stands where it was made
    assert made["calls"][0]["request"]["arguments"] == {"prompt": "b"}
    assert made["calls"][0]["response"]["text"] == "b 2"
    assert main(["show", "first", "--calls", "--row", "0", *at]) == 0
    go(evaluation(replayable(print), ["a"]), "third")
    assert main(["show", "third", "--calls", *at]) == 0


def test_calls_are_pruned_where_that_is_asked_for(model, go, storage, capsys):
    """With the age of what stays; they are served no more."""
    go(evaluation(replayable(model.ask)), "first")
    at = ["--storage", str(storage), "--yes"]

    assert main(["prune", "--keep", "0", *at]) == 0
    assert len(list(kept_in(storage, "first"))) == 2
    assert main(["prune", "--calls", *at]) == 0
    assert "2 too young to go" in capsys.readouterr().out
    assert main(["prune", "--calls", "--keep", "0", *at]) == 0
    assert "2 calls" in capsys.readouterr().out
    assert list(kept_in(storage, "first")) == []


PRODUCTION = """
from doteval import foreach, replayable

def model(prompt):
    with open("asked.txt", "a") as file:
        file.write(prompt)
    return prompt.upper()

ask = replayable(model)

@foreach("prompt", ["a", "b", "c"])
def eval_upper(prompt):
    return ask(prompt) == prompt.upper()
"""


@pytest.mark.parametrize("door", ["run", "pytest"])
def test_a_cassette_is_replayed_without_a_key_or_a_network(door, tmp_path, start_there):
    """Recorded once, exported, checked in; imported and replayed where sockets are forbidden."""
    (tmp_path / "eval_upper.py").write_text(PRODUCTION)
    start_there("run", "eval_upper.py", "--experiment", "recorded")
    start_there("export", "recorded", "--output", "cassette.jsonl")
    shutil.rmtree(tmp_path / ".doteval")
    (tmp_path / "asked.txt").unlink()
    start_there("import", "cassette.jsonl")

    if door == "run":
        words = ["run", "eval_upper.py", "--calls", "replay", "--calls-from", "recorded"]
    else:
        words = ["eval_upper.py", "--eval-calls", "replay", "--eval-calls-from", "recorded"]
    told = start_there(*words, "--experiment", "again", door=door)

    assert not (tmp_path / "asked.txt").exists()
    assert "0 made · 3 served from what was kept" in told


@pytest.fixture
def start_there(tmp_path: Path) -> Callable[..., str]:
    """Run a command in a folder, in a process that may open no socket: what it printed."""
    forbid = (
        "import runpy, socket, sys\n"
        "def never(*arguments, **named): raise AssertionError('a socket')\n"
        "socket.socket.connect = socket.create_connection = never\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )

    def start(*words: str, door: str = "run") -> str:
        module = "pytest" if door == "pytest" else "doteval"
        done = subprocess.run(
            [sys.executable, "-c", forbid, module, *words],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    return start


def test_a_kill_loses_no_call_of_a_record(tmp_path):
    """A call becomes durable before its record, or with it."""
    code = """
        import os, signal
        from doteval import ForEach, replayable, run
        from doteval.concurrency import SlidingWindow

        done = []
        ask = replayable(lambda prompt: f"answer to {prompt}")

        @ForEach(concurrency=SlidingWindow(20))("prompt", range(100_000))
        async def eval_much(prompt):
            return ask(prompt) is not None

        def kill(record):
            done.append(record)
            if len(done) == 2_000:
                os.kill(os.getpid(), signal.SIGKILL)

        run(eval_much, "killed", "calls.db", progress=kill)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path)
    assert done.returncode == -9
    storage = tmp_path / "calls.db"

    of_records = {record.key for record in records("killed", storage=storage)}
    of_calls = {call.key for call in kept_in(storage, "killed")}

    assert len(of_records) >= 2_000
    assert of_records <= of_calls


# --------------------------------------------------------------------------- keeping


def test_errors_are_not_kept_and_a_function_that_tries_again_asks_the_same(model, go):
    """What the second try got is what the first one of a replay gets."""

    def flaky(prompt):
        model.calls += 1
        if model.calls == 1:
            raise ConnectionError("no")
        return {"text": f"{prompt} {model.calls}", "usage": None}

    ask = replayable(flaky)

    def stubborn(prompt):
        try:
            return ask(prompt)
        except ConnectionError:
            return ask(prompt)

    assert go(evaluation(stubborn, ["a"]), "first")[1] == ["a 2"]
    assert go(evaluation(stubborn, ["a"]), "second", calls="replay")[1] == ["a 2"]


def test_errors_of_asynchronous_functions_are_not_kept_either(model, go, storage):
    """The row fails as it would without."""
    model.refuses = True

    _, (message,) = go(evaluation_later(replayable(model.ask_later), ["a"]), "first")

    assert message == "no"
    assert list(kept_in(storage, "first")) == []


def test_a_refusal_is_not_kept_if_keep_says_so(model, go):
    """It is asked again the next time, and served never."""
    ask = replayable(model.ask, keep=lambda answer: "1" not in answer["text"])

    _, first = go(evaluation(ask), "first")
    _, second = go(evaluation(ask), "second", calls="reuse")

    assert (first, second) == (["a 1", "b 2"], ["a 3", "b 2"])


def test_what_a_row_paid_for_is_kept_though_its_scoring_raises(model, go):
    """The scorer is mended, and nothing is paid again."""
    ask = replayable(model.ask)

    def scored(scorer):
        @foreach("prompt", ["a"])
        def eval_scored(prompt):
            return Result(scorer(ask(prompt)), model_response="scored")

        return eval_scored

    _, (message,) = go(scored(lambda answer: answer["txet"]), "first")
    _, (answer,) = go(scored(lambda answer: "a" in answer["text"]), "first", calls="reuse")

    assert (message, answer, model.calls) == ("'txet'", "scored", 1)


def test_calls_of_attempts_that_are_tried_again_are_kept_too(model, go, storage):
    """The first call of an attempt whose second one failed is not paid again."""
    ask, failures = replayable(model.ask), [ConnectionError("gone")]

    @ForEach(retries=Retry(attempts=2, first=1e-6))("prompt", ["a"])
    def eval_two(prompt):
        first = ask(prompt)["text"]
        if failures:
            raise failures.pop()
        return Result(True, model_response=first)

    summary, first = go(eval_two, "first", calls="reuse")

    assert [json.loads(each.response)["text"] for each in kept_in(storage, "first")] == ["a 1"]
    assert first == ["a 1"]
    assert summary.calls == {"made": 1, "served": 1}


def test_what_is_cancelled_with_the_run_keeps_its_calls(model, go, storage):
    """As by Ctrl-C in the middle of an agent's row."""
    ask = replayable(model.ask_later)

    @foreach("prompt", ["a", "b"])
    async def eval_agent(prompt):
        await ask(prompt)
        if prompt == "b":
            raise KeyboardInterrupt
        await asyncio.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        go(eval_agent, "first")

    assert sorted(json.loads(each.response)["text"][0] for each in kept_in(storage, "first")) == [
        "a",
        "b",
    ]


def test_a_judge_of_stored_answers_can_be_served_too(model, go, storage):
    """Its calls are those of an evaluation."""
    go(evaluation(model.ask), "old")
    ask = replayable(model.ask)

    def judged(model_response):
        return "a" in ask(f"judge {model_response}")["text"]

    first = rescore(judged, "old", into="first", storage=storage, progress=False)
    second = rescore(judged, "old", into="second", storage=storage, progress=False, calls="replay")

    assert (first.calls["made"], second.calls["served"], model.calls) == (2, 2, 4)


def test_arguments_that_clients_take_for_left_out_are_left_out(model, go):
    """What stands for no argument is none."""
    ask = replayable(lambda prompt, stop=None: model.ask(prompt))
    left_out = type("NotGiven", (), {})()
    go(evaluation(lambda prompt: ask(prompt, stop=left_out), ["a"]), "first")

    assert go(evaluation(ask, ["a"]), "second", calls="replay")[1] == ["a 1"]


def test_the_latency_of_a_call_that_is_served_is_that_of_the_call_that_was_made(go, storage):
    """Where several were made at once, that of all together."""

    async def slow(prompt):
        await asyncio.sleep(0.15)
        return {"text": prompt, "usage": None}

    ask = replayable(slow)

    @foreach("prompt", ["a"])
    async def eval_two(prompt):
        await asyncio.gather(ask(prompt), ask(f"{prompt}!"))
        return True

    go(eval_two, "first")
    go(eval_two, "second", calls="replay")

    (record,) = records("second", storage=storage)
    assert 0.14 < record.duration < 0.28


def test_what_is_served_is_charged_to_no_budget(model, go):
    """The usage is the original's, but nothing is paid."""
    asks = evaluation(replayable(model.ask), [f"{n}" for n in range(30)])
    go(asks, "first")

    summary, _ = go(asks, "second", calls="replay", budget="cost=5")

    assert (summary.scored, summary.usage["cost"]) == (30, 15.0)


class Answered(dict):
    """A response that looks like plain data, and is more."""

    def __init__(self, text: str) -> None:
        super().__init__(text=text, usage=None)


class Answer:
    """A response of a client, which JSON does not know."""

    def __init__(self, text: str) -> None:
        self.text = text


@pytest.mark.parametrize(
    "answer",
    [
        ("a", 1, None, 0.5, [True, {"$": 1}]),
        {1: b"\x00\xff", ("x",): "y"},
        float("inf"),
        [[], {}, ()],
    ],
)
def test_plain_responses_come_back_as_they_were(answer, go):
    """Tuples as tuples, bytes as bytes, numbers as keys."""
    got = []
    ask = replayable(lambda prompt: answer)

    @foreach("prompt", ["a"])
    def eval_plain(prompt):
        got.append(ask(prompt))
        return True

    go(eval_plain, "first")
    go(eval_plain, "second", calls="replay")

    assert repr(got[0]) == repr(got[1])


def test_other_responses_go_through_dump_and_load(go):
    """Binary ones, and objects of any class."""
    ask = replayable(lambda prompt: Answer(prompt), dump=vars, load=lambda plain: Answer(**plain))
    got = []

    @foreach("prompt", ["a"])
    def eval_objects(prompt):
        got.append(ask(prompt).text)
        return True

    go(eval_objects, "first")
    go(eval_objects, "second", calls="replay")

    assert got == ["a", "a"]


def test_a_response_that_can_not_be_kept_is_told_once_and_returned(go, capsys, tmp_path):
    """It was paid for; what to do is said."""
    tmp_path.joinpath("eval_object.py").write_text(
        "from doteval import foreach, replayable\n"
        "ask = replayable(lambda prompt: object())\n"
        "@foreach('prompt', list('abc'))\n"
        "def eval_object(prompt):\n"
        "    return ask(prompt) is not None\n"
    )
    code = main(["run", str(tmp_path / "eval_object.py"), "--storage", str(tmp_path / "x.db")])

    out = " ".join(capsys.readouterr().out.split())
    summary, _ = go(evaluation(replayable(lambda prompt: Answered(prompt)), ["a", "b"]), "first")
    assert [note for note in summary.notes if "not kept" in note] == list(summary.notes[-1:])
    assert "Answered, which JSON does not know" in str(summary)
    assert code == 0, out
    assert out.count("the response is of type object, which JSON does not know; pass dump=") == 1


class Made:
    """A model as pydantic makes them: what it holds, and how strict it is."""

    model_fields = {"text": str}

    def __init__(self, text: Any) -> None:
        self.text = text

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def model_validate(cls, plain: dict[str, Any]) -> Made:
        if not isinstance(plain["text"], str):
            raise ValueError("expected a text")
        return cls(**plain)

    @classmethod
    def model_construct(cls, **fields: Any) -> Made:
        return cls(**fields)


@pytest.mark.parametrize("text", ["a", 7])
def test_models_come_back_as_models(text):
    """Also where they hold what their own types do not allow, as clients let it through."""
    again = unpacked(json.loads(kept([Made(text)])))

    assert type(again[0]) is Made
    assert again[0].text == text


def test_what_would_not_come_back_as_it_was_is_not_kept():
    """A model that holds what its JSON does not tell; a class that is found nowhere."""
    with pytest.raises(TypeError, match="made of the JSON of a Lossy is not the same"):
        kept(Lossy("a"))
    with pytest.raises(TypeError, match="the response is of type Inner, which JSON"):
        kept(type("Inner", (Made,), {})("a"))


class Bare(Made):
    """Without a field that its class declares."""

    model_fields = {"text": str, "more": str}


def test_a_model_may_lack_fields_that_it_declares():
    """As those of LiteLLM do; it is held against its JSON then."""
    assert unpacked(json.loads(kept(Bare("a")))).text == "a"


class Lossy(Made):
    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"text": "b"}


def test_a_class_that_is_not_loaded_is_not_imported():
    """Whatever a store says; it is told what to import."""
    for name in ("openai.nowhere:Chat", "json:JSONDecoder", "nothing", "os:system"):
        with pytest.raises(Missed, match="which is not loaded here; import it before"):
            unpacked({"$": name, "of": {}})


# --------------------------------------------------------------------------- wrapping


def test_outside_of_a_row_it_is_the_function(model):
    """As where one row is tried by hand."""
    ask = replayable(model.ask)

    assert ask("a", temperature=1.0)["text"] == "a 1"
    assert asyncio.run(replayable(model.ask_later)("b"))["text"] == "b 2"
    assert ask.__name__ == "ask"


def test_a_plain_function_that_returns_an_awaitable_is_served_as_one(model, go):
    """As the asynchronous methods of clients are that a decorator wraps."""
    ask = replayable(lambda prompt: model.ask_later(prompt))

    go(evaluation_later(ask, ["a"]), "first")

    assert go(evaluation_later(ask, ["a"]), "second", calls="replay")[1] == ["a 1"]


def test_an_object_that_is_called_is_known_by_its_class(model, go, storage):
    """A callable need be no function, nor tell its parameters."""

    class Asks:
        def __call__(self, prompt):
            return model.ask(prompt)

    go(evaluation(replayable(Asks()), ["a"]), "first")

    (call,) = kept_in(storage, "first")
    assert json.loads(call.request)["function"].endswith("Asks")


def test_arguments_that_do_not_fit_are_told_by_the_function(model, go):
    """As they are without."""
    ask = replayable(model.ask)

    _, (message,) = go(evaluation(lambda prompt: ask(prompt, 1, 2, 3), ["a"]), "first")

    assert "takes from 2 to 3 positional arguments" in message


def test_threads_of_a_row_may_call_at_once(model, go):
    """Each call has a number of its own."""
    ask = replayable(model.ask)

    @foreach("prompt", ["a"])
    def eval_threads(prompt):
        import contextvars

        contexts = [contextvars.copy_context() for _ in range(8)]
        threads = [threading.Thread(target=context.run, args=(ask, prompt)) for context in contexts]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return Result(True, model_response=ask(prompt)["text"])

    go(eval_threads, "first")
    summary, _ = go(eval_threads, "second", calls="replay")

    assert summary.calls == {"made": 0, "served": 9}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: replayable("ask"), "expected a function"),
        (lambda: replayable(print, dump=repr), "give both, or neither"),
        (lambda: replayable(print, scope=1), "expected a text"),
        (lambda: replayable(pieces), "piece by piece"),
        (lambda: replayable(pieces_later), "piece by piece"),
    ],
)
def test_what_can_not_be_wrapped_is_told(wrong, said):
    """When it is wrapped, and not when a row has paid."""
    with pytest.raises(UsageError, match=said):
        wrong()


def pieces(prompt):
    yield prompt


async def pieces_later(prompt):
    yield prompt


def test_rows_in_an_executor_keep_calls_and_are_not_served(go, storage):
    """They do not reach the store; their calls come back with what came of them."""
    summary, _ = go(eval_asks_elsewhere, "first")

    assert summary.calls == {"made": 2, "served": 0}
    assert len(list(kept_in(storage, "first"))) == 2
    with pytest.raises(UsageError, match="executor"):
        go(eval_asks_elsewhere, "second", calls="replay")


def test_a_function_without_a_signature_is_known_by_the_places_of_its_arguments(go, storage):
    """Some in C have none."""
    ask = replayable(dict)

    @foreach("prompt", ["a"])
    def eval_dict(prompt):
        return ask({"text": prompt}, more=1) == {"text": "a", "more": 1}

    go(eval_dict, "first")

    (call,) = kept_in(storage, "first")
    assert json.loads(call.request)["arguments"] == {"0": {"text": "a"}, "more": 1}


def test_a_store_in_memory_serves_what_it_has(model):
    """Such as the calls of an attempt that is tried again; no thread stands between."""
    ask, failures = replayable(model.ask), [ConnectionError("gone")]

    @ForEach(retries=Retry(attempts=2, first=0.01))("prompt", ["a"])
    def eval_two(prompt):
        ask(prompt)
        if failures:
            raise failures.pop()
        return True

    summary = run(eval_two, "first", "memory://", progress=False, calls="reuse")

    assert (summary.scored, summary.calls) == (1, {"made": 1, "served": 1})


def test_a_store_that_keeps_no_calls_is_told(model, go, storage, monkeypatch):
    """That of a plugin need not."""
    monkeypatch.setattr(SqliteStore, "keeps_calls", False)

    with pytest.raises(UsageError, match="calls='reuse': .* keeps no calls"):
        go(evaluation(replayable(model.ask)), "first", calls="reuse")
    summary, answers = go(evaluation(replayable(model.ask)), "first")
    assert (summary.scored, answers) == (2, ["a 1", "b 2"])
    assert list(kept_in(storage, "first")) == []


def test_credentials_are_taken_out_of_what_is_kept(go, storage):
    """Of what was asked, as of failures."""
    ask = replayable(lambda prompt, headers: {"text": prompt, "usage": None})
    key = "sk-" + "a1B2c3D4" * 5

    go(evaluation(lambda prompt: ask(prompt, {"Authorization": f"Bearer {key}"}), ["a"]), "first")

    (call,) = kept_in(storage, "first")
    assert key not in call.request
    assert "[redacted]" in call.request


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calls": "record"}, "expected one of: live, reuse, replay"),
        ({"calls_from": "first"}, 'say also calls="reuse"'),
    ],
)
def test_options_that_make_no_sense_are_told(options, said, model, go):
    with pytest.raises(UsageError, match=said):
        go(evaluation(replayable(model.ask)), "first", **options)
