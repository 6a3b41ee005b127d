"""The text of a reply as it grows, for any number of readers at places of their own."""

from __future__ import annotations

from bisect import bisect_right


class GrowingText:
    """Pieces of text in order. A reader's place is the number of characters that it has read."""

    __slots__ = ("_ends", "_pieces")

    def __init__(self, text: str = "") -> None:
        self._pieces: list[str] = [text] if text else []
        self._ends: list[int] = [len(text)] if text else []

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._ends.append(len(self) + len(piece))

    def since(self, place: int) -> tuple[str, int]:
        """The text after this place, and of how many pieces it was made."""
        ends = self._ends
        if not ends or ends[-1] <= place:
            return "", 0
        if len(ends) > 1 and ends[-2] == place:  # A reader that keeps up: most of them.
            return self._pieces[-1], 1
        first = bisect_right(ends, place)
        rest = self._pieces[first:]
        start = ends[first] - len(rest[0])
        return "".join(rest)[place - start :], len(rest)
