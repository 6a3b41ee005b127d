"""Who asks, and what is theirs: each named caller has conversations of its own.

Inside, a conversation's id is `caller/conversation`; no id that a caller may give
has a slash, so no caller can name another's. Without named callers it is the id alone.
"""

from __future__ import annotations


def scoped(caller: str, conversation: str) -> str:
    return f"{caller}/{conversation}" if caller else conversation


def caller_of(conversation: str) -> str:
    return conversation.rpartition("/")[0]


def own_id(conversation: str) -> str:
    """The conversation's id as its caller gave it."""
    return conversation.rpartition("/")[2]


def owns(caller: str, conversation: str) -> bool:
    return caller_of(conversation) == caller
