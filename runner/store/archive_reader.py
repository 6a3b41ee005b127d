"""Reads the file of an export, and holds one line of it at a time.

What is no export, or a broken one, is told with the number of its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar, cast

from pydantic import ValidationError

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.archive_lines import FORMAT, VERSION
from runner.store.archive_shapes import (
    KINDS,
    ConversationShape,
    End,
    EndedShape,
    Header,
    Line,
    Shape,
    TurnShape,
)
from runner.store.base import AcceptedTurn

S = TypeVar("S", bound=Shape)

MOST_HEADER_BYTES = 10_000

MOST_LINE_BYTES = 2**28
"""A longer line is refused, for a line has to fit into memory."""

NO_EXPORT = "this is no export of conversations"
CUT_OFF = "the file ends here, before its last line. It was cut off; export it again"


class BadFile(Exception):
    """The file is no export, or a broken one. The message begins with the line.

    line  counts from 1.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}.")
        self.line = line


class ArchiveReader:
    """What stands in the file, in order, once.

    line   the number of the line that was read last.
    turns  those that were read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead: Line | None = None
        self.line = 0
        self.turns = 0

    def begin(self) -> None:
        """Read the first line. Raises BadFile."""
        content = self._object(MOST_HEADER_BYTES)
        if content.get("format") != FORMAT:
            raise self._bad(NO_EXPORT)
        if content.get("version") != VERSION:
            raise self._bad(
                f"the format has version {content.get('version')!r:.20}, "
                f"and this program reads version {VERSION}"
            )
        self._shaped(Header, content)

    def conversations(self) -> Iterator[KeptConversation]:
        """Raises BadFile, as the parts of each do; parts that nobody reads are read here."""
        number = 0
        while isinstance(shape := self._next(), ConversationShape):
            number += 1
            parts = self._parts(shape)
            states = tuple(state.kept() for state in shape.states)
            yield KeptConversation(shape.conversation, shape.turns, shape.said, states, parts)
            for _ in parts:
                pass
        if not isinstance(shape, End):
            raise self._bad("this belongs to no conversation")
        if (shape.conversations, shape.turns) != (number, self.turns):
            raise self._bad(
                f"there should be {shape.conversations} conversations with {shape.turns} turns, "
                f"and there are {number} with {self.turns}"
            )
        if self._read().strip():
            raise self._bad("nothing may come after the last line")

    def _parts(self, about: ConversationShape) -> Iterator[KeptTurn | AcceptedTurn]:
        for number in range(1, about.turns + 1):
            shape = self._next()
            if not isinstance(shape, TurnShape) or shape.turn != number:
                raise self._bad(f"turn {number} of {about.conversation} should be here")
            self.turns += 1
            yield shape.kept()
        while isinstance(shape := self._next(), EndedShape):
            if shape.number > about.turns:
                raise self._bad(f"{about.conversation} has no turn {shape.number}")
            yield shape.kept(about.conversation)
        self._ahead = shape

    def _next(self) -> Line:
        if (ahead := self._ahead) is not None:
            self._ahead = None
            return ahead
        content = self._object(MOST_LINE_BYTES)
        kinds = [kind for name, kind in KINDS.items() if name in content]
        if len(kinds) != 1:
            raise self._bad("this is no line of an export")
        return self._shaped(kinds[0], content)

    def _object(self, most: int) -> dict[str, Any]:
        content = self._json(most)
        if isinstance(content, dict):
            return cast("dict[str, Any]", content)
        raise self._bad(NO_EXPORT if self.line == 1 else "this is no line of an export")

    def _json(self, most: int) -> object:
        text = self._read(most)
        if not text:
            raise BadFile(max(self.line - 1, 1), NO_EXPORT if self.line == 1 else CUT_OFF)
        try:
            return json.loads(text.decode())
        except (ValueError, RecursionError) as error:
            if self.line == 1:
                raise self._bad(NO_EXPORT) from error
            if not text.endswith(b"\n"):
                raise self._bad(CUT_OFF) from error
            raise self._bad(f"this is no JSON in UTF-8 ({error})") from error

    def _read(self, most: int = MOST_LINE_BYTES) -> bytes:
        text = self._file.readline(most + 1)
        self.line += 1
        if len(text) > most:
            raise self._bad(NO_EXPORT if self.line == 1 else f"it is longer than {most} bytes")
        return text

    def _shaped(self, kind: type[S], content: object) -> S:
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            raise self._bad(_in_words(error)) from error

    def _bad(self, what: str) -> BadFile:
        return BadFile(self.line, what)


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    what = first["msg"]
    what = f"{what[:1].lower()}{what[1:]}"
    return f"{where}: {what}" if where else what
