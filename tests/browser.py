"""Headless Chromium, driven over a pair of pipes by its DevTools protocol: no package and no port
is needed.
"""

import base64
import json
import os
import select
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from programs import start_program

# Ubuntu's `chromium-browser` comes last: it may be a snap, which sees no folder below /tmp.
CHROMIUM = (
    shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
]
_CODES = {
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "/": 191,
}
_PATIENCE = 60  # seconds that a busy machine may take for an answer


class Page:
    """A tab. `events` are all that the browser has said of it, in order."""

    def __init__(self, to_browser: int, from_browser: int):
        self._to, self._from, self._read, self._number, self._session = (
            to_browser,
            from_browser,
            b"",
            0,
            None,
        )
        self.events: list[dict] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        self.send("Page.setLifecycleEventsEnabled", enabled=True)

    def send(self, method: str, **params: Any) -> dict:
        """A command's result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params} | (
            {"sessionId": self._session} if self._session else {}
        )
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, path: Path, width: int = 1280, height: int = 900) -> None:
        """Open a file."""
        self.visit(path.as_uri(), width, height)

    def visit(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Open an address, and wait until it is loaded."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        loader = self.send("Page.navigate", url=url)["loaderId"]
        loaded = {"loaderId": loader, "name": "load"}  # none of a page before
        while not any(
            event["method"] == "Page.lifecycleEvent" and loaded.items() <= event["params"].items()
            for event in self.events
        ):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of a JavaScript expression as soon as it is true."""
        until = time.monotonic() + _PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < until, f"not within {_PATIENCE} seconds: {expression}"
            time.sleep(0.02)
        return value

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key in what has the focus."""
        code = _CODES.get(key) or ord(key.upper())
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """What was asked for beyond the page itself and what lies inside of it."""
        asked = [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("file:", "data:"))]

    def complaints(self) -> list[dict]:
        """Errors and warnings of the console, and of whatever the browser refuses."""
        return [
            event
            for event in self.events
            if event["method"]
            in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        ]

    def _next(self) -> dict:
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(0, until - time.monotonic()))
            assert ready, f"Chromium said nothing for {_PATIENCE} seconds"
            more = os.read(self._from, 1 << 20)
            assert more, "Chromium has ended"
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in `folder`; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium or Chrome (Debian: apt-get install chromium)")
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}"]
    process = start_program(
        [
            "/bin/bash",
            "-c",
            f'exec "$@" 3<&{their_in} 4>&{their_out}',
            "chromium",
            CHROMIUM,
            *flags,
        ],
        pass_fds=(their_in, their_out),
    )
    os.close(their_in), os.close(their_out)
    try:
        page = Page(our_out, our_in)
        yield page
        page.send("Target.getTargets")
    finally:
        process.terminate()
        process.wait(_PATIENCE)
        os.close(our_out), os.close(our_in)
