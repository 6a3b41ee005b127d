"""Agents of CrewAI, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.crewai import FRAMEWORK
from tests.frameworks import scenarios as its


class TestCrewAI(
    its.GoesOn,
    its.StopsAtOnce,
    its.SeveralAtOnce,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.TakesNoImages,
):
    framework = FRAMEWORK
    example = "crewai"
