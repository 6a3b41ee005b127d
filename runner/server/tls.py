"""TLS by the server itself, for where no proxy stands before it."""

from __future__ import annotations

import ssl

from runner.settings import ServerSettings


def context_of(settings: ServerSettings) -> ssl.SSLContext | None:
    """None for plain HTTP. Raises OSError where the files are no certificate and its key."""
    if settings.certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    # An encrypted key fails: without a password OpenSSL would ask for one at the terminal.
    context.load_cert_chain(settings.certfile, settings.keyfile, password="")
    return context
