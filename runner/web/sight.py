"""Who sees what: whose turns a caller is shown, and which messages."""

from __future__ import annotations

from dataclasses import dataclass

from runner.callers import owns
from runner.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Sight:
    """What one caller sees.

    caller    the caller's name, "" for one without.
    everyone  all turns are shown and may be cancelled, and the settings are shown; otherwise
              the caller's own turns alone.
    texts     all turns that are shown have their messages; otherwise only the caller's own.
    """

    caller: str
    everyone: bool
    texts: bool

    @classmethod
    def of(cls, caller: str, settings: ServerSettings) -> Sight:
        if not any(settings.callers.values()):  # Nobody has a name: all are one caller.
            return cls(caller, everyone=True, texts=True)
        if caller in settings.operators:
            return cls(caller, everyone=True, texts=settings.operators_see_texts)
        return cls(caller, everyone=False, texts=True)

    @property
    def only(self) -> str | None:
        """The caller whose turns alone are shown; None where everybody's are."""
        return None if self.everyone else self.caller

    def sees(self, conversation: str) -> bool:
        return self.everyone or owns(self.caller, conversation)

    def reads(self, conversation: str) -> bool:
        """Whether its messages are shown."""
        return owns(self.caller, conversation) or (self.everyone and self.texts)
