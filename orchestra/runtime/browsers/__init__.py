"""Browsers: found, unpacked and proven to start."""
