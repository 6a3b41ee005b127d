"""What only lock and reject promise, and the small parts: the estimate, the registry, the clock."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from loadtests.controls.unprotected import Unprotected
from strategies import Attempt, ConversationBusy, Limits, Place, Reply, State, Turn
from strategies.lock import Lock
from strategies.queue import Queue
from strategies.registry import UnknownStrategy, find, make, names
from strategies.reject import Reject
from strategies.service_time import ServiceTime
from strategies.testing import Deadlock, Rig, run
from strategies.ticket import LocalTicket

UNPROTECTED = "loadtests.controls.unprotected:Unprotected"


def test_any_number_wait_for_a_lock_and_for_any_time() -> None:
    async def scenario() -> None:
        rig = Rig(Lock, Limits(max_waiting=1, max_wait_s=1))
        tickets = [rig.submit() for _ in range(500)]
        await asyncio.gather(*(ticket.reply() for ticket in tickets))
        assert tickets[-1].waited_s == 499

    run(scenario())


def test_a_lock_does_not_say_who_stands_where() -> None:
    async def scenario() -> None:
        rig = Rig(Lock)
        rig.submit()
        waiting = rig.submit()
        assert waiting.place() == Place()
        assert isinstance(waiting, LocalTicket)
        assert waiting.position() is None

    run(scenario())


def test_reject_says_when_the_running_turn_is_likely_to_have_ended() -> None:
    async def scenario() -> None:
        rig = Rig(Reject)
        await rig.submit().reply()
        rig.submit()
        await asyncio.sleep(0.25)
        with pytest.raises(ConversationBusy) as refusal:
            rig.submit()
        assert refusal.value.retry_after_s == pytest.approx(0.75)

    run(scenario())


def test_the_estimate_starts_with_the_first_measurement_and_follows_a_drift() -> None:
    estimate = ServiceTime()
    assert estimate.mean_s is None
    estimate.observe(4.0)
    assert estimate.mean_s == pytest.approx(4.0)
    assert (estimate.within(4.0), estimate.within(3.9)) == (1.0, 0.0)
    for _ in range(100):
        estimate.observe(1.0)
    assert estimate.mean_s == pytest.approx(1.0)
    assert estimate.within(1.0) == 1.0


def test_the_work_of_turns_that_are_stopped_is_what_they_ran_until_then() -> None:
    estimate = ServiceTime()
    for ran_s in (4.0, 1.0, 3.0, 2.0):
        estimate.observe(ran_s)
    assert estimate.work_s(2.5) == (1 + 2 + 2.5 + 2.5) / 4
    assert (estimate.work_s(0.0), estimate.work_s(9.0)) == (0.0, 2.5)


@pytest.mark.parametrize(
    ("name", "strategy"), [("queue", Queue), ("lock", Lock), ("reject", Reject)]
)
def test_a_built_in_strategy_is_found_by_its_name(name: str, strategy: type) -> None:
    assert find(name) is strategy
    assert names()[name]


def test_a_strategy_of_ones_own_is_found_by_its_dotted_name() -> None:
    assert find(UNPROTECTED) is Unprotected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quue", "Did you mean 'queue'? Known: queue, lock, reject"),
        ("", "Known: queue, lock, reject"),
        ("no_such_module:Queue", "there is no module 'no_such_module'"),
        ("strategies.queue:Nothing", "has no class 'Nothing'"),
        ("strategies.queue:Queeu", "has no class 'Queeu'; did you mean 'Queue'?"),
        ("strategies/queue.py:Queue", "did you mean 'strategies.queue:Queue'?"),
        ("strategies.queue.Queue", "Did you mean 'strategies.queue:Queue'?"),
        (":Queue", "there is no module ''"),
        ("strategies.queue:__doc__", "has no class '__doc__'"),
    ],
)
def test_a_name_that_is_not_known_says_what_is(name: str, words: str) -> None:
    with pytest.raises(UnknownStrategy) as unknown:
        find(name)
    assert words in str(unknown.value)


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("queue", State.RUNNING),
        ("reject", State.RUNNING),
        ("interrupt", State.INTERRUPTED),
        ("merge", State.RUNNING),
    ],
)
def test_where_turns_may_choose_the_named_strategy_is_for_those_that_do_not(
    name: str, becomes: State
) -> None:
    async def scenario() -> None:
        rig = Rig(find(name, per_turn=True))
        running = rig.submit("work 5")
        await asyncio.sleep(1)
        assert (rig.try_submit() is None) == (name == "reject")
        await asyncio.sleep(0.5)
        assert running.state is becomes
        waiting = [rig.submit(strategy=choice) for choice in ("queue", "enqueue", "merge")]
        assert {ticket.state for ticket in waiting} == {State.WAITING}
        with pytest.raises(ConversationBusy):
            rig.submit(strategy="reject")

    run(scenario())


def test_where_turns_may_not_choose_reject_is_a_strategy_without_a_line() -> None:
    async def scenario() -> None:
        rig = Rig(find("reject"))
        rig.submit()
        with pytest.raises(ConversationBusy):
            rig.submit(strategy="enqueue")

    run(scenario())


@pytest.mark.parametrize("name", ["lock", UNPROTECTED])
def test_a_strategy_with_conversations_of_its_own_offers_no_choice(name: str) -> None:
    with pytest.raises(ValueError, match="conversations of another strategy are its own"):
        find(name, per_turn=True)


@pytest.mark.parametrize(
    ("name", "option", "words"),
    [
        (
            "queue",
            {"speed": 3},
            "no option 'speed'; its options: ageing_s, joined_by, max_merged_bytes",
        ),
        ("merge", {"said": "keep"}, "no option 'said'; its options: ageing_s, joined_by"),
        ("interrupt", {"joined_by": ""}, "its options: ageing_s, max_merged_bytes, said, waiting"),
        ("lock", {"ageing_s": 1.0}, "no option 'ageing_s'; its options: none"),
        (
            "loadtests.controls.unprotected:Unprotected",
            {"x": 1},
            "no option 'x'; its options: none",
        ),
        ("queue", {"on_buzy": "wait"}, "no option 'on_buzy'; did you mean 'on_busy'?"),
        ("queue", {"on_busy": "hurry"}, "on_busy must be one of wait, reject, interrupt,"),
        ("queue", {"waiting": 1}, "waiting must be one of drop, keep, and not 1"),
        (
            "queue",
            {"ageing_s": "slow"},
            "ageing_s must be a number of seconds above 0, and not 'slow'",
        ),
        ("queue", {"ageing_s": True}, "ageing_s must be a number of seconds"),
        ("merge", {"joined_by": 3}, "joined_by must be a text, and not 3"),
        ("interrupt", {"said": "forget"}, "said must be one of keep, rollback"),
        ("queue", {"on_busy": ["wait"]}, "on_busy must be one of"),
    ],
)
def test_a_bad_option_is_refused_in_words_that_say_what_is_known(
    name: str, option: dict[str, Any], words: str
) -> None:
    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        return Reply("never")

    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        make(name, answer, Limits(), option)


def test_a_strategy_that_takes_any_option_is_given_it() -> None:
    given: dict[str, Any] = {}

    class Anything(Queue):
        def __init__(self, *parts: Any, **options: Any) -> None:
            super().__init__(*parts)
            given.update(options)

    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        return Reply("never")

    sys.modules["anything"] = module = ModuleType("anything")
    vars(module)["Anything"] = Anything
    try:
        make("anything:Anything", answer, Limits(), {"speed": 3})
    finally:
        del sys.modules["anything"]
    assert given == {"speed": 3}


def test_a_package_may_offer_a_strategy_by_an_entry_point(tmp_path: Path) -> None:
    folder = tmp_path / "offers-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: offers\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[runner.strategies]\nfree-for-all = loadtests.controls.unprotected:Unprotected\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        assert find("free-for-all") is Unprotected
        assert names()["free-for-all"] == "from loadtests.controls.unprotected:Unprotected"
    finally:
        sys.path.remove(str(tmp_path))


def test_a_virtual_hour_is_an_hour_on_the_loops_clock() -> None:
    async def scenario() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 3600


def test_what_can_never_happen_is_reported_and_does_not_hang() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run(scenario())


def test_a_seed_shuffles_what_is_due_at_the_same_instant_and_nothing_else() -> None:
    async def scenario() -> list[str]:
        order: list[str] = []

        async def note(name: str, delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            order.append(name)

        await asyncio.gather(*(note(name, 1.0) for name in "abcdef"), note("early", 0.5))
        return order

    orders = {"".join(run(scenario(), seed)) for seed in range(20)}
    assert len(orders) > 5
    assert all(order.startswith("early") for order in orders)
    assert run(scenario(), 3) == run(scenario(), 3)
