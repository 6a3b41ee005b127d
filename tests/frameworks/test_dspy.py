"""Modules of DSPy, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.dspy import FRAMEWORK
from tests.frameworks import scenarios as its


class TestDSPy(
    its.GoesOn, its.StopsAtOnce, its.SeveralAtOnce, its.Streams, its.CallsTools, its.TakesNoImages
):
    framework = FRAMEWORK
    example = "dspy"
