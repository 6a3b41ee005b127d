"""`runner chat`: talk to a running server from a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from importlib import import_module

from runner.cli.client import RECONNECT_S, Content, Exchange
from runner.cli.flags import UsageError, own_command
from runner.cli.requests import printable, resume
from runner.cli.status import StatusLine, Words

QUIT, HELP = "/quit", "/help"

COMMANDS = f"""\
{HELP}    list the commands
{QUIT}    leave; so does Ctrl-D
//TEXT   send /TEXT, a message that begins with a slash
Ctrl-C   cancel the turn"""


def chat(url: str, token: str | None, conversation: str) -> int:
    """Send each line and show its reply, until the input ends; the exit status.

    From a pipe it is 1 where a line was not answered: a script reads nothing else.
    """
    if sys.stdin.isatty():
        print(f"Talking to {url}, conversation {conversation}. {HELP} lists the commands.")
    status = 0
    for line in _lines():
        if line.startswith("/") and not line.startswith("//"):
            if line.split()[0] == QUIT:
                break
            status |= _command(line.split()[0])
            continue
        said: Content = {"message": line[1:] if line.startswith("//") else line}
        asked: Content | None = said
        is_refused = is_answered = False
        while asked is not None:
            exchange, screen = Exchange(url, token, conversation, asked), _Screen()
            try:
                for kind, content in exchange.events():
                    screen.show(kind, content)
            except (OSError, HTTPException) as error:
                screen.complain(_unreached(url, exchange, error))
                return 1
            except KeyboardInterrupt:
                screen.complain(_cancel(exchange))
                if not sys.stdin.isatty():
                    return 130
                is_refused = False
            is_answered = screen.answered
            if screen.requests:
                # Asked earlier, by whomever: the line is sent again once that is settled.
                is_refused |= asked is said and not screen.answered
                asked = resume(screen.requests)
            else:
                asked, is_refused = (said if is_refused else None), False
        status |= not is_answered
    return 0 if sys.stdin.isatty() else status


def _command(name: str) -> int:
    """Do it; 1 where there is no such command."""
    if name == HELP:
        print(COMMANDS, file=sys.stderr)
        return 0
    print(
        f"There is no command {printable(name)}; {HELP} lists them. To send a message that "
        f"begins with a slash, write two: /{printable(name)}",
        file=sys.stderr,
    )
    return 1


def _unreached(url: str, exchange: Exchange, error: Exception) -> str:
    if exchange.turn_id:
        return (
            f"{url} did not come back within {RECONNECT_S:.0f} s. Whether turn "
            f"{exchange.turn_id} was answered is unknown"
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            f"nothing answers at {url}; name another address with --url, or start a server "
            f"with: {own_command()} serve"
        )
    return f"{url} did not answer: {error or type(error).__name__}"


def _lines() -> Iterator[str]:
    """The lines that are not empty. At a prompt Ctrl-C clears the line, as in a shell."""
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
        except UnicodeDecodeError as error:
            raise UsageError("the input is not UTF-8") from error
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
        self.answered = False
        self.requests: list[Content] = []
        self._attempt = 0
        self._said = False
        self._in_words = False  # The cursor stands behind words of the reply.
        self._is_lost = False
        self._status = StatusLine(sys.stdout)

    def show(self, kind: str, content: Content) -> None:
        self._is_lost = self._is_lost and kind == "lost"
        match kind:
            case "queued" | "position":
                self._show_status(lambda after_s: _place(content, after_s))
            case "started":
                self._start(int(content.get("attempt", 1)))
            case "delta":
                self._say(str(content.get("text", "")))
            case "done" | "input_required":
                if not self._said and content.get("response"):
                    self._say(str(content["response"]))
                self._status.clear()
                if self._said or kind == "done":
                    print(flush=True)
                self.answered = True
                self.requests = list(content.get("requests", ()))
            case "failed":
                self.complain(_refusal(content))
                self.requests = list(content.get("requests", ()))
            case "tool_call":
                self._show_status(lambda after_s: f"{_tool(content)}{_seconds(after_s)}")
            case "lost":
                self._lose()
            case _:
                pass

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


def _tool(content: Content) -> str:
    return printable(f"the agent uses {content.get('name')}")


def _place(content: Content, after_s: float) -> str:
    """Such as: 2nd in line, about 3 s; so long after the server said it."""
    position, eta_s = content.get("position"), content.get("eta_s")
    if not position:
        return "waiting" if position is None else _work(after_s)
    last = 0 if 10 < position % 100 < 14 else position % 10
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    line = f"{position}{suffix} in line"
    if eta_s is None:
        return line
    late = after_s > eta_s + 1
    return (
        f"{line}, later than expected" if late else f"{line}, about {max(0, eta_s - after_s):.0f} s"
    )


def _refusal(content: Content) -> str:
    status, retry_after_s = content.get("status"), content.get("retry_after_s")
    title, detail = f"{content.get('title')}.", str(content.get("detail") or "")
    parts = [str(status), "" if detail.startswith(title) else title, detail]
    if status == 401:
        parts.append("Use --token TOKEN, or set RUNNER_TOKEN.")
    elif retry_after_s:
        parts.append(f"Try again in {retry_after_s} s.")
    return " ".join(filter(None, parts))
