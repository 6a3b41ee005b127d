"""What answers. An agent may import these from here."""

from runner.agents.base import (
    CurrentTurn,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
    current_turn,
)
from runner.agents.requests import Decision, InputRequest, InputRequired

__all__ = [
    "CurrentTurn",
    "Decision",
    "InputRequest",
    "InputRequired",
    "Reasoning",
    "ToolCall",
    "ToolResult",
    "Usage",
    "current_turn",
]
