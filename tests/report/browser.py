"""Headless Chromium, driven over WebDriver with nothing but the standard library."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One page."""

    def __init__(self, address: str, session: str) -> None:
        self._session = f"{address}/session/{session}"

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Shows a file in a window of some width."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._chrome("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._chrome("Emulation.setEmulatedMedia", {"features": [scheme]})
        post(f"{self._session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What JavaScript returns."""
        return post(f"{self._session}/execute/sync", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        """Clicks the first element."""
        post(f"{self._session}/element/{self._find(selector)}/click", {})

    def press(self, selector: str, keys: str) -> None:
        """Sends keys to the first element."""
        post(f"{self._session}/element/{self._find(selector)}/value", {"text": keys})

    def log(self) -> list[str]:
        """What the console said since it was last asked."""
        return [entry["message"] for entry in post(f"{self._session}/se/log", {"type": "browser"})]

    def _find(self, selector: str) -> str:
        return str(post(f"{self._session}/element", {"using": "css selector", "value": selector})[ELEMENT])

    def _chrome(self, command: str, parameters: dict[str, Any]) -> None:
        post(f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _patiently(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        yield Browser(address, session)
        _call(Request(f"{address}/session/{session}", method="DELETE"))
    finally:
        process.terminate()
        process.wait()


def _patiently(url: str, content: dict[str, Any]) -> Any:
    for _ in range(100):
        try:
            return post(url, content)
        except HTTPError:
            raise
        except URLError:
            time.sleep(0.1)
    raise TimeoutError(f"chromedriver does not answer at {url}")


def post(url: str, content: dict[str, Any]) -> Any:
    return _call(Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"}))


def _call(request: Request) -> Any:
    # Never through a proxy: the driver is on this machine.
    with build_opener(ProxyHandler({})).open(request, timeout=120) as answer:
        return json.load(answer)["value"]
