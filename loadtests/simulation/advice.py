"""What a search recommends, what it was judged against, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.measures.intervals import Effect
from loadtests.simulation.setups import Target
from loadtests.simulation.trials import Outcome
from loadtests.workloads.workload import Workload


@dataclass(frozen=True, slots=True)
class Traffic:
    """The runs of a search: those that it looks at, and those on which its best are judged.

    Each run once, and none in both, unless the traffic is one run in all (`is_fresh` False).
    """

    screening: tuple[Workload, ...]
    judging: tuple[Workload, ...]

    @property
    def is_fresh(self) -> bool:
        return not set(map(id, self.screening)) & set(map(id, self.judging))


@dataclass(frozen=True, slots=True)
class Advice:
    """What is recommended, and what it was judged against, all on the same fresh runs.

    fewer   what does best with one slot less, where slots are the question: it misses the
            target. None where there is none to compare.
    rivals  the others that were judged, those that serve most first.
    """

    target: Target
    best: Outcome
    fewer: Outcome | None
    rivals: tuple[Outcome, ...]

    @property
    def meets_target(self) -> bool:
        return self.best.meets(self.target)

    @property
    def outcomes(self) -> list[Outcome]:
        """All that were judged, the recommended one last."""
        fewer = [self.fewer] if self.fewer else []
        return [*self.rivals, *fewer, self.best]

    @property
    def lead(self) -> Effect | None:
        """Over the next best, in users served."""
        return self.best.lead_over(self.rivals[0]) if self.rivals else None

    @property
    def is_sure(self) -> bool:
        """Whether other runs of this traffic would have given the same advice (95 %)."""
        if self.meets_target:
            fewest = self.fewer is None or self.fewer.clearly_misses(self.target)
            return fewest and self.best.clearly_meets(self.target)
        leads = [self.best.lead_over(rival) for rival in self.rivals]
        return all(lead.is_clear and lead.mean > 0 for lead in leads)
