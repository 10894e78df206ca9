"""The cases of a wrapped runner: one reader for the reports of several. See `read`."""
