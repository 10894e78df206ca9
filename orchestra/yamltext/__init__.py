"""YAML text as plain data whose every key and value has its place."""
