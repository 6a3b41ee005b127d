"""Agents that keep a state, ask a person, take parts, and tell what they do meanwhile."""

from __future__ import annotations

import json
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import BaseModel

from runner.agents import (
    InputRequest,
    InputRequired,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
    current_turn,
)
from tests.support.agents import note, obey


class Notebook:
    """Notes each message before it does what that says, and answers with all its notes.

    It edits the very state that it was given, and gives away the very one that it edits.
    """

    def __init__(self) -> None:
        self.state: Any = {"notes": []}

    async def answer(self, message: str) -> str:
        note("began", message)
        self.state["notes"].append(message)
        await obey(message)
        verb, _, argument = message.partition(" ")
        if verb == "long":
            return "x" * int(argument)
        if verb == "keep":
            self.state["kept"] = "x" * int(argument)
        if verb == "spoil":
            self.state["spoilt"] = SPOILT[argument]
        return " | ".join(self.state["notes"])

    def get_state(self) -> Any:
        return self.state

    def set_state(self, state: Any) -> None:
        self.state = state


ROUND: list[Any] = []
ROUND.append(ROUND)

SPOILT: dict[str, Any] = {
    "object": object(),
    "surrogate": "\ud800",
    "bytes": b"\xff",
    "round": ROUND,
}
"""What is no JSON."""

notebook = Notebook()


class ThreadedNotebook:
    """The same in a thread."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def answer(self, message: str) -> str:
        note("began", message)
        self.notes.append(message)
        if message == "fail":
            raise ValueError(message)
        return " | ".join(self.notes)

    def get_state(self) -> list[str]:
        return self.notes

    def set_state(self, state: list[str]) -> None:
        self.notes = state


threaded_notebook = ThreadedNotebook()


def delete_request(path: str, request_id: str = "r1") -> InputRequest:
    arguments = {"path": path}
    return InputRequest("approval", f"Delete {path}?", "delete", arguments, request_id)


class Careful:
    """`delete X` needs an approval; `ask A, B` asks questions; what was done is its state."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.wanted: list[str] = []

    async def answer(self, message: str) -> str:
        note("began", message)
        if (resume := current_turn().resume) is not None:
            return await self._go_on({name: asdict(one) for name, one in resume.items()})
        verb, _, argument = message.partition(" ")
        if verb in ("delete", "twice"):
            self.wanted.append(message)
            raise InputRequired(delete_request(argument))
        if verb == "ask":
            self.wanted.append(message)
            asked = (InputRequest(prompt=f"{name}?", id=name) for name in argument.split(", "))
            raise InputRequired(*asked)
        await obey(message)
        self.done.append(message)
        return f"done: {', '.join(self.done)}"

    async def _go_on(self, resume: dict[str, Any]) -> str:
        wanted = self.wanted.pop()
        approved = resume.get("r1", {}).get("approve")
        if wanted.startswith("twice") and approved:
            self.wanted.append("again")
            raise InputRequired(delete_request("the rest", "r2"))
        note("tool", wanted)
        await obey(resume.get("r1", {}).get("reason", ""))
        self.done.append(f"{wanted} {json.dumps(resume, sort_keys=True)}")
        return f"done: {', '.join(self.done)}"

    def get_state(self) -> Any:
        return {"done": self.done, "wanted": self.wanted}

    def set_state(self, state: Any) -> None:
        self.done, self.wanted = state["done"], state["wanted"]


careful = Careful()


async def asking(message: str) -> object:
    """A function that returns what it asks, and keeps nothing."""
    if (resume := current_turn().resume) is not None:
        return {name: asdict(one) for name, one in resume.items()}
    if message == "no arguments":
        return InputRequired(InputRequest("approval", name="reset", id="r1"))
    if message == "empty arguments":
        return InputRequired(InputRequest("approval", name="reset", arguments={}, id="r1"))
    if message.startswith("ask"):
        return InputRequired(*message.split(" ")[1:])
    return message


async def yielding(message: str) -> AsyncIterator[object]:
    """A generator that says something first and then asks."""
    if current_turn().resume is None:
        yield "I will delete it."
        yield InputRequired(delete_request(message))
    yield "deleted"


@dataclass
class Point:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list[str])


class Model(BaseModel):
    x: int
    inner: dict[str, float] = {}


OUTPUTS: dict[str, Any] = {
    "dict": {"a": [1, None, True, {"b": "ü"}]},
    "empty": {},
    "list": [1, "two"],
    "dataclass": Point(1, names=["p"]),
    "model": Model(x=1, inner={"y": 0.5}),
    "nan": {"x": float("nan")},
    "object": {"x": object()},
    "surrogate": ["\ud800"],
    "class": Point,
    "large": ["x" * 2_000_000],
    "round": ROUND,
}


async def outputs(message: str) -> Any:
    """Answers with what is more than a text."""
    return OUTPUTS.get(message, message)


async def parts_of(message: str, parts: list[Any]) -> str:
    """Takes images and files, and answers with all that it was given."""
    return json.dumps({"message": message, "parts": parts})


async def aware(message: str) -> str:
    """What it knows of its turn."""
    turn = current_turn()
    return json.dumps(
        {
            "id": turn.id,
            "conversation": turn.conversation,
            "attempt": turn.attempt,
            "caller": turn.caller,
            "metadata": dict(turn.metadata),
            "remaining_s": min(turn.remaining_s, 1e9),
        }
    )


async def working(message: str) -> AsyncIterator[object]:
    """Thinks, uses a tool `count` times, and says something between."""
    count, _, then = message.partition(" ")
    yield Reasoning("I had better look.")
    for number in range(int(count)):
        yield f"step {number}. "
        yield ToolCall(f"c{number}", "look", {"at": number})
        yield ToolResult(f"c{number}", "look", {"seen": number * number})
    await obey(then)
    yield "All seen."
    yield Usage(12, 3 * int(count))


def working_in_a_thread(message: str) -> Iterator[object]:
    """The same, sync."""
    for number in range(int(message)):
        yield f"step {number}. "
        yield ToolCall(f"c{number}", "look", {"at": number})
    yield "All seen."


STRANGE: list[InputRequest] = []


async def strange_requests(message: str) -> object:
    """Requests whatever a test put there."""
    return InputRequired(*STRANGE) if STRANGE else message


async def patient_parts(message: str, parts: list[Any]) -> str:
    """As `parts_of`, when it has done what the message says."""
    await obey(message)
    turn = current_turn()
    return json.dumps({"message": message, "parts": parts, "metadata": dict(turn.metadata)})


async def tool_first(message: str) -> AsyncIterator[object]:
    """Uses a tool, does what the message says, and only then speaks."""
    yield ToolCall("c", "look", {})
    await obey(message)
    yield "seen"


class Dropped:
    """Something large."""


DROPPED: list[weakref.ref[Dropped]] = []


async def dropping(message: str) -> str:
    """Fails, and holds something meanwhile."""
    held = Dropped()
    DROPPED.append(weakref.ref(held))
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("dropped") from error
