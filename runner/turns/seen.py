"""Up to where an agent of this process knows each conversation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000


class Seen:
    """Has an agent forget what it holds of a conversation that went on in another process.

    forget  as `Agent.forget`.
    """

    def __init__(self, forget: Callable[[str], object]) -> None:
        self._forget = forget
        self._last: OrderedDict[str, int] = OrderedDict()

    def before(self, conversation: str, last: int) -> None:
        """A turn is about to begin; `last` is the number of the one before it."""
        if self._last.get(conversation, 0) != last:
            self._forget(conversation)

    def kept(self, conversation: str, number: int) -> None:
        self._last[conversation] = number
        self._last.move_to_end(conversation)
        if len(self._last) > MOST:
            self._forget(self._last.popitem(last=False)[0])
