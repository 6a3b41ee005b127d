"""One reply on the terminal as it comes, and before it where its turn stands."""

from __future__ import annotations

import sys

from runner.cli.failures import refusal
from runner.cli.requests import printable
from runner.cli.status import StatusLine, Words
from runner.client.errors import InputRequired, TurnlineError
from runner.client.shapes import (
    Event,
    Piece,
    Reply,
    Request,
    Retrying,
    Started,
    ToolCall,
    Waiting,
)

RECONNECT_S = 60.0
"""For so long a server that gives no sign of life is tried again."""


class Screen:
    """For one message, or the answers to what the agent asked."""

    def __init__(self) -> None:
        self.answered = False
        self.was_stopped = False
        self.requests: tuple[Request, ...] = ()
        self._attempt = 0
        self._said = False
        self._in_words = False  # The cursor stands behind words of the reply.
        self._is_lost = False
        self._status = StatusLine(sys.stdout)

    def show(self, event: Event) -> None:
        self._is_lost = self._is_lost and isinstance(event, Retrying)
        match event:
            case Waiting():
                self._show_status(lambda after_s: _place(event, after_s))
            case Started():
                self._start(event.attempt)
            case Piece():
                self._say(event.text)
            case Reply():
                self._end(event.text)
                print(flush=True)
            case ToolCall():
                self._show_status(lambda after_s: f"{_tool(event)}{_seconds(after_s)}")
            case Retrying():
                self._lose()
            case _:
                pass

    def fail(self, error: TurnlineError) -> None:
        """There is no reply, or the agent asks something first."""
        if isinstance(error, InputRequired):
            self.requests = error.requests
            if error.outcome is None:
                self._end(error.text)
                if self._said:
                    print(flush=True)
                return
        self.complain(refusal(error))

    def _end(self, text: str) -> None:
        if not self._said and text:
            self._say(text)
        self._status.clear()
        self.answered = True

    def complain(self, text: str) -> None:
        """Say it on a line of its own, and end what stands of a reply."""
        self._status.clear()
        if self._in_words:
            print(flush=True)
        self._in_words = False
        print(printable(text), file=sys.stderr, flush=True)

    def _lose(self) -> None:
        """Say it once for each loss. The reply may go on, and a pipe is to have it in one piece."""
        if self._is_lost:
            return
        self._is_lost = True
        text = f"the connection was lost; trying again for {RECONNECT_S:.0f} s"
        if sys.stdout.isatty():
            self.complain(text)
            self._show_status(lambda after_s: f"trying again, {after_s:.0f} s")
        else:
            print(text, file=sys.stderr, flush=True)

    def _start(self, attempt: int) -> None:
        self._show_status(_work)
        if self._said and attempt > self._attempt:
            self.complain(f"the server restarted and runs the turn again (attempt {attempt})")
            self._said = False
        self._attempt = attempt

    def _say(self, text: str) -> None:
        self._status.clear()
        self._said = self._in_words = True
        print(printable(text), end="", flush=True)

    def _show_status(self, words: Words) -> None:
        if not self._in_words:
            self._status.show(words)


def _work(after_s: float) -> str:
    return "the agent is at work" + _seconds(after_s)


def _seconds(after_s: float) -> str:
    return f", {after_s:.0f} s" if after_s >= 1 else ""


def _tool(call: ToolCall) -> str:
    return printable(f"the agent uses {call.name}")


def _place(waiting: Waiting, after_s: float) -> str:
    """Such as: 2nd in line, about 3 s; so long after the server said it."""
    position, eta_s = waiting.position, waiting.eta_s
    if not position:
        return "waiting" if position is None else _work(after_s)
    line = f"{ordinal(position)} in line"
    if eta_s is None:
        return line
    late = after_s > eta_s + 1
    return (
        f"{line}, later than expected" if late else f"{line}, about {max(0, eta_s - after_s):.0f} s"
    )


def ordinal(number: int) -> str:
    """Such as 2nd."""
    last = 0 if 10 < number % 100 < 14 else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
