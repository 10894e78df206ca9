"""Two sides of the same tests compared."""
