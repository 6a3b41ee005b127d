"""Agents of Pydantic AI, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.pydantic_ai import FRAMEWORK
from tests.frameworks import scenarios as its


class TestPydanticAI(
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
    example = "pydantic_ai"
