"""Where there is no room for all, who keeps most loses its oldest. I-29"""

from __future__ import annotations

from random import Random

import pytest

from runner.fair_bound import FairBound

CALLERS = ("", "ann", "bob", "cyd", "dan")


class Kept:
    """Things kept as `FairBound` has it: the caller and the weight of each, oldest first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.shares: FairBound[int] = FairBound(most, most_bytes)
        self.things: dict[int, tuple[str, int]] = {}
        self.gone: list[int] = []

    def add(self, thing: int, caller: str, weight: int) -> None:
        self.things[thing] = caller, weight
        self.shares.count(caller, 1, weight)
        self.shares.keep(caller, thing)
        while (surplus := self.shares.surplus()) is not None:
            self.gone.append(surplus)
            self.remove(surplus)

    def remove(self, thing: int) -> None:
        caller, weight = self.things.pop(thing)
        self.shares.drop(caller, thing)
        self.shares.count(caller, -1, -weight)

    def of(self, caller: str) -> list[int]:
        return [thing for thing, (one, _) in self.things.items() if one == caller]

    def weights(self) -> dict[str, int]:
        weights = dict.fromkeys(CALLERS, 0)
        for caller, weight in self.things.values():
            weights[caller] += weight
        return weights


def test_a_flood_pushes_out_its_own_oldest() -> None:
    kept = Kept(10, 1_000)
    for thing in range(3):
        kept.add(thing, "bob", 1)
    for thing in range(3, 103):
        kept.add(thing, "ann", 1)
    assert kept.of("bob") == [0, 1, 2]
    assert kept.of("ann") == [*range(96, 103)]


def test_one_caller_alone_has_all_the_room() -> None:
    kept = Kept(10, 1_000)
    for thing in range(20):
        kept.add(thing, "", 1)
    assert kept.of("") == [*range(10, 20)]


def test_what_is_used_again_is_the_newest() -> None:
    kept = Kept(3, 1_000)
    for thing in range(3):
        kept.add(thing, "ann", 1)
    kept.shares.keep("ann", 0)
    kept.add(3, "ann", 1)
    assert kept.gone == [1]


def test_what_counts_but_is_not_kept_yet_is_none_of_those_that_go() -> None:
    shares: FairBound[str] = FairBound(10)
    shares.count("bob", 1)
    shares.keep("bob", "small")
    shares.count("ann", 100)
    assert shares.surplus() == "small"
    shares.drop("bob", "small")
    shares.count("bob", -1)
    assert shares.surplus() is None
    shares.keep("ann", "large")
    assert shares.surplus() == "large"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_it_is_the_heaviest_who_loses(seed: int) -> None:
    rng, kept = Random(seed), Kept(30, 200)
    for thing in range(1_000):
        caller, weight = rng.choice(CALLERS), rng.choice((0, 1, 5, 40))
        before, weights = {**kept.things, thing: (caller, weight)}, kept.weights()
        weights[caller] += weight
        kept.gone = []
        kept.add(thing, caller, weight)
        assert len(kept.things) <= 30
        assert sum(kept.weights().values()) <= 200
        if len(kept.gone) == 1 and len(before) <= 30:
            (loser, _) = before[kept.gone[0]]
            assert weights[loser] == max(weights.values())
        for one in CALLERS:  # Its share, or all that it has: nobody is left with less.
            lost = [each for each in kept.gone if before[each][0] == one]
            share = len(kept.of(one)) >= 30 // 5 - 1 or kept.weights()[one] >= 200 // 5 - 40
            assert share or not lost
        if kept.things and rng.random() < 0.3:
            kept.remove(rng.choice([*kept.things]))


def test_of_those_who_keep_nothing_nothing_is_left() -> None:
    """I-25"""
    kept = Kept(10, 1_000)
    for thing, caller in enumerate(CALLERS):
        kept.add(thing, caller, 1)
    for thing in range(len(CALLERS)):
        kept.remove(thing)
    assert not vars(kept.shares)["_shares"]


def test_what_a_caller_keeps_is_told_the_newest_first() -> None:
    bound: FairBound[str] = FairBound(10)
    for caller, thing in (("ann", "a"), ("bob", "b"), ("ann", "c")):
        bound.add(caller, thing)
    assert [*bound.latest("ann")] == ["c", "a"]
    assert [*bound.latest("nobody")] == []
