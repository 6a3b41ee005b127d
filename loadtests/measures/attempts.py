"""Which attempt was a call of the agent for, and which one does a history hold?

All attempts of a user say the same words, as a real client's do. So the agent's log and
the histories name a user's turn alone, by its number. These facts tell its attempts apart:

1. Each answer and each refusal tells its client the server's id of the turn, and the log
   has the id of each call. A call with an id that nobody was told is for an attempt whose
   client left, or lost its connection.
2. Of these it is the latest that was sent before the agent was called and has no call yet,
   for attempts do not overlap for their client, and all times are of one monotonic clock.
   Of merged turns the log has only the first one's id; the others go by time alone.
3. An answer is kept in the instant in which the agent's call ends, and calls of one
   conversation end one after the other. So the k-th turn of a number in a history is of
   its k-th call there that ended "answered".

Where they do not tell, the name is `number.0`, an attempt that nobody sent, and the
checker finds it orphaned: a fault is rather reported than hidden. So it is with a turn
beyond the answered calls, and with all turns of a number that has fewer than these, for
one is missing then and nothing says which. Time alone may take a call for an attempt that
was left just before the next was sent for the next one's, where the server is slow to
learn of it: so on a machine that is too slow, merged turns may be found doubled or
orphaned that are not.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from loadtests.measures.records import Call, History, Tried, UserTurn, parts


@dataclass(frozen=True, slots=True)
class LoggedCall(Call):
    """A call as the agent's log has it.

    message   the number of the turn that it was for; of each, joined as in `parts`.
    called_s  when the agent was called. It began to work later if it had no backend free,
              and its client may have left and tried again meanwhile.
    turn_id   what the server calls the turn, the first of those merged; "" where none says.
    process   the id of the process that made the call.
    """

    called_s: float
    turn_id: str = ""
    process: int = 0


def crossings(logged: Iterable[LoggedCall]) -> int:
    """Calls in another process than the call before them in their conversation."""
    processes: dict[str, list[int]] = defaultdict(list)
    for call in sorted(logged, key=lambda call: call.began_s):
        processes[call.conversation].append(call.process)
    return sum(one != other for each in processes.values() for one, other in pairwise(each))


def of_calls(turns: Iterable[UserTurn], logged: Iterable[LoggedCall]) -> tuple[Call, ...]:
    """The calls, which now name attempts. Times of both are since the start of the schedule."""
    tries = {str(turn.number): turn.attempts for turn in turns}
    known = {
        number: {tried.turn_id: index for index, tried in enumerate(attempts, 1) if tried.turn_id}
        for number, attempts in tries.items()
    }
    return tuple(
        Call(name, call.conversation, call.began_s, call.ended_s, call.ended)
        for call in logged
        for name in [_name(call, tries, known)]
    )


def _name(
    call: LoggedCall,
    tries: Mapping[str, Sequence[Tried]],
    known: Mapping[str, dict[str, int]],
) -> str:
    first, *others = parts(call.message)
    numbers = [(first, call.turn_id), *((number, "") for number in others)]
    return "+".join(
        f"{number}.{_attempt(call.called_s, turn_id, tries[number], known[number])}"
        if number in tries
        else f"{number}.0"
        for number, turn_id in numbers
    )


def _attempt(called_s: float, turn_id: str, tries: Sequence[Tried], known: dict[str, int]) -> int:
    """Counted from 1, or 0 for none. `known` is by turn id, and learns what is found."""
    sent = bisect([tried.sent_s for tried in tries], called_s)
    if not turn_id:
        return sent
    if turn_id not in known:
        others = set(known.values())
        known[turn_id] = next((index for index in range(sent, 0, -1) if index not in others), sent)
    return known[turn_id]


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
        "+".join(next(names[number], f"{number}.0") for number in parts(turn))
        for turn in history.messages
    )
    return replace(history, messages=messages)
