"""
One call through each client, as its users make it: `call(url, timeout, retries)` returns what the
model said, or raises what the client raises. Skips where the client is not installed.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

QUESTION = [{"role": "user", "content": "6 x 7?"}]


def call_openai(url: str, timeout: float, retries: int, key: str = "k", **extra: Any) -> Any:
    openai = pytest.importorskip("openai")

    async def call() -> Any:
        async with openai.AsyncOpenAI(
            api_key=key, base_url=url, timeout=timeout, max_retries=retries
        ) as client:
            answer = await client.chat.completions.create(model="m", messages=QUESTION, **extra)
            if extra:
                return [chunk async for chunk in answer]
            return answer.choices[0].message.content

    return asyncio.run(call())


def call_openai_sync(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key=key, base_url=url, timeout=timeout, max_retries=retries) as client:
        answer = client.chat.completions.create(model="m", messages=QUESTION)
        return answer.choices[0].message.content


def call_anthropic(url: str, timeout: float, retries: int, key: str = "k", **extra: Any) -> Any:
    anthropic = pytest.importorskip("anthropic")

    async def call() -> Any:
        async with anthropic.AsyncAnthropic(
            api_key=key, base_url=url, timeout=timeout, max_retries=retries
        ) as client:
            answer = await client.messages.create(
                model="m", max_tokens=9, messages=QUESTION, **extra
            )
            if extra:
                return [event async for event in answer]
            return answer.content[0].text

    return asyncio.run(call())


def call_httpx(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    httpx = pytest.importorskip("httpx")

    async def call() -> Any:
        async with httpx.AsyncClient(timeout=timeout, headers={"X-Key": key}) as client:
            answer = await client.post(url + "/chat/completions", json={})
            answer.raise_for_status()
            return answer.json()["choices"][0]["message"]["content"]

    return asyncio.run(call())


def call_aiohttp(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    aiohttp = pytest.importorskip("aiohttp")

    async def call() -> Any:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with (
            aiohttp.ClientSession(timeout=limit, headers={"X-Key": key}) as session,
            session.post(url + "/chat/completions", json={}) as answer,
        ):
            answer.raise_for_status()
            return (await answer.json())["choices"][0]["message"]["content"]

    return asyncio.run(call())


def call_requests(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        answer = session.post(
            url + "/chat/completions", json={}, timeout=timeout, headers={"X-Key": key}
        )
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]


def call_urllib(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    request = urllib.request.Request(url + "/chat/completions", b"{}", {"X-Key": key})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def call_gemini(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    genai = pytest.importorskip("google.genai")
    types = genai.types
    options = types.HttpOptions(
        base_url=url,
        timeout=int(timeout * 1000),
        retry_options=types.HttpRetryOptions(attempts=1 + retries),
    )
    client = genai.Client(api_key=key, http_options=options)
    try:
        return client.models.generate_content(model="m", contents="6 x 7?").text
    finally:
        client.close()


def call_bedrock(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    session = pytest.importorskip("botocore.session").get_session()
    config = pytest.importorskip("botocore.config").Config(
        retries={"total_max_attempts": 1 + retries}, read_timeout=timeout, connect_timeout=timeout
    )
    client = session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="a",
        aws_secret_access_key=key,
        config=config,
    )
    try:
        messages = [{"role": "user", "content": [{"text": "6 x 7?"}]}]
        answer = client.converse(modelId="m", messages=messages)
        return answer["output"]["message"]["content"][0]["text"]
    finally:
        client.close()


def call_mistral(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    mistral = pytest.importorskip("mistralai.client")
    with mistral.Mistral(api_key=key, server_url=url, timeout_ms=int(timeout * 1000)) as client:
        answer = client.chat.complete(model="m", messages=QUESTION)
        return answer.choices[0].message.content


def call_litellm(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    litellm = pytest.importorskip("litellm")
    answer = litellm.completion(
        "openai/m", QUESTION, api_base=url, api_key=key, timeout=timeout, num_retries=0,
        max_retries=retries,
    )  # fmt: skip
    return answer.choices[0].message.content


def call_langchain(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    openai = pytest.importorskip("langchain_openai")
    model = openai.ChatOpenAI(
        model="m", base_url=url, api_key=key, timeout=timeout, max_retries=retries
    )
    return model.invoke("6 x 7?").text


def call_pydantic_ai(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    ai, openai = pytest.importorskip("pydantic_ai"), pytest.importorskip("openai")
    models = pytest.importorskip("pydantic_ai.models.openai")
    providers = pytest.importorskip("pydantic_ai.providers.openai")

    async def call() -> Any:
        async with openai.AsyncOpenAI(
            api_key=key, base_url=url, timeout=timeout, max_retries=retries
        ) as client:
            provider = providers.OpenAIProvider(openai_client=client)
            return (await ai.Agent(models.OpenAIChatModel("m", provider=provider)).run("?")).output

    return asyncio.run(call())


# ---------------------------------------------------- the larger set of `tox -e all-clients`


def call_openai_responses(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key=key, base_url=url, timeout=timeout, max_retries=retries) as client:
        return client.responses.create(model="m", input="6 x 7?").output_text


def call_gemini_async(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    genai = pytest.importorskip("google.genai")
    types = genai.types

    async def call() -> Any:
        options = types.HttpOptions(
            base_url=url,
            timeout=int(timeout * 1000),
            retry_options=types.HttpRetryOptions(attempts=1 + retries),
        )
        async with genai.Client(api_key=key, http_options=options).aio as client:
            return (await client.models.generate_content(model="m", contents="6 x 7?")).text

    return asyncio.run(call())


def call_litellm_anthropic(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    litellm = pytest.importorskip("litellm")
    answer = litellm.completion(
        "anthropic/m", QUESTION, api_base=url, api_key=key, timeout=timeout, num_retries=0,
        max_retries=retries, max_tokens=9,
    )  # fmt: skip
    return answer.choices[0].message.content


def call_langchain_anthropic(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    anthropic = pytest.importorskip("langchain_anthropic")
    model = anthropic.ChatAnthropic(
        model="m", base_url=url, api_key=key, timeout=timeout, max_retries=retries, max_tokens=9
    )
    return model.invoke("6 x 7?").text


def call_groq(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    groq = pytest.importorskip("groq")
    with groq.Groq(api_key=key, base_url=url, timeout=timeout, max_retries=retries) as client:
        answer = client.chat.completions.create(model="m", messages=QUESTION)
        return answer.choices[0].message.content


def call_together(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    together = pytest.importorskip("together")
    with together.Together(
        api_key=key, base_url=url, timeout=timeout, max_retries=retries
    ) as client:
        answer = client.chat.completions.create(model="m", messages=QUESTION)
        return answer.choices[0].message.content


def call_cohere(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(key, base_url=url, timeout=timeout)
    options = {"max_retries": retries}
    answer = client.chat(model="m", messages=QUESTION, request_options=options)
    return answer.message.content[0].text


def call_azure(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    inference = pytest.importorskip("azure.ai.inference")
    credentials = pytest.importorskip("azure.core.credentials")
    with inference.ChatCompletionsClient(
        url, credentials.AzureKeyCredential(key), retry_total=retries, read_timeout=timeout
    ) as client:
        answer = client.complete(model="m", messages=QUESTION)
        return answer.choices[0].message.content


def call_llama_index(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    openai = pytest.importorskip("llama_index.llms.openai")
    model = openai.OpenAI("gpt-4o", api_key=key, api_base=url, timeout=timeout, max_retries=retries)
    return str(model.complete("6 x 7?"))


def call_dspy(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    dspy = pytest.importorskip("dspy")
    model = dspy.LM(
        "openai/m", api_base=url, api_key=key, timeout=timeout, num_retries=retries, cache=False
    )
    return model("6 x 7?")[0]


def call_hugging_face(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(base_url=url, api_key=key, timeout=timeout)
    return client.chat_completion(QUESTION).choices[0].message.content


def call_hugging_face_async(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    hub = pytest.importorskip("huggingface_hub")

    async def call() -> Any:
        async with hub.AsyncInferenceClient(base_url=url, api_key=key, timeout=timeout) as client:
            return (await client.chat_completion(QUESTION)).choices[0].message.content

    return asyncio.run(call())


def call_ollama(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    ollama = pytest.importorskip("ollama")
    return ollama.Client(url, timeout=timeout).chat("m", QUESTION).message.content


def call_instructor(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    instructor, openai = pytest.importorskip("instructor"), pytest.importorskip("openai")
    number = pytest.importorskip("pydantic").RootModel[int]
    with openai.OpenAI(api_key=key, base_url=url, timeout=timeout, max_retries=0) as client:
        answer = instructor.from_openai(client, mode=instructor.Mode.MD_JSON).create(
            model="m", messages=QUESTION, response_model=number, max_retries=1 + retries
        )
        return str(answer.root)


def call_urllib3(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    """By requests, where an answer that asks for another try has become an error of urllib3."""
    requests, urllib3 = pytest.importorskip("requests"), pytest.importorskip("urllib3")
    again = urllib3.Retry(
        retries, status_forcelist=[429, *range(500, 600)], allowed_methods=None, backoff_factor=0
    )
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=again))
        answer = session.post(
            url + "/chat/completions", json={}, timeout=timeout, headers={"X-Key": key}
        )
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]


def call_tenacity(url: str, timeout: float, retries: int, key: str = "k") -> Any:
    """As OpenAI's cookbook does it: the error that comes out is tenacity's."""
    tenacity = pytest.importorskip("tenacity")
    again = tenacity.retry(stop=tenacity.stop_after_attempt(1 + retries))
    return again(call_openai_sync)(url, timeout, 0, key)


CALLS: dict[str, Callable[..., Any]] = {
    "openai": call_openai,
    "openai-sync": call_openai_sync,
    "anthropic": call_anthropic,
    "httpx": call_httpx,
    "aiohttp": call_aiohttp,
    "requests": call_requests,
    "urllib": call_urllib,
    "google-genai": call_gemini,
    "botocore": call_bedrock,
    "mistralai": call_mistral,
    "litellm": call_litellm,
    "langchain": call_langchain,
    "pydantic-ai": call_pydantic_ai,
    "openai-responses": call_openai_responses,
    "google-genai-async": call_gemini_async,
    "litellm-anthropic": call_litellm_anthropic,
    "langchain-anthropic": call_langchain_anthropic,
    "groq": call_groq,
    "together": call_together,
    "cohere": call_cohere,
    "azure-ai-inference": call_azure,
    "llama-index": call_llama_index,
    "dspy": call_dspy,
    "huggingface-hub": call_hugging_face,
    "huggingface-hub-async": call_hugging_face_async,
    "ollama": call_ollama,
    "instructor": call_instructor,
    "requests-urllib3": call_urllib3,
    "tenacity": call_tenacity,
}
