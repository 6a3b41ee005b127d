"""One who looks at a view, between the texts that are made and the texts that it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MOST_BEHIND = 8
"""Texts that a reader may have to take; then it loses them, and is told the whole again."""


class Reader:
    """One who looks. `wake` is called when there may be something to `take`.

    is_anew  it is to be told the whole.
    is_over  nothing comes any more.
    """

    def __init__(self, ask: Callable[[], None], wake: Callable[[], object]) -> None:
        self._ask = ask
        self._wake = wake
        self._texts: deque[bytes] | None = None
        self.is_anew = True
        self.is_over = False

    def give(self, news: bytes) -> None:
        """What has changed since the last text."""
        if self._texts is not None:
            if len(self._texts) < MOST_BEHIND:
                self._texts.append(news)
            else:
                self._texts = None
            self._wake()

    def give_whole(self, whole: bytes) -> None:
        self._texts, self.is_anew = deque([whole]), False
        self._wake()

    def take(self) -> bytes:
        """The next text, if there is one. Not all at once: that would be a copy for each reader."""
        if self._texts is None:
            # Only now, or one that takes nothing would be told the whole in vain, over and over.
            self.is_anew = True
            self._ask()
            return b""
        return self._texts.popleft() if self._texts else b""

    def end(self) -> None:
        self.is_over = True
        self._wake()
