"""`runner chat`: talk to a running server from a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from runner.cli.failures import unreached
from runner.cli.flags import UsageError
from runner.cli.requests import printable, resume
from runner.cli.screen import RECONNECT_S, Screen
from runner.client.errors import TurnlineError
from runner.client.shapes import Options, Started, Waiting
from runner.client.sync import Client

CANCEL_S = 10.0

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
    try:
        client = Client(url, token, retries=0, timeout_s=RECONNECT_S)
    except ValueError as error:
        raise UsageError(f"--url {error}") from error
    if sys.stdin.isatty():
        print(f"Talking to {url}, conversation {conversation}. {HELP} lists the commands.")
    status = 0
    with client:
        for line in _lines():
            if line.startswith("/") and not line.startswith("//"):
                if line.split()[0] == QUIT:
                    break
                status |= _command(line.split()[0])
                continue
            try:
                status |= not _say(_Talk(client, url, token, conversation), line.removeprefix("/"))
            except _Left as left:
                return left.status
    return 0 if sys.stdin.isatty() else status


def _say(talk: _Talk, line: str) -> bool:
    """Send it, and the answers to what the agent asks; whether the last of them was answered."""
    was_not_taken = False
    options = Options()
    while True:
        screen = talk.send(None if options else line, options)
        if screen.requests:
            # Asked earlier, by whomever: the line is sent again once that is settled.
            was_not_taken |= not options and not screen.answered
            options = Options(resume=resume(screen.requests))
        elif was_not_taken and not screen.was_stopped:
            was_not_taken, options = False, Options()
        else:
            return screen.answered


class _Left(Exception):
    """There is no going on."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, slots=True)
class _Talk:
    client: Client
    url: str
    token: str | None
    conversation: str

    def send(self, line: str | None, options: Options) -> Screen:
        """Show all that comes of it."""
        screen, turn_id = Screen(), ""
        try:
            for event in self.client.stream(line, self.conversation, **options):
                if isinstance(event, Waiting | Started):
                    turn_id = event.turn_id
                screen.show(event)
        except TurnlineError as error:
            if not error.status:
                screen.complain(_unreached(self.url, error))
                raise _Left(1) from error
            screen.fail(error)
        except KeyboardInterrupt as error:
            screen.was_stopped = True
            screen.complain(self._cancel(turn_id))
            if not sys.stdin.isatty():
                raise _Left(130) from error
        return screen

    def _cancel(self, turn_id: str) -> str:
        """Cancel the turn; what came of it, in a word."""
        if not turn_id:
            return "abandoned"
        try:
            with Client(self.url, self.token, retries=0, timeout_s=CANCEL_S) as client:
                turn = client.cancel(turn_id)
        except (TurnlineError, KeyboardInterrupt):
            return "abandoned; the server could not be told"
        if turn.fenced:
            return "cancelled; the agent has not stopped yet, and the conversation waits for it"
        return turn.state


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


def _unreached(url: str, error: TurnlineError) -> str:
    if error.turn_id:
        return (
            f"{url} did not come back within {RECONNECT_S:.0f} s. Whether turn "
            f"{error.turn_id} was answered is unknown"
        )
    return unreached(url, error)


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
