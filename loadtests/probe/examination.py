"""All trials of one agent, in order: on servers of its own, each with another strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.controls import dotted
from loadtests.probe import trials
from loadtests.probe.conversation import ASKS, NeedsPerson, Probed, Stop
from loadtests.probe.judge import DIES, FAILS, HANGS, Finding
from loadtests.probe.memory import REMEMBERS, UNKNOWN, Memory
from loadtests.probe.sentences import Sentences
from loadtests.probe.server import Facts, NotServed, Server
from loadtests.probe.verdict import NO_FAULT, NOT_TRIED, SINGLE, Verdict, findings_of, verdict

NOT_KEPT = "loadtests.probe.not_kept:NotKept"

IN_TURN = "one turn after another"
TWO = "two conversations at once"
FAILING = "a turn that fails"
OVERLAPPING = "overlapping turns, {}"

ONE_HISTORY = "it is one object with one history; every other conversation is refused"

HOPELESS = (DIES, HANGS, FAILS)
"""Faults one turn after another, after which nothing else is worth a trial."""

Try = Callable[[Probed, Memory], str]
"""Gives a note on how it was tried, or "". Raises Stop, NeedsPerson, NotServed."""

QUESTIONS: dict[str, Try] = {
    TWO: trials.two_conversations,
    "a reply that is not kept": trials.not_kept,
    "a turn that is cancelled": trials.cancelled,
    "a turn cut by kill -9, a restart": trials.killed,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried.

    fail     a message at which the agent fails, or "".
    turns    how many overlap.
    limit_s  how long one turn may take.
    words    options of `runner serve`, the user's.
    """

    target: str
    sentences: Sentences
    fail: str
    turns: int
    strategies: Sequence[str]
    limit_s: float
    words: Sequence[str]
    prefix: str

    @property
    def about_turns(self) -> int:
        """How many turns it takes, roughly: some questions are put again."""
        return 20 + 4 * bool(self.fail) + 2 * (self.turns + 1) * len(self.strategies)


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of it."""

    facts: Facts
    memory: Memory
    verdicts: tuple[Verdict, ...]


def examine(plan: Plan, show: Callable[[str], None]) -> Examined:
    """Try everything; `show` is told what is being tried. Raises NotServed."""
    verdicts: list[Verdict] = []
    show(f"starting {plan.target}")
    with _served(plan, NOT_KEPT, "0") as probed:
        facts = probed.server.facts
        show(IN_TURN)
        memory, first, can_answer = _memory(probed)
        verdicts.append(first)
        for question, trial in _questions(plan) if can_answer else ():
            show(question)
            verdicts.append(_try(probed, memory, question, "", trial))
    for number, strategy in enumerate(plan.strategies, 1):
        question = OVERLAPPING.format(strategy)
        show(question)
        if can_answer:
            trial = partial(trials.overlapping, turns=plan.turns)
            with _served(plan, dotted(strategy), str(number)) as probed:
                verdicts.append(_try(probed, memory, question, strategy, trial))
        else:
            verdicts.append(Verdict(question, NOT_TRIED, strategy))
    return Examined(facts, memory, tuple(verdicts))


def _questions(plan: Plan) -> Iterator[tuple[str, Try]]:
    yield from QUESTIONS.items()
    if plan.fail:
        yield FAILING, partial(trials.failing, message=plan.fail)


@contextmanager
def _served(plan: Plan, strategy: str, name: str) -> Iterator[Probed]:
    """With conversations of other names than on any other server: an own store may remember."""
    with TemporaryDirectory(prefix="probe-") as folder:
        server = Server(plan.target, strategy, Path(folder), plan.words, plan.limit_s)
        with server:
            yield Probed(server, plan.sentences, f"{plan.prefix}-{name}")


def _memory(probed: Probed) -> tuple[Memory, Verdict, bool]:
    """The agent's memory, what was seen, and whether there is any use in further turns."""
    try:
        memory = trials.memory(probed)
        found = findings_of(probed.current)
        can_answer = memory.kind == REMEMBERS or not found or found[0].kind not in HOPELESS
    except NeedsPerson as error:
        memory, found, can_answer = Memory(UNKNOWN, str(error)), [], False
    except Stop as stop:
        memory, found, can_answer = Memory(UNKNOWN, ""), [stop.finding], False
    seen = verdict(IN_TURN, "", probed.current, found, memory.kind, memory.why)
    return memory, seen, can_answer


def _try(probed: Probed, memory: Memory, question: str, strategy: str, trial: Try) -> Verdict:
    if question == TWO and probed.server.facts.single_conversation:
        return Verdict(question, SINGLE, strategy, ONE_HISTORY)
    probed.current.clear()
    probed.asks = 2 * ASKS if memory.kind == REMEMBERS else 1
    found, otherwise, note = list[Finding](), NO_FAULT[memory.kind], ""
    try:
        probed.server.start_if_down()
        note = trial(probed, memory)
        by_chance = note == trials.BY_CHANCE
        found = findings_of(probed.current, replace(memory, is_sure=False) if by_chance else memory)
    except NeedsPerson as error:
        otherwise, note = UNKNOWN, str(error)
    except NotServed as error:
        found = [Finding(DIES, f"it did not start again: {error.said}")]
    except Stop as stop:
        found = [stop.finding]
        probed.server.kill()
    if note == trials.TOO_QUICK:
        otherwise = UNKNOWN
    return verdict(question, strategy, probed.current, found, otherwise, note)
