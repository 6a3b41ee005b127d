"""A lock for each conversation that is taught to shed, as a good engineer would.

Each part is an option, so that its worth can be measured alone. Like `strategies.lock` it
takes no slots: any number of conversations run at once, and where they share few backends
the agent's own semaphore is the bound. The wait for that is then part of the measured
service time, which `check` goes by.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from math import inf, sqrt

from strategies import Answer, ConversationQueueFull, Limits, Load, Ticket, Turn, WaitExpired
from strategies.engine import Discipline, Engine
from strategies.ticket import LocalTicket


class SheddingLock(Discipline):
    """Turns of a conversation run in order of arrival; without an option it is `lock`.

    bound  so many may wait in a conversation, and a further one is refused; None for any number.
    half   a turn waits for half its deadline at most, or where it tells none for half of
           `max_wait_s`. So what starts has as long to run as it waited.
    check  a waiting turn expires, instead of starting, with less time left than the mean
           measured service. One that comes to a free conversation always starts, and is
           measured, or a wrong estimate might refuse everything for ever.
    slack  `check` and `count` want the usual deviation from the mean to be left as well.
    count  a turn is refused when those before it, one mean each, leave it less than the mean
           and twice the slack, or those accepted last would wait in vain.

    Takes `turn_timeout_s` of the limits, and with `half` `max_wait_s`. Submitting,
    cancelling, expiring and starting cost the same however many wait.
    """

    uses = frozenset({"turn_timeout_s", "max_wait_s"})

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        bound: int | None = None,
        half: bool = False,
        check: bool = False,
        slack: bool = False,
        count: bool = False,
    ) -> None:
        self._engine = Engine(answer, limits.turn_timeout_s, self)
        self._bound = at_least_1(bound)
        self._half, self._check, self._count = half, check, count
        self._slacks = int(slack)
        self._max_wait_s = inf if limits.max_wait_s is None else limits.max_wait_s
        self._lines: dict[str, OrderedDict[LocalTicket, None]] = {}

    def submit(self, turn: Turn) -> Ticket:
        engine, conversation = self._engine, turn.conversation
        engine.admit(turn)
        if engine.holder(conversation) is None:
            return engine.start_now(turn)
        self._refuse_if_hopeless(turn)
        ticket = engine.accept(turn, self._patience_s(turn))
        self._lines.setdefault(conversation, OrderedDict())[ticket] = None
        return ticket

    def load(self) -> Load:
        return self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        await self._engine.drain(timeout_s)

    def _refuse_if_hopeless(self, turn: Turn) -> None:
        engine, before = self._engine, len(self._lines.get(turn.conversation, ()))
        free = engine.until_free(turn.conversation)
        free_s = free.mean_s if free else engine.service_s
        if before >= self._bound:
            # There is room again when the running turn has ended and the first one starts.
            raise engine.refuse(ConversationQueueFull(retry_after_s=free_s))
        if self._count and free is not None:
            eta_s = free_s + before * engine.service_s
            if eta_s + self._needed_s(2 * self._slacks) > (turn.deadline_s or inf):
                raise engine.refuse(WaitExpired(retry_after_s=eta_s))

    def _patience_s(self, turn: Turn) -> float:
        if not self._half:
            return inf
        return (self._max_wait_s if turn.deadline_s is None else turn.deadline_s) / 2

    def _needed_s(self, slacks: int) -> float:
        """Seconds that a turn should have left for its run; 0.0 before the first measurement."""
        turn = self._engine.service_time.one_by_one(1)
        return turn.mean_s + slacks * sqrt(turn.variance_s2)

    def _is_late(self, ticket: LocalTicket) -> bool:
        left_s = ticket.deadline - self._engine.now()
        return self._check and left_s < self._needed_s(self._slacks)

    # As a Discipline.

    def left(self, ticket: LocalTicket, /) -> None:
        """It is no longer in its line, and an empty line is none."""
        conversation = ticket.turn.conversation
        del self._lines[conversation][ticket]
        if not self._lines[conversation]:
            del self._lines[conversation]

    def freed(self, turn: Turn, /) -> None:
        # Not free where only the slot of a stuck agent was given up: a lock has no use for it.
        conversation = turn.conversation
        while conversation in self._lines and self._engine.holder(conversation) is None:
            first = next(iter(self._lines[conversation]))
            if self._is_late(first):
                self._engine.expire(first)  # Which tells `left`.
            else:
                self.left(first)
                self._engine.start(first)


def at_least_1(bound: int | None) -> float:
    """The bound as a number: inf for None. Raises ValueError where nothing could wait."""
    if bound is None:
        return inf
    if type(bound) is not int or bound < 1:
        raise ValueError(f"bound must be a whole number from 1, and not {bound!r}")
    return bound


lock_1 = partial(SheddingLock, bound=1)
lock_3 = partial(SheddingLock, bound=3)
lock_5 = partial(SheddingLock, bound=5)
lock_half = partial(SheddingLock, half=True)
lock_check = partial(SheddingLock, check=True)
lock_check_slack = partial(SheddingLock, check=True, slack=True)
lock_5_check = partial(SheddingLock, bound=5, check=True)
lock_count_check = partial(SheddingLock, check=True, slack=True, count=True)
