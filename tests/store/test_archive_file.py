"""A file that is no export, or a broken one, is refused with its line and leaves nothing behind."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from runner.store.archive import KeptTurn
from runner.store.archive_reader import MOST_HEADER_BYTES, ArchiveReader, BadFile
from runner.store.base import AcceptedTurn
from runner.store.memory import MemoryStore
from tests.store.archives import fill, reader_of, to_file

Lines = list[dict[str, Any]]


@pytest.fixture
async def file() -> bytes:
    """An export; its lines: 1 header, 2 `a`, 3 to 5 its turns, 6 to 8 ended ones, 9 `ann/b`,
    10 to 12 its turns, 13 the end."""
    store = MemoryStore()
    await fill(store)
    return to_file(store)


def parts(file: bytes) -> list[KeptTurn | AcceptedTurn]:
    """All that is in it; raises BadFile."""
    return [part for one in reader_of(file).conversations() for part in one.parts]


def changed(file: bytes, number: int, /, **members: object) -> bytes:
    """With these members in a line; ... takes one out."""
    lines: Lines = [json.loads(line) for line in file.splitlines()]
    lines[number - 1] |= members
    kept = {name: value for name, value in lines[number - 1].items() if value is not ...}
    lines[number - 1] = kept
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def refused(file: bytes) -> tuple[int, str]:
    with pytest.raises(BadFile) as refusal:
        parts(file)
    assert str(refusal.value).startswith(f"line {refusal.value.line}: ")
    return refusal.value.line, str(refusal.value)


def test_the_lines_are_as_they_are_described(file: bytes) -> None:
    kinds = [next(iter(json.loads(line))) for line in file.splitlines()]
    turns, ended = ["turn"] * 3, ["ended"] * 3
    of_a, of_b = ["conversation", *turns, *ended], ["conversation", *turns]
    assert kinds == ["format", *of_a, *of_b, "end"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not JSON\n",
        b"PK\x03\x04" * 10_000,
        b"\x1f\x8b\x08\x00 a gzip that nobody unpacked",
        b"{" * 100_000,
        b"[]\n",
        b'"turnline conversations"\n',
        b"7\n",
        b'{"format": "another program"}\n',
        b"\xff\xfe{\x00",
        b" " * (MOST_HEADER_BYTES + 1),
    ],
)
def test_what_is_no_export_is_told_at_once(content: bytes) -> None:
    line, message = refused(content)
    assert line == 1
    assert "no export" in message


def test_a_line_without_an_end_is_not_read_into_memory() -> None:
    class Endless(BytesIO):
        asked = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.asked = max(self.asked, size)
            return b" " * size

    endless = Endless()
    with pytest.raises(BadFile):
        ArchiveReader(endless).begin()
    assert endless.asked <= MOST_HEADER_BYTES + 1


def test_a_newer_format_is_told_as_such(file: bytes) -> None:
    assert "version 2" in refused(changed(file, 1, version=2))[1]


def test_a_file_is_refused_wherever_it_was_cut_off(file: bytes) -> None:
    for length in range(0, len(file) - 1, 3):
        with pytest.raises(BadFile) as refusal:
            parts(file[:length])
        assert refusal.value.line == max(len(file[:length].splitlines()), 1)


def test_a_file_from_which_a_line_is_missing_is_refused(file: bytes) -> None:
    lines = file.splitlines(keepends=True)
    # Nothing counts ended turns: they are the only lines that may go.
    for number in (*range(1, 6), *range(9, 14)):
        refused(b"".join([*lines[: number - 1], *lines[number:]]))


def test_a_line_that_stands_twice_is_refused(file: bytes) -> None:
    lines = file.splitlines(keepends=True)
    for number in (*range(1, 6), *range(9, 14)):
        refused(b"".join([*lines[:number], *lines[number - 1 :]]))


def test_two_exports_in_one_file_are_refused(file: bytes) -> None:
    assert refused(file + file)[0] == 14


WRONG: list[tuple[int, dict[str, object], str]] = [
    (2, {"conversation": "a b"}, "conversation"),
    (2, {"conversation": "a/b/c"}, "conversation"),
    (2, {"conversation": "../../etc"}, "conversation"),
    (2, {"conversation": 7}, "conversation"),
    (2, {"turns": 0}, "turns"),
    (2, {"turns": True}, "turns"),
    (2, {"turns": "3"}, "turns"),
    (2, {"turns": 10**30}, "turns"),
    (2, {"said": 7}, "said"),
    (2, {"said": "\ud800"}, "said"),
    (2, {"states": {}}, "states"),
    (2, {"states": [{"state": 1}]}, "form"),
    (2, {"states": [{"form": "own", "requests": 5}]}, "requests"),
    (2, {"states": [{"form": "own", "requests": []}]}, "requests"),
    (2, {"states": [{"form": "own", "requests": [{"id": "r"}]}]}, "requests"),
    (2, {"states": [{"form": "own", "requests": [{"kind": "approval"}]}]}, "requests"),
    (2, {"states": [{"form": "own"}, {"form": "own"}]}, "each form once"),
    (2, {"unknown": 1}, "unknown"),
    (2, {"turn": 1}, "no line of an export"),
    (3, {"turn": 2}, "turn 1 of a should be here"),
    (3, {"id": "not an id"}, "id"),
    (3, {"id": "zzzzzzzz0000"}, "id"),
    (3, {"id": "a" * 200}, "id"),
    (3, {"at": 1_700_000_000}, "at"),
    (3, {"at": "2026-11-29T03:27:38"}, "at"),
    (3, {"at": "yesterday"}, "at"),
    (3, {"at": "99999-01-01T00:00:00Z"}, "at"),
    (3, {"state": "running"}, "state"),
    (3, {"state": "failed"}, "state"),
    (3, {"state": ["answered"]}, "state"),
    (3, {"message": None}, "message"),
    (3, {"message": ...}, "message"),
    (3, {"message": "\udfff"}, "message"),
    (3, {"reply": "\ud83d"}, "reply"),
    (3, {"merged": ["x"]}, "merged"),
    (3, {"output": {"x": ["\ud800"]}}, "output"),
    (3, {"output": {"\ud800": 1}}, "output"),
    (3, {"requests": "r1"}, "requests"),
    (3, {"merged": "0" * 32}, "merged"),
    (6, {"number": 4}, "no turn 4"),
    (6, {"number": -1}, "number"),
    (6, {"number": ...}, "do not fit"),
    (6, {"state": "failed"}, "do not fit"),
    (6, {"cause": "AgentFailed"}, "do not fit"),
    (8, {"cause": ...}, "do not fit"),
    (8, {"state": "answered"}, "do not fit"),
    (6, {"outcome": "perhaps"}, "outcome"),
    (6, {"ran_s": float("nan")}, "ran_s"),
    (6, {"ran_s": -1.0}, "ran_s"),
    (6, {"attempts": "1"}, "attempts"),
    (6, {"webhook": "https://elsewhere.example/"}, "webhook"),
    (6, {"message": "run me"}, "message"),
    (13, {"turns": 7}, "there should be 2 conversations with 7 turns"),
    (13, {"conversations": 1}, "there should be 1 conversations"),
    (13, {"end": False}, "end"),
]


@pytest.mark.parametrize(("number", "members", "said"), WRONG)
def test_a_line_that_is_wrong_is_told_with_its_number(
    file: bytes, number: int, members: dict[str, object], said: str
) -> None:
    line, message = refused(changed(file, number, **members))
    assert line == number
    assert said in message


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"nothing", b'{"turn": 1', b"\xff", b"[" * 100_000, b'"turn"', b"1" * 10_000],
)
def test_a_line_that_is_no_line_is_told_with_its_number(file: bytes, line: bytes) -> None:
    lines = file.splitlines()
    lines[3] = line
    assert refused(b"\n".join(lines))[0] == 4


def test_a_file_that_an_editor_went_through_is_read(file: bytes) -> None:
    assert parts(file.replace(b"\n", b"\r\n") + b"\n") == parts(file)
    spaced = [json.dumps(json.loads(line)) for line in file.splitlines()]
    assert parts("\n".join(spaced).encode()) == parts(file)


def test_whatever_bytes_are_spoilt_nothing_but_the_refusal_is_raised(file: bytes) -> None:
    spoil: list[Callable[[bytearray, int], object]] = [
        lambda text, at: text.__setitem__(at, 0),
        lambda text, at: text.__setitem__(at, text[at] ^ 1),
        lambda text, at: text.__setitem__(slice(at, at + 9), b""),
        lambda text, at: text.__setitem__(slice(at, at), b'{"turn":1}\n'),
    ]
    refusals = 0
    rng = random.Random(7)
    for _ in range(1_000):
        text = bytearray(file)
        rng.choice(spoil)(text, rng.randrange(len(text)))
        try:
            parts(bytes(text))
        except BadFile:
            refusals += 1
    assert refusals > 250
