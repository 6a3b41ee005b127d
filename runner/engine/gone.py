"""What processes have left that are gone, or that were silent for too long."""

from __future__ import annotations

import structlog

from runner.engine.store import SharedStore
from runner.settings import StoreSettings
from runner.store.base import Ending
from runner.turns import ending as endings
from strategies import TurnCancelled, TurnInterrupted

log = structlog.get_logger(__name__)


async def sweep(store: SharedStore, settings: StoreSettings) -> list[str]:
    """Have their turns run again, or end; gives those whose webhook is to be delivered here.

    Raises StoreUnavailable.
    """
    for turn_id, attempts in await store.stalled(settings.lease_s):
        ending = _ending(settings, attempts)
        if await store.revive(turn_id, settings.lease_s, ending):
            runs_again = ending is None
            log.warning("a turn of a process that is gone", turn_id=turn_id, runs_again=runs_again)
    for kept in await store.strays():
        await store.line_up(kept)
    left = endings.of(TurnCancelled("The client left."), 0)
    await store.forget_gone(settings.lease_s, left)
    return await store.hooks_of_gone(settings.lease_s)


def _ending(settings: StoreSettings, attempts: int) -> Ending | None:
    """Of a turn whose agent was called so often; None where it is called again."""
    if not attempts or (settings.on_restart == "run" and attempts < settings.max_attempts):
        return None
    times = "once" if attempts == 1 else f"{attempts} times"
    detail = f"The server ended while the turn ran, {times}. Nothing was kept; ask again."
    return endings.of(TurnInterrupted(detail), attempts)
