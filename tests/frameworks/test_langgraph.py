"""Graphs of LangGraph, and agents of LangChain, which are such graphs, over HTTP."""

from __future__ import annotations

from runner.agents.frameworks.langgraph import FRAMEWORK
from tests.frameworks import scenarios as its


class TestLangGraph(
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
    example = "langgraph"


class TestLangChain(TestLangGraph):
    example = "langchain"
    title = "LangChain"
    package = "langchain"
