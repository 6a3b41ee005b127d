"""The text of a reply as it grows, for any number of readers at places of their own."""

from __future__ import annotations

from bisect import bisect_right


class Said:
    """Pieces of text in order. A reader's place is the number of characters that it has read."""

    def __init__(self, text: str = "") -> None:
        self._pieces: list[str] = []
        self._ends: list[int] = []
        if text:
            self.add(text)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._ends.append(len(self) + len(piece))

    def since(self, place: int) -> tuple[str, int]:
        """The text after this place, and of how many pieces it was made."""
        first = bisect_right(self._ends, place)
        rest = self._pieces[first:]
        if not rest:
            return "", 0
        start = self._ends[first] - len(rest[0])
        return "".join(rest)[place - start :], len(rest)

    def join(self) -> None:
        """Let go of the pieces and keep the text; places stay what they were."""
        text = str(self)
        self._pieces, self._ends = ([text], [len(text)]) if text else ([], [])
