"""The JSON Schemas of the documents (2020-12, as OpenAPI 3.1 has it), made from their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from runner.api.documents import SHAPES
from runner.api.problems import ALL_CAUSES, type_of
from runner.settings import Settings

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of the settings the description tells."""

    max_message_bytes: int
    max_conversation_id_length: int
    per_turn: tuple[str, ...]
    with_tokens: bool

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        server, strategy = settings.server, settings.strategy
        return cls(
            server.max_message_bytes,
            server.max_conversation_id_length,
            strategy.per_turn,
            with_tokens=bool(server.tokens),
        )


def ref(document: type) -> Schema:
    return {"$ref": f"#/components/schemas/{document.__name__}"}


def all_schemas(bounds: Bounds) -> dict[str, Schema]:
    """Each document's schema by its name, and that of the body of `POST /chat`."""
    adapters = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    _, made = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    shapes: dict[str, Schema] = made["$defs"]
    shapes["Problem"]["properties"]["type"]["enum"] = [type_of(cause) for cause in ALL_CAUSES]
    return {"ChatBody": chat_body(bounds), **shapes}


def chat_body(bounds: Bounds) -> Schema:
    """Its bounds are the settings', so no type can say them."""
    message = {
        "type": "string",
        "minLength": 1,
        "maxLength": bounds.max_message_bytes,
        "description": "what the agent is asked; the bound is in bytes of UTF-8",
    }
    own = {"anyOf": [conversation_id(bounds), {"type": "null"}]}
    return {
        "type": "object",
        "required": ["message"],
        "properties": {"message": message, "conversation_id": own},
    }


def conversation_id(bounds: Bounds) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": bounds.max_conversation_id_length,
        "pattern": "^[A-Za-z0-9._:-]+$",
        "default": "default",
    }
