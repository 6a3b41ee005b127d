"""`runner chat`: talk to a running server from a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from importlib import import_module

from runner.cli.client import Content, Exchange
from runner.cli.flags import own_command

QUIT = "/quit"


def chat(url: str, token: str | None, conversation: str) -> int:
    """Send each line and show its reply, until the input ends; the exit status."""
    if sys.stdin.isatty():
        print(f"Talking to {url}, conversation {conversation}. {QUIT} or Ctrl-D leaves.")
    for message in _messages():
        exchange, screen = Exchange(url, token, conversation, message), _Screen()
        try:
            for kind, content in exchange.events():
                screen.show(kind, content)
        except ConnectionRefusedError:
            serve = f"{own_command()} serve"
            screen.complain(f"nothing answers at {url}; start a server with: {serve}")
            return 1
        except (OSError, HTTPException) as error:
            screen.complain(f"{url} did not answer: {error or type(error).__name__}")
            return 1
        except KeyboardInterrupt:
            screen.complain(_cancel(exchange))
            if not sys.stdin.isatty():
                return 130
    return 0


def _messages() -> Iterator[str]:
    """The lines that are messages. At a prompt Ctrl-C clears the line, as in a shell."""
    prompt = "> " if sys.stdin.isatty() else ""
    if prompt:
        with suppress(ImportError):
            import_module("readline")  # Being imported, it gives input() a history and editing.
    while True:
        try:
            line = input(prompt).strip()
        except (EOFError, KeyboardInterrupt) as error:
            if prompt:
                print()
            if not prompt or isinstance(error, EOFError):
                return
            continue
        if line == QUIT:
            return
        if line:
            yield line


def _cancel(exchange: Exchange) -> str:
    """Cancel the turn; what came of it, in a word."""
    try:
        turn = exchange.cancel()
    except (OSError, HTTPException, KeyboardInterrupt):
        return "abandoned; the server could not be told"
    if turn.get("fenced"):
        return "cancelled; the agent has not stopped yet, and the conversation waits for it"
    return str(turn.get("state", "abandoned"))


class _Screen:
    """Shows one reply as it comes, and before it where its turn stands."""

    def __init__(self) -> None:
        self._attempt = 0
        self._said = False

    def show(self, kind: str, content: Content) -> None:
        match kind:
            case "queued" | "position":
                self._show_status(_place(content))
            case "started":
                self._start(int(content.get("attempt", 1)))
            case "delta":
                self._say(str(content.get("text", "")))
            case "done":
                if not self._said:
                    self._say(str(content.get("response", "")))
                print(flush=True)
            case "failed":
                self.complain(_refusal(content))
            case "lost":
                self._show_status("the connection was lost; trying again")
            case _:
                pass

    def complain(self, text: str) -> None:
        self._show_status("")
        if self._said:
            print(flush=True)
        print(_printable(text), file=sys.stderr, flush=True)

    def _start(self, attempt: int) -> None:
        self._show_status("the agent is at work")
        if self._said and attempt > self._attempt:
            self.complain(f"the server restarted and runs the turn again (attempt {attempt})")
            self._said = False
        self._attempt = attempt

    def _say(self, text: str) -> None:
        self._show_status("")
        self._said = True
        print(_printable(text), end="", flush=True)

    def _show_status(self, text: str) -> None:
        """Replace the last line of the terminal, unless words of the reply stand there."""
        if sys.stdout.isatty() and not self._said:
            print(f"\r\x1b[K{text}", end="", flush=True)


def _place(content: Content) -> str:
    """Such as: 2nd in line, about 3 s."""
    position, eta_s = content.get("position"), content.get("eta_s")
    if not position:
        return "waiting" if position is None else "the agent is at work"
    last = 0 if 10 < position % 100 < 14 else position % 10
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    about = "" if eta_s is None else f", about {eta_s:.0f} s"
    return f"{position}{suffix} in line{about}"


def _refusal(content: Content) -> str:
    status, retry_after_s = content.get("status"), content.get("retry_after_s")
    parts = [f"{status} {content.get('title')}.", content.get("detail")]
    if status == 401:
        parts.append("Use --token TOKEN, or set RUNNER_TOKEN.")
    elif retry_after_s:
        parts.append(f"Try again in {retry_after_s} s.")
    return " ".join(filter(None, parts))


def _printable(text: str) -> str:
    """What an agent says must not move the cursor or rename the window."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
