"""Hold back the collection of cycles while a whole record is read or written."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Do not look for cycles of objects meanwhile.

    Events are kept by the ten thousand and hold no cycles. To look through them again and again is an eighth of the time of a
    merge.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
