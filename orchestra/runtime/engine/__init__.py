"""The engine: what runs next, and where."""
