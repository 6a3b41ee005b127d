"""A conversation's past, read only where the agent looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Protocol, TypeVar, cast, overload

from runner.agents.base import Message
from runner.store.base import StoreUnavailable
from runner.store.timing import Timed

T = TypeVar("T")

FIRST_CHUNK, CHUNK = 8, 512
"""Messages that an iteration reads at once: few at first, for most agents stop early."""


class Past(Timed, Protocol):
    """Where a `History` reads, from any thread. Both may raise `StoreUnavailable`."""

    def span(self, conversation: str) -> tuple[int, int]:
        """The numbers of the first and the last turn that are kept; (1, 0) for none."""
        ...

    def read(self, conversation: str, first: int, last: int) -> Sequence[Sequence[Any]]:
        """Each of these turns that is still kept, its message and reply first."""
        ...


class History(Sequence[Message]):
    """The messages before a turn, oldest first: a read-only list that reads what is asked for.

    Its end is that of the first access: turns that are committed later do not appear in
    it. Each access makes new messages, so that who edits them does not edit the past.

    read   the number of the last turn, and the turns up to it that were read already.
    error  what the store raised while this was read; such a turn must not be kept.
    """

    __slots__ = ("_conversation", "_known", "_most", "_past", "_seen", "error")

    def __init__(
        self,
        past: Past,
        conversation: str,
        turns: int | None = None,
        read: tuple[int, Sequence[Sequence[Any]]] | None = None,
    ) -> None:
        self.error: StoreUnavailable | None = None
        self._past = past
        self._conversation = conversation
        self._most = turns
        self._seen: tuple[int, int] | None = None
        self._known: Sequence[Sequence[Any]] = ()
        if read is not None:
            last, self._known = read
            self._seen = self._bounded(1, last)

    @property
    def first(self) -> int:
        """The number of the first turn: of a long past not all may be kept."""
        return self._span()[0]

    @property
    def last(self) -> int:
        """The number of the last turn; 0 for none."""
        return self._span()[1]

    def __len__(self) -> int:
        first, last = self._span()
        return 2 * (last - first + 1)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        places = range(len(self))
        if isinstance(index, slice):
            return self._messages(places[index])
        place = places[index]
        return self._messages(range(place, place + 1))[0]

    def __iter__(self) -> Iterator[Message]:
        return self._walk(range(len(self)))

    def __reversed__(self) -> Iterator[Message]:
        return self._walk(range(len(self))[::-1])

    def __add__(self, other: Iterable[Message]) -> list[Message]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Message]) -> list[Message]:
        return [*other, *self]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | History):
            return NotImplemented
        return list(self) == list(cast("Sequence[Message]", other))

    __hash__ = None  # type: ignore[assignment]  # As a list has none.

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)  # A copy, or what another process is sent, is a plain list.

    def __repr__(self) -> str:
        return f"<history of {self._conversation!r}>"  # A log line must not read a store.

    def _walk(self, places: range) -> Iterator[Message]:
        size = FIRST_CHUNK
        while places:
            yield from self._messages(places[:size])
            places, size = places[size:], min(2 * size, CHUNK)

    def _messages(self, places: range) -> list[Message]:
        if abs(places.step) > 2 and len(places) > 1:  # What lies between is not asked for.
            return [self[place] for place in places]
        if not places:
            return []
        begin, end = sorted((places[0] // 2, places[-1] // 2))
        turns = self._read(begin, end)
        return [_message(turns[place // 2 - begin], place % 2) for place in places]

    def _span(self) -> tuple[int, int]:
        if self._seen is None:
            first, last = self._ask(lambda: self._past.span(self._conversation))
            self._seen = self._bounded(first, last)
        return self._seen

    def _bounded(self, first: int, last: int) -> tuple[int, int]:
        return max(first, last + 1 - (self._most or last)), last

    def _read(self, begin: int, end: int) -> Sequence[Sequence[Any]]:
        first, last = self._span()
        known = last + 1 - len(self._known)  # The number of the first one.
        if first + begin >= known:
            return self._known[first + begin - known : first + end + 1 - known]
        unknown = self._read_there(first + begin, min(first + end, known - 1))
        return [*unknown, *self._known[: max(0, first + end + 1 - known)]]

    def _read_there(self, first: int, last: int) -> Sequence[Sequence[Any]]:
        def read() -> Sequence[Sequence[Any]]:
            turns = self._past.read(self._conversation, first, last)
            if len(turns) <= last - first:
                raise StoreUnavailable("Turns were forgotten while they were read.")
            return turns

        return self._ask(read)

    def _ask(self, read: Callable[[], T]) -> T:
        began = perf_counter()
        try:
            return read()
        except StoreUnavailable as error:
            self.error = error
            raise
        finally:
            self._past.took("history", perf_counter() - began)


def _message(turn: Sequence[Any], side: int) -> Message:
    return {"role": "assistant" if side else "user", "content": turn[side]}
