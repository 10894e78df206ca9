"""Define the layers of errors outside assertions."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Layer: TypeAlias = Literal[
    "page_errors", "console_errors", "failed_requests", "http_5xx", "open_dialogs", "service_logs", "a11y"
]
Level: TypeAlias = Literal["fail", "warn", "ignore"]

LAYERS: Final[tuple[Layer, ...]] = get_args(Layer)
"""In the order of reports: the most certain faults come first."""
