"""The strategies serve in a program of another kind: the example in the docs is run."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import httpx

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fastapi_app.py"


async def test_overlapping_messages_are_answered_one_by_one_in_their_order() -> None:
    app = runpy.run_path(str(EXAMPLE))["app"]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = await asyncio.gather(
            *(client.post("/chat", json={"message": f"m{number}"}) for number in range(5))
        )
        other = await client.post("/chat", json={"message": "hi", "conversation": "other"})
    assert [answer.json()["turn"] for answer in answers] == [1, 2, 3, 4, 5]
    assert "after 8 messages" in answers[4].json()["response"]
    assert other.json()["turn"] == 1
