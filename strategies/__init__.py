"""When may a turn run? Queue, lock and reject behind one interface, for any asyncio program."""

from .base import Answer, Attempt, Limits, Load, Place, Reply, Strategy, Ticket, Turn
from .errors import (
    AgentFailed,
    CallerQueueFull,
    ConversationBusy,
    ConversationQueueFull,
    Draining,
    Outcome,
    ServerFull,
    State,
    TurnCancelled,
    TurnError,
    TurnInterrupted,
    TurnTimeout,
    WaitExpired,
)

__all__ = [
    "AgentFailed", "Answer", "Attempt", "CallerQueueFull", "ConversationBusy",
    "ConversationQueueFull", "Draining", "Limits", "Load", "Outcome", "Place", "Reply",
    "ServerFull", "State", "Strategy", "Ticket", "Turn", "TurnCancelled", "TurnError",
    "TurnInterrupted", "TurnTimeout", "WaitExpired",
]  # fmt: skip
