"""What else than text goes through the LangGraph door: tools, thoughts, usage, images, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.langgraph import collected, connect, errors, new_thread, say, spoken, texts
from tests.support.server import Server

PNG = "iVBORw0KGgo="
TEXT = {"type": "text", "text": "What is this?"}


async def test_tools_thoughts_and_usage_are_pieces_of_messages(folder: Path) -> None:
    with Server(folder, target="tests.support.keepers:working") as server:
        async with connect(server) as client:
            stream = client.runs.stream(
                None, "agent", input=say("1 then"), stream_mode="messages-tuple"
            )
            parts = await collected(stream)
    assert spoken(parts) == 'step 0. {"seen":0}All seen.'
    told = [part.data[0] for part in parts if part.event == "messages"]
    assert [one["additional_kwargs"]["reasoning_content"] for one in told[:1]] == [
        "I had better look."
    ]
    [call] = [one for one in told if "tool_call_chunks" in one]
    [chunk] = call["tool_call_chunks"]
    assert (chunk["id"], chunk["name"], json.loads(chunk["args"])) == ("c0", "look", {"at": 0})
    [result] = [one for one in told if one["type"] == "tool"]
    assert (result["tool_call_id"], result["name"], result["content"]) == (
        "c0",
        "look",
        '{"seen":0}',
    )
    # Pieces of one message have one id; the tool's is another.
    assert len({one["id"] for one in told}) == 2
    usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    assert [one["usage_metadata"] for one in told if "usage_metadata" in one] == [usage]


@pytest.mark.parametrize(
    "image",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
        {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": PNG},
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
    ],
)
async def test_an_image_reaches_an_agent_that_takes_some(seeing: Server, image: Any) -> None:
    assert await seen(seeing, image) == {"type": "image", "media_type": "image/png", "data": PNG}


async def test_so_does_the_url_of_one(seeing: Server) -> None:
    url = "https://pictures.example/cat.png"
    image = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert await seen(seeing, image) == {"type": "image", "url": url}


async def test_so_does_a_file(seeing: Server) -> None:
    file = {"type": "file", "base64": PNG, "mime_type": "application/pdf", "filename": "a.pdf"}
    assert await seen(seeing, file) == {
        "type": "file", "name": "a.pdf", "media_type": "application/pdf", "data": PNG,
    }  # fmt: skip


async def test_a_thread_shows_the_text_that_was_said_with_an_image(seeing: Server) -> None:
    async with connect(seeing) as client:
        own = await new_thread(client)
        image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
        await client.runs.wait(own, "agent", input=with_text(image))
        assert texts((await client.threads.get_state(own))["values"])[0] == TEXT["text"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "audio", "base64": PNG, "mime_type": "audio/wav"},
        {"type": "image", "base64": "no base64", "mime_type": "image/png"},
        {"type": "image", "base64": PNG},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,not-base64"}},
        7,
    ],
)
async def test_a_part_that_is_none_is_refused_in_words(seeing: Server, part: Any) -> None:
    with pytest.raises(errors.UnprocessableEntityError, match=r"part is|image is|file is"):
        async with connect(seeing) as client:
            await client.runs.create(None, "agent", input=with_text(part))


def with_text(part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [TEXT, part]}]}


async def seen(server: Server, part: Any) -> Any:
    """The part as the agent was given it."""
    async with connect(server) as client:
        state = await client.runs.wait(None, "agent", input=with_text(part))
    return json.loads(texts(state)[-1])["parts"][-1]


@pytest.fixture(scope="module")
def seeing(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("seeing")
    with Server(folder, target="tests.support.keepers:parts_of") as running:
        yield running
