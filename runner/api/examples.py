"""Examples of what is sent and answered, for the description: one story, told over all calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.api import documents
from strategies import State

MESSAGE = "My name is Ada."
REPLY_TEXT = "Nice to meet you, Ada."
TURN_ID = "afc9a4fb63904075b3a5bb218f72d2f6"
CONVERSATION = "default"

ORIGIN = "http://127.0.0.1:8080"
"""Where the server of the examples is; `pages` puts its own address in this place."""

BODY = {"message": MESSAGE, "conversation_id": CONVERSATION}

REPLY: documents.Reply = {
    "status": "success",
    "response": REPLY_TEXT,
    "agent_id": "agent",
    "conversation_id": CONVERSATION,
    "turn_id": TURN_ID,
    "turn": 1,
    "waited_ms": 0,
    "ran_ms": 812,
}
ACCEPTED: documents.Accepted = {
    "status": "accepted",
    "conversation_id": CONVERSATION,
    "state": State.WAITING,
    "turn_id": TURN_ID,
    "position": 1,
    "eta_s": 0.8,
    "eta_range_s": (0.3, 1.6),
}
TURN: documents.Turn = {
    "turn_id": TURN_ID,
    "position": 0,
    "eta_s": 0.0,
    "conversation_id": CONVERSATION,
    "state": State.ANSWERED,
    "attempt": 1,
    "priority": 3,
    "status": "success",
    "response": REPLY_TEXT,
    "agent_id": "agent",
    "turn": 1,
    "fenced": False,
    "waited_ms": 0,
    "ran_ms": 812,
}
CONVERSATION_DETAIL: documents.ConversationDetail = {
    "conversation_id": CONVERSATION,
    "turns": 4,
    "running": {
        "turn_id": TURN_ID,
        "position": 0,
        "age_s": 1.2,
        "attempt": 1,
        "priority": 3,
    },
    "waiting": [],
}
CONVERSATION_LIST: documents.ConversationList = {
    "status": "success",
    "conversations": [
        {"conversation_id": CONVERSATION, "turns": 4, "running": 1, "waiting": 0},
    ],
    "total": 1,
}
MESSAGES: documents.Messages = {
    "status": "success",
    "messages": [
        {"role": "user", "content": MESSAGE},
        {"role": "assistant", "content": REPLY_TEXT},
    ],
}
HEALTH: documents.Health = {
    "status": "healthy",
    "agent_id": "agent",
    "processing": True,
    "queue_depth": 2,
    "running": 1,
    "strategy": "queue",
    "oldest_wait_s": 0.64,
    "fenced": 0,
    "hung_threads": 0,
    "requests_in_flight": 4,
    "service_s": 0.812,
    "loop_lag_s": 0.002,
    "webhooks_retrying": 0,
    "turns": {"accepted": 7, "refused_at_once": 0, "answered": 4},
}
PROBLEM: documents.Problem = {
    "type": "urn:turnline:problem:conversation-queue-full",
    "title": "The line of this conversation is full",
    "status": 429,
    "detail": "Too many turns of this conversation wait already. Ask again later.",
    "outcome": "not_started",
    "turn_id": TURN_ID,
    "conversation_id": CONVERSATION,
    "queue_depth": 100,
    "retry_after_s": 4.06,
}
HOME: documents.Home = {
    "name": "Turnline",
    "chat": "/chat",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    "agent_id": "agent",
    "agent": "eliza (class, one agent for each conversation)",
    "strategy": "queue",
}

EXAMPLES: Mapping[type, Mapping[str, Any]] = {
    documents.Reply: REPLY,
    documents.Accepted: ACCEPTED,
    documents.Turn: TURN,
    documents.ConversationDetail: CONVERSATION_DETAIL,
    documents.ConversationList: CONVERSATION_LIST,
    documents.Messages: MESSAGES,
    documents.Health: HEALTH,
    documents.Probe: documents.Probe(status="ready"),
    documents.Problem: PROBLEM,
    documents.Home: HOME,
}

STREAM = f"""\
retry: 1000

id: 0w1
event: queued
data: {{"turn_id":"{TURN_ID}","position":1,"eta_s":0.8,"eta_range_s":[0.3,1.6]}}

id: 1.0
event: started
data: {{"turn_id":"{TURN_ID}","attempt":1}}

id: 1.8
event: delta
data: {{"text":"Nice to "}}

id: 1.22
event: delta
data: {{"text":"meet you, Ada."}}

id: 1e
event: done
data: {{"status":"success","response":"{REPLY_TEXT}", ...}}
"""

JSON = "-H 'Content-Type: application/json'"
DATA = f"""-d '{{"message": "{MESSAGE}"}}'"""
TOKEN = '-H "Authorization: Bearer $TOKEN"'

Sample = dict[str, str]


def samples(method: str, path: str, *, needs_token: bool) -> list[Sample]:
    """The call as curl makes it, as the extension `x-codeSamples`: known to many readers."""
    address = path.replace("{turn_id}", TURN_ID).replace("{conversation_id}", CONVERSATION)
    token = (TOKEN,) if needs_token else ()
    ways = WAYS.get(path, {"": ("-X DELETE" if method == "DELETE" else "",)})
    return [
        {"lang": "Shell", "label": label, "source": curl(address, options, *token, *more)}
        for label, (options, *more) in ways.items()
    ]


def curl(path: str, options: str, *more: str) -> str:
    return " \\\n  ".join([" ".join(filter(None, ("curl", options, ORIGIN + path))), *more])


WAYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "/chat": {
        "Wait for the reply": ("", JSON, DATA),
        "Read the reply as it comes": ("-N", "-H 'Accept: text/event-stream'", JSON, DATA),
        "Let it run in the background": (
            "-i", "-H 'Prefer: respond-async'", "-H 'Idempotency-Key: 42'", JSON, DATA,
        ),
    },
    "/turns/{turn_id}/events": {
        "From the beginning": ("-N",),
        "From where you left off": ("-N", "-H 'Last-Event-ID: 1.8'"),
    },
    "/view/side-by-side": {"": ("-N", JSON, "-d '{}'")},
    "/history": {
        "The last two messages": ("-G", "-d count=2", f"-d conversation_id={CONVERSATION}"),
    },
}  # fmt: skip
"""Calls that have more to show than their address: what each shows, and curl's arguments."""
