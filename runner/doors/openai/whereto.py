"""Which conversation does a message belong to? Most of these clients have no id for it.

They send all that was said. An idle conversation in which that was said, and nothing since, goes
on; for everything else a new one begins, from what the client says was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from pydantic_core import to_json

from runner.agents.requests import Decision
from runner.api.exchange import Request
from runner.api.parsing import DEFAULT_CONVERSATION
from runner.api.problems import wrong_field
from runner.callers import own_id, scoped
from runner.doors.openai.messages import Message, Messages
from runner.turns.content import Content, Resume
from runner.turns.said import after, beginning
from runner.turns.service import Service

How = Literal["named", "only", "again", "continued", "new", "given", "lost"]
"""What was done:

named      the client named the conversation; what else it sent of the past does not count.
only       the agent has one conversation.
again      the same was asked before under the same idempotency key.
continued  it is the conversation in which all that was said.
new        nothing was said before.
given      it is new, and begins with the past that the client sent.
lost       it is new, and its agent knows nothing of the past: it has a memory of its own.
"""

YES = re.compile(r"(yes|y|approved?)[.!]?", re.IGNORECASE)
NO = re.compile(r"(?:no|n|deny|denied)\b[\s,.:;!]*(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes.

    own   the conversation's id as its caller knows it.
    said  the digest of all that was said with this message, or None where nobody looks for it.
    past  what the conversation begins with.
    """

    own: str
    how: How
    said: str | None = None
    past: tuple[tuple[str, str], ...] = ()


async def find_place(
    service: Service, request: Request, messages: Messages, new: str, user: object = None
) -> Place:
    """Of who sends all that was said. Nothing is waited for after the look.

    new   the id of the conversation, if a new one begins.
    user  whom the client names: no two of these ever share one by saying the same.

    Raises RequestError, StoreUnavailable.
    """
    if service.about.single_conversation:
        return Place(DEFAULT_CONVERSATION, "only")
    before = _with(beginning("chat", request.caller, _user(user)), messages.past, messages.pointer)
    said = _with(before, messages.asked, messages.pointer)
    key = request.headers.get(b"idempotency-key")
    known = key and await service.finding.by_key(request.caller, key.decode("latin1"))
    how: How = "again" if known else "continued"
    if not known and messages.past:
        known = await service.finding.by_said(request.caller, before)
        if known:
            return Place(own_id(known), how, said)
    # Where it was asked before, that may have come to nothing: then it begins here after all.
    own = own_id(known) if known else new
    takes_past = service.about.wants_history
    past = messages.pairs if takes_past else ()
    if not known:
        how = "new" if not messages.past else "given" if takes_past else "lost"
    return Place(own, how, said, past)


def digest(place: Place, content: Content, resume: object) -> str | None:
    """Of what was asked, for its idempotency key; None where the turn itself says it.

    resume  what the client sent as that: what a message answers depends on when it is asked.
    """
    if place.said is None:
        return None
    return sha256(to_json((place.said, content.metadata, resume))).hexdigest()


def _user(user: object) -> str:
    if user is None:
        return ""
    if not isinstance(user, str) or not user.isprintable():
        raise wrong_field("/user", '"user" is a text.')
    return user


def _with(said: str, messages: Iterable[Message], pointer: str) -> str:
    for one in messages:
        try:
            said = after(said, one.role, one.text, to_json(one.others) if one.parts else b"")
        except ValueError as error:
            at = f"{pointer}/{one.place}/content"
            raise wrong_field(at, "A text holds half a surrogate pair.") from error
    return said


async def in_answer(service: Service, caller: str, own: str, message: str) -> Resume | None:
    """What a message answers, if the agent has asked for something; None for a plain message.

    A question is answered by whatever comes next; an approval by yes or no, and by nothing else.
    """
    conversation = scoped(caller, own)
    requests = await service.finding.requests(conversation)
    if not service.finding.is_idle(conversation):
        return None
    if len(requests) == 1 and requests[0]["kind"] == "question":
        return {requests[0]["id"]: Decision(approve=True, value=message)}
    word = message.strip()
    if requests and word.lower() == "cancel":
        return "cancel"
    if any(one["kind"] != "approval" for one in requests):
        return None
    if YES.fullmatch(word):
        return {one["id"]: Decision(approve=True) for one in requests} or None
    if no := NO.fullmatch(word):
        return {one["id"]: Decision(approve=False, reason=no[1]) for one in requests} or None
    return None
