"""The text of a reply as it grows, for any number of readers at places of their own."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from sys import getsizeof


class GrowingText:
    """Pieces of text in order. A reader's place is the number of characters that it has read."""

    __slots__ = ("_ends", "_pieces")

    def __init__(self, text: str = "") -> None:
        self._pieces = [text] if text else []
        self._ends = array("L", [len(text)] if text else [])
        """Where each piece ends; they stay when the pieces are joined to one."""

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __str__(self) -> str:
        return "".join(self._pieces)

    @property
    def bytes(self) -> int:
        """What it weighs in memory."""
        return sum(map(getsizeof, self._pieces)) + getsizeof(self._ends)

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._ends.append(len(self) + len(piece))

    def since(self, place: int, until: int | None = None) -> tuple[str, int]:
        """The text after this place, until where a piece ends, and of how many it was made."""
        ends, pieces = self._ends, self._pieces
        if not ends or ends[-1] <= place:
            return "", 0
        first = bisect_right(ends, place)
        last = len(ends) if until is None else bisect_right(ends, until)
        if last <= first:
            return "", 0
        if len(pieces) != len(ends):
            return pieces[0][place : ends[last - 1]], last - first
        start = ends[first] - len(pieces[first])
        return "".join(pieces[first:last])[place - start :], last - first

    def become(self, text: str) -> None:
        """This is the whole text, and no more will come: kept in one piece."""
        if len(text) != len(self):
            self._ends = array("L", [len(text)] if text else [])
        self._pieces = [text] if text else []
