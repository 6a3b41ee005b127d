"""Tests for a strategy of your own: the conformance kit and the seeded explorer.

    from strategies.testing import PROMISES, explore, run

    @pytest.mark.parametrize("promise", PROMISES)
    def test_my_strategy_keeps_its_promises(promise):
        run(promise(MyStrategy))

    def test_no_schedule_breaks_my_strategy():
        explore(MyStrategy, schedules=5_000)

A test of its own plays a situation with a `Rig`, a strategy over a scripted agent:

    def test_the_third_is_refused():
        async def scenario():
            rig = Rig(MyStrategy, Limits(max_waiting=1))
            rig.submit("work 3")
            waiting = rig.submit("work 1")
            with pytest.raises(ServerFull):
                rig.submit("work 1")
            assert await ended(waiting) == (State.ANSWERED, "t2")

        run(scenario())

The kit from a shell: `python -P -m strategies.testing package.module:MyStrategy`.
"""

from .clock import Deadlock, VirtualLoop, run
from .conformance import PROMISES, Promise
from .explorer import BrokenPromise, explore, replay
from .rig import Factory, Rig, ended, error_of

__all__ = [
    "PROMISES",
    "BrokenPromise",
    "Deadlock",
    "Factory",
    "Promise",
    "Rig",
    "VirtualLoop",
    "ended",
    "error_of",
    "explore",
    "replay",
    "run",
]
