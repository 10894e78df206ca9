"""For coding agents: their configuration, the servers that they start, and the claims that they make."""
