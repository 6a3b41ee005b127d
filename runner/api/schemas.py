"""The JSON Schemas of the documents (2020-12, as OpenAPI 3.1 has it), made from their types."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from runner.api.documents import SHAPES, Problem
from runner.api.examples import EXAMPLES
from runner.api.problems import ALL_CAUSES
from runner.settings import ServerSettings

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}


def ref(document: type) -> Schema:
    return {"$ref": f"#/components/schemas/{document.__name__}"}


def all_schemas(limits: ServerSettings) -> dict[str, Schema]:
    """Each document's schema by its name, and that of the body of `POST /chat`.

    The latter's bounds are the settings', so no type can say them.
    """
    adapters = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    _, made = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    shapes: dict[str, Schema] = made["$defs"]
    shapes["Problem"]["properties"]["type"]["enum"] = [cause.type for cause in ALL_CAUSES]
    shapes["Problem"]["examples"] = [EXAMPLES[Problem]]
    message = {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.max_message_bytes,
        "description": "what the agent is asked; the bound is in bytes of UTF-8",
    }
    own = {"anyOf": [conversation_id(limits), {"type": "null"}]}
    shapes["ChatBody"] = {
        "type": "object",
        "required": ["message"],
        "additionalProperties": False,
        "properties": {"message": message, "conversation_id": own},
    }
    return shapes


def conversation_id(limits: ServerSettings) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.max_conversation_id_length,
        "pattern": "^[A-Za-z0-9._:-]+$",
        "default": "default",
    }
