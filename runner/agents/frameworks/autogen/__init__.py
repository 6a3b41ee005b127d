"""AutoGen."""

from runner.agents.frameworks.autogen.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]
