"""What a DSPy module says as it comes: the place where DSPy's models send their chunks.

Not `dspy.streamify`, which never ends with a module that gives no Prediction, nor its
StreamListener, which loses text with `[[` in it. What it does is the same: to set in the
context where chunks go, and of which predictor.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from runner.agents.base import Emit, Reasoning
from runner.agents.frameworks.framework import load

MODULES = {
    ("dspy.predict.predict", "Predict"),
    ("dspy.predict.chain_of_thought", "ChainOfThought"),
    ("dspy.predict.react", "ReAct"),
}
"""Those that give their last predictor's text as it is. Of others one cannot know."""

HEADER = re.compile(r"\[\[ ## \w+ ## \]\]")
BEGINS = "[[ ##"


class Stream:
    """`context` sends what is said here; `text` is what was emitted of the reply."""

    def __init__(self, module: Any, emit: Emit) -> None:
        self._emit = emit
        self._reply = _Field("")
        self._reasoning = _Field("reasoning")
        self.context: dict[str, Any] = {}
        if (predictor := _predictor(module)) and (name := _reply_of(predictor)):
            self._reply = _Field(name)
            self._id = id(predictor)
            listener = SimpleNamespace(predict=predictor)
            self.context = {"send_stream": self, "stream_listeners": [listener]}

    async def send(self, chunk: Any) -> None:
        """Called by DSPy."""
        if getattr(chunk, "predict_id", None) != self._id or not chunk.choices:
            return
        content = chunk.choices[0].delta.content or ""
        if piece := self._reasoning.add(content):
            self._emit(Reasoning(piece))
        if piece := self._reply.add(content):
            self._emit(piece)

    def finish(self, text: str) -> str:
        """The text of the turn, if this is the reply: what was said is not unsaid."""
        said = self._reply.text
        if not said or said == text:
            return text
        rest = text[len(said) :] if text.startswith(said) else f"\n\n{text}"
        self._emit(rest)
        return said + rest


class _Field:
    """One field's text, in what a model writes for a ChatAdapter: a header, then its value.

    White space at its ends does not belong to it. It ends with a line that begins with a header.
    """

    def __init__(self, name: str) -> None:
        self.text = ""
        self._header = f"[[ ## {name} ## ]]"
        self._held = ""
        self._has_begun = self._has_ended = False

    def add(self, content: str) -> str:
        """What is certain by now to belong to it, and was not yet."""
        if self._has_ended:
            return ""
        self._held += content
        if not self._has_begun:
            _, header, value = self._held.partition(self._header)
            if not header:
                return ""
            self._has_begun, self._held = True, value
        if not self.text:
            self._held = self._held.lstrip()
        piece = self._certain().rstrip()
        self._held = self._held[len(piece) :]
        self.text += piece
        return piece

    def _certain(self) -> str:
        lines = self._held.split("\n")
        # The first one's beginning has been told, if anything has.
        for number in range(1 if self.text else 0, len(lines)):
            line = lines[number].strip()
            self._has_ended = HEADER.match(line) is not None
            may_be_header = BEGINS.startswith(line) or line.startswith(BEGINS)
            if self._has_ended or (may_be_header and number == len(lines) - 1):
                return "\n".join(lines[:number])
        return self._held


def _predictor(module: Any) -> Any:
    """The one that makes the reply; None where there are no pieces of that."""
    kind, adapter = module.__class__, load("dspy").settings.adapter
    if (kind.__module__, kind.__name__) not in MODULES:
        return None
    if adapter is not None and type(adapter).__name__ != "ChatAdapter":
        return None  # A JSONAdapter's text comes quoted.
    return module.predictors()[-1]


def _reply_of(predictor: Any) -> str | None:
    """The name of its one text beside the reasoning."""
    fields = predictor.signature.output_fields
    texts = [name for name in fields if fields[name].annotation is str and name != "reasoning"]
    return texts[0] if len(texts) == 1 else None
