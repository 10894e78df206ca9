"""For agents: what they configure, follow and read."""
