"""`runner top`: what a server does now, in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rich.console import Console

from runner.cli.failures import refusal, unreached
from runner.cli.flags import UsageError
from runner.cli.view_screen import ViewScreen
from runner.cli.view_state import View
from runner.cli.view_stream import Lost, Watch
from runner.cli.view_table import Paper, draw, legend, one_line
from runner.client.answer import STRANGE, Received
from runner.client.errors import TurnlineError

NEEDED = "The server shows this only with [observability] page = true."

Events = AsyncGenerator[View | Lost]


def top(url: str, token: str | None, *, once: bool, as_json: bool) -> int:
    """Show it until somebody leaves, or once; the exit status."""
    try:
        watch = Watch(url, token)
    except ValueError as error:
        raise UsageError(f"--url {error}") from error
    console = Console(highlight=False)
    if not once and not as_json and (not console.is_terminal or console.is_dumb_terminal):
        raise UsageError("the output is no terminal that can be redrawn: use --once or --json")
    try:
        asyncio.run(_show(watch, url, console, once=once, as_json=as_json))
    except TurnlineError as error:
        told = refusal(error) if error.status else unreached(url, error)
        print(one_line(f"{told} {NEEDED}" if error.status == 404 else told), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What is still buffered would raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


async def _show(watch: Watch, url: str, console: Console, *, once: bool, as_json: bool) -> None:
    async with aclosing(_views(watch)) as views:
        if as_json:
            await _print_json(views, once=once)
            return
        first = await anext(views)
        assert isinstance(first, View)
        if once:
            paper = Paper(console.width, None, console.options.ascii_only)
            console.print(draw(first, url, first.now, legend(paper), paper), soft_wrap=True)
        else:
            await ViewScreen(first, url, console).run(views)


async def _views(watch: Watch) -> Events:
    """The view after each document; it is one object, which grows."""
    view = View()
    async with aclosing(watch.events()) as events:
        async for event in events:
            if isinstance(event, Lost):
                yield event
                continue
            try:
                view.take(event)
            except (*STRANGE, OverflowError) as error:
                raise Received(200, {}).strange() from error
            yield view


async def _print_json(views: Events, *, once: bool) -> None:
    """A document a line, each whole by itself but for `marks`: these are what is new."""
    async for event in views:
        if isinstance(event, Lost):
            print(
                f"connection lost, trying again: {one_line(event.why)}", file=sys.stderr, flush=True
            )
            continue
        print(json.dumps(event.document()), flush=True)
        if once:
            return
