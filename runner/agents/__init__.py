"""What answers. An agent may import `current_turn` from here."""

from runner.agents.base import CurrentTurn, current_turn

__all__ = ["CurrentTurn", "current_turn"]
