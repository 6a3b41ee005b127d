"""What was said in a conversation, as a digest: by it a client finds one that it has no id for.

Chat programs send all that was said each time, and nothing else. The digest of what they send
is that of the conversation's last turn, or there is no such conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json


def beginning(*whose: str) -> str:
    """Before anything was said; nobody else's conversation begins with the same."""
    return sha256(to_json(whose)).hexdigest()


def after(said: str, role: str, text: str, more: bytes = b"") -> str:
    """When this was said too. Programs trim texts, so the blanks around them do not count.

    more  what the message has besides its text. Raises ValueError for half a surrogate pair.
    """
    as_one = text.replace("\r\n", "\n").strip().encode()
    head = f"{said} {role} {len(as_one)} ".encode()
    return sha256(head + as_one + more).hexdigest()


def shown(reply: str, requests: bytes | None) -> str:
    """A reply to those who are shown nothing but text: with what the agent needs a person for."""
    if requests is None:
        return reply
    asked = (text for one in from_json(requests) for text in _asked(one, reply))
    return "\n\n".join(text for text in (reply, *asked) if text)


def prompt_of(request: Mapping[str, Any], reply: str) -> str:
    """What it asks in words of its own, where the reply has not said that already."""
    prompt = str(request.get("prompt") or "")
    return "" if prompt in reply else prompt


def approval(name: object, arguments: object) -> str:
    return f"May {name} be done, with {to_json(arguments).decode()}? Answer yes or no."


def _asked(request: Mapping[str, Any], reply: str) -> Iterator[str]:
    yield prompt_of(request, reply)
    if request["kind"] == "approval":
        yield approval(request.get("name") or "it", request.get("arguments"))
