"""Conversations out of memory, and into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.store.archive import KeptConversation, KeptTurn
from runner.store.base import AcceptedTurn, IdTaken
from strategies import State

if TYPE_CHECKING:
    from runner.store.memory import Kept


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """Copies of what was kept: conversations by name, and those of the unfinished turns."""

    kept: Mapping[str, KeptConversation]
    waiting: Sequence[str]

    def names(self) -> Iterator[str]:
        return iter(self.kept)

    def conversation(self, name: str) -> KeptConversation | None:
        return self.kept.get(name)

    def unfinished(self) -> list[str]:
        return [*self.waiting]


def refuse_known_ids(
    parts: Iterable[KeptTurn | AcceptedTurn], turns: set[str], accepted: set[str]
) -> None:
    """Raise IdTaken for an id that is in these sets, which are added to, or there twice."""
    for part in parts:
        if isinstance(part, KeptTurn):
            known, ids = turns, {part.id, *part.merged}
        else:
            known, ids = accepted, {part.id}
        if ids & known:
            raise IdTaken
        known |= ids


def kept_turn(turn: Kept) -> KeptTurn:
    message, reply, turn_id, _, number, kept_at, state, _, output, requests = turn
    said = message, reply, kept_at, State(state), output, requests
    return KeptTurn(number, turn_id, *said, tuple(others(turn)))


def as_kept(conversation: str, turn: KeptTurn) -> Kept:
    answers = (turn.id, *turn.merged) if turn.merged else ()
    return (
        turn.message, turn.reply, turn.id, conversation, turn.number, turn.kept_at,
        turn.state.value, answers, turn.output, turn.requests,
    )  # fmt: skip


def others(turn: Kept) -> list[str]:
    """The turns that were merged into this one."""
    return [turn_id for turn_id in turn[7] if turn_id != turn[2]] if len(turn[7]) > 1 else []
