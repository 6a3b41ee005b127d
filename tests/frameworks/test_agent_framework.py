"""Agents of the Microsoft Agent Framework, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.agent_framework import FRAMEWORK
from tests.frameworks import scenarios as its


class TestAgentFramework(
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
    example = "agent_framework"
