"""httpx, imported where a process sends its first request, and without its command line."""

from __future__ import annotations

import sys
from typing import Any


def library() -> Any:
    """Return the module `httpx`; the first call imports it.

    That takes 80 ms of processor time, and 130 with its command line: httpx imports it wherever the packages that draw it
    (click, rich, pygments) are installed, and does without where the import fails. A name that is None in `sys.modules`
    cannot be imported.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # Python's own way to refuse an import
    import httpx  # noqa: PLC0415 - see the docstring

    return httpx
