"""A model that needs no network: it goes by the last message of the user."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.genai import types


class ScriptedModel(BaseLlm):
    """Counts the user's messages that it sees, and calls the tools that they ask for."""

    model: str = "scripted"

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        contents = llm_request.contents
        asked = [one for one in contents if one.role == "user" and text_of(one)]
        text = text_of(asked[-1])
        count = f"{len(asked)}: "
        news = results(contents[contents.index(asked[-1]) :])
        pieces = [count]
        if "deleted fail.txt" in news:
            raise RuntimeError("secret")
        match text.split():
            case ["add", _, _] if news:
                pieces.append(f"the sum is {news[-1]}")
            case ["add", a, b]:
                yield calls("add", a=int(a), b=int(b))
                return
            case ["delete", path] if news:
                pieces.append(news[-1] if news[-1].startswith("deleted") else f"kept {path}")
            case ["delete", path]:
                yield calls("delete_file", path=path)
                return
            case ["results"]:
                pieces.append(", ".join(results(contents)) or "none")
            case ["fail"]:
                raise RuntimeError("secret")
            case ["slow"]:
                pieces.append("you waited")
            case ["look"]:
                images = [one for one in asked[-1].parts or [] if one.inline_data or one.file_data]
                pieces.append(f"saw {len(images)} images")
            case _:
                pieces.append(f"you said {text}")
        for piece in pieces:
            if stream:
                yield says(piece, partial=True)
            if text == "slow" and piece == count:
                await asyncio.sleep(30)
        yield says("".join(pieces))


def text_of(content: types.Content) -> str:
    return "".join(part.text or "" for part in content.parts or [])


def results(contents: list[types.Content]) -> list[str]:
    """What the tools gave; {"error": ...} where a person refused."""
    answers = [
        part.function_response.response or {}
        for content in contents
        for part in content.parts or []
        if part.function_response
    ]
    return [str(answer.get("result", answer)) for answer in answers]


def says(text: str, *, partial: bool = False) -> LlmResponse:
    return response(types.Part(text=text), partial=partial)


def calls(name: str, **arguments: Any) -> LlmResponse:
    return response(types.Part(function_call=types.FunctionCall(name=name, args=arguments)))


def response(part: types.Part, *, partial: bool = False) -> LlmResponse:
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=2, candidates_token_count=1
    )
    content = types.Content(role="model", parts=[part])
    return LlmResponse(content=content, partial=partial, usage_metadata=usage)
