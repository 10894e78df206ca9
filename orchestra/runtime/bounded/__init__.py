"""Work whose cost the tested product or a pattern of a spec decides: in a process of its own, under a limit.

Python's regular expressions go back over a text exponentially often where a pattern allows it, and let go of nothing
meanwhile: no thread, no signal handler runs. A JSONPath visits a document as often as it likes. So both are asked of a
`helper`, which the system ends when its limit is over; the process that asks only waits. docs/limits.md has the figures.
"""

from orchestra.runtime.bounded.pool import close

__all__ = ["close"]
