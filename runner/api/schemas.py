"""The shapes of what is sent and answered, as JSON Schema (2020-12, as OpenAPI 3.1 has it)."""

from __future__ import annotations

from typing import Any

from runner.api.problems import ALL_CAUSES, type_of
from runner.settings import Settings
from strategies import State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "minimum": 0}
SECONDS_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0}
OUTCOME: Schema = {"type": "string", "enum": ["not_started", "rolled_back", "unknown"]}
TURN_ID: Schema = {"type": "string", "description": "the turn's id, unique for ever"}
CONVERSATION: Schema = {"type": "string", "description": "the conversation's id"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def a_list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def an_object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }


PLACE: dict[str, Schema] = {
    "position": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "1 is next, 0 is not waiting, null is not known",
    },
    "eta_s": {
        "type": ["number", "null"],
        "minimum": 0,
        "description": "expected seconds until it starts",
    },
}
RANGE: dict[str, Schema] = {
    "eta_range_s": {
        "type": ["array", "null"],
        "prefixItems": [SECONDS, SECONDS],
        "description": "it starts between these two with a chance of 80 %",
    }
}
STATE: Schema = {"type": "string", "enum": [str(state) for state in State]}
ATTEMPT: Schema = {
    "type": "integer",
    "minimum": 0,
    "description": "how often the agent was called for it; more than 1 after a restart",
}

REPLY = an_object(
    {
        "status": {"const": "success"},
        "response": {"type": "string", "description": "the agent's words"},
        "agent_id": TEXT,
        "conversation_id": CONVERSATION,
        "turn_id": TURN_ID,
        "turn": {"type": "integer", "minimum": 1, "description": "its place in the history"},
        "waited_ms": COUNT,
        "ran_ms": COUNT,
    },
    {
        "interrupted": {"const": True, "description": "stopped early; these are the words so far"},
        "attempt": ATTEMPT,
    },
)

ACCEPTED = an_object(
    {
        "status": {"const": "accepted"},
        "turn_id": TURN_ID,
        "conversation_id": CONVERSATION,
        "state": STATE,
        **PLACE,
    },
    RANGE,
)

TURN = an_object(
    {
        "turn_id": TURN_ID,
        "conversation_id": CONVERSATION,
        "state": STATE,
        "attempt": ATTEMPT,
        "priority": {"type": "integer", "minimum": 0, "maximum": 7},
        **PLACE,
    },
    {
        **RANGE,
        **{name: shape for name, shape in REPLY["properties"].items() if name != "attempt"},
        "outcome": OUTCOME,
        "problem": {"$ref": "#/components/schemas/Problem"},
        "fenced": {"type": "boolean", "description": "its agent was told to stop and has not"},
    },
)

PRESENT = an_object(
    {
        "turn_id": TURN_ID,
        "position": PLACE["position"],
        "age_s": SECONDS,
        "attempt": ATTEMPT,
        "priority": COUNT,
    }
)

SUMMARY_FIELDS: dict[str, Schema] = {
    "conversation_id": CONVERSATION,
    "turns": {"type": "integer", "minimum": 0, "description": "turns in its history"},
    "waiting": COUNT,
    "running": COUNT,
}

CONVERSATION_SHOWN = an_object(
    {
        "conversation_id": CONVERSATION,
        "turns": COUNT,
        "waiting": a_list(ref("TurnInLine")),
        "running": {"anyOf": [ref("TurnInLine"), {"type": "null"}]},
    }
)

HEALTH = an_object(
    {
        "status": {"type": "string", "enum": ["healthy", "draining"]},
        "agent_id": TEXT,
        "processing": FLAG,
        "queue_depth": {"type": "integer", "minimum": 0, "description": "turns that wait"},
        "running": COUNT,
        "strategy": TEXT,
        "oldest_wait_s": SECONDS,
        "fenced": {
            "type": "integer",
            "minimum": 0,
            "description": "conversations held by an agent that does not stop",
        },
        "requests_in_flight": COUNT,
        "service_s": SECONDS_OR_NULL,
        "loop_lag_s": SECONDS,
        "turns": {"type": "object", "additionalProperties": COUNT},
    }
)

MESSAGES = an_object(
    {
        "status": {"const": "success"},
        "messages": a_list(
            an_object({"role": {"type": "string", "enum": ["user", "assistant"]}, "content": TEXT})
        ),
    }
)

PROBLEM = an_object(
    {
        "type": {"type": "string", "enum": [type_of(cause) for cause in ALL_CAUSES]},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what to do"},
        "outcome": OUTCOME,
    },
    {
        "turn_id": TURN_ID,
        "conversation_id": CONVERSATION,
        "retry_after_s": SECONDS,
        "queue_depth": COUNT,
        "attempt": ATTEMPT,
        "pointer": {"type": "string", "description": "the field, or ?name of the parameter"},
        "agent_error": {"type": "string", "description": "only with agent.expose_agent_errors"},
    },
)


def message(settings: Settings) -> Schema:
    """The body of `POST /chat`."""
    return an_object(
        {
            "message": {
                "type": "string",
                "minLength": 1,
                "maxLength": settings.server.max_message_bytes,
                "description": "what the agent is asked; the bound is in bytes of UTF-8",
            }
        },
        {"conversation_id": {"anyOf": [conversation_id(settings), {"type": "null"}]}},
    )


def conversation_id(settings: Settings) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": settings.server.max_conversation_id_length,
        "pattern": "^[A-Za-z0-9._:-]+$",
        "default": "default",
    }


def all_schemas(settings: Settings) -> Schema:
    return {
        "Message": message(settings),
        "Reply": REPLY,
        "Accepted": ACCEPTED,
        "Turn": TURN,
        "TurnInLine": PRESENT,
        "Conversation": CONVERSATION_SHOWN,
        "Conversations": an_object(
            {
                "status": {"const": "success"},
                "conversations": a_list(an_object(SUMMARY_FIELDS)),
                "total": COUNT,
            }
        ),
        "Messages": MESSAGES,
        "Health": HEALTH,
        "Problem": PROBLEM,
    }
