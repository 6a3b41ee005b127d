"""LangGraph and LangChain."""

from runner.agents.frameworks.langgraph.adapter import FRAMEWORK

__all__ = ["FRAMEWORK"]
