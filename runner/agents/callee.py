"""What was found, and how it is asked: a framework's agent, or one's own function or object."""

from __future__ import annotations

from dataclasses import dataclass

from runner.agents.call import STATE, as_call, keeper_of, lacks_state
from runner.agents.frameworks import recognise
from runner.agents.frameworks.framework import Adapter, InThread, Unsupported
from runner.agents.own import OwnAgent

PARTS = frozenset({"image", "file"})


@dataclass(frozen=True, slots=True)
class Callee:
    """Something that answers.

    target         the object itself.
    kind           what it was taken for, in words.
    wants_history  it has to be given the history, and has no other memory.
    state_form     its state, of this form, is given to it and taken from it; "" for none.
    own_memory     it has neither: what it remembers, nobody else can.
    uses_threads   it is not async.
    is_shared      it may answer in several conversations at once.
    takes          the kinds of parts that it takes beside text.
    takes_urls     it takes them by a `url` too.
    """

    adapter: Adapter
    target: object
    kind: str
    wants_history: bool = False
    state_form: str = ""
    own_memory: bool = False
    uses_threads: bool = False
    is_shared: bool = True
    takes: frozenset[str] = frozenset()
    takes_urls: bool = True


def as_callee(target: object, in_thread: InThread) -> Callee | None:
    """None for what cannot be asked. Raises Unsupported."""
    if framework := recognise(target):
        return Callee(
            framework.adapt(target, in_thread),
            target,
            f"{framework.name} agent ({type(target).__name__})",
            state_form=framework.name,
            uses_threads=framework.uses_threads,
            is_shared=framework.is_shared,
            takes=framework.takes,
            takes_urls=framework.takes_urls,
        )
    call = as_call(target)
    if call is None:
        return None
    _check_state(keeper_of(target))
    wants_history = "history" in call.arguments
    return Callee(
        OwnAgent(call, in_thread),
        target,
        call.kind + (", its state kept with the history" if call.get_state else ""),
        wants_history=wants_history,
        state_form="own" if call.get_state else "",
        own_memory=call.is_method and not wants_history and call.get_state is None,
        uses_threads=not call.is_async,
        is_shared=call.get_state is None,
        takes=PARTS if "parts" in call.arguments else frozenset(),
    )


def _check_state(keeper: object) -> None:
    """Raises Unsupported for one whose author believes that its state is kept."""
    lacks = lacks_state(keeper)
    if len(lacks) == 1:
        has = next(name for name in STATE if name not in lacks)
        raise Unsupported(f"{type(keeper).__name__} has {has}, and not {lacks[0]}: give it both.")
