"""The HTTP server in this process, which gets the signals, serves, and drains.

`server.py` owns start and end; `hypercorn.py` or `uvicorn.py` carries the bytes. Neither
library's own command can drain, and Hypercorn's worker outlives its killed parent.
"""

import asyncio
from collections.abc import Callable

CLOSE_S = 0.2
"""For answers that are on their way, and then for connections to close."""


async def wait_while(busy: Callable[[], object]) -> None:
    """For CLOSE_S at most."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + CLOSE_S
    while busy() and loop.time() < ends_at:
        await asyncio.sleep(0.005)
