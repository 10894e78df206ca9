"""The report of a run as files for people and for other programs."""
