"""A model without network: what it says is written here, by the last thing that the user said."""

import time
from typing import Any

from crewai import BaseLLM
from crewai.llms.base_llm import llm_call_context

TASK = "\nCurrent Task: "  # What CrewAI writes before the user's message, the last one's only.
REQUEST = "\n\nProvide your complete response:"  # And after it, for an agent without tools.


class ScriptedModel(BaseLLM):
    def supports_function_calling(self) -> bool:
        return True

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        asked = [m["content"] for m in messages if m["role"] == "user"]
        results = [m["content"] for m in messages if m["role"] == "tool"]
        message = asked[-1].removeprefix(TASK).removesuffix(REQUEST)
        count = len(asked)
        match message.split():
            case ["add", a, b] if messages[-1]["role"] == "user":
                arguments = f'{{"a": {a}, "b": {b}}}'
                function = {"name": "add", "arguments": arguments}
                return [{"id": f"call-{count}", "type": "function", "function": function}]
            case ["add", _, _]:
                pieces = [f"{count}: ", f"the sum is {results[-1]}"]
            case ["results"]:
                pieces = [f"{count}: ", ", ".join(results) or "none"]
            case ["fail"]:
                raise RuntimeError("secret")
            case _:
                pieces = [f"{count}: ", f"you said {message}"]
        with llm_call_context():
            for number, piece in enumerate(pieces):
                for _ in range(600 if message == "slow" and number else 0):
                    time.sleep(0.05)
                    # A real model would say something meanwhile: there a run can be stopped.
                    self._emit_stream_chunk_event("", from_agent=from_agent)
                self._emit_stream_chunk_event(piece, from_agent=from_agent)
        return "".join(pieces)
