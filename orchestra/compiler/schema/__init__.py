"""The spec language: its types, its JSON Schema, and what both find wrong with a spec."""
