"""A model of llama.cpp, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.llama_cpp import FRAMEWORK
from tests.frameworks import scenarios as its


class TestLlamaCpp(its.GoesOn, its.StopsAtOnce, its.OneAtATime, its.Streams, its.TakesNoImages):
    framework = FRAMEWORK
    example = "llama_cpp"
    target = "tests.frameworks.scripted_llama:agent"  # The example's model cannot be scripted.
