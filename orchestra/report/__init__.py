"""Render a run for people and other programs."""
