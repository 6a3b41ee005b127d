"""What was said in a conversation, as a digest: by it a client finds one that it has no id for.

Chat programs send all that was said each time, and nothing else. The digest of what they send
is that of the conversation's last turn, or there is no such conversation.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json


def beginning(*whose: str) -> str:
    """Before anything was said; nobody else's conversation begins with the same."""
    return sha256(to_json(whose)).hexdigest()


def after(said: str, role: str, text: str, more: bytes = b"") -> str:
    """When this was said too. Programs trim texts, so the blanks around them do not count.

    more  what the message has besides its text.
    """
    as_one = "\n".join(text.split("\r\n")).strip().encode()
    head = f"{said} {role} {len(as_one)} ".encode()
    return sha256(head + as_one + more).hexdigest()


def shown(reply: str, requests: bytes | None) -> str:
    """A reply to those who are shown nothing but text: with what the agent needs a person for."""
    if requests is None:
        return reply
    asked = [_question(one) for one in from_json(requests)]
    return "\n\n".join([text for text in (reply, *asked) if text])


def _question(request: dict[str, Any]) -> str:
    prompt = str(request.get("prompt") or "")
    if request["kind"] == "question":
        return prompt
    arguments = to_json(request.get("arguments")).decode()
    words = f"May {request.get('name') or 'it'} be done, with {arguments}? Answer yes or no."
    return f"{prompt}\n{words}" if prompt else words
