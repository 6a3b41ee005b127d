"""An MCP server that speaks over stdin and stdout."""

from mcp.server.mcpserver import MCPServer

PRICES = {"tea": 3.5, "cup": 8.0, "pot": 24.0}

server = MCPServer("prices", log_level="WARNING")


@server.tool()
def price(item: str) -> str:
    """What one of an item costs."""
    return f"{item} costs {PRICES[item]:.2f}" if item in PRICES else f"there is no {item}"


if __name__ == "__main__":
    server.run()
