"""The messages of a chat completion, in our words: what was said, and what is asked now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from runner.api.problems import wrong_field

MESSAGES_ARE = '"messages" is a list of {"role", "content"}; the last one is the user\'s.'
TOOLS_ARE_ITS_OWN = "This agent uses tools of its own, and takes no results of the client's."
TAKEN = "A message has parts of the types text, image_url and file."
DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]*)*;base64,")
SYSTEM = ("system", "developer")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One that the user or the agent said.

    place  in the list that was sent.
    parts  ours, of all that it has; () where that is nothing but the text.
    """

    place: int
    role: str
    text: str
    parts: tuple[Json, ...] = ()

    @classmethod
    def of(cls, place: int, role: str, parts: Sequence[Json]) -> Message:
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        is_text = all(part["type"] == "text" for part in parts)
        return cls(place, role, text, () if is_text else tuple(parts))

    @property
    def others(self) -> list[Json]:
        return [part for part in self.parts if part["type"] != "text"]


@dataclass(frozen=True, slots=True)
class Messages:
    """All of them, but what a system says: an agent has its own instructions.

    Nothing is known yet of the texts but that they are texts: one may hold half a character.

    past        up to the agent's last words.
    asked       what the user has said since, more than one message after a turn that failed.
    has_system  whether there were any of a system.
    pointer     of the list that was sent.
    """

    past: tuple[Message, ...]
    asked: tuple[Message, ...]
    has_system: bool = False
    pointer: str = "/messages"

    @classmethod
    def of(
        cls, said: Sequence[Message], *, has_system: bool = False, pointer: str = "/messages"
    ) -> Messages:
        start = next((at for at in range(len(said), 0, -1) if said[at - 1].role != "user"), 0)
        return cls(tuple(said[:start]), tuple(said[start:]), has_system, pointer)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The past as messages, each with its reply."""
        sides = [(role, "\n\n".join(one.text for one in said)) for role, said in self._by_role()]
        if sides and sides[0][0] == "assistant":  # A greeting.
            sides.insert(0, ("user", ""))
        texts = [text for _, text in sides]
        return tuple(zip(texts[::2], texts[1::2], strict=True))

    def _by_role(self) -> Iterator[tuple[str, Iterator[Message]]]:
        return groupby(self.past, lambda one: one.role)


def parse_messages(sent: object) -> Messages:
    """Raises RequestError."""
    if not isinstance(sent, list) or not sent:
        raise wrong_field("/messages", MESSAGES_ARE)
    listed = cast("list[object]", sent)
    found = [_message(place, one) for place, one in enumerate(listed)]
    said = [one for one in found if one.role not in SYSTEM]
    return Messages.of(said, has_system=len(said) < len(found))


def as_ours(asked: Sequence[Message]) -> object:
    """The message of `POST /chat` that is the same. Raises RequestError where nothing is asked."""
    if not asked:
        raise wrong_field("/message", "The last message is not the user's: there is no question.")
    if any(one.parts for one in asked):
        return [dict(part) for one in asked for part in one.parts or (text_part(one.text),)]
    return "\n\n".join(one.text for one in asked)


def text_part(text: str) -> Json:
    return {"type": "text", "text": text}


def _message(place: int, sent: object) -> Message:
    message: Json = cast("Json", sent) if isinstance(sent, dict) else {}
    role, pointer = message.get("role"), f"/messages/{place}"
    if role in SYSTEM:
        return Message(place, str(role), "")
    if role in ("tool", "function"):
        raise wrong_field(f"{pointer}/role", TOOLS_ARE_ITS_OWN)
    if role not in ("user", "assistant"):
        raise wrong_field(f"{pointer}/role", "A role is system, developer, user or assistant.")
    content, pointer = message.get("content"), f"{pointer}/content"
    if isinstance(content, str | None):
        return Message(place, str(role), content or "")
    if not isinstance(content, list):
        raise wrong_field(pointer, MESSAGES_ARE)
    return Message.of(place, str(role), [*_parts(cast("list[object]", content), pointer)])


def _parts(content: list[object], pointer: str) -> Iterator[Json]:
    for place, part in enumerate(content):
        yield _part(cast("Json", part) if isinstance(part, dict) else {}, f"{pointer}/{place}")


def _part(part: Json, pointer: str) -> Json:
    kind = part.get("type")
    value = part.get(kind) if isinstance(kind, str) else None
    if kind in ("text", "refusal") and isinstance(value, str):
        return text_part(value)
    if kind == "image_url" and isinstance(value, dict):
        return _image(cast("Json", value), f"{pointer}/image_url/url")
    if kind == "file" and isinstance(value, dict):
        return _file(cast("Json", value), f"{pointer}/file/file_data")
    if kind in ("input_audio", "audio"):
        raise wrong_field(f"{pointer}/type", f"No agent here takes audio. {TAKEN}")
    raise wrong_field(f"{pointer}/type", TAKEN)


def _image(image: Json, pointer: str) -> Json:
    url = image.get("url")
    if not isinstance(url, str):
        raise wrong_field(pointer, "An image has a url, https: or data:.")
    if not url.startswith("data:"):
        return {"type": "image", "url": url}
    return {"type": "image", **_data(url, pointer)}


def _file(file: Json, pointer: str) -> Json:
    data, name = file.get("file_data"), file.get("filename", "file")
    if not isinstance(data, str) or not isinstance(name, str):
        raise wrong_field(pointer, "A file is sent as file_data; none is kept here by an id.")
    return {"type": "file", "name": name, **_data(data, pointer)}


def _data(url: str, pointer: str) -> dict[str, str]:
    head = DATA_URL.match(url)
    if head is None:
        raise wrong_field(pointer, "A data: URL has a media type and is in base64.")
    return {"media_type": head[1], "data": url[head.end() :]}
