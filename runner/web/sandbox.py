"""Five messages at once to one agent, which is nobody's: under a strategy, or under none.

The turns are real ones, of a service of their own in memory, and nothing of the server's own
hears of them. What is shown is what happened; nothing here knows what is to come of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial

from runner.agents.base import Message
from runner.agents.eliza import Eliza
from runner.agents.loader import load_agent
from runner.agents.threads import Threads
from runner.api import documents
from runner.api.problems import problem_text, turn_document
from runner.settings import Settings, StoreSettings, StrategySettings
from runner.store.memory import MemoryStore
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Limits, Turn, TurnError, registry

MESSAGES = (
    "My name is Ada.",
    "What is my name?",
    "How many messages have I sent?",
    "Who am I?",
    "How many messages have I sent now?",
)
"""Each but the first can only be answered by whoever knows those before it."""

GAP_S = 0.06
"""Between two senders, as five people are never quite at once; far less than a turn takes."""

WORK_S = 0.5
"""How long the agent works on each message."""

WITHOUT = "none"
ABOUT = {
    WITHOUT: "No strategy: five callers of one agent object.",
    **{name: registry.names()[name] for name in ("lock", "queue", "reject", "interrupt", "merge")},
}
"""What can be seen beside each other, with a line about each."""

CONVERSATION = "side-by-side"
AGENT = f"{__name__}:eliza_slowly"

Standing = Mapping[str, object]
"""What has come of a message: its `state`, and where there is one a `position`, or with its end
what its sender was `told` and the HTTP `status`."""

Tell = Callable[[int, Standing], None]
"""Given the number of a sender, from 0, and how things stand with that message now."""


async def eliza_slowly(message: str, history: Sequence[Message]) -> AsyncIterator[str]:
    """The built-in agent, a word at a time. As a model, it knows what was said when it began."""
    words = re.findall(r"\s*\S+", await Eliza(history).answer(message))
    for word in words:
        yield word
        await asyncio.sleep(WORK_S / len(words))


async def send_all(arrangement: str, tell: Tell) -> list[Message]:
    """Send the five messages to a new agent; gives the history when all have been answered."""
    if arrangement == WITHOUT:
        agent = OneObject()
        await _at_once(partial(_call, agent, tell))
        return agent.history
    service = _make_service(arrangement)
    await service.open()
    try:
        await _at_once(partial(_submit, service, tell))
        return await service.messages(CONVERSATION, 0)
    finally:  # Whoever left first, no turn and no timer stays.
        await service.drain(0.0)
        await service.close()


class OneObject:
    """An agent with its history in it, as many are: it reads, works, and appends."""

    def __init__(self) -> None:
        self.history: list[Message] = []

    async def answer(self, message: str) -> str:
        known = tuple(self.history)
        reply = "".join([word async for word in eliza_slowly(message, known)])
        self.history.append({"role": "user", "content": message})
        self.history.append({"role": "assistant", "content": reply})
        return reply


async def _at_once(send: Callable[[int], Awaitable[None]]) -> None:
    async def send_later(sender: int) -> None:
        await asyncio.sleep(GAP_S * sender)
        await send(sender)

    async with asyncio.TaskGroup() as senders:
        for sender in range(len(MESSAGES)):
            senders.create_task(send_later(sender))


async def _call(agent: OneObject, tell: Tell, sender: int) -> None:
    tell(sender, {"state": "running"})
    told = await agent.answer(MESSAGES[sender])
    tell(sender, {"state": "answered", "status": 200, "told": told})


# Under a strategy.


def _make_service(strategy: str) -> Service:
    # Of the user's settings nothing: whatever they are, the same is seen.
    settings = Settings(
        strategy=StrategySettings(name=strategy), store=StoreSettings(url="memory:")
    )
    kept, threads = settings.agent, Threads(1)
    agent = load_agent(AGENT, {}, threads=threads, max_reply_bytes=kept.max_reply_bytes)
    make_strategy = partial(registry.make, strategy, limits=Limits(), options={})
    return Service(
        settings, agent, MemoryStore(), make_strategy, threads=threads, log_turn=_not_logged
    )


def _not_logged(turn: Turn, **about: object) -> None:
    """In the log are the turns that somebody has asked for."""


async def _submit(service: Service, tell: Tell, sender: int) -> None:
    turn = Turn(str(sender), CONVERSATION, MESSAGES[sender])
    try:
        live, _ = await service.submit(Submission(turn, "drop-waiting"))
    except TurnError as error:
        tell(sender, {"state": "refused", **_problem(turn_document(error))})
    else:
        await _watch(service, live, partial(tell, sender))


async def _watch(service: Service, live: LiveTurn, tell: Callable[[Standing], None]) -> None:
    last: Standing = {}

    def look() -> None:
        nonlocal last
        if last != (now := _standing(service, live)):
            last = now
            tell(now)

    with service.watching(live, look):
        look()
        await live.until_ended()


def _standing(service: Service, live: LiveTurn) -> Standing:
    state = live.state.value
    if live.ending is not None:
        document = documents.ended(service, live)
        if "title" in document:
            return {"state": state, **_problem(document)}
        return {"state": state, "status": 200, "told": document["response"]}
    place = None if live.ticket is None else live.ticket.place()
    if place is None or place.position is None:
        return {"state": state}
    return {"state": state, "position": place.position}


def _problem(document: Mapping[str, object]) -> Standing:
    return {"status": document["status"], "told": problem_text(document)}
