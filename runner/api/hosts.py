"""Which names in `Host` this server answers to.

A page of any website may reach a server on loopback under a name of its own that resolves to
127.0.0.1 (DNS rebinding), and read the answers as those of its own site. The browser names
that site in `Host`; so on loopback only the names of this machine are answered to. Elsewhere
the token guards, and a name counts only where `allowed_hosts` says which.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from functools import lru_cache

from runner.api.problems import MALFORMED_REQUEST, WRONG_HOST, Cause, RequestError
from runner.settings import ServerSettings, is_loopback

HOST = re.compile(
    rb"((?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
)
LONGEST = 255
KNOWN = 1_024
"""Values of `Host` whose examination is remembered."""


class Hosts:
    """Examines `Host` against the settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._allowed = {_plain(name) for name in settings.allowed_hosts}
        self._own = {"localhost", _plain(settings.host), _plain(socket.gethostname())}
        self._examine = lru_cache(maxsize=KNOWN)(self._examined)

    def check(self, host: bytes, address: str) -> None:
        """`address` is where the connection was taken. Raises RequestError for 400 and 421."""
        refusal = self._examine(host, address)
        if refusal is not None:
            raise RequestError(*refusal)

    def _examined(self, host: bytes, address: str) -> tuple[Cause, str] | None:
        found = HOST.fullmatch(host) if len(host) <= LONGEST else None
        if found is None:
            return MALFORMED_REQUEST, "Send Host: NAME or Host: NAME:PORT."
        if self._is_answered(_plain(found[1].decode()), address):
            return None
        return WRONG_HOST, "Ask for a name of this machine, or add yours to [server] allowed_hosts."

    def _is_answered(self, name: str, address: str) -> bool:
        if not (self._allowed or self._is_local(address)):
            return True
        # An address cannot be rebound: who asks for the one that took the connection means it.
        if name in self._own or name == _plain(address) or name.endswith(".localhost"):
            return True
        if is_loopback(name) or "*" in self._allowed or name in self._allowed:
            return True
        parents = (name[place:] for place, sign in enumerate(name) if sign == ".")
        return any(f"*{parent}" in self._allowed for parent in parents)

    def _is_local(self, address: str) -> bool:
        """Whether only this machine gets here. Another ASGI server may listen elsewhere than
        our settings say, and then tells where."""
        return is_loopback(self._settings.host) and (not address or is_loopback(address))


def _plain(name: str) -> str:
    """As it is compared: in lower case, an address in its shortest form."""
    name = name.lower().strip("[]").removesuffix(".")
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
        return str(getattr(address, "ipv4_mapped", None) or address)
    return name
