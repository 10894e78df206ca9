"""The driver `mcp`: steps as tool calls of the Playwright MCP server, without a model."""
