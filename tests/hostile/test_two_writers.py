"""Two servers on one store, and files that go away under one: I-2, I-3, I-24, I-31."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.measures.chains import check_chain
from tests.support.client import PATIENCE_S, until
from tests.support.server import ROOT, Server

FAULTY = "tests.support.faults:echo"


def remove_lock(folder: Path) -> str:
    """As when each server held a lock beside the file."""
    (folder / "runner.db.lock").unlink(missing_ok=True)
    return "runner.db"


def hard_link(folder: Path) -> str:
    os.link(folder / "runner.db", folder / "other.db")
    return "other.db"


def symlink(folder: Path) -> str:
    (folder / "other.db").symlink_to(folder / "runner.db")
    return "other.db"


def another_path(folder: Path) -> str:
    (folder / "sub").mkdir()
    return "sub/../runner.db"


@pytest.mark.parametrize(
    "name_it",
    [
        remove_lock,
        hard_link,
        symlink,
        another_path,
    ],
)
def test_a_second_server_is_refused_by_whatever_name_and_leaves_no_file(
    folder: Path, name_it: Callable[[Path], str]
) -> None:
    """I-24"""
    with Server(folder, target="chain") as server:
        assert server.chat("before").status == 200
        name = name_it(folder)
        before = names(folder)
        second = serve(folder, f"sqlite:///{name}")
        assert second.returncode == 1
        assert "Another process has this store open" in second.stderr
        assert "Traceback" not in second.stderr
        assert names(folder) == before
        assert server.chat("after").json["turn"] == 2
        assert check_chain(server.history()) == []


def test_a_file_with_two_names_is_refused_as_each_name_has_a_journal_of_its_own(
    folder: Path,
) -> None:
    """What stands in the -wal of one name is not seen under the other."""
    with Server(folder, target="chain") as server:
        assert server.chat("kept").status == 200
        server.kill()
        name = hard_link(folder)
        before = names(folder)
        refused = serve(folder, f"sqlite:///{name}")
        assert refused.returncode == 1
        assert "second name" in refused.stderr
        assert names(folder) == before
        (folder / name).unlink()
        server.start()
        assert len(server.history()) == 2


def test_a_server_of_an_earlier_version_keeps_this_one_out(folder: Path) -> None:
    """It holds a lock beside the file."""
    with open(folder / "runner.db.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = serve(folder, "sqlite:///runner.db")
        assert refused.returncode == 1
        assert "Another process" in refused.stderr
        assert names(folder) == ["runner.db.lock"]
    with Server(folder) as server:
        assert server.chat("hello").status == 200


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.rename(path.with_name("away"))
    shutil.copy(path.with_name("away"), path)


@pytest.mark.parametrize("harm", [removed, replaced])
@pytest.mark.parametrize("name", ["runner.db", "runner.db-wal", "runner.db-shm"])
def test_a_file_that_goes_away_under_the_server_is_noticed_before_the_next_reply(
    folder: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """And what was acknowledged is there after a kill, but for a database that is gone."""
    with Server(folder, target="chain") as server:
        assert server.chat("kept").json["turn"] == 1
        harm(folder / name)
        for _ in range(2):
            refused = server.chat("not kept")
            assert (refused.status, refused.json["outcome"]) == (503, "rolled_back")
        until(lambda: f"{name} was removed or replaced" in server.log, "the log says why")
        assert "Restart the server" in server.log
        ready = server.request("GET", "/health/ready")
        assert (ready.status, ready.cause) == (503, "store-unavailable")
        server.kill()
        if name != "runner.db":
            server.start()
            assert server.chat("after").json["turn"] == 2
            assert check_chain(server.history()) == []


def test_a_folder_that_is_renamed_under_the_server_is_noticed(folder: Path) -> None:
    (folder / "data").mkdir()
    with Server(folder, target="chain", store__url="sqlite:///data/runner.db") as server:
        assert server.chat("kept").status == 200
        (folder / "data").rename(folder / "moved")
        assert server.chat("not kept").json["outcome"] == "rolled_back"
        (folder / "moved").rename(folder / "data")
        assert server.chat("kept too").json["turn"] == 2


@pytest.mark.parametrize("name", ["runner.db", "runner.db-wal"])
def test_a_file_that_goes_away_while_a_reply_is_being_kept_is_noticed_too(
    folder: Path, name: str
) -> None:
    """I-31: the commit took place, in a file that nobody may find again."""
    with Server(folder, target=FAULTY) as server:
        assert server.chat("kept").status == 200
        (folder / "fault").write_text(f"INSERT INTO turns -> once before COMMIT {name}")
        refused = server.chat("who knows")
        assert (refused.status, refused.json["outcome"]) == (503, "unknown")
        assert server.chat("not kept").json["outcome"] == "rolled_back"


def test_a_backup_is_made_beside_the_server(folder: Path) -> None:
    with Server(folder, target="chain") as server:
        assert server.chat("before").status == 200
        with (
            closing(sqlite3.connect(folder / "runner.db")) as source,
            closing(sqlite3.connect(folder / "backup.db")) as backup,
        ):
            source.backup(backup)
            assert server.chat("meanwhile").status == 200
            assert backup.execute("SELECT count(*) FROM turns").fetchone() == (1,)
        assert server.chat("after").json["turn"] == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////nonexist/x.db", ("sqlite:////nonexist/x.db", "no folder /nonexist")),
        ("sqlite://foo.db", ("sqlite://foo.db", "did you mean sqlite:///foo.db?")),
        ("foo.db", ("'foo.db'", "did you mean sqlite:///foo.db?")),
        ("sqlite:////tmp", ("sqlite:////tmp", "directory")),
    ],
)
def test_a_store_that_cannot_be_opened_is_named_as_it_was_typed(
    folder: Path, url: str, words: tuple[str, ...]
) -> None:
    refused = serve(folder, url)
    assert refused.returncode in (1, 2)
    assert "Traceback" not in refused.stderr
    for word in words:
        assert word in refused.stderr
    assert names(folder) == []


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def serve(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "runner", "serve", "eliza", "--port", "0", "--store", url],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
