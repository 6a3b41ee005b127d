"""What a user would write instead, to measure against: `python -m loadtests.peers KIND`.

Each serves `POST /chat` on a free port of 127.0.0.1, which it prints, with the
same agent as the runner has in the benchmark.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import defaultdict
from typing import Any

import uvicorn
from fastapi import FastAPI
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic import BaseModel
from quart import Quart, request

from runner.__main__ import compose
from runner.app import make_app
from runner.settings import AgentSettings, Settings, StoreSettings
from runner.telemetry import configure_logging


async def agent(message: str) -> str:
    """The same for all: it costs nothing, so what is measured is what is around it."""
    return "ok"


class Message(BaseModel):
    message: str
    conversation_id: str = "default"


def make_quart() -> Quart:
    """A bare handler: no line, no lock, no checks."""
    app = Quart(__name__)

    @app.post("/chat")
    async def chat() -> dict[str, Any]:
        content = await request.get_json()
        return {"status": "success", "response": await agent(content["message"])}

    return app


def make_fastapi() -> FastAPI:
    """One `asyncio.Lock` for each conversation, and no more."""
    app = FastAPI()
    locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @app.post("/chat")
    async def chat(message: Message) -> dict[str, Any]:
        async with locks[message.conversation_id]:
            return {"status": "success", "response": await agent(message.message)}

    return app


def make_runner() -> Any:
    """The runner's own app, to be served by uvicorn: what is left is the HTTP layer's share."""
    settings = Settings(
        agent=AgentSettings(target="loadtests.peers:agent"), store=StoreSettings(url="memory:")
    )
    configure_logging(settings.observability)
    return make_app(compose(settings))


def main() -> None:
    kind = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # asyncio sets this only on sockets that name their protocol, which this one does not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    if kind == "quart":
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.accesslog = config.errorlog = None
        asyncio.run(serve(make_quart(), config))
    else:
        app = make_fastapi() if kind == "fastapi" else make_runner()
        settings = uvicorn.Config(app, log_level="error", access_log=False)
        asyncio.run(uvicorn.Server(settings).serve([listener]))


if __name__ == "__main__":
    main()
