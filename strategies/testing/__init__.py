"""Tests for a strategy of your own: the conformance kit and the seeded explorer.

    from strategies.testing import PROMISES, explore, run

    @pytest.mark.parametrize("promise", PROMISES)
    def test_my_strategy_keeps_its_promises(promise):
        run(promise(MyStrategy))

    def test_no_schedule_breaks_my_strategy():
        explore(MyStrategy, schedules=5_000)

The same from a shell: `python -m strategies.testing package.module:MyStrategy`.
"""

from .clock import Deadlock, VirtualLoop, run
from .conformance import PROMISES, Promise
from .explorer import BrokenPromise, explore, replay

__all__ = [
    "PROMISES",
    "BrokenPromise",
    "Deadlock",
    "Promise",
    "VirtualLoop",
    "explore",
    "replay",
    "run",
]
