"""Agents of Strands, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.strands import FRAMEWORK
from tests.frameworks import scenarios as its


class TestStrands(
    its.GoesOn,
    its.StopsAtOnce,
    its.OneAtATime,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.Asks,
    its.TakesImages,
):
    framework = FRAMEWORK
    example = "strands"
