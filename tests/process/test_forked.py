"""The servers of these tests are forks of a template, in the state of new processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

FOUND = """
import gc, json, locale, os, signal, socket, sys, threading

def found():
    return {
        "arguments": sys.argv,
        "path": sys.path,
        "main": [sys.modules["__main__"].__spec__.name, sys.modules["__main__"].__file__],
        "flags": list(sys.flags),
        "streams": [
            [one.name, one.encoding, one.errors, one.line_buffering, one.write_through]
            for one in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "signals": {one.name: str(signal.getsignal(one))[:20] for one in signal.Signals},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
        "threads": sorted(one.name for one in threading.enumerate()),
        "descriptors": sorted(
            one for one in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + one)
        ),
        "collector": [gc.isenabled(), gc.get_threshold()],
        "locale": locale.getlocale(),
    }

at_import = found()

async def agent(message, history):
    return json.dumps([at_import, found()])
"""


def found_in(folder: Path) -> tuple[list[dict[str, Any]], bool]:
    """At the import of the agent and in a turn; and whether the server was forked."""
    with Server(folder, target="looking:agent", store__url="memory:") as server:
        return json.loads(server.chat("look").json["response"]), server.is_forked


pytestmark = pytest.mark.skipif(not Server.forks, reason="servers are not to be forked here")


def test_a_forked_server_is_in_the_state_of_a_new_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "looking.py").write_text(FOUND)
    found, forked = found_in(folder)
    monkeypatch.setattr(Server, "forks", False)
    usual, not_forked = found_in(folder)

    assert (forked, not_forked) == (True, False)
    assert found == usual


@pytest.mark.parametrize("module", ["quart.py", "strategies/__init__.py"])
def test_a_module_with_an_imported_name_is_met_by_a_new_process(folder: Path, module: str) -> None:
    (folder / "looking.py").write_text(FOUND)
    (folder / module).parent.mkdir(exist_ok=True)
    (folder / module).touch()

    _, forked = found_in(folder)

    assert not forked
