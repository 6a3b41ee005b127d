"""Where webhooks may go: hosts that the settings name, and addresses that are public.

A client names the URL, and this server calls it from inside its own network. So a name is
resolved once, each address is looked at, and the connection goes to that address: a name that
would resolve to another one the next time gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from runner.settings import WebhookSettings

URL = re.compile(r"[\x21-\x7e]{1,2000}")
URL_IS = "A webhook's URL is such as https://hooks.example/turns: without a password or a fragment."
NOT_ALLOWED = "{!r} is not in [webhook] allowed_hosts of this server's settings."
NONE_ALLOWED = "This server sends no webhooks; [webhook] in its settings allows them."

UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that the internet has. What lies elsewhere may carry an IPv4 address inside, or
belong to a site."""

RELAYED = ipaddress.ip_network("2002::/16")
"""6to4: an IPv4 address stands inside, which may be a private one."""


class NotAllowed(Exception):
    """A URL, or an address, to which no webhook goes. The text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart.

    path  with the query.
    """

    is_secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str, settings: WebhookSettings) -> Self:
        """Raises NotAllowed."""
        if not settings.allowed_hosts:
            raise NotAllowed(NONE_ALLOWED)
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").removesuffix("."), parts.port
        except ValueError as error:
            raise NotAllowed(URL_IS) from error
        odd = "@" in parts.netloc or "#" in url or "\\" in url or URL.fullmatch(url) is None
        if odd or parts.scheme not in ("http", "https") or not host:
            raise NotAllowed(URL_IS)
        if not _is_among(settings.allowed_hosts, host):
            raise NotAllowed(NOT_ALLOWED.format(host))
        is_secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(is_secure, host, port or (443 if is_secure else 80), path)

    @property
    def authority(self) -> str:
        """What `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == (443 if self.is_secure else 80)
        return host if is_usual else f"{host}:{self.port}"


async def resolve(target: Target, settings: WebhookSettings) -> str:
    """An address to connect to. Raises NotAllowed, OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # Of `a..b`, before anyone is asked for it.
        raise NotAllowed(f"{target.host} is no host name.") from error
    for *_, address in found:
        name = cast(str, address[0])
        if settings.allow_internal or is_public(name):
            return name
    raise NotAllowed(f"{target.host} has no public address, and [webhook] allow_internal is false.")


def is_public(name: str) -> bool:
    """Whether an address belongs to the internet at large."""
    address = ipaddress.ip_address(name.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.version == 6 and (address not in UNICAST or address in RELAYED):
        return False
    return address.is_global and not address.is_multicast


def _is_among(allowed: tuple[str, ...], host: str) -> bool:
    names = {name.lower().strip("[]") for name in allowed}
    if "*" in names or host in names:
        return True
    return any(f"*{host[place:]}" in names for place, sign in enumerate(host) if sign == ".")
