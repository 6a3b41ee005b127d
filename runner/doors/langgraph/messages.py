"""Messages in LangChain's words: what a client sends, and what a thread's state shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.agents.base import Message
from runner.api.problems import wrong_field
from runner.doors.langgraph.given import as_dict, as_list

USER = ("user", "human")
INPUT_IS = (
    '"input" is {"messages": [{"role": "user", "content": "..."}]}; its last message is the '
    "user's, and what came before it is in the thread already."
)
NOT_TAKEN = (
    "The last message has the role {!r}, which this agent does not take from its client: it has "
    "instructions and tools of its own. Send a message of the user."
)


def said(given: object) -> str | list[dict[str, Any]]:
    """What the user says with a run's input, as `/chat` takes it. Raises RequestError."""
    sent = as_dict(given).get("messages", given)
    messages = as_list(sent)
    new: list[str | list[dict[str, Any]]] = []
    for message in reversed([sent] if messages is None else messages):
        role, content = _role_and_content(message)
        if role not in USER:
            if not new or role == "system":
                raise wrong_field("/input/messages", NOT_TAKEN.format(role[:32]))
            break
        new.insert(0, content)
    if not new:
        raise wrong_field("/input", INPUT_IS)
    if len(new) == 1:
        return new[0]
    return [part for content in new for part in _as_parts(content)]


def _role_and_content(message: object) -> tuple[str, str | list[dict[str, Any]]]:
    """Of a message as LangChain has it: an object, a pair, or a text alone."""
    if isinstance(message, str):
        return "user", message
    pair, one = as_list(message), as_dict(message)
    role, content = one.get("role") or one.get("type"), one.get("content")
    if pair is not None and len(pair) == 2:
        role, content = pair
    if not isinstance(role, str):
        raise wrong_field("/input/messages", INPUT_IS)
    if role not in USER:
        return role, ""
    if isinstance(content, str):
        return role, content
    if (parts := as_list(content)) is None:
        raise wrong_field("/input/messages", INPUT_IS)
    return role, [_part(part) for part in parts]


def _as_parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _part(part: object) -> dict[str, Any]:
    """A part of a message as ours; one that is neither known nor ours is refused later on."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    sent = as_dict(part)
    match sent.get("type"):
        case "text":
            return {"type": "text", "text": sent.get("text")}
        case "image_url":
            image = sent.get("image_url")
            url = as_dict(image).get("url", image)
            return _image_at(url if isinstance(url, str) else "")
        case "image":
            return {"type": "image", **_source(sent)}
        case "file":
            named = as_dict(sent.get("metadata"))
            name = sent.get("filename") or named.get("filename") or sent.get("name") or "file"
            return {"type": "file", "name": name, **_media_type(sent), **_source(sent)}
        case _:
            return sent


def _image_at(url: str) -> dict[str, Any]:
    """OpenAI's form, where the URL may have the data in it."""
    head, _, data = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64")
        return {"type": "image", "media_type": media_type, "data": data}
    return {"type": "image", "url": url}


def _source(sent: Mapping[str, Any]) -> dict[str, Any]:
    """`url`, or data in base64 under either of LangChain's two names."""
    if "url" in sent:
        return {"url": sent["url"]}
    return {"data": sent.get("base64") or sent.get("data"), **_media_type(sent)}


def _media_type(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"media_type": sent.get("mime_type") or sent.get("media_type")}


def shown(messages: Iterable[Message], last_id: str = "") -> list[dict[str, Any]]:
    """A thread's messages. An id is a message's place; that of the last may be given."""
    listed = [
        {
            "type": "human" if message["role"] == "user" else "ai",
            "content": message["content"],
            "id": f"message-{place}",
        }
        for place, message in enumerate(messages)
    ]
    if listed and last_id:
        listed[-1]["id"] = last_id
    return listed
