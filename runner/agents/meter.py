"""What an adapter emits, checked and measured as it comes."""

from __future__ import annotations

import threading

from runner.agents.base import (
    Hear,
    Kind,
    Progress,
    Reasoning,
    Told,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.encoding import Unusable, encoded, too_long
from runner.agents.relay import Relay

KINDS: dict[type, Kind] = {
    Reasoning: "reasoning", ToolCall: "tool_call", ToolResult: "tool_result", Usage: "usage",
}  # fmt: skip


class Meter:
    """An `Emit` that checks what comes, so that nothing is held beyond its bound.

    max_reply_bytes  of the reply's text, all together.
    max_told_bytes   of what is told besides, such as results of tools.
    """

    def __init__(self, hear: Hear, max_reply_bytes: int, max_told_bytes: int) -> None:
        self._max_reply_bytes, self._max_told_bytes = max_reply_bytes, max_told_bytes
        self._said = self._told = 0
        self._hear = hear
        self._relay = Relay(hear)
        self._thread = threading.get_ident()
        self._pieces: list[str] = []
        self._order = threading.Lock()
        """Held for each piece, so that the reply and its stream are in one order."""

    def __call__(self, piece: object) -> None:
        if isinstance(piece, str):
            size = _size(piece)
            if not piece:  # Nothings without end would fill the memory within any bound of bytes.
                return
            with self._order:
                self._say(size)
                self._pieces.append(piece)
                self._pass_on(piece)
        elif isinstance(piece, Progress):
            told = Told(KINDS[type(piece)], encoded(KINDS[type(piece)], piece))
            with self._order:
                self._told += len(told.data)
                if self._told > self._max_told_bytes:
                    raise too_long("progress", self._max_told_bytes, "max_state_bytes")
                self._pass_on(told)
        else:
            raise Unusable(f"The agent gave {type(piece).__name__} as a piece; it must be text.")

    def whole(self, text: str) -> str:
        """The reply's text: all that was emitted, and what the end of `text` adds to it."""
        if not self._pieces:
            self._say(_size(text))
            return text
        emitted = "".join(self._pieces)
        if not text.startswith(emitted):
            return emitted  # Of what a client has read nothing can be taken back.
        if rest := text[len(emitted) :]:
            self._say(_size(rest))
            self._pass_on(rest)
        return text

    def _say(self, size: int) -> None:
        self._said += size
        if self._said > self._max_reply_bytes:
            raise too_long("reply", self._max_reply_bytes, "max_reply_bytes")

    def _pass_on(self, piece: str | Told) -> None:
        if threading.get_ident() == self._thread:
            self._relay.deliver()  # What threads emitted before it comes before it.
            self._hear(piece)
        else:
            self._relay(piece)


def _size(text: object) -> int:
    """Bytes of it. Raises Unusable for what is no text that can be sent."""
    if not isinstance(text, str):
        raise Unusable(f"The agent returned {type(text).__name__}; it must return text.")
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        refusal = "The agent returned half a surrogate pair, which is no character."
        raise Unusable(refusal) from None
