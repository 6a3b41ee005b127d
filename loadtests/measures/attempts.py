"""Which attempt was a call of the agent for, and which one does a history hold? By their times.

All attempts of a user say the same words, as a real client's do. So the agent's log and
the histories name a user's turn alone, by its number. Two facts tell its attempts apart:

1. They do not overlap: the next is sent when the one before has ended for its client. All
   times are of one machine's monotonic clock. So a call is for the latest attempt that
   was sent before the agent was called.
2. An answer is kept in the instant in which the agent's call ends, and calls of one
   conversation end one after the other. So the k-th turn of a number in a history is of
   its k-th call there that ended "answered".

Where they do not tell, the name is `number.0`, an attempt that nobody sent, and the
checker finds it orphaned: a fault is rather reported than hidden. So it is with a turn
beyond the answered calls, and with all turns of a number that has fewer than these, for
one is missing then and nothing says which. A call that begins for an attempt whose client
left just before it sent the next is taken for the next one's; if that is called too, the
checker finds it doubled.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from loadtests.measures.records import Call, History, UserTurn, parts


@dataclass(frozen=True, slots=True)
class LoggedCall(Call):
    """A call as the agent's log has it.

    message   the number of the turn that it was for; of each, joined as in `parts`.
    called_s  when the agent was called. It began to work later if it had no backend free,
              and its client may have left and tried again meanwhile.
    """

    called_s: float


def of_calls(turns: Iterable[UserTurn], logged: Iterable[LoggedCall]) -> tuple[Call, ...]:
    """The calls, which now name attempts. Times of both are since the start of the schedule."""
    sent_s = {str(turn.number): [tried.sent_s for tried in turn.attempts] for turn in turns}
    return tuple(
        Call(_name(call, sent_s), call.conversation, call.began_s, call.ended_s, call.ended)
        for call in logged
    )


def _name(call: LoggedCall, sent_s: Mapping[str, Sequence[float]]) -> str:
    """How many attempts had been sent is the number of the latest."""
    return _each(
        call.message,
        lambda number: f"{number}.{bisect(sent_s.get(number, ()), call.called_s)}",
    )


def of_histories(histories: Iterable[History], calls: Iterable[Call]) -> tuple[History, ...]:
    """The histories, which named numbers, and now name attempts as these calls do."""
    answered: dict[tuple[str, str], list[str]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.ended_s):
        if call.ended == "answered":
            for name in parts(call.message):
                answered[call.conversation, name.partition(".")[0]].append(name)
    return tuple(_named(history, answered) for history in histories)


def _named(history: History, answered: Mapping[tuple[str, str], list[str]]) -> History:
    counts = Counter(number for turn in history.messages for number in parts(turn))
    names: dict[str, Iterator[str]] = {}
    for number, count in counts.items():
        known = answered.get((history.conversation, number), [])
        names[number] = iter(known if count >= len(known) else [])
    messages = tuple(
        _each(turn, lambda number: next(names[number], f"{number}.0")) for turn in history.messages
    )
    return replace(history, messages=messages)


def _each(message: str, name: Callable[[str], str]) -> str:
    return "+".join(name(number) for number in parts(message))
