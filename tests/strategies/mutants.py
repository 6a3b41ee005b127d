"""Our strategies, broken by hand: each mutant is one realistic mistake.

A mutant names a place (`module.function`, `module.Class.method`, `module.CONSTANT`) and a
fragment of the code there, which must occur once, with what replaces it. Code is compared
as `ast.unparse` writes it, without comments and line breaks and with single quotes, so a
change of layout or wording breaks no mutant. Without a `new` the one statement goes that
begins with `old`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`strategy` is the one in which it must show."""

    mistake: str
    at: str
    old: str
    new: str | None = None
    strategy: str = "queue"

    @property
    def module(self) -> str:
        return self.at.partition(".")[0]

    def applied_to(self, source: str) -> str:
        """The module with the mistake in it."""
        tree = ast.parse(source)
        body, index = _find(tree.body, self.at.split(".")[1:])
        body[index] = self._without(body[index]) if self.new is None else self._with(body[index])
        return ast.unparse(ast.fix_missing_locations(tree))

    def _with(self, place: ast.stmt) -> ast.stmt:
        text = ast.unparse(place)
        assert text.count(self.old) == 1, f"not once in {self.at}: {self.old!r}\n{text}"
        return ast.parse(text.replace(self.old, self.new or "")).body[0]

    def _without(self, place: ast.stmt) -> ast.stmt:
        remover = _Remover(self.old)
        found = remover.visit(place)
        assert isinstance(found, ast.stmt)
        assert remover.removed == 1, f"not one statement in {self.at}: {self.old!r}"
        return found


class _Remover(ast.NodeTransformer):
    """Puts `pass` in the place of the statements that begin with a fragment."""

    def __init__(self, fragment: str) -> None:
        self.removed = 0
        self._fragment = fragment

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and ast.unparse(node).startswith(self._fragment):
            self.removed += 1
            return ast.Pass()
        kept: ast.AST = super().visit(node)
        return kept


def _find(body: list[ast.stmt], path: list[str]) -> tuple[list[ast.stmt], int]:
    """The list of statements in which the place stands, and where in it."""
    for index, node in enumerate(body):
        if _name(node) == path[0]:
            if len(path) == 1:
                return body, index
            assert isinstance(node, ast.ClassDef)
            return _find(node.body, path[1:])
    raise AssertionError(f"there is no {path[0]!r}")


def _name(node: ast.stmt) -> str | None:
    match node:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return name
        case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
            return name
        case _:
            return None


RANK = "since + urgency * self._ageing_s"
LIMIT = "min(now + self._turn_timeout_s, ticket.deadline)"

