"""The pause after work that is repeated while a run goes on, such as a sample of its gates: it costs a small part of the time."""

from __future__ import annotations


def pause_seconds(took: float, *, parts: int, least: float, most: float) -> float:
    """Return how long to wait before the work is repeated.

    Args:
        took: seconds that it took. Processor time, unless the work holds up others while it waits for the disk: on a busy machine
            the time by the clock is mostly that of other programs.
        parts: the work is to take one part in so many of the time.
        least: seconds to wait at least.
        most: seconds to wait at most, however long the work took: one slow turn does not put off the next one for minutes.
    """
    return min(max(least, parts * took), most)
