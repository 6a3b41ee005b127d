"""Who is to be told of a turn's end, and in whose words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Wanted:
    """A webhook as somebody wants it.

    form     in whose words it tells: a door's name, or "" for ours.
    id       by which its client knows it.
    headers  that the receiver wants to see; it may be a secret that stands in them.
    """

    url: str
    form: str = ""
    id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def text(self) -> str:
        """For the turn's row: a URL where there is nothing more to say, and else JSON."""
        return self.url if self == Wanted(self.url) else json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(**json.loads(text)) if text.startswith("{") else cls(text)
