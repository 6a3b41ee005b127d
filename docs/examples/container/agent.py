"""A shop assistant with tools of its own, tools of an MCP server, and a session.

Turnline makes an agent for each conversation. It loads the session before a turn, and keeps it
together with the reply: messages, results of tools, `agent.state`, and an open question.
"""

import os
import sys
from pathlib import Path

from mcp import StdioServerParameters, stdio_client
from scripted_model import ScriptedModel
from strands import Agent, ToolContext, tool
from strands.models import BedrockModel, Model
from strands.tools.mcp import MCPClient

PRICE_SERVER = str(Path(__file__).with_name("price_server.py"))

# One process for all conversations, started with the server: should it fail, so does the start.
prices = MCPClient(
    lambda: stdio_client(StdioServerParameters(command=sys.executable, args=[PRICE_SERVER]))
)
prices.start()


@tool(context=True)
async def add_to_basket(item: str, quantity: int, tool_context: ToolContext) -> str:
    """Put something into the customer's basket.

    Args:
        item: What to buy.
        quantity: How many.
    """
    state = tool_context.agent.state
    basket = state.get("basket") or {}
    basket[item] = basket.get(item, 0) + quantity
    state.set("basket", basket)
    return in_words(basket)


@tool(context=True)
async def place_order(tool_context: ToolContext) -> str:
    """Order what is in the basket, once the customer has agreed."""
    state = tool_context.agent.state
    basket = state.get("basket")
    if not basket:
        return "the basket is empty"
    # The turn ends here. The next one calls this function again, with the customer's answer.
    answer = tool_context.interrupt("place_order", reason=f"Order {in_words(basket)}?")
    if answer not in (True, "y", "yes"):
        return "nothing was ordered"
    state.set("basket", {})
    return f"ordered {in_words(basket)}"


def in_words(basket: dict[str, int]) -> str:
    return " and ".join(f"{quantity} {item}" for item, quantity in basket.items())


def model() -> Model:
    """A model of Amazon Bedrock if one is named, else one that needs no network and no keys."""
    name = os.environ.get("MODEL_ID")
    return BedrockModel(model_id=name) if name else ScriptedModel()


def make_agent() -> Agent:
    return Agent(
        model=model(),
        system_prompt="You help customers of a tea shop. Look up prices, never guess them.",
        tools=[add_to_basket, place_order, *prices.list_tools_sync()],
        callback_handler=None,
    )
