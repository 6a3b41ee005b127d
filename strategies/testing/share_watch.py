"""The watch over the slots of several callers: promise 8 of `Strategy`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import State

if TYPE_CHECKING:
    from .watch import Watch


class ShareWatch:
    """Whose start it was, and who else could have had the slot.

    What became of others at the very instant of a start counts for the strategy, for nobody
    sees in which order it happened. So it is noted whenever time passes who could run.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._could_run: set[str] = set()
        """Turns that could have run when time last passed."""
        self._slots: dict[str, int] = {}
        """Their callers, and how many slots each had then."""
        self._starts: dict[str, Counter[str]] = {}
        """For each of those that has no slot, the starts of others since then."""

    def check_start(self, caller: str) -> None:
        """The slot was not for another that could run, and has fewer or waits for its first."""
        self._starts.pop(caller, None)
        mine = self._slots_of(caller) - 1
        for other in self._callers_of(self._could_run & self._turns_that_could()) - {caller}:
            theirs = max(self._slots[other], self._slots_of(other))
            if mine > theirs:
                self._fault(f"{caller}, with {mine} slots, got one before {other} with {theirs}")
            if not theirs:
                starts = self._starts.setdefault(other, Counter())
                starts[caller] += 1
                if starts[caller] > 1:
                    self._fault(f"{caller} started twice while {other}, without a slot, waited")

    def note(self) -> None:
        """All that could run has run, and time is about to pass."""
        before, self._could_run = self._could_run, self._turns_that_could()
        callers = self._callers_of(self._could_run)
        waits_on = self._callers_of(before & self._could_run)
        self._slots = {caller: self._slots_of(caller) for caller in callers}
        self._starts = {
            caller: starts
            for caller, starts in self._starts.items()
            if caller in waits_on and not self._slots[caller]
        }

    def had_its_turn(self, caller: str) -> None:
        """It was given a slot, though its turn was withdrawn before any agent saw it."""
        self._starts.pop(caller, None)
        self._could_run = {one for one in self._could_run if self._callers_of([one]) != {caller}}

    def _turns_that_could(self) -> set[str]:
        """Turns that wait, and whose conversation is free."""
        return {
            turn_id
            for turn_id, ticket in self._watch.tickets.items()
            if ticket.state is State.WAITING and not self._watch.held(ticket.turn.conversation)
        }

    def _slots_of(self, caller: str) -> int:
        turns = self._watch.plan.turns
        conversations = {turn.conversation for turn in turns if turn.caller == caller}
        given_up = conversations & self._watch.given_up()
        return sum(map(self._watch.held, conversations)) - len(given_up)

    def _callers_of(self, turn_ids: Iterable[str]) -> set[str]:
        return {self._watch.tickets[turn_id].turn.caller for turn_id in turn_ids}

    def _fault(self, text: str) -> None:
        self._watch.fault(f"8: {text}")
