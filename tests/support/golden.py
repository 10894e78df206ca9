"""Golden files: expected text in tests/data, written by `make generate` or one test with `UPDATE_GOLDEN=1`."""

from __future__ import annotations

import os
from pathlib import Path


def check(path: Path, text: str) -> None:
    """Compare a text with its golden file to the character, or write the file when UPDATE_GOLDEN is set."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    assert path.is_file(), f"no golden file {path}; `make generate` writes it"
    assert text == path.read_bytes().decode(), f"{path} differs; if the new text is right, `make generate` writes it"
