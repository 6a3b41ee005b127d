"""`runner export` and `runner import`: what they write, refuse and say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from runner.store import make_store
from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AgentState, Record, Store
from tests.store.archives import fill, reader_of, to_file, turn_id

Run = Callable[..., tuple[int, str, str]]


def in_store(path: Path, work: Callable[[Store], object]) -> None:
    async def do() -> None:
        store = make_store(f"sqlite:///{path}")
        await store.open()
        await work(store)  # type: ignore[misc]
        await store.close()

    asyncio.run(do())


def turns(path: Path) -> dict[str, int]:
    """Of each conversation."""
    found: dict[str, int] = {}
    with make_store(f"sqlite:///{path}").snapshot() as snapshot:
        for name in snapshot.names():
            conversation = snapshot.conversation(name)
            assert conversation is not None
            found[name] = conversation.last
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A store with one of everything, where the settings look for it."""
    in_store(tmp_path / "runner.db", fill)
    return tmp_path / "runner.db"


@pytest.fixture
def file(tmp_path: Path, kept: Path) -> Path:
    """Its export."""
    path = tmp_path / "all.jsonl"
    with make_store(f"sqlite:///{kept}").snapshot():
        path.write_bytes(to_file(make_store(f"sqlite:///{kept}")))
    return path


def names_in(out: str) -> list[str]:
    return [one.id for one in reader_of(out.encode()).conversations()]


def test_an_export_is_imported_as_it_was(run: Run, kept: Path, tmp_path: Path) -> None:
    status, out, err = run("export")
    assert (status, names_in(out)) == (0, ["a", "ann/b"])
    assert "exported 2 conversations with 6 turns" in err
    (tmp_path / "all.jsonl").write_text(out)
    status, said, _ = run("import", "--store", "sqlite:///other.db", "all.jsonl")
    assert (status, said) == (0, "imported 2 conversations with 6 turns\n")
    status, again, _ = run("export", "--store", "sqlite:///other.db")
    assert again.splitlines()[1:] == out.splitlines()[1:]


def test_the_number_of_unfinished_turns_is_told_with_what_to_do(run: Run, kept: Path) -> None:
    _, out, err = run("export")
    assert "1 accepted turn has not ended" in err
    assert "waits" not in out
    assert "not ended" not in run("export", "--caller", "ann")[2]
    assert "not ended" not in run("export", "--conversation", "a")[2]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--caller", "ann"], ["ann/b"]),
        (["--caller", ""], ["a"]),
        (["--caller", "nobody"], []),
        (["--conversation", "a"], ["a"]),
        (["--conversation", "a", "--conversation", "a"], ["a"]),
        (["--conversation", "ann/b", "--conversation", "a"], ["ann/b", "a"]),
        (["--caller", "ann", "--conversation", "b"], ["ann/b"]),
    ],
)
def test_some_conversations_are_chosen(
    run: Run, kept: Path, arguments: list[str], names: list[str]
) -> None:
    status, out, _ = run("export", *arguments)
    assert (status, names_in(out)) == (0, names)


@pytest.mark.parametrize(
    "arguments",
    [["--conversation", "a", "--conversation", "b"], ["--caller", "ann", "--conversation", "a"]],
)
def test_a_conversation_that_is_not_there_is_named_and_nothing_is_written(
    run: Run, kept: Path, arguments: list[str]
) -> None:
    status, out, err = run("export", *arguments)
    assert (status, out) == (1, "")
    assert "no conversation" in err


def test_a_state_that_nobody_could_read_is_told_with_its_conversation(
    run: Run, tmp_path: Path
) -> None:
    spoilt = Record(turn_id(1), "c", "m", "r", left=AgentState("own", b"{"))
    in_store(tmp_path / "runner.db", lambda store: store.commit(spoilt))
    status, _, err = run("export")
    assert status == 1
    assert "what is kept of c is no JSON" in err


@pytest.mark.parametrize("command", [["export"], ["import", "all.jsonl"]])
def test_what_is_in_memory_is_reached_by_no_other_program(
    run: Run, file: Path, command: list[str]
) -> None:
    status, out, err = run(*command, "--store", "memory:")
    assert (status, out) == (2, "")
    assert "memory" in err


