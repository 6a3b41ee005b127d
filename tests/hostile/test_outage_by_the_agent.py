"""What ended the service or filled its memory, asked for without a token."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.client import chat, receive, send, until
from tests.support.server import Server

THREADED = "tests.support.agents:threaded"


# 3. The end of the process.

LEFT = {
    "a call in asyncio's threads": "asyncio.create_task(asyncio.to_thread(time.sleep, 600))",
    "a plain thread": "Thread(target=time.sleep, args=(600,)).start()",
    "a pool": "ThreadPoolExecutor(1).submit(time.sleep, 600)",
    "a child": "multiprocessing.Process(target=time.sleep, args=(600,)).start()",
    "a child of another program": "subprocess.Popen(['sleep', '600'])",
    "an output that nobody reads": "os.dup2(os.pipe()[1], 1); Thread(target=shout).start()",
    "an exit handler": "atexit.register(time.sleep, 600)",
    "an object that takes its time to be deleted": "time.kept = Late()",
    "threads that take all of the interpreter": "[Thread(target=busy).start() for _ in range(4)]",
    "signal handlers": "[signal.signal(number, print) for number in (2, 15)]",
    "signals that are ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "a signal handler of the loop": "asyncio.get_running_loop().add_signal_handler(15, print)",
    "a thread that exits": "Thread(target=sys.exit, args=(5,)).start()",
    "a task that exits when it is told to end": "asyncio.create_task(exits())",
    "a task that does not end": "asyncio.create_task(stays())",
}

LEAVER = """
import asyncio, atexit, multiprocessing, os, signal, subprocess, sys, time
from threading import Thread
from concurrent.futures import ThreadPoolExecutor

class Late:
    def __del__(self): time.sleep(600)

def shout():
    print("x" * 1_000_000)

def busy():
    while True: pass

async def exits():
    try: await asyncio.sleep(600)
    except asyncio.CancelledError: sys.exit(5)

async def stays():
    while True:
        try: await asyncio.sleep(600)
        except asyncio.CancelledError: pass

async def agent(message):
    if message == "leave":
        {}
    return "left"
"""


@pytest.mark.parametrize("left", LEFT.values(), ids=[name.replace(" ", "-") for name in LEFT])
def test_sigterm_ends_the_process_whatever_the_agent_left(folder: Path, left: str) -> None:
    (folder / "leaver.py").write_text(LEAVER.format(left))
    with Server(folder, target="leaver:agent", server__drain_s=600) as server:
        assert server.chat("leave").status == 200
        assert server.chat("go on").json["turn"] == 2
        if "signal" in left:
            taken_back = "the agent took signals"
            until(lambda: taken_back in server.log, "the server has its signals again")
        children = server.process.children()
        try:
            server.signal(signal.SIGTERM)
            assert server.status() == 0
        finally:
            for child in children:  # They keep the pipes that the test reads.
                child.kill()
        server.wait()
        assert "Traceback" not in server.log


def test_sigterm_ends_a_process_whose_agent_left_a_thread(folder: Path) -> None:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    (folder / "leaver.py").write_text(f"{code}def agent(message): return 'hello'\n")
    with Server(folder, target="leaver:agent", server__drain_s=600) as server:
        assert server.chat("hello").status == 200
        assert server.stop() == 0
        assert "left behind" in server.log


def test_sigterm_ends_a_process_whose_loop_is_stuck_in_c(tmp_path: Path) -> None:
    """Not over uvloop, which alone hears of signals there."""
    (tmp_path / "stuck.py").write_text(STUCK_IN_C)
    over = {"server__http": "hypercorn"}
    with Server(tmp_path, target="stuck:agent", server__drain_s=0.2, **over) as server:
        with send(server.port, chat("hang")):
            until(lambda: (tmp_path / "is_stuck").exists(), "it is stuck")
            assert server.stop() == 0


STUCK_IN_C = """
import ctypes, pathlib

async def agent(message):
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
    lock(mutex)
    pathlib.Path("is_stuck").touch()
    lock(mutex)
"""

PARENT = """
import multiprocessing, time

def agent(message):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join()
    return str(child.exitcode)
