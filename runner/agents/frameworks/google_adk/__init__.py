"""Google's Agent Development Kit."""

from runner.agents.frameworks.google_adk.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]
