"""Agents of Google's ADK, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.google_adk import FRAMEWORK
from tests.frameworks import scenarios as its


class TestGoogleADK(
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
    example = "google_adk"
