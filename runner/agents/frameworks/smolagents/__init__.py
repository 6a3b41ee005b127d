"""smolagents."""

from runner.agents.frameworks.smolagents.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]
