"""llama.cpp: `llama_cpp.Llama`, a chat model in this process.

State: the messages, as `role` and `content`. What no longer fits into the context window beside
room for a reply is forgotten, the oldest turn first. A message that does not fit at all fails
with llama.cpp's own words. Instructions, sampling and the like belong into a subclass:

    class Assistant(Llama):
        def create_chat_completion(self, messages, **options):
            system = {"role": "system", "content": "Answer in one sentence."}
            return super().create_chat_completion([system, *messages], max_tokens=200, **options)

Two threads in one context abort the process, so that one object answers one turn at a time. It
cannot be stopped while it reads a prompt, only between two tokens of its reply.
"""

from __future__ import annotations

from contextlib import closing
from threading import Event
from typing import Any

from runner.agents.base import Answered, Asked, Emit
from runner.agents.frameworks.framework import Framework, InThread
from runner.agents.frameworks.stoppable import call_stoppable

REPLY_SHARE = 4
"""A reply finds at least one so-manieth of the context window free."""

MESSAGE_TOKENS = 16
"""What a chat template adds to each message, and a little more."""


class Llama:
    def __init__(self, model: Any, in_thread: InThread) -> None:
        self._model = model
        self._in_thread = in_thread

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        messages = [*(asked.state or ()), {"role": "user", "content": asked.message}]

        def speak(stop: Event) -> str:
            self._forget(messages)
            stream = self._model.create_chat_completion(messages=messages, stream=True)
            text = ""
            with closing(stream):
                for chunk in stream:
                    if stop.is_set():
                        break
                    if piece := chunk["choices"][0]["delta"].get("content"):
                        text += piece
                        emit(piece)
            return text

        text = await call_stoppable(self._in_thread, speak)
        return Answered(text, state=[*messages, {"role": "assistant", "content": text}])

    def _forget(self, messages: list[dict[str, str]]) -> None:
        """Drop the oldest turns, until what is left and a reply fit."""
        window = self._model.n_ctx()
        room = window - window // REPLY_SHARE
        tokens = [self._tokens(message["content"]) for message in messages]
        while len(messages) > 1 and sum(tokens) > room:
            del messages[:2], tokens[:2]

    def _tokens(self, text: str) -> int:
        return len(self._model.tokenize(text.encode(), add_bos=False)) + MESSAGE_TOKENS


FRAMEWORK = Framework(
    name="llama.cpp",
    package="llama-cpp-python",
    version="0.3.36",
    classes=frozenset({("llama_cpp.llama", "Llama")}),
    adapt=Llama,
    is_shared=False,
    uses_threads=True,
)
