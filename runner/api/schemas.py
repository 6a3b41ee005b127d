"""The JSON Schemas of the documents (2020-12, as OpenAPI 3.1 has it), made from their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from runner.api.content import LONGEST_METADATA, LONGEST_NAME, MOST_METADATA, MOST_PARTS
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
    shapes["ChatBody"] = _chat_body(limits)
    return shapes


def _chat_body(limits: ServerSettings) -> Schema:
    message = {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.max_message_bytes,
        "description": "what the agent is asked; the bound is in bytes of UTF-8",
    }
    word = {"type": "string", "minLength": 1}
    sources: list[dict[str, Any]] = [{"url": word}, {"media_type": word, "data": word}]
    kinds = [
        _object({"type": {"const": "text"}, "text": word}),
        *(_object({"type": {"const": "image"}, **source}) for source in sources),
        *(
            _object({"type": {"const": "file"}, "name": word, "media_type": word, **source})
            for source in sources
        ),
    ]
    parts = {"type": "array", "minItems": 1, "maxItems": MOST_PARTS, "items": {"anyOf": kinds}}
    decision = _object({"approve": {"type": "boolean"}, "value": {}, "reason": TEXT}, ["approve"])
    answers = {"type": "object", "minProperties": 1, "additionalProperties": decision}
    about = "answers to the agent's requests, by their ids; in place of a message"
    metadata = {
        "type": "object",
        "maxProperties": MOST_METADATA,
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
        "additionalProperties": {"type": "string", "maxLength": LONGEST_METADATA},
        "description": "what the agent finds in `current_turn().metadata`",
    }
    fields = {
        "message": {"anyOf": [message, parts]},
        "resume": {"anyOf": [answers, {"const": "cancel"}], "description": about},
        "conversation_id": {"anyOf": [conversation_id(limits), {"type": "null"}]},
        "metadata": {"anyOf": [metadata, {"type": "null"}]},
    }
    either = [{"required": ["message"]}, {"required": ["resume"]}]
    return {**_object(fields, []), "oneOf": either}


def _object(properties: dict[str, Any], required: Sequence[str] | None = None) -> Schema:
    return {
        "type": "object",
        "required": [*(properties if required is None else required)],
        "additionalProperties": False,
        "properties": properties,
    }


def conversation_id(limits: ServerSettings) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.max_conversation_id_length,
        "pattern": "^[A-Za-z0-9._:-]+$",
        "default": "default",
    }