MUTANTS = (
    # A run.
    Mutant(
        "the conversation is given away at the withdrawal, not when the agent has stopped",
        "engine.Engine._fence",
        "run.task.cancel()",
        "run.task.cancel(); self._stopped(run)",
    ),
    Mutant(
        "a task that is cancelled before its first step frees nothing",
        "engine.Engine._fence",
        "run.task.add_done_callback(",
    ),
    Mutant(
        "only Exception is caught around the agent",
        "engine.Engine._run",
        "except BaseException",
        "except Exception",
    ),
    Mutant(
        "the agent's own CancelledError passes for ours",
        "engine.Engine._run",
        "except BaseException",
        "except asyncio.CancelledError:\n        return\n    except BaseException",
    ),
    Mutant("seal never refuses", "phases.Run.seal", "raise asyncio.CancelledError"),
    Mutant(
        "seal does not note that it was called",
        "phases.SEAL",
        "CALLED: SEALED",
        "CALLED: CALLED",
    ),
    Mutant(
        "a sealed turn is withdrawn all the same",
        "phases.WITHDRAW",
        "INTERRUPTED)",
        "INTERRUPTED, SEALED)",
    ),
    Mutant(
        "a sealed turn whose reply is never kept hangs for ever",
        "engine.Engine._time_out",
        "self._set_timer(",
    ),
    Mutant(
        "a lost turn is said to be rolled back",
        "phases.OUTCOME",
        "SEALED: 'unknown'",
        "SEALED: 'rolled_back'",
    ),
    Mutant(
        "the agent of a lost turn is taken to have stopped",
        "engine.Engine._abandon",
        "self._fence(run, event)",
        "self._stopped(run) if event is phases.LOSE else self._fence(run, event)",
    ),
    Mutant(
        "a withdrawn agent is not told to stop",
        "engine.Engine._fence",
        "run.task.cancel()",
    ),
    Mutant(
        "a turn withdrawn before its agent was called is said to be rolled back",
        "phases.OUTCOME",
        "STARTED: 'not_started'",
        "STARTED: 'rolled_back'",
    ),
    Mutant(
        "a withdrawn turn is said not to have started",
        "phases.OUTCOME",
        "CALLED: 'rolled_back'",
        "CALLED: 'not_started'",
    ),
    Mutant(
        "a cancelled waiting turn is said to be rolled back",
        "engine.Engine.withdraw",
        "'not_started'",
        "'rolled_back'",
    ),
    Mutant(
        "a cancelled waiting turn stays in its line",
        "engine.Engine._end",
        "self.discipline.left(ticket)",
    ),
    Mutant(
        "a stuck agent keeps its slot for ever",
        "engine.Engine._write_off",
        "if run.move(phases.WRITE_OFF)",
    ),
    Mutant(
        "a stuck agent's slot is given away at once",
        "engine.GIVE_UP_SLOT_S",
        "1.0",
        "0.0",
    ),
    Mutant(
        "a slot that was written off is taken twice when its agent ends",
        "engine.Engine._stopped",
        "if phase is not phases.WRITTEN_OFF",
        "if True",
    ),
    Mutant(
        "a turn that failed after its seal is said to be rolled back",
        "engine._failure",
        "phases.OUTCOME.get(run.phase)",
        "'rolled_back'",
    ),
    Mutant(
        "an answer that is no reply passes for one",
        "engine.Engine._run",
        "if not isinstance(reply, Reply)",
    ),
    # A ticket.
    Mutant(
        "a caller that stops waiting cancels what the others wait for",
        "ticket.LocalTicket.waiter",
        "self._waiters.append(waiter)",
        "self._waiters.append(waiter); waiter = self._waiters[0]",
    ),
    Mutant(
        "those that wait for the end are not woken",
        "ticket.LocalTicket.end",
        "for waiter in self._waiters",
    ),
    Mutant(
        "one that has left is woken all the same",
        "ticket.LocalTicket.end",
        "if not waiter.done()",
        "if True",
    ),
    Mutant(
        "callbacks are never called",
        "ticket.LocalTicket.add_done_callback",
        "self.waiter().add_done_callback(",
    ),
    Mutant(
        "a callback is called before the end",
        "ticket.LocalTicket.add_done_callback",
        "self.waiter().add_done_callback(lambda done: callback(self))",
        "asyncio.get_running_loop().call_soon(callback, self)",
    ),
    # Time.
    Mutant(
        "the turn's own deadline does not count while it runs",
        "engine.Engine.start",
        LIMIT,
        "now + self._turn_timeout_s",
    ),
    Mutant(
        "the time limit of a running turn is forgotten",
        "engine.Engine.start",
        LIMIT,
        "ticket.deadline",
    ),
    Mutant(
        "the turn's own deadline does not count while it waits",
        "engine.Engine.accept",
        "min(now + max_wait_s, ticket.deadline)",
        "now + max_wait_s",
    ),
    Mutant(
        "timers are not cancelled when a turn ends",
        "engine.Engine._end",
        "if ticket.timer is not None",
    ),
    # Figures.
    Mutant("ended turns still count as running", "engine.Engine._end", "self._running -= 1"),
    Mutant("refusals are not counted", "engine.Engine.refuse", "self._refused += 1"),
    # Shutdown.
    Mutant(
        "draining leaves the waiting turns",
        "engine.Engine.drain",
        "for ticket in list(self._waiting)",
    ),
    Mutant("draining still accepts", "engine.Engine.drain", "self._draining = True"),
    Mutant(
        "draining waits for running turns without a limit",
        "engine.Engine.drain",
        "timeout=timeout_s",
        "timeout=None",
    ),
    Mutant(
        "draining waits for agents whose turns have ended",
        "engine.Engine.drain",
        "ticket.waiter() for ticket in running",
        "run.task for run in runs",
    ),
    # The queue.
    Mutant(
        "a turn is started again though its conversation is held",
        "queue.Queue.freed",
        "self._engine.holder(turn.conversation) is None",
        "True",
    ),
    Mutant(
        "the line is served last in, first out",
        "lines.Lines.first",
        "self._lines[ring.first()].first()",
        "list(self._lines[ring.first()])[-1]",
    ),
    Mutant(
        "the ring is served last in, first out, so one conversation starves the others",
        "lines.Lines.first",
        "ring.first()",
        "list(ring)[-1]",
    ),
    Mutant(
        "slots go to the caller that has most of them",
        "shares.Shares.first",
        "min(self._levels)",
        "max(self._levels)",
    ),
    Mutant(
        "callers with equally many slots are served last in, first out",
        "shares.Shares.first",
        "iter(",
        "reversed(",
    ),
    Mutant(
        "a caller that took a slot keeps its place before the others",
        "queue.Queue._start_ready",
        "self._lines.shares.moved(",
    ),
    Mutant(
        "a caller whose turn ended counts as having its slot",
        "queue.Queue.freed",
        "self._lines.shares.moved(",
    ),
    Mutant(
        "all turns count as one caller's",
        "lines.Lines.add",
        "Line(self._ageing_s, turn.caller)",
        "Line(self._ageing_s, '')",
    ),
    Mutant(
        "one turn more than allowed of a caller may wait",
        "queue.Queue._check_bounds",
        ">= self._max_per_caller",
        "> self._max_per_caller",
    ),
    Mutant(
        "a caller whose turns have started is still said to wait for so many",
        "lines.Lines._leave",
        "caller.waiting -= 1",
    ),
    Mutant(
        "one turn more than allowed may wait in a conversation",
        "queue.Queue._check_bounds",
        ">= self._limits.max_waiting_per_conversation",
        "> self._limits.max_waiting_per_conversation",
    ),
    Mutant(
        "one turn more than allowed may wait in all",
        "queue.Queue._check_bounds",
        ">= self._limits.max_waiting:",
        "> self._limits.max_waiting:",
    ),
    Mutant(
        "one turn more than allowed may run",
        "queue.Queue._free_slots",
        "self._limits.max_running",
        "self._limits.max_running + 1",
    ),
    Mutant(
        "max_wait_s is not looked at",
        "queue.Queue._enter",
        "turn, self._max_wait_s(turn)",
        "turn",
    ),
    Mutant("an empty line is kept", "lines.Lines._leave", "if not line"),
    Mutant(
        "a freed conversation whose line is not empty is forgotten",
        "queue.Queue.freed",
        "if turn.conversation in self._lines",
    ),
    Mutant("a freed slot wakes nobody", "queue.Queue.freed", "self._start_ready()"),
    # Urgency.
    Mutant("priorities are not looked at", "ageing.Ageing.rank", RANK, "since"),
    Mutant(
        "the least urgent is first", "ageing.Ageing.rank", RANK, "since - urgency * self._ageing_s"
    ),
    Mutant(
        "nobody gains urgency by waiting, so the least urgent starve",
        "ageing.Ageing.rank",
        RANK,
        "urgency",
    ),
    Mutant(
        "urgency is gained twice as fast as it should be",
        "ageing.Ageing.rank",
        RANK,
        f"{RANK} / 2",
    ),
    Mutant(
        "a more urgent turn does not move its conversation forward in the ring",
        "lines.Lines.add",
        "if could_run:",
        "if could_run and turn.conversation not in self._rings.get(turn.caller, ()):",
    ),
    Mutant(
        "the conversation keeps the place of an urgent turn that has left",
        "lines.Lines.remove",
        "turn.priority not in self.of(turn.conversation).urgencies",
        "turn.conversation not in self",
    ),
    Mutant(
        "a conversation that has had its turn keeps a place in the ring",
        "lines.Lines.take",
        "*line.urgencies",
        "max(line.urgencies)",
    ),
    Mutant(
        "a conversation comes back into the ring as if all its turns were alike",
        "lines.Lines.free",
        "conversation, urgency, now",
        "conversation, 3, now",
    ),
    Mutant(
        "a turn joins the ring at the urgency of all, and its line at its own",
        "lines.Lines.add",
        "turn.conversation, turn.priority, ticket",
        "turn.conversation, 3, ticket",
    ),
    # Lock and reject.
    Mutant(
        "the lock is let go of when its turn is settled, not when the agent has stopped",
        "lock.Lock._take",
        "await asyncio.wait({self._engine.start(ticket)})",
        "self._engine.start(ticket); await asyncio.wait({ticket.waiter()})",
        "lock",
    ),
    Mutant(
        "a departed waiter is left to take the lock",
        "lock.Lock.left",
        "self._tasks[ticket].cancel()",
        strategy="lock",
    ),
    Mutant(
        "there is one lock for each turn",
        "lock.Lock.submit",
        "self._locks.setdefault(turn.conversation, asyncio.Lock())",
        "asyncio.Lock()",
        "lock",
    ),
    Mutant(
        "reject looks at turns that run, and not at agents that have not stopped",
        "reject.Reject.submit",
        "self._engine.holder(turn.conversation) is not None",
        "(run := self._engine.holder(turn.conversation)) is not None and run.tickets",
        "reject",
    ),
    Mutant(
        "reject accepts while it drains",
        "reject.Reject.submit",
        "self._engine.admit(turn)",
        strategy="reject",
    ),
    # Turns that are merged.
    Mutant(
        "merged messages are joined in the wrong order",
        "queue.Queue._merged",
        "for ticket in tickets",
        "for ticket in [*tickets][:1] + [*tickets][:0:-1]",
        "merge",
    ),
    Mutant(
        "only the first of the merged senders gets the reply",
        "engine.Engine._stopped",
        "tuple(run.tickets)",
        "tuple(run.tickets)[:1]",
        "merge",
    ),
    Mutant(
        "a merged sender that leaves stops the run of the others",
        "engine.Engine._abandon",
        "if all_of_them:",
        "if True:",
        "merge",
    ),
    Mutant(
        "a merged sender that leaves is told that nothing was kept",
        "engine.Engine._abandon",
        "if all_of_them else 'unknown'",
        "if True else 'unknown'",
        "merge",
    ),
    Mutant(
        "a run can be sealed only while all its senders wait for it",
        "phases.Run.seal",
        "if not self.move(SEAL)",
        "if len(self.tickets) < len(self.turn.merged) or not self.move(SEAL)",
        "merge",
    ),
    Mutant(
        "a fenced conversation is counted once for each of its senders",
        "engine.Engine._abandon",
        "self._fence(run, event)",
        "self._fence(run, event); self._fenced += len(tickets) - 1",
        "merge",
    ),
    # Turns that are interrupted.
    Mutant(
        "a reply that is being kept is interrupted",
        "phases.INTERRUPT",
        "CALLED: INTERRUPTED",
        "CALLED: INTERRUPTED, SEALED: INTERRUPTED",
        "interrupt",
    ),
    Mutant(
        "what waits in between is said to have been stopped while it ran",
        "engine.Engine.withdraw",
        "'not_started'",
        "'rolled_back' if kind is TurnInterrupted else 'not_started'",
        "interrupt",
    ),
    Mutant(
        "an interrupted turn whose agent was never called hangs",
        "engine.Engine.interrupt",
        "if run.phase is phases.STARTED or not keeps_said:",
        "if run.phase is phases.STARTED:\n        run.task.cancel()\n    elif not keeps_said:",
        "interrupt",
    ),
    Mutant(
        "an interrupted agent that has nothing to keep is said to have failed",
        "engine._failure",
        "if run.phase is phases.INTERRUPTED",
        strategy="interrupt",
    ),
    Mutant(
        "a turn that was told to end is told so with its words, and is said to be answered",
        "ticket.LocalTicket.end",
        "INTERRUPTED if ending.interrupted else ANSWERED",
        "ANSWERED",
        "interrupt",
    ),
    Mutant(
        "what interrupts may wait without a bound",
        "queue.Queue._interrupt",
        "self._check_bounds(",
        strategy="interrupt",
    ),
)
