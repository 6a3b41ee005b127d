"""The strategies that are held to the promises: each that has a name, and their options."""

from __future__ import annotations

from functools import partial

from strategies.queue import Queue
from strategies.registry import BUILT_IN, interrupt
from strategies.testing import Factory

STRATEGIES: dict[str, Factory] = {
    **BUILT_IN,
    "interrupt, rollback": partial(interrupt, said="rollback"),
    "interrupt, waiting stay": partial(interrupt, waiting="keep"),
    "interrupt, rollback, waiting stay": partial(interrupt, said="rollback", waiting="keep"),
    "queue, reject": partial(Queue, on_busy="reject"),
}
