"""Who sees what: whose turns a caller is shown, and which messages."""

from __future__ import annotations

from dataclasses import dataclass

from runner.callers import owns
from runner.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Sight:
    """What one caller sees.

    caller    the caller's name, "" for one without.
    everyone  all turns are shown, and the settings; else the caller's own.
    texts     of others' turns the messages too.
    """

    caller: str
    everyone: bool
    texts: bool

    @classmethod
    def of(cls, caller: str, settings: ServerSettings) -> Sight:
        if not any(settings.callers.values()):  # Nobody has a name: all are one caller.
            return cls(caller, everyone=True, texts=True)
        is_operator = caller in settings.operators
        return cls(caller, is_operator, is_operator and settings.operators_see_texts)

    def sees(self, conversation: str) -> bool:
        return self.everyone or owns(self.caller, conversation)

    def reads(self, conversation: str) -> bool:
        """Whether its messages are shown."""
        return owns(self.caller, conversation) or (self.everyone and self.texts)
