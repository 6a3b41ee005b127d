"""What is known of a server by the documents of its view: who runs, who waits, the last minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LANE_S = 60
"""How much of the past is shown."""

MOST_PAST = 500
"""Conversations with no living turn that are remembered, the latest; no terminal shows more."""

Key = tuple[str, str]
"""Of a conversation: its caller and its id."""

WAITS, RUNS, STOPPED, FAILED, REFUSED = range(1, 6)
"""What happened in a second. Of several, the greatest is shown."""

MARKED = {
    "cancelled": STOPPED,
    "expired": STOPPED,
    "interrupted": STOPPED,
    "failed": FAILED,
    "refused": REFUSED,
}
"""How a turn's end is seen in the second in which it ended; an answer needs no sign."""


@dataclass(frozen=True, slots=True)
class Living:
    """A turn that waits or runs; times in seconds since 1970, by the server's clock."""

    id: str
    state: str
    position: int | None
    eta_s: float | None
    accepted_at: float
    started_at: float | None
    message: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Living:
        started_at, eta_s, position = map(told.get, ("started_at", "eta_s", "position"))
        return cls(
            id=str(told["id"]),
            state=str(told["state"]),
            position=None if position is None else int(position),
            eta_s=None if eta_s is None else float(eta_s),
            accepted_at=float(told["accepted_at"]),
            started_at=None if started_at is None else float(started_at),
            message=str(told.get("message") or ""),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation with its living turns, the running ones first; not always all of them."""

    key: Key
    waiting: int
    running: int
    turns: tuple[Living, ...]
    document: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Line:
        turns = tuple(Living.of(turn) for turn in told["turns"])
        return cls(_key(told), int(told["waiting"]), int(told["running"]), turns, told)


class View:
    """All that is known. `take` raises one of `client.answer.STRANGE` for what is no view."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.lines: dict[Key, Line] = {}
        self._past: dict[Key, dict[int, int]] = {}

    def take(self, document: Mapping[str, Any]) -> None:
        """The next document. What is whole begins anew; the last minute stays."""
        _check(document)
        now = float(document["now"])
        if document.get("whole"):
            self.told, self.lines = {}, {}
        self.told |= document
        for told in document["lines"]:
            line = Line.of(told)
            self.lines[line.key] = line
        for told in document.get("idle", ()):
            self.lines.pop(_key(told), None)
        for told in sorted(document["marks"], key=lambda mark: float(mark["ended_at"])):
            self._mark(told)
        self._forget_before(int(now) - LANE_S)

    @property
    def now(self) -> float:
        """When the last document was made, by the server's clock."""
        return float(self.told["now"])

    def document(self) -> dict[str, Any]:
        """All as one whole document, but for `marks`: what ended since the one before."""
        lines = [line.document for line in self.lines.values()]
        return {**self.told, "lines": lines, "idle": []}

    def conversations(self) -> list[Line]:
        """Those with most waiting first; after those that live, those that ended last."""
        living = sorted(self.lines.values(), key=lambda line: (-line.waiting, line.key))
        past = (key for key in reversed(self._past) if key not in self.lines)
        return living + [Line(key, 0, 0, (), {}) for key in past]

    def lane(self, line: Line, now: float, seconds: int) -> list[int]:
        """What happened in each of the last seconds, the latest last; 0 where nothing did."""
        cells = dict(self._past.get(line.key, {}))
        for turn in line.turns:
            _cover(cells, _spans(turn.accepted_at, turn.started_at, now), int(now))
        return [cells.get(int(now) - back, 0) for back in range(seconds - 1, -1, -1)]

    def _mark(self, told: Mapping[str, Any]) -> None:
        key = _key(told)
        cells = self._past[key] = self._past.pop(key, {})
        while len(self._past) > MOST_PAST:
            del self._past[next(iter(self._past))]
        state, ended_at = str(told["state"]), float(told["ended_at"])
        if state != "refused":
            started_at = told.get("started_at")
            _cover(cells, _spans(float(told["accepted_at"]), started_at, ended_at), int(ended_at))
        if state in MARKED:
            _raise(cells, int(ended_at), MARKED[state])

    def _forget_before(self, second: int) -> None:
        for key, cells in list(self._past.items()):
            for old in [one for one in cells if one <= second]:
                del cells[old]
            if not cells:
                del self._past[key]


def _check(document: Mapping[str, Any]) -> None:
    """Raises where the figures are none, so that nothing fails while it is drawn."""
    objects = all(isinstance(document[name], dict) for name in ("ended", "refused", "left_out"))
    counts = all(isinstance(document["load"][name], int) for name in ("running", "waiting"))
    system = document.get("system")
    if not (objects and counts and (system is None or isinstance(system, dict))):
        raise TypeError("these are no figures")


Span = tuple[int, float, float]


def _spans(accepted_at: float, started_at: float | None, end: float) -> Iterator[Span]:
    yield WAITS, accepted_at, end if started_at is None else float(started_at)
    if started_at is not None:
        yield RUNS, float(started_at), end


def _cover(cells: dict[int, int], spans: Iterable[Span], last: int) -> None:
    for what, begin, end in spans:
        for second in range(max(int(begin), last - LANE_S), min(int(end), last) + 1):
            _raise(cells, second, what)


def _raise(cells: dict[int, int], second: int, what: int) -> None:
    cells[second] = max(cells.get(second, 0), what)


def _key(told: Mapping[str, Any]) -> Key:
    return str(told.get("caller") or ""), str(told["conversation"])
