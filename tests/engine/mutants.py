"""Mistakes in the engine, each of which the simulated servers must find.

Those `of` the simulation stand for the same mistake in `line.sql` or `SharedStore`, whose steps
it takes; `test_simulated_line.py` finds them there.
"""

from __future__ import annotations

from tests.strategies.mutants import Mutant

ENGINE = (
    Mutant("what is heard during a look is forgotten", "news.News.look", "self._look_again.add("),
    Mutant(
        "a turn that is being accepted is taken for another's",
        "sharing.Sharing._until_taken",
        "await asyncio.wait([taking])",
        "pass",
    ),
    Mutant(
        "turns of processes that are gone stay theirs",
        "sharing.Sharing._sweep",
        "await gone.sweep(self._store, self._settings.store)",
        "[]",
    ),
    Mutant(
        "a process runs a turn beside its own earlier run",
        "sharing.Sharing._run",
        "(earlier := self._runs.get(turn_id)) is not None",
        "False",
    ),
    Mutant(
        "an ending that is not kept passes for one",
        "strategy.SharedStrategy._keep",
        "if is_kept:",
        "if True:",
    ),
    Mutant(
        "a turn that cannot be withdrawn is not looked up",
        "strategy.SharedStrategy._withdraw",
        "await self._line.withdraw(ticket, error)",
        "await self._line.withdraw(ticket, error) or True",
    ),
    Mutant("who was taken for gone stays away", "worker.Worker._live", "await self._register()"),
    Mutant(
        "a store that is away ends the heartbeat",
        "worker.LOST",
        "OSError, StoreUnavailable",
        "OSError",
    ),
    Mutant(
        "what was missed is not looked up",
        "channel.Channel._listen_for_ever",
        "await self._missed(",
    ),
    Mutant(
        "an end elsewhere is not looked up", "news.News._ended", "if not self._strategy.runs_here"
    ),
)

SIMULATION = (
    Mutant(
        "no fence: whoever has a reply keeps it",
        "simulated_store.SimulatedStore.commit",
        "raise Superseded",
        "pass",
    ),
    Mutant(
        "a turn may be let go by a worker that has lost it",
        "simulated_line.Line.is_of",
        "(row.worker, row.attempts) == (worker, attempts)",
        "True",
    ),
    Mutant(
        "a key is not looked at where the turn is written down",
        "simulated_store.SimulatedStore._admit",
        "turn.key is not None and",
        "False and",
    ),
    Mutant(
        "whoever has fetched a turn passes for gone",
        "simulated_line.Line.is_stalled",
        "not alive",
        "True",
    ),
    Mutant(
        "a conversation's turns are fetched side by side",
        "simulated_line.Line.fetch",
        "row.conversation not in running",
        "True",
    ),
    Mutant(
        "a turn that was called for elsewhere is said not to have started",
        "simulated_store.SimulatedStore._end",
        "turn.attempts and ending.outcome",
        "False and ending.outcome",
    ),
    Mutant(
        "a withdrawal takes a turn that was fetched",
        "simulated_line.Line.withdraw",
        "row is None or row.is_fetched",
        "row is None",
    ),
    Mutant(
        "a turn that was given back keeps its runner",
        "simulated_store.SimulatedStore.revive",
        "self._line.back(row.job)",
        "pass",
    ),
)
