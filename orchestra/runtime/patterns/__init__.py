"""Every search for a regular expression of a spec: in a process of its own, under a limit.

Python's engine goes back over a text exponentially often where a pattern allows it, and lets go of nothing meanwhile: no
thread, no signal handler runs. So a search is asked of a `helper`, which the system ends when its limit is over; the
process that asks only waits. docs/limits.md has the figures.
"""

from orchestra.runtime.patterns.searcher import Hit, PatternError, close, first, groups, in_file

__all__ = ["Hit", "PatternError", "close", "first", "groups", "in_file"]
