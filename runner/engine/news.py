"""What becomes of a turn in other processes, and how this one learns of it.

`NOTIFY` says it soon and the tables say it surely: whatever a message says is looked up there
before anything ends by it, and all is looked up again when the connection was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from runner import tasks
from runner.agents.base import Told
from runner.engine.channel import Channel, Message
from runner.engine.places import Places
from runner.engine.store import SharedStore
from runner.engine.strategy import SharedStrategy
from runner.engine.telling import Telling
from runner.engine.ticket import SharedTicket
from runner.store.base import AcceptedTurn, StoreUnavailable
from runner.turns import ending as endings
from runner.turns.events import ID
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from runner.turns.settling import Settling
from strategies import Reply, State

AGAIN_S = 0.5

log = structlog.get_logger(__name__)


class News:
    """Hears of turns, and has them end here when they have ended anywhere."""

    def __init__(
        self,
        own: str,
        store: SharedStore,
        strategy: SharedStrategy,
        known: KnownTurns,
        settling: Settling,
        places: Places,
    ) -> None:
        self._own = own
        self._store = store
        self._strategy = strategy
        self._known = known
        self._settling = settling
        self._places = places
        self._tellings: dict[tuple[str, str], Telling] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._look_again: set[str] = set()
        self.arriving: dict[str, list[Message]] = {}
        """Of turns that are being written down here: what was heard of each meanwhile."""
        self.channel: Channel
        self.sweep: Callable[[], object] = lambda: None
        self._hears: dict[str, Callable[[LiveTurn, Message], object]] = {
            "started": self._started, "ended": self._ended, "said": self._said,
            "follow": self._follow, "cancel": self._cancel,
        }  # fmt: skip

    def hear(self, message: Message) -> None:
        """As the channel says it."""
        if message["k"] == "gone":
            self.sweep()
            return
        if message["k"] == "back":
            self._follow_all()
            return
        if (conversation := message.get("c")) is not None:
            self._places.moved(conversation)
        turn_id = message["t"]
        if turn_id in self.arriving:
            self.arriving[turn_id].append(message)
        elif (live := self._known.living(turn_id)) is not None and message["k"] in self._hears:
            self._hears[message["k"]](live, message)

    def look(self, turn_id: str) -> None:
        """Find out what has become of it, soon; for turns that do not run here."""
        if turn_id in self._looking:
            self._look_again.add(turn_id)  # What is being read may be older than what was heard.
        else:
            self._looking[turn_id] = tasks.spawn(self._look(turn_id), "a turn elsewhere")

    async def look_at_all(self) -> None:
        """Messages may have been lost."""
        for live in [*self._known.all_living()]:
            if not self._strategy.runs_here(live.turn.id):
                self.look(live.turn.id)
                self._places.moved(live.turn.conversation)
        # Others may have asked to follow turns that run here, and nobody heard it.
        self.channel.send({"k": "back"})

    def _follow_all(self) -> None:
        for live in [*self._known.all_living()]:
            if live.listeners:
                self.follow(live)

    def follow(self, live: LiveTurn) -> None:
        """Somebody here wants to hear what its agent says, wherever that is."""
        if live.ending is None and live.is_called and not self._strategy.runs_here(live.turn.id):
            have = f"{live.attempts}.{len(live.text)}" + (f"-{len(live.told)}" if live.told else "")
            self.channel.send({"k": "follow", "t": live.turn.id, "p": self._own, "have": have})

    def stop_elsewhere(self, ticket: SharedTicket) -> None:
        self.channel.send({"k": "cancel", "t": ticket.turn.id})

    # What is heard.

    def _started(self, live: LiveTurn, message: Message) -> None:
        attempt = message["n"]
        if message["p"] != self._own and attempt > (live.attempts if live.is_called else 0):
            self.runs_elsewhere(live, attempt)

    def runs_elsewhere(self, live: LiveTurn, attempt: int) -> None:
        ticket = live.ticket
        if not isinstance(ticket, SharedTicket) or ticket.local is not None:
            return
        ticket.start()
        live.call_elsewhere(attempt)
        self._known.line_moved(live.turn.conversation)
        if live.listeners:
            self.follow(live)

    def _ended(self, live: LiveTurn, message: Message) -> None:
        if not self._strategy.runs_here(live.turn.id):
            self.look(live.turn.id)

    def _said(self, live: LiveTurn, message: Message) -> None:
        if self._strategy.runs_here(live.turn.id) or live.ending is not None:
            return
        match = ID.fullmatch(message["id"])
        if match is None or match[3] is None or int(match[1]) != live.attempts:
            return
        place, heard, text = int(match[3]), int(match[4] or 0), message.get("s")
        if text is None:
            if heard == len(live.told) + 1 and place == len(live.text):
                live.say(Told(message["kind"], message["data"].encode()))
        elif place > len(live.text) >= place - len(text):
            live.say(text[len(live.text) - place :])
        elif place - len(text) > len(live.text):
            self.follow(live)  # Something was lost between.

    def _follow(self, live: LiveTurn, message: Message) -> None:
        if not self._strategy.runs_here(live.turn.id):
            return
        name = live.turn.id, message["p"]
        if (before := self._tellings.get(name)) is not None:
            before.close()
        done = lambda: self._tellings.pop(name, None)  # noqa: E731
        self._tellings[name] = Telling(live, message["have"], message["p"], self.channel, done)

    def _cancel(self, live: LiveTurn, message: Message) -> None:
        if self._strategy.runs_here(live.turn.id) and live.ticket is not None:
            live.ticket.cancel()

    # What the tables say.

    async def _look(self, turn_id: str) -> None:
        try:
            await self._look_until_sure(turn_id)
        finally:
            del self._looking[turn_id]
            self._look_again.discard(turn_id)

    async def _look_until_sure(self, turn_id: str) -> None:
        while (live := self._known.living(turn_id)) is not None:
            self._look_again.discard(turn_id)
            try:
                kept, runner = await self._store.look(turn_id)
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            if self._strategy.runs_here(turn_id):
                return
            if kept is None:
                self._lost(live)
                return
            if kept.ending is not None:
                self.end(live, kept)
            elif runner not in (None, self._own) and not live.is_called:
                self.runs_elsewhere(live, kept.attempts)
            if turn_id not in self._look_again:
                return

    def _lost(self, live: LiveTurn) -> None:
        """This process was cut off for so long that it is not kept any more how it ended."""
        if live.ending is None and isinstance(ticket := live.ticket, SharedTicket):
            if live.is_at_work:
                live.stop()
            error = StoreUnavailable()
            self._strategy.end(ticket, error)
            self._settling.learn(live, ticket, error, endings.of(error, live.attempts, ticket))

    def end(self, live: LiveTurn, kept: AcceptedTurn) -> None:
        """It has ended elsewhere: let its clients here know."""
        ticket, ending = live.ticket, kept.ending
        if ending is None or live.ending is not None or not isinstance(ticket, SharedTicket):
            return
        live.attempts = max(live.attempts, kept.attempts)
        if live.is_at_work:
            live.stop()
        error = endings.error_of(ending)
        came_to: Any = error or Reply(ending.reply or "", ending.number)
        self._strategy.end(ticket, came_to, State(ending.state))
        self._settling.learn(live, ticket, error, ending)
