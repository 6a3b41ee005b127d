"""DSPy."""

from runner.agents.frameworks.dspy.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]
