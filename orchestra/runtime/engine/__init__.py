"""The engine: what runs next, and where. May import `processes` and `attempt`."""
