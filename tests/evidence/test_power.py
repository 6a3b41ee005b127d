"""Claim: the evidence can fail. Of the policies, broken by hand, every one breaks a claim."""

from __future__ import annotations

import pytest

from strategies.queue import Queue
from strategies.registry import BUILT_IN
from tests.evidence.claims import ALL, Check, broken
from tests.evidence.policy_mutants import MUTANTS, with_mutant
from tests.strategies.mutants import Mutant

CHECKS = [(strategy, check) for strategy, checks in ALL.items() for check in checks]


@pytest.mark.parametrize(("strategy", "check"), CHECKS)
def test_our_own_strategy_keeps_the_claims(strategy: str, check: Check) -> None:
    assert broken(check, BUILT_IN[strategy]) == []


@pytest.mark.slow  # A few of them are found only in a simulation.
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_a_mutant_breaks_a_claim(mutant: Mutant) -> None:
    strategy = with_mutant(mutant)
    assert strategy is not BUILT_IN[mutant.strategy]
    found = next(filter(None, (broken(check, strategy) for check in ALL[mutant.strategy])), None)
    print(f"{mutant.mistake}: {found}")
    assert found


def test_a_copy_without_a_mistake_keeps_the_claims() -> None:
    """So it is the mistake that is found, and not the copy."""
    same = Mutant("none", "shedding.WORTH", "0.9", "0.9")
    assert [found for check in ALL["queue"] if (found := broken(check, with_mutant(same)))] == []


def test_a_mutant_leaves_the_real_modules_in_their_places() -> None:
    with_mutant(MUTANTS[0])
    from strategies import queue

    assert queue.Queue is Queue


def test_there_are_at_least_twenty_mutants() -> None:
    assert len({(mutant.at, mutant.old, mutant.new) for mutant in MUTANTS}) >= 20
