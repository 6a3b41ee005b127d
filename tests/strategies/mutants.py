"""Our strategies, broken by hand: each mutant is one realistic mistake.

A mutant names a file of `strategies`, the text to replace (which must be there
exactly once, so that this list stays in step with the code), and what replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`strategy` is the one in which it must show."""

    mistake: str
    file: str
    old: str
    new: str
    strategy: str = "queue"


MUTANTS = (
    Mutant(
        "the conversation is given away at the withdrawal, not when the agent has stopped",
        "turns.py",
        "        self._set_run_timer(run, self._write_off)\n\n    def _stopped(",
        "        self._stopped(run)\n\n    def _stopped(",
    ),
    Mutant(
        "a task that is cancelled before its first step frees nothing",
        "turns.py",
        "        run.task.add_done_callback(lambda task: self._stopped(run))\n",
        "",
    ),
    Mutant(
        "only Exception is caught around the agent",
        "turns.py",
        "except BaseException as cause:",
        "except Exception as cause:",
    ),
    Mutant(
        "the agent's own CancelledError passes for ours",
        "turns.py",
        "        except TurnError as known:",
        "        except asyncio.CancelledError:\n"
        "            return\n        except TurnError as known:",
    ),
    Mutant(
        "seal never refuses",
        "run.py",
        "        if not self.left:\n            raise asyncio.CancelledError\n",
        "",
    ),
    Mutant(
        "seal does not note that it was called",
        "run.py",
        "        self.sealed = True",
        "        self.sealed = False",
    ),
    Mutant(
        "a sealed turn is withdrawn all the same",
        "turns.py",
        "if run is None or run.sealed or ticket.state is not State.RUNNING:",
        "if run is None or ticket.state is not State.RUNNING:",
    ),
    Mutant(
        "a sealed turn whose reply is never kept hangs for ever",
        "turns.py",
        "            self._set_timer(ticket, lambda ticket: self._lose(ticket,"
        " lost), COMMIT_GRACE_S)",
        "            pass",
    ),
    Mutant(
        "a lost turn is said to be rolled back",
        "turns.py",
        'lost = TurnTimeout(outcome="unknown")',
        'lost = TurnTimeout(outcome="rolled_back")',
    ),
    Mutant(
        "a withdrawn agent is not told to stop",
        "turns.py",
        "        run.task.cancel()\n        # The task may",
        "        # The task may",
    ),
    Mutant(
        "a turn withdrawn before its agent was called is said to be rolled back",
        "turns.py",
        '        elif not run.called:\n            error.outcome = "not_started"\n',
        "",
    ),
    Mutant(
        "a cancelled waiting turn is said to be rolled back",
        "ticket.py",
        'if self.state is State.WAITING else "rolled_back"',
        'if self.state is State.RUNNING else "rolled_back"',
    ),
    Mutant(
        "a cancelled waiting turn stays in its line",
        "turns.py",
        "            self._settle(ticket, error=error)\n            self._left(ticket)\n",
        "            self._settle(ticket, error=error)\n",
    ),
    Mutant(
        "a caller that stops waiting cancels what the others wait for",
        "ticket.py",
        "await asyncio.shield(self.settled)",
        "await self.settled",
    ),
    Mutant(
        "the turn's own deadline does not count while it runs",
        "turns.py",
        "self._set_timer(ticket, self._time_out, self._turn_timeout_s, self.remaining_s(ticket))",
        "self._set_timer(ticket, self._time_out, self._turn_timeout_s)",
    ),
    Mutant(
        "the time limit of a running turn is forgotten",
        "turns.py",
        "self._set_timer(ticket, self._time_out, self._turn_timeout_s, self.remaining_s(ticket))",
        "self._set_timer(ticket, self._time_out, self.remaining_s(ticket))",
    ),
    Mutant(
        "the turn's own deadline does not count while it waits",
        "turns.py",
        "self._set_timer(ticket, self.expire, max_wait_s, turn.deadline_s)",
        "self._set_timer(ticket, self.expire, max_wait_s)",
    ),
    Mutant(
        "timers are not cancelled when a turn ends",
        "turns.py",
        "        if ticket.timer is not None:\n            ticket.timer.cancel()\n"
        "        ticket.kept_reply, ticket.error = reply, error",
        "        ticket.kept_reply, ticket.error = reply, error",
    ),
    Mutant(
        "a stuck agent keeps its slot for ever",
        "turns.py",
        "        self._written_off.add(run)\n        self._freed(run.turn.conversation)",
        "        pass",
    ),
    Mutant(
        "a stuck agent's slot is given away at once",
        "turns.py",
        "GIVE_UP_SLOT_S = 1.0",
        "GIVE_UP_SLOT_S = 0.0",
    ),
    Mutant(
        "a slot that was written off is taken twice when its agent ends",
        "turns.py",
        "        self._written_off.discard(run)\n",
        "",
    ),
    Mutant(
        "ended turns still count as running",
        "turns.py",
        "        else:\n            self._running -= 1\n",
        "        else:\n            pass\n",
    ),
    Mutant(
        "refusals are not counted",
        "turns.py",
        "        self._refused += 1\n",
        "",
    ),
    Mutant(
        "draining leaves the waiting turns",
        "turns.py",
        "        for ticket in list(self._waiting):\n"
        "            self.withdraw(ticket, Draining())\n",
        "",
    ),
    Mutant(
        "draining still accepts",
        "turns.py",
        "        self._draining = True\n",
        "",
    ),
    Mutant(
        "draining waits for running turns without a limit",
        "turns.py",
        "await asyncio.wait([ticket.settled for ticket in running], timeout=timeout_s)",
        "await asyncio.wait([ticket.settled for ticket in running])",
    ),
    Mutant(
        "draining waits for agents whose turns have ended",
        "turns.py",
        "await asyncio.wait([ticket.settled for ticket in running], timeout=timeout_s)",
        "await asyncio.wait([r.task for r in runs if r.task], timeout=timeout_s)",
    ),
    Mutant(
        "a turn that failed after its seal is said to be rolled back",
        "turns.py",
        'AgentFailed(BROKE_OFF, outcome="unknown") if run.sealed else AgentFailed()',
        "AgentFailed()",
    ),
    Mutant(
        "an answer that is no reply passes for one",
        "turns.py",
        "            if not isinstance(reply, Reply):",
        "            if False:",
    ),
    Mutant(
        "a turn is started again though its conversation is held",
        "queue.py",
        "if conversation in self._lines and self._turns.holder(conversation) is None:",
        "if conversation in self._lines:",
    ),
    Mutant(
        "the line is served last in, first out",
        "queue.py",
        "            first = self._lines[conversation].first()",
        "            first = list(self._lines[conversation])[-1]",
    ),
    Mutant(
        "the ring is served last in, first out, so one conversation starves the others",
        "queue.py",
        "conversation = self._ready.first()",
        "conversation = list(self._ready)[-1]",
    ),
    Mutant(
        "one turn more than allowed may wait in a conversation",
        "queue.py",
        "if len(self._line(turn)) - leaving >= self._limits.max_waiting_per_conversation:",
        "if len(self._line(turn)) - leaving > self._limits.max_waiting_per_conversation:",
    ),
    Mutant(
        "one turn more than allowed may wait in all",
        "queue.py",
        "if self._turns.waiting - leaving >= self._limits.max_waiting:",
        "if self._turns.waiting - leaving > self._limits.max_waiting:",
    ),
    Mutant(
        "one turn more than allowed may run",
        "queue.py",
        "return self._limits.max_running - self._turns.slots_taken",
        "return self._limits.max_running + 1 - self._turns.slots_taken",
    ),
    Mutant(
        "max_wait_s is not looked at",
        "queue.py",
        "ticket = self._turns.accept(turn, self._limits.max_wait_s)",
        "ticket = self._turns.accept(turn)",
    ),
    Mutant(
        "an empty line is kept",
        "queue.py",
        "        if not line:\n            del self._lines[ticket.turn.conversation]\n",
        "",
    ),
    Mutant(
        "a freed conversation whose line is not empty is forgotten",
        "queue.py",
        "                self._ready.add(conversation, urgency, self._turns.now())\n"
        "        self._start_ready()",
        "                pass\n        self._start_ready()",
    ),
    Mutant(
        "a freed slot wakes nobody",
        "queue.py",
        "                self._ready.add(conversation, urgency, self._turns.now())\n"
        "        self._start_ready()",
        "                self._ready.add(conversation, urgency, self._turns.now())",
    ),
    Mutant(
        "priorities are not looked at",
        "ageing.py",
        "        return since + urgency * self._ageing_s",
        "        return since",
    ),
    Mutant(
        "the least urgent is first",
        "ageing.py",
        "        return since + urgency * self._ageing_s",
        "        return since - urgency * self._ageing_s",
    ),
    Mutant(
        "nobody gains urgency by waiting, so the least urgent starve",
        "ageing.py",
        "        return since + urgency * self._ageing_s",
        "        return urgency",
    ),
    Mutant(
        "urgency is gained twice as fast as it should be",
        "ageing.py",
        "        return since + urgency * self._ageing_s",
        "        return since + urgency * self._ageing_s / 2",
    ),
    Mutant(
        "a more urgent turn does not move its conversation forward in the ring",
        "queue.py",
        "self._ready.add(conversation, turn.priority, ticket.accepted_at)",
        "conversation in self._ready or self._ready.add("
        "conversation, turn.priority, ticket.accepted_at)",
    ),
    Mutant(
        "the conversation keeps the place of an urgent turn that has left",
        "queue.py",
        "        if turn.priority not in self._line(turn).urgencies:",
        "        if turn.conversation not in self._lines:",
    ),
    Mutant(
        "a conversation that has had its turn keeps a place in the ring",
        "queue.py",
        "        for urgency in self._lines[conversation].urgencies:\n"
        "            self._ready.remove(conversation, urgency)",
        "        self._ready.remove(conversation, max(self._lines[conversation].urgencies))",
    ),
    Mutant(
        "a conversation comes back into the ring as if all its turns were alike",
        "queue.py",
        "self._ready.add(conversation, urgency, self._turns.now())",
        "self._ready.add(conversation, 3, self._turns.now())",
    ),
    Mutant(
        "a turn joins the ring at the urgency of all, and its line at its own",
        "queue.py",
        "self._ready.add(conversation, turn.priority, ticket.accepted_at)",
        "self._ready.add(conversation, 3, ticket.accepted_at)",
    ),
    Mutant(
        "the lock is let go of when its turn is settled, not when the agent has stopped",
        "lock.py",
        "            await asyncio.wait({self._turns.start(ticket)})",
        "            self._turns.start(ticket)\n            await asyncio.wait({ticket.settled})",
        "lock",
    ),
    Mutant(
        "a departed waiter is left to take the lock",
        "lock.py",
        "        self._tasks[ticket].cancel()",
        "        pass",
        "lock",
    ),
    Mutant(
        "there is one lock for each turn",
        "lock.py",
        "self._locks.setdefault(turn.conversation, asyncio.Lock())",
        "asyncio.Lock()",
        "lock",
    ),
    Mutant(
        "reject looks at turns that run, and not at agents that have not stopped",
        "reject.py",
        "if self._turns.holder(turn.conversation) is not None:",
        "if (run := self._turns.holder(turn.conversation)) is not None and run.left:",
        "reject",
    ),
    Mutant(
        "reject accepts while it drains",
        "reject.py",
        "        self._turns.admit(turn)\n",
        "",
        "reject",
    ),
    Mutant(
        "merged messages are joined in the wrong order",
        "run.py",
        "turns = tuple(ticket.turn for ticket in tickets)",
        "turns = tuple(ticket.turn for ticket in tickets[:1] + tickets[:0:-1])",
        "merge",
    ),
    Mutant(
        "only the first of the merged senders gets the reply",
        "turns.py",
        "        for ticket in run.running:\n            self._settle(ticket, reply, error)\n",
        "        for ticket in run.running[:1]:\n            self._settle(ticket, reply, error)\n",
        "merge",
    ),
    Mutant(
        "a merged sender that leaves stops the run of the others",
        "turns.py",
        "        if not run.left:\n            self._stop(run)\n        return True",
        "        self._stop(run)\n        return True",
        "merge",
    ),
    Mutant(
        "a merged sender that leaves is told that nothing was kept",
        "turns.py",
        'error.outcome = "unknown"  # Its message',
        "pass  # Its message",
        "merge",
    ),
    Mutant(
        "a run can be sealed only while all its senders wait for it",
        "run.py",
        "        if not self.left:",
        "        if self.left < len(self.tickets):",
        "merge",
    ),
    Mutant(
        "a reply that is being kept is interrupted",
        "turns.py",
        "        if run.sealed or run.interrupted or not run.left:",
        "        if run.interrupted or not run.left:",
        "interrupt",
    ),
    Mutant(
        "what waits in between is said to have been stopped while it ran",
        "interrupt.py",
        'TurnInterrupted(outcome="not_started")',
        "TurnInterrupted()",
        "interrupt",
    ),
    Mutant(
        "an interrupted turn whose agent was never called hangs",
        "turns.py",
        "        run.task.add_done_callback("
        "lambda task: self._stopped(run, error=TurnInterrupted()))\n",
        "",
        "interrupt",
    ),
    Mutant(
        "a turn that was told to end is told so with its words, and is said to be answered",
        "turns.py",
        "return State.INTERRUPTED if reply is not None and reply.interrupted else State.ANSWERED",
        "return State.ANSWERED",
        "interrupt",
    ),
    Mutant(
        "a fenced conversation is counted once for each of its senders",
        "turns.py",
        "self._fenced += not ticket.run.left",
        "self._fenced += 1",
        "merge",
    ),
)