"""


def test_exit_handlers_of_the_agent_are_called(folder: Path) -> None:
    code = "import atexit, pathlib\natexit.register(pathlib.Path('said').write_text, 'goodbye')\n"
    (folder / "polite.py").write_text(f"{code}def agent(message): return 'hello'\n")
    with Server(folder, target="polite:agent") as server:
        assert server.stop() == 0
    assert (folder / "said").read_text() == "goodbye"


def test_a_child_that_the_agent_forked_has_signals_of_its_own(folder: Path) -> None:
    (folder / "parent.py").write_text(PARENT)
    with Server(folder, target="parent:agent", server__drain_s=600) as server:
        assert server.chat("fork").json["response"] == str(-signal.SIGTERM)
        assert server.request("GET", "/health/ready").status == 200


@pytest.mark.parametrize("target", ["leaver:agent", "leaver:nothing"])
def test_a_start_that_fails_ends_at_once_though_the_agents_module_started_a_thread(
    http: str, folder: Path, target: str
) -> None:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    (folder / "leaver.py").write_text(f"{code}def agent(message): return 'hello'\n")
    with Server(folder) as first:
        second = Server(folder, target=target, store__url="memory:")
        second.port = first.port
        status, said = second.fail()
    assert status == (1 if target == "leaver:agent" else 2)
    assert ("--port" if target == "leaver:agent" else "nothing") in said


# 6. Threads that hang.


def test_hung_threads_starve_no_other_conversation_and_are_told(folder: Path) -> None:
    knobs = {"agent__threads": 2, "agent__max_hung_threads": 2, "agent__turn_timeout_s": 0.3}
    with Server(folder, target=THREADED, **knobs) as server:
        hung = [send(server.port, chat("until told", f"c{number}")) for number in range(2)]
        assert [receive(connection).cause for connection in hung] == ["turn-timeout"] * 2
        until(lambda: server.health()["hung_threads"] == 2, "both are written off")
        assert server.chat("hello", "other").status == 200
        refused = server.request("GET", "/health/ready")
        assert (refused.status, refused.cause) == (503, "agent-hangs")
        assert "2 calls of the agent" in refused.json["detail"]
        assert server.request("GET", "/health/live").status == 200
        server.let_on("told")
        until(lambda: server.health()["hung_threads"] == 0, "both have ended")
        assert server.request("GET", "/health/ready").status == 200
        assert server.chat("hello", "c0").json["turn"] == 1
        for connection in hung:
            connection.close()


@pytest.mark.parametrize("kind", ["factory", "generator"])
def test_a_factory_or_a_generator_that_hangs_starves_no_other_conversation(
    folder: Path, kind: str
) -> None:
    (folder / "hangs.py").write_text(HANGS)
    knobs = {"agent__threads": 2, "agent__max_hung_threads": 8, "agent__turn_timeout_s": 0.3}
    with Server(folder, target=f"hangs:{kind}", **knobs) as server:
        for number in range(1, 4):
            assert server.chat("hang", f"hang{number}").cause == "turn-timeout"
            until(lambda count=number: server.health()["hung_threads"] == count, "it is told")  # type: ignore[misc]
        assert server.chat("hello", "other").status == 200
        assert server.request("GET", "/health/ready").status == 200
        assert server.stop() == 0


def test_64_hung_turns_starve_no_other_conversation(folder: Path) -> None:
    knobs = {"agent__turn_timeout_s": 0.5, "strategy__max_running": 64, "server__drain_s": 0}
    with Server(folder, target=THREADED, **knobs) as server:
        hung = [send(server.port, chat("hang", f"c{number}")) for number in range(64)]
        until(lambda: server.health()["hung_threads"] == 64, "all are written off")
        assert server.chat("hello", "other").status == 200
        assert server.request("GET", "/health/ready").cause == "agent-hangs"
        assert server.stop() == 0
        for connection in hung:
            connection.close()


def test_a_hung_turn_of_an_object_that_answers_one_at_a_time_is_told_until_it_ends(
    folder: Path,
) -> None:
    (folder / "hangs.py").write_text(HANGS)
    with Server(folder, target="hangs:one", agent__turn_timeout_s=60) as server:
        assert server.chat("hello", "c").status == 200
        assert server.chat("until told", "c", turn_deadline_ms="300").cause == "turn-timeout"
        waiting = send(server.port, chat("hello", "other"))
        until(lambda: not is_ready(server), "it is not ready")
        told = server.request("GET", "/health/ready")
        assert told.cause == "agent-hangs"
        assert "one turn at a time" in told.json["detail"]
        refused = receive(waiting)
        assert (refused.status, refused.cause) == (503, "agent-hangs")
        assert refused.json["outcome"] == "rolled_back"
        assert server.chat("hello", "other").cause == "agent-hangs"
        server.let_on("told")
        until(lambda: is_ready(server), "it is ready again")
        assert server.chat("hello", "other").json["turn"] == 1
        waiting.close()


def is_ready(server: Server) -> bool:
    return server.request("GET", "/health/ready").status == 200


HANGS = """
import time
from pathlib import Path

class One:
    def answer(self, message):
        while message == "until told" and not Path("told").exists():
            time.sleep(0.01)
        return message

    def get_state(self):
        return None

    def set_state(self, state):
        pass

one = One()

def factory(conversation_id):
    time.sleep(600 if conversation_id.startswith("hang") else 0)
    return lambda message: message

def generator(message):
    yield "first"
    time.sleep(600 if message == "hang" else 0)
"""
