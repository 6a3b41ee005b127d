"""The agent of the comparison: it takes as long as the message says, and answers with a hash.

Its replies are those of the built-in `chain` agent, so histories prove themselves.
`backends` are the turns that it can work at, at once, like a model with so many
slots: further calls wait inside it, first in, first out, where no strategy sees them.
Each call leaves a line in a file, written when the call ends. It names the number of the
user's turn, and not the attempt, for the words do not say it: see `attempts`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Protocol

from loadtests.measures.attempts import LoggedCall
from runner.agents.base import CURRENT, Agent, Asked, Message, Said
from runner.agents.chain import START, make_link
from runner.agents.loader import load_agent
from runner.agents.threads import Threads

SAID = re.compile(
    r"\[(?P<number>\d+)\] Wait (?P<service_s>[\d.]+) s, then (?P<end>answer|fail once)\."
)


def name_of(text: str) -> str:
    """The message's number; that of each, joined by `+`, where several were merged in one."""
    return "+".join(said["number"] for said in SAID.finditer(text)) or "?"


def turn_id() -> str:
    """What the server calls the turn at work, the first of those that were merged; "" in none."""
    turn = CURRENT.get(None)
    return "" if turn is None else turn.id


class AgentFault(Exception):
    """The message asked for it."""


class Scheduled:
    """Works at each message for as long as it says. `note` is told of each call at its end.

    It fails once at each number that says so; `failed` remembers that it has.
    """

    def __init__(
        self,
        note: Callable[[LoggedCall], None],
        clock: Callable[[], float],
        backends: int | None,
        failed: Failed | None = None,
    ) -> None:
        self._note = note
        self._failed = failed or _FailedHere()
        self._clock = clock
        self._slot: AbstractAsyncContextManager[object] = (
            asyncio.Semaphore(backends) if backends else nullcontext()
        )

    async def answer(
        self, conversation: str, message: str, history: Sequence[Message], name: str | None = None
    ) -> str:
        """The next link. `name` is what to note the call under, by default the number."""
        called_s = self._clock()
        # Read before the work and answered after it, as a model does with its context.
        prior = json.loads(history[-1]["content"])["hash"] if history else START
        reply = make_link(len(history) // 2 + 1, prior, message)
        said = list(SAID.finditer(message))
        if not said:
            raise AgentFault(f"not a message of the comparison: {message!r}")
        async with self._slot:
            began_s, ended = self._clock(), "stopped"
            try:
                # Several messages in one take as long as the longest of them.
                await asyncio.sleep(max(float(part["service_s"]) for part in said))
                ended = "failed" if self._fails(said) else "answered"
            finally:
                times = began_s, self._clock()
                noted = name or name_of(message)
                self._note(LoggedCall(noted, conversation, *times, ended, called_s, turn_id()))
        if ended == "failed":
            raise AgentFault("as the message says")
        return reply

    def _fails(self, said: Sequence[re.Match[str]]) -> bool:
        """Whether one of the messages asks for a failure that it has not had yet."""
        asked = {part["number"] for part in said if part["end"] == "fail once"}
        return sum(self._failed.add(number) for number in asked) > 0  # Each, not the first alone.


class Failed(Protocol):
    """The numbers at which the agent has failed."""

    def add(self, number: str) -> bool:
        """Whether it was not there yet."""
        ...


class _FailedHere:
    """In this process."""

    def __init__(self) -> None:
        self._numbers: set[str] = set()

    def add(self, number: str) -> bool:
        is_new = number not in self._numbers
        self._numbers.add(number)
        return is_new


class _FailedAnywhere:
    """In any process of the run: a file for each beside their log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def add(self, number: str) -> bool:
        try:
            self._log.with_suffix(f".failed-{number}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class _Log:
    """Calls as lines of a file that several processes add to; flushed, as they may be killed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def __call__(self, call: LoggedCall) -> None:
        self._file.write(json.dumps(astuple(replace(call, process=os.getpid()))) + "\n")


class _Conversation:
    """What the factory makes: the agent, bound to a conversation."""

    most_kept = 1_000_000

    def __init__(self, conversation: str, agent: Any) -> None:
        self._conversation, self._agent = conversation, agent

    async def answer(self, message: str, history: Sequence[Message]) -> str:
        return str(await self._agent.answer(self._conversation, message, history))


_shared: dict[tuple[object, ...], Scheduled | _Recorded] = {}


def scheduled(conversation_id: str, log: str = os.devnull, backends: int = 0) -> _Conversation:
    """The factory that `runner compare` names: one agent, shared by all conversations."""
    key = ("scheduled", log, backends)
    if key not in _shared:
        failed = None if log == os.devnull else _FailedAnywhere(Path(log))
        _shared[key] = Scheduled(_Log(Path(log)), time.monotonic, backends or None, failed)
    return _Conversation(conversation_id, _shared[key])


class _Recorded:
    """Somebody's own agent, with a line for each call."""

    def __init__(self, agent: Agent, note: Callable[[LoggedCall], None]) -> None:
        self.agent = agent
        self._note = note

    async def answer(self, asked: Asked) -> Said:
        began_s, ended = time.monotonic(), "failed"
        try:
            said = await self.agent.answer(asked)
            ended = "answered"
            return said
        except asyncio.CancelledError:
            ended = "stopped"
            raise
        finally:
            times = began_s, time.monotonic()
            of = name_of(asked.message), asked.conversation
            self._note(LoggedCall(*of, *times, ended, began_s, turn_id()))


class _RecordedConversation:
    """The same for somebody's own agent, with the state that it may have."""

    most_kept = 1_000_000

    def __init__(self, conversation: str, agent: _Recorded) -> None:
        self._conversation, self._agent = conversation, agent
        self._state: Any = None

    def get_state(self) -> Any:
        return self._state

    def set_state(self, state: Any) -> None:
        self._state = state

    async def answer(self, message: str, history: Sequence[Message]) -> str:
        said = await self._agent.answer(Asked(self._conversation, message, history, self._state))
        self._state = None if said.state is None else json.loads(said.state)
        return said.text


def load(target: str) -> Agent:
    """Somebody's own agent. Raises ValueError for one that a comparison cannot use."""
    agent = load_agent(target, {}, threads=Threads(64), max_reply_bytes=2**20)
    if agent.about.single_conversation:
        raise ValueError(
            f"agent {target!r} is one object with one history; name its class or a factory, "
            "so that each conversation of a workload has its own"
        )
    return agent


def recorded(
    conversation_id: str, log: str = os.devnull, target: str = "eliza"
) -> _RecordedConversation:
    """The factory for `runner compare --agent TARGET`."""
    key = ("recorded", log, target)
    if key not in _shared:
        _shared[key] = _Recorded(load(target), _Log(Path(log)))
    kept = _shared[key]
    assert isinstance(kept, _Recorded)
    # Asked for when the conversation begins, or when what it remembers is to be forgotten.
    kept.agent.forget(conversation_id)
    return _RecordedConversation(conversation_id, kept)
