"""The steps of a smolagents agent's memory as JSON, and back.

Pickle would do both, but runs whatever code the state holds. What the model was sent before
each step is left out: the steps themselves say it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.encoding import iterator_in
from runner.agents.frameworks.framework import load


class Steps:
    """A picture stands in several steps, so they name it by its number."""

    def __init__(self) -> None:
        self._images: list[Any] = []

    def dump(self, steps: Sequence[Any]) -> Any:
        dumped = [self._dump(step) for step in steps]
        return {"steps": dumped, "images": [_png(image) for image in self._images]}

    def load(self, state: Any) -> list[Any]:
        self._images = [image(data) for data in state["images"]]
        return [self._load(dict(step)) for step in state["steps"]]

    def _dump(self, step: Any) -> Any:
        memory = load("smolagents.memory")
        if isinstance(step, memory.TaskStep):
            return {"task": step.task, "task_images": self._numbers(step.task_images)}
        known = {"timing": asdict(step.timing), "token_usage": _asdict(step.token_usage)}
        if isinstance(step, memory.PlanningStep):
            return {"plan": step.plan, **known}
        return {
            **known,
            "step_number": step.step_number,
            "tool_calls": [as_json(asdict(call)) for call in step.tool_calls or ()],
            "error": step.error and step.error.dict(),
            "model_output": as_json(step.model_output),
            "code_action": step.code_action,
            "observations": step.observations,
            "observations_images": self._numbers(step.observations_images),
            "action_output": as_json(step.action_output),
            "is_final_answer": step.is_final_answer,
        }

    def _load(self, step: dict[str, Any]) -> Any:
        memory, monitoring = load("smolagents.memory"), load("smolagents.monitoring")
        for name in ("task_images", "observations_images"):
            if step.get(name):
                step[name] = [self._images[number] for number in step[name]]
        if "task" in step:
            return memory.TaskStep(**step)
        step["timing"] = monitoring.Timing(**step["timing"])
        if usage := step["token_usage"]:
            usage = monitoring.TokenUsage(usage["input_tokens"], usage["output_tokens"])
            step["token_usage"] = usage
        if "plan" in step:
            said = memory.ChatMessage(memory.MessageRole.ASSISTANT, step["plan"])
            return memory.PlanningStep([], said, **step)
        step["tool_calls"] = [memory.ToolCall(**call) for call in step["tool_calls"]] or None
        if step["error"]:
            step["error"] = error(**step["error"])
        return memory.ActionStep(**step)

    def _numbers(self, images: Sequence[Any] | None) -> list[int] | None:
        if not images:
            return None
        known = [id(image) for image in self._images]
        self._images += [image for image in images if id(image) not in known]
        known = [id(image) for image in self._images]
        return [known.index(id(image)) for image in images]


def error(type: str, message: str) -> Any:
    monitoring, utils = load("smolagents.monitoring"), load("smolagents.utils")
    silent = monitoring.AgentLogger(monitoring.LogLevel.OFF)  # An error logs itself when made.
    return getattr(utils, type, utils.AgentError)(message, silent)


def image(data: str) -> Any:
    image = load("PIL.Image").open(BytesIO(b64decode(data)))
    image.load()
    return image


def _png(image: Any) -> str:
    file = BytesIO()
    image.save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def _asdict(value: Any) -> Any:
    return None if value is None else asdict(value)


def as_json(value: Any) -> Any:
    if iterator_in(value) is not None:  # The agent's code may go on with it.
        return str(value)
    return to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode="strings")
