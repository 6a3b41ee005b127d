"""The way of one plain `POST /chat` through the app, counted: `python -m loadtests.bench.depth`.

In this process, memory store, without an HTTP server and after a warm-up: the longest
chain of calls above the event loop, the functions and modules of ours on the way, and
what is made for the turn. The task in which a server calls the app is not counted.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from quart import Quart

import runner
from runner.app import make_app
from runner.cli.compose import compose
from runner.settings import AgentSettings, Settings, StoreSettings
from runner.telemetry.log import configure_logging

CHECKOUT = Path(runner.__file__).parent.parent
OURS = tuple(str(CHECKOUT / package) + os.sep for package in ("runner", "strategies"))
MADE = {
    asyncio.BaseEventLoop.create_task.__code__: "tasks",
    asyncio.BaseEventLoop.create_future.__code__: "futures",
    asyncio.BaseEventLoop.call_at.__code__: "timers",
}
NO_FUNCTIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
AGENT = "loadtests.bench.agents:ok_with_history"
BODY = b'{"message": "hello", "conversation_id": "c"}'
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/chat",
    "raw_path": b"/chat",
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"127.0.0.1:8080"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()),
    ],
    "client": ("127.0.0.1", 50_000),
    "server": ("127.0.0.1", 8080),
}


class Counts:
    """Of one turn. `deepest` is the longest chain of calls, outermost first."""

    def __init__(self) -> None:
        self.made = dict.fromkeys(MADE.values(), 0)
        self.calls = 0
        self.most_ours = 0
        self.deepest: list[CodeType] = []
        self.ours: set[CodeType] = set()

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        chain = _chain(frame) if event == "call" else []
        # What begins in `count` is the measuring itself.
        if not chain or chain[-1] is count.__code__:
            return
        self.calls += 1
        if frame.f_code in MADE:
            self.made[MADE[frame.f_code]] += 1
        self.most_ours = max(self.most_ours, sum(map(_is_ours, chain)))
        if len(chain) > len(self.deepest):
            self.deepest = chain[::-1]
        if _is_ours(frame.f_code) and frame.f_code.co_name not in NO_FUNCTIONS:
            self.ours.add(frame.f_code)


def _chain(frame: FrameType | None) -> list[CodeType]:
    """From this frame out to the event loop, which is not in it; empty for the loop's own."""
    chain: list[CodeType] = []
    while frame is not None and frame.f_code is not asyncio.Handle._run.__code__:
        chain.append(frame.f_code)
        frame = frame.f_back
    return [] if frame is None else chain


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(OURS)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the log, which is written to the descriptor of stderr."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


async def count() -> Counts:
    settings = Settings(agent=AgentSettings(target=AGENT), store=StoreSettings(url="memory:"))
    configure_logging(settings.observability)
    app = make_app(compose(settings))
    await app.startup()
    for _ in range(50):
        await _one_turn(app)
    counts = Counts()
    sys.setprofile(counts.profile)
    await _one_turn(app)
    sys.setprofile(None)
    await app.shutdown()
    return counts


async def _one_turn(app: Quart) -> None:
    """The request, and whatever the turn leaves behind, to its end."""
    before = asyncio.all_tasks()
    statuses: list[int] = []
    body = iter([{"type": "http.request", "body": BODY, "more_body": False}])

    async def receive() -> Any:
        for message in body:
            return message
        # Made like this it is not counted, as it is the server's.
        return await asyncio.Future(loop=asyncio.get_running_loop())

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    request: Any = app(dict(SCOPE), receive, send)  # type: ignore[arg-type]
    await asyncio.Task(request)
    while asyncio.all_tasks() - before:
        await asyncio.sleep(0)
    assert statuses == [200]


def main() -> None:
    with _silent():
        counts = asyncio.run(count())
    modules = {code.co_filename for code in counts.ours}
    print(f"deepest chain of calls      {len(counts.deepest)}")
    print(f"most calls of ours in one   {counts.most_ours}")
    print(f"calls, of any code          {counts.calls}")
    print(f"functions of ours           {len(counts.ours)}, in {len(modules)} modules")
    for what, number in counts.made.items():
        print(f"{what:28}{number}")
    print("\nThe deepest chain:")
    for code in counts.deepest:
        where = Path(code.co_filename)
        shown = where.relative_to(CHECKOUT) if _is_ours(code) else Path(*where.parts[-2:])
        print(f"    {shown}: {code.co_qualname}")


if __name__ == "__main__":
    main()
