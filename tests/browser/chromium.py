"""
A headless Chromium, driven over HTTP with the standard library: the WebDriver protocol
(https://www.w3.org/TR/webdriver2/), as far as the tests need it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless",
    "--no-sandbox",  # in containers there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",
    "--force-color-profile=srgb",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how the protocol marks an element


def missing() -> str:
    """Why there is no browser here; "" where there is one."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        return "chromium is not installed"
    if not shutil.which("chromedriver"):
        return "chromedriver is not installed"
    return ""


class Browser:
    """
    One window.

    Args:
        profile: an empty folder for what the browser keeps.
        flags: more flags of the browser.
    """

    def __init__(self, profile: Path, *flags: str) -> None:
        self._driver = subprocess.Popen(
            [shutil.which("chromedriver") or "", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self._port = self._announced()
            binary = shutil.which("chromium") or shutil.which("chromium-browser")
            options = {
                "binary": binary,
                "args": [*_FLAGS, f"--user-data-dir={profile}", *flags],
            }
            capabilities = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            self._session = ""
            made = self._ask("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
            self._session = made["sessionId"]
        except BaseException:
            self._end()
            raise

    def _announced(self) -> int:
        """The port that the driver has chosen, which it prints."""
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if "started successfully on port" in line:
                return int(line.rstrip(".\n ").rsplit(" ", 1)[1])
        raise RuntimeError("chromedriver did not start")

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError, RuntimeError):
            self._ask("DELETE", "")
        self._end()

    def _end(self) -> None:
        self._driver.terminate()
        self._driver.wait(20)
        assert self._driver.stdout is not None
        self._driver.stdout.close()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        base = f"/session/{self._session}" if self._session else "/session"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            payload = None if method in ("GET", "DELETE") else json.dumps(body or {})
            headers = {"Content-Type": "application/json"}
            connection.request(method, base + path, payload, headers)
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{answer['error']}: {answer['message']}")
        return answer

    # ---------------------------------------------------------------- what tests do

    def open(self, page: Path) -> None:
        """Load a file, up to its `load` event."""
        self._ask("POST", "/url", {"url": page.absolute().as_uri()})

    def run(self, script: str, *arguments: object) -> Any:
        """The value that a script returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, condition: str, seconds: float = 20) -> Any:
        """The value of an expression once it is true."""
        until = time.monotonic() + seconds
        while True:
            found = self.run(f"return ({condition})")
            if found:
                return found
            assert time.monotonic() < until, f"never true: {condition}"
            time.sleep(0.02)

    def _element(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        element: str = found[_ELEMENT]
        return element

    def click(self, selector: str) -> None:
        """Click on an element as a person would."""
        self._ask("POST", f"/element/{self._element(selector)}/click")

    def enter(self, words: str) -> None:
        """Put words where the focus is, all at once: typed, they would come at any pace."""
        self.devtools("Input.insertText", text=words)

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        pressed = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": pressed}]
        self._ask("POST", "/actions", {"actions": actions})

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, and wait until the page has it."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.wait_for(f"innerWidth === {width} && innerHeight === {height}")

    def prefer(self, feature: str, value: str) -> None:
        """Emulate a media feature such as "prefers-color-scheme"; wait until the page has it."""
        told = [{"name": feature, "value": value}]
        self.devtools("Emulation.setEmulatedMedia", features=told)
        self.wait_for(f"matchMedia('({feature}: {value})').matches")

    def devtools(self, command: str, **parameters: object) -> Any:
        """A command of the browser's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def spent(self) -> float:
        """Seconds of computing on the page's thread, from any beginning; waiting is left out."""
        self.devtools("Performance.enable", timeDomain="threadTicks")
        metrics = self.devtools("Performance.getMetrics")["metrics"]
        seconds: float = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
        return seconds

    def screenshot(self, path: Path) -> None:
        """What is in the window, as a PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def print(self, path: Path) -> None:
        """The page as it is printed, as a PDF."""
        path.write_bytes(base64.b64decode(self._ask("POST", "/print", {"background": True})))

    def console(self) -> list[str]:
        """What was told on the console, policy violations included, since the last question."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last question."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
