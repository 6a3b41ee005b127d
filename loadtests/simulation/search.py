"""Which strategy, slots, bound and `max_wait_s`? Searched together, and judged on fresh runs.

What is asked for, in this order: the target is met; with the fewest slots; with the fewest
settings. Where nothing meets it: the percentile is under its limit if that can be had, then
as many users as can be are served, then the fewest slots and settings that do as well.

A search picks what was best and lucky on the runs that it saw. So its few best are judged
on runs that it did not see, and only the figures of these are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from loadtests.simulation.advice import Advice, Traffic
from loadtests.simulation.screening import ALL, AS_GOOD, Screening
from loadtests.simulation.setups import Setup, Target, candidates, grid, most_slots
from loadtests.simulation.trials import Outcome, mean, try_out

LIKE_DEFAULT = 0.02
"""Within the noise, the default is preferred to what seems better by no more than this."""


def recommend(
    strategies: Sequence[str], traffic: Traffic, target: Target, begin: Callable[[Setup], None]
) -> Advice:
    """The best setup for the traffic; `begin` is told of each setup before it is tried."""
    return _Search(strategies, traffic, target, begin).advice()


class _Search:
    def __init__(
        self,
        strategies: Sequence[str],
        traffic: Traffic,
        target: Target,
        begin: Callable[[Setup], None],
    ) -> None:
        self._target, self._begin = target, begin
        self._screening = Screening(traffic.screening[:ALL], target, begin)
        self._judging = traffic.judging
        self._most = most_slots([*traffic.screening, *traffic.judging])
        self._strategies = list(strategies)
        self._judged: dict[Setup, Outcome] = {}

    def advice(self) -> Advice:
        for setup in self._likely():
            if self._screening.meets(setup):
                advice = self._with_fewest_slots(setup)
                if advice is not None:
                    return advice
        return self._serving_most()

    def _likely(self) -> Iterator[Setup]:
        """Who may meet the target: defaults first, and last those that bound no slots."""
        defaults = candidates(self._strategies, self._most)
        yield from (setup for setup in defaults if _bounds_slots(setup))
        yield from self._best(self._most, must_meet=True)[:1]
        yield from (setup for setup in defaults if not _bounds_slots(setup))

    def _best(self, slots: int, *, must_meet: bool = False) -> list[Setup]:
        every = [
            setup
            for name in self._strategies
            for setup in grid(name, slots, self._screening.traffic[0])
            if not must_meet or _bounds_slots(setup)
        ]
        return self._screening.best(every, must_meet=must_meet)

    def _with_fewest_slots(self, setup: Setup) -> Advice | None:
        """From one that meets the target with the most slots; None if on fresh runs it does not."""
        chosen = self._screening.fewest(setup, self._screening.meets)
        if not _bounds_slots(chosen):
            return self._meeting(chosen, None) if self._meets(chosen) else None
        fewer: Setup | None = None
        while not self._meets(chosen):
            if chosen.slots >= self._most:
                return None
            fewer, chosen = chosen, chosen.with_slots(chosen.slots + 1)
        while chosen.slots > 1:
            below = self._closest(chosen.slots - 1)
            if not self._meets(below):
                fewer = below
                break
            further = self._screening.fewest(below, self._screening.meets)
            chosen = further if self._meets(further) else below
        return self._meeting(chosen, fewer)

    def _closest(self, slots: int) -> Setup:
        """What is nearest to the target with so many slots; looked at closely if it is near."""
        best = self._best(slots, must_meet=True)[0]
        return best if self._screening.is_hopeless(best) else self._screening.refined(best)

    def _meeting(self, chosen: Setup, fewer: Setup | None) -> Advice:
        """The chosen setup, or its default where that meets the target too."""
        if self._meets(chosen.as_default()):
            chosen = chosen.as_default()
        others = [self._judge(one) for one in candidates(self._strategies, chosen.slots)]
        return self._compared(self._judge(chosen), others, self._judge(fewer) if fewer else None)

    def _serving_most(self) -> Advice:
        leaders = self._best(self._most)
        first = self._screening.fewest_as_good(self._screening.refined(leaders[0]))
        defaults = candidates(self._strategies, first.slots)
        more = [*self._screening.boldest(first.strategy), *leaders[1:2]]
        second = [one.with_slots(first.slots) for one in more]
        finalists = [self._judge(one) for one in dict.fromkeys([first, *second, *defaults])]
        best = finalists[0]
        for other in finalists[1:]:
            if _is_better(other, best):
                best = other
        for default in finalists:
            if default.setup == Setup("queue", first.slots) and _does_as_well(default, best):
                best = default
        return self._compared(best, finalists, None)

    def _compared(self, best: Outcome, judged: list[Outcome], fewer: Outcome | None) -> Advice:
        others = (one for one in judged if one not in (best, fewer))
        rivals = sorted(others, key=lambda one: (_is_late(one), -one.served))
        return Advice(self._target, best, fewer, tuple(rivals))

    def _meets(self, setup: Setup) -> bool:
        return self._judge(setup).meets(self._target)

    def _judge(self, setup: Setup) -> Outcome:
        if setup not in self._judged:
            self._begin(setup)
            self._judged[setup] = try_out(setup, self._judging, self._target)
        return self._judged[setup]


def _bounds_slots(setup: Setup) -> bool:
    return "max_running" in setup.settings


def _is_late(outcome: Outcome) -> bool:
    """The target's percentile is clearly not under its limit."""
    return mean(outcome.scores).spare < -AS_GOOD


def _is_better(one: Outcome, best: Outcome) -> bool:
    """Keeps the percentile where the best does not, or serves clearly more."""
    if _is_late(one) != _is_late(best):
        return _is_late(best)
    lead = one.lead_over(best)
    return lead.is_clear and lead.mean > 0


def _does_as_well(default: Outcome, best: Outcome) -> bool:
    if _is_late(default) and not _is_late(best):
        return False
    lead = best.lead_over(default)
    is_noise = lead.low is not None and lead.low <= 0 and lead.mean <= LIKE_DEFAULT
    return lead.mean <= AS_GOOD or is_noise
