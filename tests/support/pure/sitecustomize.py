"""First on the path of a server, this hides from uvicorn what it would use where it is there."""

import sys

sys.modules["httptools"] = sys.modules["uvloop"] = None  # type: ignore[assignment]
