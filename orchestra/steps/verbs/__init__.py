"""The kinds of step, one module for each family: keys, text for readers, and calls of tools by MCP."""
