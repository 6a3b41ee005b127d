"""The strategies that are held to the promises: each that has a name, and their options."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from strategies import Strategy
from strategies.choice import Choice
from strategies.interrupt import Interrupt
from strategies.registry import BUILT_IN

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    **BUILT_IN,
    "interrupt, rollback": partial(Interrupt, said="rollback"),
    "interrupt, waiting stay": partial(Interrupt, waiting="keep"),
    "interrupt, rollback, waiting stay": partial(Interrupt, said="rollback", waiting="keep"),
    "choice": Choice,
}
