"""Agents of smolagents, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.smolagents import FRAMEWORK
from tests.frameworks import scenarios as its


class TestSmolagents(
    its.GoesOn,
    its.StopsAtOnce,
    its.OneAtATime,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.TakesImages,
):
    framework = FRAMEWORK
    example = "smolagents"
