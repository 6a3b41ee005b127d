"""Agents of LlamaIndex, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.llama_index import FRAMEWORK
from tests.frameworks import scenarios as its


class TestLlamaIndex(
    its.GoesOn,
    its.StopsAtOnce,
    its.SeveralAtOnce,
    its.Streams,
    its.CallsTools,
    its.KeepsToolResults,
    its.TakesImages,
):
    framework = FRAMEWORK
    example = "llama_index"
