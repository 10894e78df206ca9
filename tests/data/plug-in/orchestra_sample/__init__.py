"""A sample of each sort of plug-in."""
