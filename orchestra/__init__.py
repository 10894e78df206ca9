"""orchestra: one YAML spec, compiled to a doit task file, slash commands and docs that cannot drift."""

__version__ = "0.1.0"
