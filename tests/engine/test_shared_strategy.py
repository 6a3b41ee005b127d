"""The promises of a strategy, held by the one that shares its line, in one process: I-26.

What it cannot promise stands here with the reason, and is held to be broken, so that the list
does not outlive its reasons.
"""

from __future__ import annotations

import re

import pytest

from strategies import Limits, State
from strategies.testing import PROMISES, Promise, Rig, ended, replay, run
from strategies.testing.plan import make_plan
from tests.engine.alone import shared

POLICIES = ("queue", "lock", "reject")

BROKEN: dict[tuple[str, str], str] = {
    ("queue", "urgent_turns_of_one_caller_do_not_overtake_those_of_another"): (
        "A turn has its rank when it comes, as a job of Procrastinate has a number: so a level of "
        "urgency is worth places among the turns of all callers."
    ),
}
"""Of a policy, and why."""

EXPECTED = {
    r"cancel: t\d+ is running after it was cancelled": (
        "A turn that runs has ended when that is kept in Postgres, and not before `cancel` returns."
    ),
    r"8: \w+ started twice while \w+, without a slot, waited|8: \w+, with \d+ slots, got one before"
    r"|fairness: \w+ ran twice while": (
        "The rank of a turn is given when it comes, and not looked at again when slots are free: "
        "among turns that came long ago a caller may have two before another has one."
    ),
}
"""What the explorer sees, and why it is no fault here."""

EXPECTED_8_AT_MOST = 0.05
"""The share of schedules in which that of the ranks is seen."""


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_promise_is_kept_over_a_line_of_all_processes(promise: Promise, policy: str) -> None:
    if (policy, promise.__name__) in BROKEN:
        with pytest.raises(AssertionError):
            run(promise(shared(policy)))
    else:
        run(promise(shared(policy)))


@pytest.mark.parametrize("policy", POLICIES)
def test_no_schedule_breaks_another_promise(policy: str) -> None:
    unfair = 0
    seeds = [seed for seed in range(400) if is_judged(seed)]
    for seed in seeds:
        faults = replay(shared(policy), seed, bounds=policy == "queue")
        unexpected = [
            fault for fault in faults if not any(re.match(one, fault) for one in EXPECTED)
        ]
        assert not unexpected, f"seed {seed}: {unexpected}"
        unfair += any(fault.startswith(("8", "fairness")) for fault in faults)
    assert unfair <= EXPECTED_8_AT_MOST * len(seeds)


def is_judged(seed: int) -> bool:
    """Whether its turns are equally urgent: the explorer counts urgency in seconds, not places."""
    return len({turn.priority for turn in make_plan(seed).turns}) == 1


def test_an_urgent_turn_of_its_own_caller_goes_first() -> None:
    async def order() -> list[str]:
        rig = Rig(shared("queue"), Limits(max_running=1))
        await rig.occupy(1)
        tickets = [
            rig.submit("work 1", f"c{number}", priority=priority)
            for number, priority in enumerate((3, 3, 0))
        ]
        for ticket in tickets:
            assert (await ended(ticket))[0] is State.ANSWERED
        return rig.calls[1:]

    assert run(order()) == ["t4", "t2", "t3"]
