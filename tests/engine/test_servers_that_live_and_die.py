"""Hundreds of seeded lives of several servers on one Postgres: killed, frozen, cut off, stopped.

I-1 to I-6, I-8, I-19, I-26. One seed by hand:

    python -P -m tests.engine.world 42 queue
"""

from __future__ import annotations

import importlib
import inspect
from random import Random
from typing import Any

import pytest

from tests.engine.mutants import ENGINE, SIMULATION
from tests.engine.world import Policy, World
from tests.strategies.mutants import Mutant


def explore(seeds: range, policy: Policy = "queue") -> None:
    for seed in seeds:
        faults = World(seed, policy).run()
        replay = f"python -P -m tests.engine.world {seed} {policy}"
        assert not faults, f"seed {seed}: {faults}\nreplay it with: {replay}"


def test_every_turn_has_one_outcome_through_some_lives() -> None:
    explore(range(20))


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "count"), [("queue", 150), ("lock", 60), ("reject", 60)])
def test_every_turn_has_one_outcome_through_all_lives(policy: Policy, count: int) -> None:
    explore(range(1_000, 1_000 + count), policy)


@pytest.mark.parametrize("seed", [62, 142, 223])
def test_the_same_seed_is_the_same_life(seed: int) -> None:
    assert trace(seed) == trace(seed)


def trace(seed: int) -> list[str]:
    """Each choice that chance has made, and when."""
    world = World(seed)
    chosen: list[str] = []

    class Told(Random):
        def choice(self, seq: Any) -> Any:
            chosen.append(f"{world.now} {len(seq)}")
            return super().choice(seq)

    told = Told()
    told.setstate(world.rng.getstate())
    world.rng = told
    assert world.run() == []
    assert len(chosen) > 100
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "mutant"),
    [("runner.engine", one) for one in ENGINE] + [("tests.engine", one) for one in SIMULATION],
    ids=lambda value: value.mistake if isinstance(value, Mutant) else value,
)
def test_the_lives_find_the_mistake(
    package: str, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"{package}.{mutant.module}")
    mutated: dict[str, Any] = {**vars(module)}
    exec(mutant.applied_to(inspect.getsource(module)), mutated)
    owner, *names = mutant.at.split(".")[1:]
    if not names:
        monkeypatch.setattr(module, owner, mutated[owner])
    for name in names:
        broken: Any = mutated[owner].__dict__[name]
        monkeypatch.setattr(getattr(module, owner), name, broken)
    with pytest.raises(AssertionError, match="replay it with"):
        explore(range(250))
