"""Render a run for people and other programs. May import `ledger`, `plan`, `draw`, `places` and `errors`; never the
runtime.
"""
