"""What a run ended with, beside what its model said."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Json


def answered(said: str, output: Any, state: Json) -> Answered:
    """The output is not in the text where a tool gave it, or a function made it of the text."""
    ended = as_json(output)
    if not said and ended is not None:
        said = ended if isinstance(ended, str) else json.dumps(ended)
    was_said = isinstance(ended, str) and said.endswith(ended)
    return Answered(said, state, output=None if was_said else ended)


def as_json(value: Any) -> Json:
    return to_jsonable_python(value, bytes_mode="base64", serialize_unknown=True)
