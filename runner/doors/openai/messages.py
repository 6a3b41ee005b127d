"""The messages of a chat completion, in our words: what was said, and what is asked now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from runner.api.problems import RequestError, wrong_field

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
    parts  ours, of all that it has; more than text where it is more.
    """

    place: int
    role: str
    parts: tuple[Json, ...]

    @property
    def text(self) -> str:
        return "\n".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def others(self) -> list[Json]:
        return [part for part in self.parts if part["type"] != "text"]


@dataclass(frozen=True, slots=True)
class Messages:
    """All of them, but what a system says: an agent has its own instructions.

    past        up to the agent's last words.
    asked       what the user has said since, more than one message after a turn that failed.
    has_system  whether there were any of a system.
    """

    past: tuple[Message, ...]
    asked: tuple[Message, ...]
    has_system: bool

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
    start = next((at for at in range(len(said), 0, -1) if said[at - 1].role != "user"), 0)
    return Messages(tuple(said[:start]), tuple(said[start:]), len(said) < len(found))


def as_ours(asked: Sequence[Message]) -> object:
    """The message of `POST /chat` that is the same. Raises RequestError where nothing is asked."""
    if not asked:
        raise wrong_field("/messages", "The last message is not the user's: there is no question.")
    if any(one.others for one in asked):
        return [dict(part) for one in asked for part in one.parts]
    return "\n\n".join(one.text for one in asked)


def _message(place: int, sent: object) -> Message:
    message: Json = cast("Json", sent) if isinstance(sent, dict) else {}
    role, pointer = message.get("role"), f"/messages/{place}"
    if role in SYSTEM:
        return Message(place, str(role), ())
    if role in ("tool", "function"):
        raise wrong_field(f"{pointer}/role", TOOLS_ARE_ITS_OWN)
    if role not in ("user", "assistant"):
        raise wrong_field(f"{pointer}/role", "A role is system, developer, user or assistant.")
    return Message(place, str(role), tuple(_parts(message.get("content"), f"{pointer}/content")))


def _parts(content: object, pointer: str) -> Iterator[Json]:
    if isinstance(content, str | None):
        yield {"type": "text", "text": _whole(content or "", pointer)}
    elif isinstance(content, list):
        for place, part in enumerate(cast("list[object]", content)):
            yield _part(cast("Json", part) if isinstance(part, dict) else {}, f"{pointer}/{place}")
    else:
        raise wrong_field(pointer, MESSAGES_ARE)


def _part(part: Json, pointer: str) -> Json:
    kind = part.get("type")
    value = part.get(kind) if isinstance(kind, str) else None
    if kind in ("text", "refusal") and isinstance(value, str):
        return {"type": "text", "text": _whole(value, f"{pointer}/{kind}")}
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
        return {"type": "image", "url": _whole(url, pointer)}
    return {"type": "image", **_data(url, pointer)}


def _file(file: Json, pointer: str) -> Json:
    data, name = file.get("file_data"), file.get("filename", "file")
    if not isinstance(data, str) or not isinstance(name, str):
        raise wrong_field(pointer, "A file is sent as file_data; none is kept here by an id.")
    _whole(name, pointer)
    return {"type": "file", "name": name, **_data(data, pointer)}


def _data(url: str, pointer: str) -> dict[str, str]:
    head = DATA_URL.match(_whole(url, pointer))
    if head is None:
        raise wrong_field(pointer, "A data: URL has a media type and is in base64.")
    return {"media_type": head[1], "data": url[head.end() :]}


def _whole(text: str, pointer: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise wrong_field(pointer, "A text holds half a surrogate pair.") from error
    return text


def moved(error: RequestError, pointer: str) -> RequestError:
    """The same of our words, where its client has them."""
    document = dict(error.refusal.document)
    if str(document.get("pointer")).startswith("/message"):
        document["pointer"] = pointer
    error.refusal = type(error.refusal)(document, error.refusal.headers)
    return error
