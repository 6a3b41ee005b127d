"""A headless Chromium with one page open, which runs scripts as a module of that page would.

The page asks this process for scripts and posts what they log, so nothing drives the browser.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.client import LIMIT_S, PATIENCE_S, until

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "no Chromium here: apt-get install chromium, or name one in TURNLINE_CHROMIUM"

PAGE = """<!doctype html><title>Tests</title><script type="module">
let last = Promise.resolve();
const post = (path, what) => last = last.then(() => fetch(path, {method: "POST", body: JSON.stringify(what)}));
window.logger = (number) => (...what) => post("/said/" + number, what.map((one) => String(one)));
const run = async (number) => {
  let error = null;
  try { await import(`/scripts/${number}.js`); } catch (raised) { error = String(raised.stack); }
  post("/ended/" + number, error);
};
for (;;) {
  const response = await fetch("/next");
  if (response.status === 200) run(await response.json());
}
</script>
"""  # noqa: E501
HEAD = "const console = {{log: window.logger({0})}}; "
"""Before a script, on its first line."""


def find() -> str | None:
    """The Chromium that is here."""
    named = os.environ.get("TURNLINE_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Script:
    """One that the page runs. `said` is what it has logged so far, a text each time."""

    code: str
    said: list[str] = field(default_factory=list[str])
    error: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def until_said(self, text: str) -> None:
        until(lambda: text in self.said or self.ended.is_set(), f"the page says {text!r}")
        assert text in self.said, (self.said, self.error)

    def result(self) -> list[str]:
        """All that it logged."""
        assert self.ended.wait(LIMIT_S), f"the script goes on; it said {self.said}"
        assert self.error is None, self.error
        return self.said


class Browser:
    """Use it with `with`."""

    def __init__(self) -> None:
        self._scripts: list[Script] = []
        self._next: queue.Queue[int] = queue.Queue()
        self._lives = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    def start(self, code: str) -> Script:
        script = Script(code)
        self._scripts.append(script)
        self._next.put(len(self._scripts) - 1)
        return script

    def run(self, code: str) -> list[str]:
        return self.start(code).result()

    def __enter__(self) -> Self:
        program = find()
        assert program is not None, INSTALL
        self._thread.start()
        command = [program, "--headless=new", f"--user-data-dir={self._profile.name}"]
        command += ["--no-first-run", "--disable-gpu", "--disable-background-networking"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []  # It refuses root otherwise.
        self._process = subprocess.Popen(
            [*command, "--remote-debugging-port=0", self.origin],  # Else it prints and leaves.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        opened = self.start("")
        assert opened.ended.wait(PATIENCE_S), "the browser opens no page"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lives = False
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10.0)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._profile.cleanup()

    # What the page asks and tells.

    def get(self, path: str) -> tuple[str, str]:
        """The media type and the text; none for a script that is not there yet."""
        if path.startswith("/scripts/"):
            number = int(path.removeprefix("/scripts/").removesuffix(".js"))
            return "text/javascript", HEAD.format(number) + self._scripts[number].code
        if path != "/next":
            return "text/html", PAGE if path == "/" else ""
        while self._lives:
            try:
                return "application/json", str(self._next.get(timeout=0.5))
            except queue.Empty:
                continue
        return "", ""

    def hear(self, path: str, told: Any) -> None:
        _, kind, number = path.split("/")
        script = self._scripts[int(number)]
        if kind == "said":
            script.said.append(" ".join(told))
        else:
            script.error = told
            script.ended.set()


def _handler(browser: Browser) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*browser.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            browser.hear(self.path, json.loads(body))
            self._answer("text/plain", "")

        def _answer(self, media_type: str, text: str) -> None:
            body = text.encode()
            self.send_response(200 if media_type else 204)
            self.send_header("content-type", f"{media_type}; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            with suppress(OSError):  # The browser has left.
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
