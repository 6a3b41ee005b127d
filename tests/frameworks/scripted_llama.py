"""A `Llama` without weights, which answers by script: a model so small cannot count messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from llama_cpp import Llama


class ScriptedLlama(Llama):
    """What its adapter uses of a `Llama`."""

    def __init__(self) -> None:
        """Nothing is loaded."""

    def close(self) -> None:
        """Nothing was loaded."""

    def n_ctx(self) -> int:
        return 10_000

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        return [0] * len(text.split())

    def create_chat_completion(self, messages: list[Any], stream: bool = False) -> Iterator[Any]:
        assert stream
        message = messages[-1]["content"]
        if message == "fail":
            raise RuntimeError("secret")
        count = sum(one["role"] == "user" for one in messages)
        return say(f"{count}: ", f"you said {message}", thinks_s=30.0 if message == "slow" else 0.0)


def say(*pieces: str, thinks_s: float) -> Iterator[Any]:
    for piece in pieces:
        yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        began = time.monotonic()
        while time.monotonic() < began + thinks_s:
            time.sleep(0.01)
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}


agent = ScriptedLlama()
