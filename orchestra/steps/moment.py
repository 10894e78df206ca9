"""Times as a spec writes them: ISO 8601 with an offset, so that they are the same on every machine; and durations."""

from __future__ import annotations

from datetime import datetime


def moment(text: str) -> datetime | None:
    """Return a time; None for a text that is none, or that has no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least one."""
    return max(1, round(seconds * 1000))
