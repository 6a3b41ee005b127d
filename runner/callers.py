"""Who asks, and what is theirs: each named caller has conversations of its own.

Inside, a conversation's id is `caller/conversation`; no id that a caller may give
has a slash, so no caller can name another's. Without named callers it is the id alone.
"""

from __future__ import annotations


def scoped(caller: str, conversation: str) -> str:
    return f"{caller}/{conversation}" if caller else conversation


def split(conversation: str) -> tuple[str, str]:
    """The caller, or "", and the id as that caller gave it."""
    caller, _, own = conversation.rpartition("/")
    return caller, own


def caller_of(conversation: str) -> str:
    return conversation.rpartition("/")[0]


def owns(caller: str, conversation: str) -> bool:
    return caller_of(conversation) == caller
