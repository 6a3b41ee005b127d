"""What `POST /v1/responses` is sent: all that was said or what is new, or answers to the agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from runner.api.problems import wrong_field
from runner.doors.openai.item_ids import parse_item_id
from runner.doors.openai.messages import Message, Messages
from runner.doors.openai.response_parts import as_parts, listed, pointed, reply_text
from runner.turns import said
from runner.turns.live_turn import LiveTurn

INPUT_IS = 'The body needs "input": a text that is not empty, or a list of items with a message.'
OWN_TOOLS = "The agent runs its own tools, and takes no results of tools from a client."
ANSWER_IS = '"approve" is true or false, and "reason" a text.'
NO_SUCH_ITEM = "There is no item of this id, or it is not yours. Send the text that was said."
PAST = (
    "reasoning", "function_call", "mcp_call", "mcp_list_tools", "web_search_call",
    "file_search_call", "code_interpreter_call", "compaction",
)  # fmt: skip
"""Items of what was answered before, besides its text."""

MATTERS = ("instructions", "tools", "prompt")
"""Fields that would change an answer of OpenAI's, and none of an agent."""

Find = Callable[[str], Awaitable[LiveTurn | None]]
"""The caller's turn of an id."""


@dataclass(slots=True)
class Input:
    """The items as messages. All that an agent answered at once is one, as it was a reply.

    answers  to the agent's requests, in place of a new message.
    """

    find: Find
    said: list[Message] = field(default_factory=list[Message])
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    _quoted: set[str] = field(default_factory=set[str])
    """Turns whose replies are in the message that grows."""

    @property
    def messages(self) -> Messages:
        return Messages.of(self.said, pointer="/input")

    async def take(self, item: dict[str, Any], place: int) -> None:
        """Raises RequestError, StoreUnavailable."""
        kind, role, pointer = item.get("type", "message"), item.get("role"), f"/input/{place}"
        if kind == "item_reference":
            self._reply(place, await self._quote(str(item.get("id")), pointer))
        elif kind in PAST:
            self._reply(place, "")
        elif kind == "message" and role == "assistant":
            self._reply(place, reply_text(item.get("content"), pointed(pointer, "content")))
        elif kind == "mcp_approval_request":
            self._reply(place, _asked(item, pointer, "\n\n" if self._is_replying else ""))
        elif kind == "mcp_approval_response":
            self._answer(item, place, pointer)
        elif isinstance(kind, str) and kind.endswith("_output"):
            raise wrong_field(pointer, OWN_TOOLS)
        elif kind != "message" or role not in ("user", "system", "developer"):
            raise wrong_field(pointer, "The items of a turn are messages, and approvals.")
        elif role == "user":
            parts = as_parts(item.get("content"), pointed(pointer, "content"))
            self._add(Message.of(place, "user", parts))

    @property
    def _is_replying(self) -> bool:
        return bool(self.said) and self.said[-1].role == "assistant"

    def _add(self, message: Message) -> None:
        if self.answers:
            detail = "Send answers to the agent's requests, or a message, not both."
            raise wrong_field("/input", detail)
        self.said.append(message)

    def _reply(self, place: int, text: str) -> None:
        if self._is_replying:
            text = self.said.pop().text + text
        else:
            self.answers.clear()
        self.said.append(Message(place, "assistant", text))

    async def _quote(self, item_id: str, pointer: str) -> str:
        """What was replied in the turn of which the item is, once for all its items."""
        if not self._is_replying:
            self._quoted.clear()
        turn_id, _ = parse_item_id(item_id)
        if turn_id in self._quoted:
            return ""
        live = None if turn_id is None else await self.find(turn_id)
        if live is None or live.ending is None or live.ending.reply is None:
            raise wrong_field(pointed(pointer, "id"), NO_SUCH_ITEM)
        self._quoted.add(live.turn.id)
        return said.shown(live.ending.reply, live.ending.requests)

    def _answer(self, item: dict[str, Any], place: int, pointer: str) -> None:
        """A part of the history too: the same as text."""
        if self.said and self.said[-1].role == "user" and not self.answers:
            detail = "Send answers to the agent's requests, or a message, not both."
            raise wrong_field("/input", detail)
        _, request = parse_item_id(str(item.get("approval_request_id")))
        approve, reason = item.get("approve"), item.get("reason")
        if not isinstance(approve, bool) or not isinstance(reason, str | None):
            raise wrong_field(pointer, ANSWER_IS)
        self.answers[request] = {"approve": approve} | ({"reason": reason} if reason else {})
        words = "approved" if approve else f"denied: {reason}" if reason else "denied"
        self.said.append(Message(place, "user", words))


async def read_input(find: Find, sent: object) -> Input:
    """Raises RequestError, StoreUnavailable."""
    found = Input(find)
    if isinstance(sent, str) and sent:
        found.said.append(Message(0, "user", sent))
        return found
    for place, item in enumerate(listed(sent)):
        if not isinstance(item, dict):
            raise wrong_field(f"/input/{place}", INPUT_IS)
        await found.take(cast("dict[str, Any]", item), place)
    return found


def ignored(fields: Mapping[str, Any]) -> str:
    """Names of what was sent, and changes nothing: the agent has its own."""
    names = [name for name in MATTERS if fields.get(name)]
    for item in listed(fields.get("input")):
        role = cast("dict[str, Any]", item).get("role") if isinstance(item, dict) else None
        if role in ("system", "developer") and role not in names:
            names.append(role)
    return ", ".join(names)


def _asked(item: Mapping[str, Any], pointer: str, before: str) -> str:
    """A request as text: see `said.shown`."""
    arguments = item.get("arguments")
    try:
        given = from_json(arguments) if isinstance(arguments, str) else arguments
        return before + said.approval(item.get("name") or "it", given)
    except ValueError as error:
        raise wrong_field(pointed(pointer, "arguments"), "The arguments are JSON.") from error
