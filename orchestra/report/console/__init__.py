"""The report of a run on a terminal: the live display, lines and tables."""
