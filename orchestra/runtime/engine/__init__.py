"""The engine: what runs next, and where. May import `process`, `commands` and `attempt`."""
