"""
Stands for a provider's batch API: a server on this machine of the shape of OpenAI's `/v1/files` and
`/v1/batches`, and as much of their client as a batch needs.

    server, url = serve()
    client = OpenAI(base_url=url)            # or the real one: from openai import OpenAI
"""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit


def answer(question: str) -> str:
    """What the model says: it adds."""
    return str(sum(int(word) for word in question.split() if word.isdecimal()))


class Handler(BaseHTTPRequestHandler):
    """One request; the server has `files`, `batches`, and `late`: looks until a batch is ready."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
            parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)]
            content = next(text for head, _, text in parts if b'name="file"' in head)
            self.reply(self.file(content.removesuffix(b"\r\n")))
        else:
            self.reply(self.create(json.loads(body)))

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/v1/")
        kind, _, name = path.partition("/")
        if kind == "files":
            self.reply(self.server.files[name.partition("/")[0]])
        elif name:
            self.reply(self.look(self.server.batches[name]))
        else:
            batches = [*self.server.batches.values()]
            self.reply({"object": "list", "data": batches[::-1], "has_more": False})

    def file(self, content: bytes) -> dict[str, Any]:
        name = f"file-{len(self.server.files) + 1}"
        self.server.files[name] = content
        return {"id": name, "object": "file", "bytes": len(content), "purpose": "batch"}

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = f"batch_{len(self.server.batches) + 1}"
        made = {"id": name, "object": "batch", "status": "in_progress", "looks": 0, **asked}
        made |= {"output_file_id": None, "error_file_id": None}
        self.server.batches[name] = made
        return made

    def look(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch["looks"] += 1
        if batch["looks"] > self.server.late and batch["status"] == "in_progress":
            batch["status"] = "completed"
            lines = []
            for line in self.server.files[batch["input_file_id"]].decode().splitlines():
                asked = json.loads(line)
                said = answer(asked["body"]["messages"][-1]["content"])
                body = {"choices": [{"message": {"role": "assistant", "content": said}}]}
                response = {"status_code": 200, "body": body}
                lines.append({"custom_id": asked["custom_id"], "response": response, "error": None})
            lines.reverse()  # their order is no promise
            batch["output_file_id"] = self.file("\n".join(map(json.dumps, lines)).encode())["id"]
        return batch

    def reply(self, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *told: Any) -> None:
        """Say nothing."""


def serve(late: int = 0, handler: type[Handler] = Handler) -> tuple[HTTPServer, str]:
    """A server that answers until the process ends, and its address."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.files, server.batches, server.late = {}, {}, late
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/v1"


class OpenAI:
    """The calls of the client of this name that a batch needs."""

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self.files = SimpleNamespace(create=self._upload, content=self._content)
        self.batches = SimpleNamespace(create=self._create, retrieve=self._retrieve, list=self._all)

    def _ask(self, method: str, path: str, data: bytes | None = None, kind: str = "") -> bytes:
        connection = HTTPConnection(self._url.netloc, timeout=30)
        headers = {"Content-Type": kind or "application/json"}
        connection.request(method, self._url.path + path, data, headers)
        try:
            return connection.getresponse().read()
        finally:
            connection.close()

    def _upload(self, file: tuple[str, bytes], purpose: str) -> SimpleNamespace:
        parts = {'name="purpose"': purpose.encode(), f'name="file"; filename="{file[0]}"': file[1]}
        form = b"".join(
            b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), text)
            for head, text in parts.items()
        )
        kind = "multipart/form-data; boundary=x"
        return _object(self._ask("POST", "/files", form + b"--x--\r\n", kind))

    def _content(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(text=self._ask("GET", f"/files/{name}/content").decode())

    def _create(self, **asked: Any) -> SimpleNamespace:
        return _object(self._ask("POST", "/batches", json.dumps(asked).encode()))

    def _retrieve(self, name: str) -> SimpleNamespace:
        return _object(self._ask("GET", f"/batches/{name}"))

    def _all(self) -> list[SimpleNamespace]:
        listed = json.loads(self._ask("GET", "/batches"))["data"]
        return [SimpleNamespace(**each) for each in listed]


def _object(answered: bytes) -> SimpleNamespace:
    return SimpleNamespace(**json.loads(answered))