def test_a_store_that_is_not_there_is_no_export_and_is_not_made(run: Run, tmp_path: Path) -> None:
    status, out, err = run("export")
    assert (status, out) == (1, "")
    assert "runner.db" in err
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_a_server_has_is_exported_and_nothing_is_imported_into_it(
    run: Run, file: Path, kept: Path
) -> None:
    async def meanwhile(store: Store) -> None:
        results.append(await asyncio.to_thread(run, "export"))
        results.append(await asyncio.to_thread(run, "import", "--skip-existing", "all.jsonl"))

    results: list[tuple[int, str, str]] = []
    in_store(kept, meanwhile)
    (exported, out, _), (imported, _, err) = results
    assert (exported, len(names_in(out))) == (0, 2)
    assert imported == 1
    assert "stopped" in err


def test_conversations_that_exist_are_named_and_nothing_is_imported(
    run: Run, file: Path, tmp_path: Path
) -> None:
    in_store(tmp_path / "other.db", lambda store: store.commit(Record(turn_id(99), "a", "m", "r")))
    into = ("import", "--store", "sqlite:///other.db")
    status, out, err = run(*into, "all.jsonl")
    assert (status, out) == (1, "")
    assert "already: a." in err
    assert "Nothing was imported" in err
    assert turns(tmp_path / "other.db") == {"a": 1}
    status, out, _ = run(*into, "--skip-existing", "all.jsonl")
    assert (status, out) == (0, "imported 1 conversation with 3 turns; skipped 1 that exist\n")
    assert turns(tmp_path / "other.db") == {"a": 1, "ann/b": 3}


def test_what_came_of_it_is_told_to_programs(run: Run, file: Path) -> None:
    into = ("import", "--json", "--store", "sqlite:///other.db")
    status, out, _ = run(*into, "all.jsonl")
    assert (status, json.loads(out)) == (0, {"imported": 2, "turns": 6, "skipped": []})
    status, out, _ = run(*into, "--skip-existing", "all.jsonl")
    assert (status, json.loads(out)["skipped"]) == (0, ["a", "ann/b"])
    status, out, _ = run(*into, "all.jsonl")
    assert status == 1
    assert "a, ann/b" in json.loads(out)["problem"]


@pytest.mark.parametrize("line", [1, 2, 4, 11, 13])
def test_a_broken_file_is_told_with_its_line_and_nothing_is_imported(
    run: Run, file: Path, tmp_path: Path, line: int
) -> None:
    lines = file.read_bytes().splitlines()
    lines[line - 1] = b"{}"
    file.write_bytes(b"\n".join(lines))
    status, out, err = run("import", "--store", "sqlite:///other.db", "all.jsonl")
    assert (status, out) == (1, "")
    assert f"line {line}: " in err
    assert "Nothing was imported" in err
    status, out, _ = run("import", "--json", "--store", "sqlite:///other.db", "all.jsonl")
    assert (status, json.loads(out)["line"], json.loads(out)["imported"]) == (1, line, 0)
    assert line == 1 or turns(tmp_path / "other.db") == {}


def test_from_a_pipe_all_is_imported(run: Run, file: Path, tmp_path: Path) -> None:
    status, out, _ = run("import", "--store", "sqlite:///other.db", "-", text=file.read_bytes())
    assert (status, out) == (0, "imported 2 conversations with 6 turns\n")


class Pipe(BytesIO):
    """Can be read once."""

    def seekable(self) -> bool:
        return False


def test_from_a_pipe_that_breaks_whole_conversations_are_imported_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from runner.cli.importing import BATCH_LINES, import_file

    store = make_store("memory:")
    long = KeptConversation("long", BATCH_LINES, None, (), [
        KeptTurn(number, turn_id(number), "m", "r", 1.0) for number in range(1, BATCH_LINES + 1)
    ])  # fmt: skip
    asyncio.run(store.restore([long]))
    asyncio.run(store.commit(Record(turn_id(5_000), "torn", "m", "r")))
    broken = Pipe(to_file(store)[:-60])
    path = tmp_path / "other.db"
    status = import_file(f"sqlite:///{path}", broken, skip_existing=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (status, told["imported"], told["line"]) == (1, 1, BATCH_LINES + 4)
    assert "1 conversation with" in told["problem"]
    assert turns(path) == {"long": BATCH_LINES}


def test_a_file_of_another_program_makes_no_store(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("hello\n")
    status, _, err = run("import", "other.txt")
    assert status == 1
    assert "line 1: this is no export" in err
    assert not (tmp_path / "runner.db").exists()


@pytest.mark.parametrize("file", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_opened_is_wrong_usage(run: Run, file: str) -> None:
    status, _, err = run("import", file)
    assert status == 2
    assert file in err


@pytest.mark.parametrize("command", ["export", "import"])
def test_the_help_has_examples_and_says_what_a_server_means(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert "Examples" in out
    assert "server" in out
