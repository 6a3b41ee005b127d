"""The HTTP server in this process: it listens, serves, drains and ends.

`server.py` owns start and end. `hypercorn.py` and `uvicorn.py` carry the bytes, one at a
time, and are the only modules that know their libraries.

Why not `hypercorn module:app` or `uvicorn module:app`: Hypercorn's one worker is a forked
child that outlives its killed parent, and neither can drain. Here the process that gets the
signal is the process that serves.
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
