"""What must be true of a `World` when all is over."""

from __future__ import annotations

from collections import Counter

from runner.store.base import Ending
from runner.turns.ending import KEPT_FOR_LATER
from strategies import Load, State
from tests.engine.process import Process
from tests.engine.world import Wish, World

GRACE_S = 1.0 + 1.5
"""Of a deadline; and until its end is written down, and its client told, over slow links."""


def judge(world: World) -> None:
    """I-1 to I-6, I-8, I-19, and the fence."""
    ends = {turn.id: turn.ending for turn in world.server.accepted.values()}
    history = {name: said_in(world, name) for name in "ab"}
    _history(world, history)
    _endings(world, ends, history)
    for wish in world.wishes:
        _wish(world, wish, ends)
    _order(world)
    if world.is_calm:
        _calm(world)
    _rest(world)


def said_in(world: World, conversation: str) -> list[tuple[str, str]]:
    """Message and reply of each turn."""
    said = [one["content"] for one in world.server.kept.history(conversation)]
    return list(zip(said[::2], said[1::2], strict=True))


def _history(world: World, history: dict[str, list[tuple[str, str]]]) -> None:
    """Each message once, and each reply was made for the place at which it stands."""
    for message, times in Counter(m for said in history.values() for m, _ in said).items():
        if times > 1:
            world.fault(f"I-3: {message} is in the history {times} times")
    for conversation, said in history.items():
        for number, (message, reply) in enumerate(said, 1):
            if reply != f"{number} {message}":
                world.fault(f"I-1: reply {number} of {conversation} is {reply!r} to {message}")


def _endings(
    world: World, ends: dict[str, Ending | None], history: dict[str, list[tuple[str, str]]]
) -> None:
    committed = {turn[2] for turn in vars(world.server.kept)["_committed"].values()}
    for turn_id, ending in ends.items():
        is_kept = turn_id in committed
        if ending is None:
            world.fault(f"I-8: {turn_id} was accepted and has no outcome")
        elif (ending.state is State.ANSWERED) != is_kept:
            world.fault(f"I-8: {turn_id} is {ending.state}, and the history says otherwise")
        elif ending.outcome == "not_started" and world.attempts.get(turn_id) and not is_kept:
            world.fault(f"I-5: {turn_id} was called for, and is said not to have started")
    for turn_id in world.refused:
        if turn_id in world.attempts or turn_id in committed:
            world.fault(f"I-4: {turn_id} was refused, and was called for")


def _wish(world: World, wish: Wish, ends: dict[str, Ending | None]) -> None:
    if wish.key and len(world.asked_as.get(wish.message, ())) > 1:
        world.fault(f"I-19: {wish.message} ran as {world.asked_as[wish.message]}")
    if wish.is_promised and wish.turn_id not in ends:
        world.fault(f"I-8: {wish.turn_id} was promised and is not written down")
    told, kept = wish.told, ends.get(wish.turn_id)
    if told and told.outcome == "not_started" and not told.reply and wish.turn_id in world.attempts:
        world.fault(f"I-5: {wish.turn_id} was called for, and its client told that it was not")
    if told is None or kept is None or (told.outcome == "unknown" and told.reply is None):
        return
    if told.state is not kept.state:
        world.fault(f"I-8: {wish.turn_id} was told as {told} and kept as {kept}")
    if told.reply is not None and told.reply != f"{kept.number} {wish.message}":
        world.fault(f"I-2: {wish.turn_id} was told {told.reply!r} and is number {kept.number}")


def _order(world: World) -> None:
    """I-6: what was asked after another was answered stands after it."""
    answered = [wish for wish in world.wishes if wish.told and wish.told.reply]
    for first in answered:
        for second in answered:
            if first.conversation == second.conversation and first.told_at < second.asked_at:
                assert first.told is not None
                assert second.told is not None
                if first.told.number >= second.told.number:
                    world.fault(f"I-6: {second.turn_id} was asked later than {first.turn_id}")


def _calm(world: World) -> None:
    """Where no server was in trouble, no turn runs twice, is taken away, or is late."""
    for turn_id, attempts in world.attempts.items():
        if len(attempts) > 1:
            world.fault(f"{turn_id} ran {len(attempts)} times, and no server was in trouble")
    if world.server.taken:
        world.fault(f"{world.server.taken} were taken away, and no server was in trouble")
    for wish in world.wishes:
        if wish.told is not None and wish.told.detail == KEPT_FOR_LATER:
            world.fault(f"{wish.turn_id} was left for later, and no server was in trouble")
        _deadline(world, wish)


def _deadline(world: World, wish: Wish) -> None:
    if wish.told is None or wish.deadline_s is None:
        return
    spent_s = wish.told.waited_s + wish.told.ran_s
    if spent_s > wish.deadline_s + GRACE_S:
        world.fault(f"I-8: {wish.turn_id} took {spent_s} s, and had {wish.deadline_s} s")


def _load(world: World, process: Process) -> Load:
    async def look() -> Load:
        return process.service.load()

    looking = process.loop.create_task(look())
    process.loop.step(world.now)
    return looking.result()


def _rest(world: World) -> None:
    """No server waits for anything any more."""
    for process in world.processes:
        if process.serves:
            load = _load(world, process)
            if load.waiting or load.running or load.fenced:
                world.fault(f"I-25: {process.name} says {load} at the end")
