"""Which values are no good secrets: texts hold them by chance."""

from __future__ import annotations

import re

STRONG_LENGTH = 8
"""A shorter value is weak."""

_ORDINARY = re.compile(r"[A-Za-z]{1,12}|[0-9]{1,12}")


def weakness(name: str, value: str) -> str:
    """Return why a value is no good secret, in words that do not give it away; empty for a good one."""
    if not value.strip():
        return f"the value of {name} is blank, so it is not masked"
    if len(value.strip()) < STRONG_LENGTH or _ORDINARY.fullmatch(value.strip()):
        return (
            f"the value of {name} is shorter than {STRONG_LENGTH} characters, or an ordinary word or number: "
            "texts that hold it by chance are masked, too"
        )
    return ""
