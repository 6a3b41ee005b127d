"""The strategies in a program that has nothing else of Turnline: FastAPI, one agent, a queue.

Run it with: uvicorn docs.examples.fastapi_app:app
"""

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from strategies import Attempt, Limits, Reply, Turn, TurnError
from strategies.queue import Queue

histories: defaultdict[str, list[str]] = defaultdict(list)


async def agent(message: str, history: list[str]) -> str:
    """Put yours here. It is never called twice at once for one conversation."""
    return f"You said {message!r}, after {len(history)} messages."


async def answer(turn: Turn, attempt: Attempt) -> Reply:
    history = histories[turn.conversation]
    text = await agent(turn.message, list(history))
    attempt.seal()  # From here on the turn cannot be taken back: keep both, in one step.
    history += [turn.message, text]
    return Reply(text, len(history) // 2)


class Message(BaseModel):
    message: str
    conversation: str = "default"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    yield
    await queue.drain(timeout_s=10)  # Before the loop ends: turns that run may end, and are kept.


app = FastAPI(lifespan=lifespan)
queue = Queue(answer, Limits(max_running=4, max_waiting_per_conversation=20))


@app.post("/chat")
async def chat(body: Message) -> dict[str, object]:
    try:
        ticket = queue.submit(Turn(uuid4().hex, body.conversation, body.message))
        reply = await ticket.reply()
    except TurnError as error:
        status = 503 if error.outcome == "not_started" else 502
        raise HTTPException(status, {"detail": str(error), "outcome": error.outcome}) from error
    return {"response": reply.text, "turn": reply.number}
