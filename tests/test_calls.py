"""Which functions an answer calls: the shapes of APIs and models, and what is accepted."""

from __future__ import annotations

import json
import types
import warnings

import pytest

from doteval.errors import UsageError
from doteval.evaluators import ast_evaluation

AREA = {
    "name": "area",
    "parameters": {
        "properties": {"base": {"type": "integer"}, "height": {}, "unit": {}},
        "required": ["base", "height"],
    },
}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("f(a=1, b=2)", "f(b=2, a=1)"),
        (" f(1, [2, {'x': (3,)}]) ", "f(1, [2, {'x': [3]}])"),
        ("[f(1), g(2)]", "[g(2), f(1)]"),
        ("f(1), f(1)", "[f(1), f(1)]"),
        ("f(a=1.0)", "f(a=1)"),
        ("f(a=-1, b=None)", "f(a=-1, b=None)"),
        ("f(a=true, b=[null, {'x': false}])", "f(a=True, b=[None, {'x': False}])"),
        ("math.sin(x=1)", "math.sin(x=1)"),
        ("f(a={1, 2})", "f(a={2, 1})"),
        (r"f(a='\d\n')", r"f(a='\\d\n')"),
        ({"f": {"a": 1}}, "f(a=1)"),
        ([{"f": {"a": 1}}, {"g": {}}], "[g(), f(a=1)]"),
        ("f(a='x')", {"f": {"a": ["x", "y"]}}),
        ("f(a='y')", [{"f": {"a": ["x", "y"], "b": ["", 2]}}]),
        ({"f": {"a": [1, 2]}}, {"f": {"a": [[1, 2]]}}),
        ({"f": {"a": 3}}, {"f": {"a": 3, "b": [""]}}),
        ("f()", "f()"),
        ("[f(a=1), f(a=2)]", [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]),
    ],
    ids=repr,
)
def test_equal_function_calls(result, expected):
    """Named arguments and calls in any order, nested literals, accepted values."""
    assert ast_evaluation(result, expected).value is True


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("f(a=1)", "g(a=1)"),
        ("f(a=1)", "f(a=1, b=2)"),
        ("f(a=1, b=2)", "f(a=1)"),
        ("f(1, 2)", "f(2, 1)"),
        ("f(1)", "f(a=1)"),
        ("f(a=True)", "f(a=1)"),
        ("f(a='1')", "f(a=1)"),
        ("f(a={'x': 1})", "f(a={'y': 1})"),
        ("f(1)", "[f(1), f(1)]"),
        ("[f(1), f(2)]", "[f(1), f(1)]"),
        ("[f(1), f(1)]", "[f(1), f(2)]"),
        ("f(a=[1])", "f(a=[1, 2])"),
        ("f(a='z')", {"f": {"a": ["x", "y"]}}),
        ("f()", {"f": {"a": ["x"]}}),
        ("", "f()"),
        (None, "f()"),
        (5, "f()"),
        ([5], "f()"),
        ({"f": 5}, "f()"),
        ("f(", "f()"),
        ("f(x)", "f()"),
        ("f(**{'a': 1})", "f(a=1)"),
        ("f(a=2, a=1)", "f(a=1)"),
        ("f(*[1])", "f(1)"),
        ("f(g(1))", "f(1)"),
        ("f(a={**{}})", "f(a={})"),
        ("f(a={[1]: 2})", "f(a={})"),
        ("1 + 1", "f()"),
        ("f(a=" + "-" * 5_000 + "1)", "f(a=1)"),
        ("f(a=" + "[" * 500 + "]" * 500 + ")", "f(a=1)"),
        ("f('" + "x" * 30_000 + "')", "f('x')"),
        ("f('\0')", "f()"),
        ("__import__('os').system('true')", "f()"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_function_calls(result, expected):
    """Whatever is not the expected call is wrong, hostile text included, and nothing is run."""
    assert ast_evaluation(result, expected).value is False


@pytest.mark.parametrize(
    ("result", "expected", "right"),
    [
        ("area(3, 4)", "area(base=3, height=4)", True),
        ("area(3, height=4)", "area(3, 4)", True),
        ("area(3, base=3)", "area(base=3, height=4)", False),
        ("area(1, 2, 3, 4)", "area(1, 2)", False),
        ("area(base=3)", {"area": {"base": [3], "height": ["", 4]}}, False),
        ("area(base=3, height=4, depth=5)", "area(base=3, height=4, depth=5)", False),
        ({"area": {"base": 3, "height": 4}}, [{"area": {"base": [3], "height": [4]}}], True),
        ("volume(1)", "volume(1)", False),
    ],
)
def test_a_schema_names_positional_arguments(result, expected, right):
    """With a description, positions become names, and required and unknown ones are checked."""
    tool = {"type": "function", "function": AREA}

    for schema in (AREA, [AREA], [tool]):
        assert ast_evaluation(result, expected, schema).value is right


@pytest.mark.parametrize("expected", ["", "not a call", {}, 5, {"f": 5}, "f("])
def test_an_expectation_that_is_no_call_is_told(expected):
    """A broken dataset does not make every answer wrong."""
    with pytest.raises(UsageError, match="expected is no function call"):
        ast_evaluation("f()", expected)


def test_escapes_of_a_model_print_no_warnings():
    """Python's parser complains about escapes that it does not know; models write them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert ast_evaluation(r"f(path='C:\data\x41')", r"f(path='C:\\data\x41')").value is True


# --- shapes ----------------------------------------------------------------------------------

ARGUMENTS = {"city": "Paris", "days": 2}
TEXT = json.dumps(ARGUMENTS)
CHAT = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": TEXT}}
SHAPES = {
    "ours": {"weather": ARGUMENTS},
    "openai call": CHAT,
    "openai message": {"role": "assistant", "content": None, "tool_calls": [CHAT]},
    "openai response": {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [CHAT]}}],
        "usage": {"prompt_tokens": 1},
    },
    "openai legacy": {"role": "assistant", "function_call": CHAT["function"]},
    "openai responses": {
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "so"}],
            },
            {"type": "function_call", "call_id": "1", "name": "weather", "arguments": TEXT},
        ]
    },
    "anthropic block": {"type": "tool_use", "id": "1", "name": "weather", "input": ARGUMENTS},
    "anthropic message": {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "1", "name": "weather", "input": ARGUMENTS},
        ],
    },
    "gemini call": {"name": "weather", "args": ARGUMENTS},
    "gemini part": {"functionCall": {"name": "weather", "args": ARGUMENTS}},
    "gemini response": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "I look."},
                        {"function_call": {"name": "weather", "args": ARGUMENTS}},
                    ],
                }
            }
        ]
    },
    "bedrock": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "1", "name": "weather", "input": ARGUMENTS}},
                ],
            }
        }
    },
    "mistral": {"function": {"name": "weather", "arguments": ARGUMENTS}, "id": "1", "index": 0},
    "langchain": {"name": "weather", "args": ARGUMENTS, "id": "1", "type": "tool_call"},
    "langchain list": [{"name": "weather", "args": ARGUMENTS, "id": "1", "type": "tool_call"}],
    "cohere": {"name": "weather", "parameters": ARGUMENTS},
    "hermes": f'<tool_call>\n{{"name": "weather", "arguments": {TEXT}}}\n</tool_call>',
    "hermes open": f'I look. <tool_call>{{"name": "weather", "arguments": {TEXT}}}',
    "mistral text": f'[TOOL_CALLS][{{"name": "weather", "arguments": {TEXT}}}]',
    "llama text": f'<|python_tag|>{{"name": "weather", "parameters": {TEXT}}}',
    "json text": f'{{"name": "weather", "arguments": {TEXT}}}',
    "json fence": f'Sure:\n```json\n[{{"name": "weather", "arguments": {TEXT}}}]\n```\nDone.',
    "python fence": "```python\nweather(city='Paris', days=2)\n```",
    "python": "weather(days=2, city='Paris')",
    "assigned": "result = await weather(days=2, city='Paris')",
    "thought": "<think>f(1)?</think>\nweather(days=2, city='Paris')",
    "bytes": b"weather(days=2, city='Paris')",
    "berkeley": {"weather": TEXT},
    "inspect": {"id": "1", "function": "weather", "arguments": ARGUMENTS, "type": "function"},
    "pydantic-ai": {"parts": [{"tool_name": "weather", "args": TEXT, "part_kind": "tool-call"}]},
    "llama-index": {"tool_id": "1", "tool_name": "weather", "tool_kwargs": ARGUMENTS},
    "vercel": {"toolCalls": [{"type": "tool-call", "toolName": "weather", "input": ARGUMENTS}]},
    "tool": f'{{"tool": "weather", "tool_input": {TEXT}}}',
    "json behind words": f'I call {{"name": "weather", "arguments": {TEXT}}} now.',
    "python behind words": "Sure, this does it:\nweather(days=2, city='Paris')",
    "printed": "```tool_code\nprint(weather(days=2, city='Paris'))\n```",
    "mistral label": f"[TOOL_CALLS]weather[ARGS]{TEXT}",
    "llama label": f"<function=weather>{TEXT}</function>",
    "react": f"Thought: I look.\nAction: weather\nAction Input: {TEXT}\nObservation: 20",
    "tags": f'<tool_calls>[{{"name": "weather", "arguments": {TEXT}}}]</tool_calls>',
}
BY_NAME = ("ours", "berkeley")  # whose key is the function: no attribute of an object


def objects(value):
    """Mappings as the objects of a client; arguments stay what they are."""
    if isinstance(value, dict) and value is not ARGUMENTS:
        return types.SimpleNamespace(**{key: objects(each) for key, each in value.items()})
    return [objects(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_is_read_in_every_shape(shape):
    """As mappings, as objects, or as text."""
    given = [SHAPES[shape], *([objects(SHAPES[shape])] if shape not in BY_NAME else [])]
    for result in given:
        score = ast_evaluation(result, "weather(city='Paris', days=2)")

        assert (score.value, score.unread) == (True, False)
        assert ast_evaluation(result, "weather(city='Rome', days=2)").value is False


def test_several_calls_come_in_any_order():
    """In a list, in blocks, on lines."""
    expected = "[f(a=1), g(b=2), f(a=3)]"
    for result in (
        "f(a=3)\ng(b=2)\nf(a=1)",
        "f(a=3); g(b=2); f(a=1)",
        '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
        '<tool_call>{"name": "f", "arguments": {"a": 3}}</tool_call>'
        '<tool_call>{"name": "g", "arguments": {"b": 2}}</tool_call>',
        [{"g": {"b": 2}}, {"name": "f", "args": {"a": 3}}, {"f": {"a": 1}}],
        '{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {"b": 2}}\n'
        '{"name": "f", "parameters": {"a": 3}}',
    ):
        assert ast_evaluation(result, expected).value is True
        assert ast_evaluation(result, "[f(a=1), g(b=2), f(a=1)]").value is False


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "[]",
        "I can not help.",
        {"role": "assistant", "content": "No."},
        "```\n\n```",
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        {"text": "No."},
    ],
)
@pytest.mark.parametrize("expected", [None, [], "[]"])
def test_no_call_may_be_right(result, expected):
    """An answer without calls is one; a call is not."""
    assert ast_evaluation(result, expected).value is True
    assert ast_evaluation("f()", expected).value is False
    assert ast_evaluation(result, "f()").metadata["problem"] in (
        "it calls nothing",
        "the answer is empty",
    )


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (5, "a int is no call"),
        ([5], "a int is no call"),
        ({"a": 1, "b": 2}, "a dict is no call"),
        ({"f": 5}, "a dict is no call"),
        ("await x(1) + 1\nf(", "code that is no call"),
        ("f(1) + 1", "code that is no call"),
        ("f(", "code that is no call"),
        ("f(x)", "code that is no call"),
        ("for x in f(1): g(x)\nf(2)", None),
        ("So:\nf(", "code that is no call"),
        ('I call {"name": "f", "arguments": {', "JSON that is none"),
        ("Action: f\nAction Input: a=1", "JSON that is none"),
        ("{'f': 1", "JSON that is none"),
        ({"name": "f", "arguments": "{"}, "arguments that are no JSON"),
        ({"name": "f", "arguments": "[1]"}, "arguments of type list"),
        ("<function=f><parameter=a>1</parameter></function>", "a call in XML"),
        ("f('" + "x" * 30_000 + "')", "code of more than 20,000 characters"),
        ("", "the answer is empty"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_shape_that_is_not_understood_is_unread(result, problem):
    """Its metadata say what it was."""
    score = ast_evaluation(result, "f(a=1)")

    assert (score.value, score.unread) == (False, True)
    assert (problem or "code") in score.metadata["problem"]


def test_names_that_hold_calls_elsewhere_may_be_functions():
    """Only where they hold none; a call without arguments has none."""
    assert ast_evaluation({"output": {"a": 1, "b": 2}}, "output(a=1, b=2)").value is True
    assert ast_evaluation({"message": {"text": "hi"}}, "message(text='hi')").value is True
    assert ast_evaluation({"name": "f"}, "f()").value is True
    assert ast_evaluation({"content": 5, "role": "assistant"}, []).value is True
    answer = {"role": "assistant", "tool_calls": [{"text": "hm"}], "content": "No."}
    assert ast_evaluation(answer, []).value is True
    assert ast_evaluation("f(a=1)", {"f": {"a": [2, 1]}}, loose=True).value is True


# --- what is accepted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"id": 1, "info": {"name": "John", "mail": "a@b"}}, True),
        ({"id": 1, "info": {"name": "Jon", "mail": "a@b"}, "database": "Info"}, True),
        ({"id": 1, "info": {"name": "John", "mail": "a@b", "age": 5}}, True),
        ({"id": 1, "info": {"name": "Jim", "mail": "a@b"}}, False),
        ({"id": 1, "info": {"name": "John"}}, False),
        ({"id": 1, "info": {"name": "John", "mail": "a@b", "x": 1}}, False),
        ({"id": 1, "info": {"name": "John", "mail": "a@b"}, "database": "Other"}, False),
        (
            {"id": 1, "info": {"name": "John", "mail": "a@b"}, "of": [{"x": 1}, {"x": 2, "y": 3}]},
            True,
        ),
        ({"id": 1, "info": {"name": "John", "mail": "a@b"}, "of": [{"x": 1}]}, False),
    ],
)
def test_lists_of_accepted_values_stand_at_every_level(arguments, right):
    """As in the possible answers of the Berkeley leaderboard, with "" for what may be left out."""
    possible = {
        "update": {
            "id": [1],
            "info": [{"name": ["John", "Jon"], "mail": ["a@b"], "age": [5, ""]}],
            "database": ["Info", ""],
            "of": ["", [{"x": [1, 7]}, {"x": [2], "y": [3, ""]}]],
        }
    }

    assert ast_evaluation({"update": arguments}, possible).value is right
    assert ast_evaluation({"name": "update", "arguments": arguments}, [possible]).value is right


def test_an_expected_call_in_the_shape_of_an_api_means_its_lists():
    """Only the leaderboard's form holds alternatives."""
    expected = {"name": "f", "arguments": {"tags": ["x", "y"]}}

    assert ast_evaluation("f(tags=['x', 'y'])", expected).value is True
    assert ast_evaluation("f(tags='x')", expected).value is False


def test_texts_may_be_compared_loosely():
    """As the Berkeley leaderboard does: without case, blanks and some punctuation."""
    result = "math.f(a='New York', b=['km/h'], c={'d': \"it's\"})"
    expected = {"math_f": {"a": ["new york"], "b": [["kmh"]], "c": [{"d": ['IT"S']}]}}

    assert ast_evaluation(result, expected).value is False
    assert ast_evaluation(result, expected, loose=True).value is True
    assert ast_evaluation("math.f(a='York')", {"math_f": {"a": ["x"]}}, loose=True).value is False


def test_any_of_several_expectations_may_be_met():
    """Each is a call or several."""
    expected = ["f(a=1)", "[f(a=1), g()]", []]

    for result in ("f(a=1)", "g()\nf(a=1)", "No."):
        assert ast_evaluation(result, expected, any_of=True).value is True
    assert ast_evaluation("g()", expected, any_of=True).value is False


@pytest.mark.parametrize("key", ["parameters", "input_schema", "bedrock"])
def test_a_description_may_be_that_of_any_api(key):
    """What it calls its parameters does not matter."""
    parameters = {"properties": {"a": {}}, "required": ["a"]}
    tool = {"name": "f", key: parameters}
    if key == "bedrock":
        tool = {"toolSpec": {"name": "f", "inputSchema": {"json": parameters}}}

    assert ast_evaluation("f(1)", "f(a=1)", [tool]).value is True
    assert ast_evaluation("f()", "f()", [tool]).value is False
