"""Text that pages write: JavaScript allows half of a surrogate pair, which no encoding has a form for."""

from __future__ import annotations

import re
from typing import Any

_HALF = re.compile(r"[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def well_formed(value: Any) -> Any:
    """Return a JSON value with U+FFFD in place of each half of a pair, deep, as a browser encodes it in a request."""
    if isinstance(value, str):
        return _HALF.sub(REPLACEMENT, value) if not value.isascii() else value
    if isinstance(value, dict):
        return {well_formed(key): well_formed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [well_formed(item) for item in value]
    return value
