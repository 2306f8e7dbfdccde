"""The files of the page on clients run, each with the real client, against a local server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from doteval.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/use-your-client.md"
FILES = dict(
    re.findall(r'```python title="(\w+\.py)"\n(.*?)```', PAGE.read_text("utf-8"), re.DOTALL)
)
NEEDED = {
    "bedrock": "boto3", "gemini": "google.genai", "langchain": "langchain_openai",
    "local": "openai", "pydantic_ai": "pydantic_ai.models.openai",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", [name for name in FILES if name.startswith("eval_")])
def test_a_file_of_the_page_runs(file, endpoint, tmp_path, monkeypatch, capsys):
    """It reaches the server, reads the answer, and tells what was used."""
    name = file.removeprefix("eval_").removesuffix(".py")
    pytest.importorskip(NEEDED.get(name, name))
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_URL"):
        monkeypatch.setenv(variable, f"{endpoint.url}/v1")
    for variable in (
        "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    ):  # fmt: skip
        monkeypatch.setenv(variable, endpoint.url)
    for variable in (
        "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):  # fmt: skip
        monkeypatch.setenv(variable, "k")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.chdir(tmp_path)
    for each in ("questions.py", file):
        Path(each).write_text(FILES[each], encoding="utf-8")

    assert main(["run", file, "--experiment", "e", "-q"]) == 0
    capsys.readouterr()
    assert main(["show", "e", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["evaluations"]

    assert shown["scores"]["numeric_match"]["accuracy"]["value"] == 0.5
    assert (shown["usage"]["input_tokens"], shown["usage"]["output_tokens"]) == (6, 2)
    assert endpoint.requests == 2


def test_the_batch_of_the_page_goes_through_the_real_client(tmp_path, monkeypatch, capsys):
    """What stands for the client of OpenAI there is as far as a batch goes the same."""
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    page = (ROOT / "docs/how-to/run-in-batches.md").read_text("utf-8")
    (code,) = re.findall(r'title="eval_batch.py"\n(.*?)```', page, re.DOTALL)
    code = code.replace("import OpenAI, serve", "import serve\nfrom openai import OpenAI")
    Path("eval_batch.py").write_text(code.replace("base_url=url", "base_url=url, api_key='k'"))

    assert main(["run", "eval_batch.py", "--experiment", "e", "-q"]) == 0
    capsys.readouterr()
    assert main(["show", "e", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["evaluations"]

    assert (shown["scored"], shown["scores"]["exact_match"]["accuracy"]["value"]) == (100, 1)
