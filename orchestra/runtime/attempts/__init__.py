"""Attempts: what they saw, what is recorded of them, and the verdicts that they lead to."""
