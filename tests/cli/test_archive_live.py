"""From one server to another, and an import that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen

from runner.cli.importing import BATCH_LINES
from runner.store.sqlite import SqliteStore
from tests.cli.conftest import OTHERS
from tests.store.archives import reader_of, turn_id
from tests.support.client import PATIENCE_S, until
from tests.support.server import ROOT, Server

TURNS = 5


def command(folder: Path, *arguments: str) -> Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if name not in OTHERS}
    return Popen(
        [sys.executable, "-m", "runner", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


def run(folder: Path, *arguments: str) -> bytes:
    """What the command printed, which must succeed."""
    with command(folder, *arguments) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return out


def test_a_conversation_goes_on_at_another_server_exactly_where_it_was(tmp_path: Path) -> None:
    """I-2, I-18, I-19: exported while the first server runs."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    agent = "tests.support.keepers:careful"
    with Server(old, target=agent) as server:
        assert server.chat("one").json["turn"] == 1
        keyed = server.ask("two", idempotency_key='"k"')
        kept = server.until_ended(keyed)
        failed = server.ask("raise Exception")
        lost = server.until_ended(failed)
        asked = server.chat("delete x").json
        assert asked["status"] == "input_required"
        history = server.history()
        (new / "all.jsonl").write_bytes(run(old, "export"))
        server.stop()
    run(new, "import", "all.jsonl")
    with Server(new, target=agent) as server:
        assert server.history() == history
        # A server that ran it counts until it is told, and one that read it until it was kept.
        assert server.turn(keyed) | {"ran_ms": 0} == kept | {"ran_ms": 0}
        assert server.turn(failed) | {"ran_ms": 0} == lost | {"ran_ms": 0}
        assert server.turn(asked["turn_id"])["requests"] == asked["requests"]
        again = server.chat("two", idempotency_key='"k"')
        assert (again.json["turn_id"], server.calls()) == (keyed, [])
        resume = {"resume": {"r1": {"approve": True}}, "conversation_id": "default"}
        answer = server.request("POST", "/chat", resume).json
        assert answer["turn"] == asked["turn"] + 1
        assert answer["response"].startswith("done: one, two, delete x")


def file(conversations: int) -> list[bytes]:
    """The lines of an export."""
    at = "2026-11-29T03:27:38.155000Z"
    lines: list[dict[str, object]] = [
        {"format": "turnline conversations", "version": 1, "program": "0.1.0", "exported_at": at}
    ]
    for place in range(conversations):
        lines.append({"conversation": f"c{place}", "turns": TURNS})
        for number in range(1, TURNS + 1):
            name = turn_id(place * TURNS + number)
            said = {"at": at, "state": "answered", "message": "m", "reply": "r"}
            lines.append({"turn": number, "id": name, **said})
    lines.append({"end": True, "conversations": conversations, "turns": conversations * TURNS})
    return [json.dumps(line).encode() + b"\n" for line in lines]


def kept(path: Path) -> dict[str, int]:
    """How many turns each conversation has."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as db:
        try:
            rows = db.execute("SELECT conversation, count(*) FROM turns GROUP BY conversation")
            return dict(rows.fetchall())
        except sqlite3.OperationalError:  # No tables yet.
            return {}


def test_an_import_that_is_killed_leaves_whole_conversations_and_can_be_run_again(
    tmp_path: Path,
) -> None:
    lines = file(BATCH_LINES)
    path = tmp_path / "runner.db"
    with command(tmp_path, "import", "-") as importing:
        assert importing.stdin is not None
        # Some batches, and then a part of a conversation that never becomes whole.
        importing.stdin.writelines(lines[: 3 * BATCH_LINES + 4])
        importing.stdin.flush()
        until(lambda: len(kept(path)) >= BATCH_LINES // (TURNS + 1), "some are imported")
        importing.kill()
    found = kept(path)
    assert {*found.values()} == {TURNS}
    assert len(found) < BATCH_LINES
    (tmp_path / "all.jsonl").write_bytes(b"".join(lines))
    told = json.loads(run(tmp_path, "import", "--json", "--skip-existing", "all.jsonl"))
    assert (told["imported"], len(told["skipped"])) == (BATCH_LINES - len(found), len(found))
    whole = kept(path)
    assert (len(whole), {*whole.values()}) == (BATCH_LINES, {TURNS})


async def stored(path: Path) -> None:
    """More than a pipe holds."""
    store = SqliteStore(path)
    await store.open()
    await store.restore(reader_of(b"".join(file(500))).conversations())
    await store.close()


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    asyncio.run(stored(tmp_path / "runner.db"))
    with command(tmp_path, "export") as exporting:
        assert exporting.stdout is not None
        exporting.stdout.readline()
        exporting.stdout.close()
        assert exporting.stderr is not None
        assert exporting.stderr.read() == b""
        assert exporting.wait(PATIENCE_S) == 1


def test_a_disk_without_room_for_the_export_is_told(tmp_path: Path) -> None:
    asyncio.run(stored(tmp_path / "runner.db"))
    with open("/dev/full", "wb") as full:
        clean = {name: value for name, value in os.environ.items() if name not in OTHERS}
        done = subprocess.run(
            [sys.executable, "-m", "runner", "export"],
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 1
    assert b"cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr
