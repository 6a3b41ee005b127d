"""The servers that are compared, and how each is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.runs.servers import Served, running

AGENTS = "loadtests.bench.agents"

RAW_HYPERCORN = ("loadtests.bench.peers", "raw-hypercorn")
RAW_UVICORN = ("loadtests.bench.peers", "raw-uvicorn")
QUART = ("loadtests.bench.peers", "quart")
FASTAPI = ("loadtests.bench.peers", "fastapi")

MEMORY = "memory:"


def sqlite(name: str) -> str:
    """A database in the servers' folder."""
    return f"sqlite:///{name}.db"


def runner(agent: str, store: str = MEMORY, *settings: str) -> Sequence[str]:
    """On Hypercorn, the default; a setting such as `strategy.max_running=16`."""
    more = [word for setting in settings for word in ("--set", setting)]
    target = f"{AGENTS}:{agent}"
    serve = ("runner", "serve", target, "--port", "0", "--log", "json", "--store", store)
    return (*serve, *more)


def runner_on_uvicorn(agent: str, *settings: str) -> Sequence[str]:
    return runner(agent, MEMORY, "server.http=uvicorn", *settings)


@contextmanager
def serving(
    candidates: Mapping[str, Sequence[str]], folder: Path | None = None
) -> Iterator[dict[str, Served]]:
    """All of them, in this folder or in one that goes with them."""
    with ExitStack() as stack:
        where = folder or Path(stack.enter_context(TemporaryDirectory()))
        yield {
            name: stack.enter_context(running(words, where)) for name, words in candidates.items()
        }
