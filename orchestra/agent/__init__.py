"""For agents: what they configure, follow and read. May import everything but `cli`."""
