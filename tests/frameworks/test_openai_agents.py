"""Agents of the OpenAI Agents SDK, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.openai_agents import FRAMEWORK
from tests.frameworks import scenarios as its


class TestOpenAIAgents(
    its.GoesOn,
    its.StopsAtOnce,
    its.SeveralAtOnce,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.Asks,
    its.TakesImages,
):
    framework = FRAMEWORK
    example = "openai_agents"
