"""Agents of AutoGen, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.autogen import FRAMEWORK
from tests.frameworks import scenarios as its


class TestAutoGen(
    its.GoesOn,
    its.StopsAtOnce,
    its.OneAtATime,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.TakesImages,
):
    framework = FRAMEWORK
    example = "autogen"
