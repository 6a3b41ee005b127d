"""The asynchronous client with the methods of the other, so that one suite is over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Self, cast

from turnline import AsyncClient


class Blocking:
    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **more: Any) -> Any:
            result = method(*arguments, **more)
            if isinstance(result, AsyncGenerator):
                return self._iterate(cast("AsyncGenerator[Any]", result))
            return self._runner.run(result)

        return call

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def _iterate(self, events: AsyncGenerator[Any]) -> Iterator[Any]:
        end = object()

        async def following() -> Any:
            return await anext(events, end)

        def close() -> Coroutine[Any, Any, None]:
            return events.aclose()

        try:
            while (event := self._runner.run(following())) is not end:
                yield event
        finally:
            self._runner.run(close())
