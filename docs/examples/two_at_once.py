"""Two messages at once to an agent that remembers, without Turnline. Run it: it needs Python only.

With Turnline: runner serve docs.examples.two_at_once:Agent
"""

import asyncio


class Agent:
    def __init__(self) -> None:
        self.history: list[str] = []

    async def answer(self, message: str) -> str:
        self.history.append(message)
        await asyncio.sleep(0.5)  # The model is at work.
        return f"You said: {self.history[-1]}"


async def main() -> None:
    agent = Agent()
    print(await asyncio.gather(agent.answer("My name is Ada."), agent.answer("I am 36.")))


if __name__ == "__main__":
    asyncio.run(main())
