"""What a user would write instead, to measure against: `python -m loadtests.bench.peers KIND`.

Each serves on a free port of 127.0.0.1, which it prints, with the agents of the
benchmark: `POST /chat` answers at once; `POST /speak` answers what an agent says
piece by piece; `POST /stream` sends those pieces, in events such as the runner's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic import BaseModel
from quart import Quart, Response, request

from loadtests.bench.agents import ok, speaker

EVENT_STREAM = "text/event-stream"


def to_json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


async def events(message: str) -> AsyncIterator[bytes]:
    """The events of a turn, as the runner encodes them."""
    place = 0
    async for text in speaker(message):
        place += len(text)
        yield b"id: 1.%d\nevent: delta\ndata: %b\n\n" % (place, to_json({"text": text}))
    yield b"id: 1e\nevent: done\ndata: {}\n\n"


async def spoken(message: str) -> str:
    return "".join([text async for text in speaker(message)])


def answer(response: str) -> dict[str, Any]:
    return {"status": "success", "response": response}


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """ASGI alone, the floor: what any application adds is above this."""
    if scope["type"] == "lifespan":
        await _raw_lifespan(receive, send)
    else:
        await _raw_request(scope["path"], receive, send)


async def _raw_request(path: str, receive: Any, send: Any) -> None:
    body = bytearray()
    while (part := await receive()).get("more_body"):
        body += part["body"]
    message = json.loads(bytes(body + part["body"]))["message"]
    if path == "/stream":
        await _raw_stream(message, send)
        return
    content = to_json(answer(await (ok if path == "/chat" else spoken)(message)))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _raw_stream(message: str, send: Any) -> None:
    headers = [(b"content-type", EVENT_STREAM.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for event in events(message):
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _raw_lifespan(receive: Any, send: Any) -> None:
    while True:
        happened = (await receive())["type"]
        await send({"type": f"{happened}.complete"})
        if happened == "lifespan.shutdown":
            return


def make_quart() -> Quart:
    """Bare handlers: no line, no lock, no checks."""
    app = Quart(__name__)

    @app.post("/chat")
    async def chat() -> dict[str, Any]:
        content = await request.get_json()
        return answer(await ok(content["message"]))

    @app.post("/speak")
    async def speak() -> dict[str, Any]:
        content = await request.get_json()
        return answer(await spoken(content["message"]))

    @app.post("/stream")
    async def stream() -> Response:
        content = await request.get_json()
        response = Response(events(content["message"]), content_type=EVENT_STREAM)
        response.timeout = None
        return response

    return app


class Message(BaseModel):
    message: str
    conversation_id: str = "default"


def make_fastapi() -> FastAPI:
    """One `asyncio.Lock` for each conversation, and no more."""
    app = FastAPI()
    locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @app.post("/chat")
    async def chat(message: Message) -> dict[str, Any]:
        async with locks[message.conversation_id]:
            return answer(await ok(message.message))

    @app.post("/speak")
    async def speak(message: Message) -> dict[str, Any]:
        async with locks[message.conversation_id]:
            return answer(await spoken(message.message))

    @app.post("/stream")
    async def stream(message: Message) -> StreamingResponse:
        return StreamingResponse(one_at_a_time(message), media_type=EVENT_STREAM)

    async def one_at_a_time(message: Message) -> AsyncIterator[bytes]:
        async with locks[message.conversation_id]:
            async for event in events(message.message):
                yield event

    return app


ON_HYPERCORN: dict[str, Callable[[], Any]] = {"raw-hypercorn": lambda: raw, "quart": make_quart}
ON_UVICORN: dict[str, Callable[[], Any]] = {
    "raw-uvicorn": lambda: raw,
    "fastapi": make_fastapi,
}


def main() -> None:
    kind = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # asyncio sets this only on sockets that name their protocol, which this one does not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    if kind in ON_HYPERCORN:
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.accesslog = config.errorlog = None
        asyncio.run(serve(ON_HYPERCORN[kind](), config))
    else:
        # Its loop and its parser are the fastest that are installed, as for the runner on it.
        settings = uvicorn.Config(ON_UVICORN[kind](), log_level="error", access_log=False)
        uvicorn.Server(settings).run([listener])


if __name__ == "__main__":
    main()
