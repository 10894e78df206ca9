"""Browsers: found, unpacked and proven to start. May import nothing of this package."""
