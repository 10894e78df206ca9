"""The page as text, kept at a failure by both methods: roles, names and texts of its elements, and of its frames."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestra.runtime.attempt import EvidenceFile

FILE: Final = "page.yaml"
MODE: Final = "ai"
"""Of the ARIA snapshots of Playwright, the one with frames in it."""

MOST: Final = 1_000_000
"""Letters of the text."""

_REFERENCE = re.compile(r" \[ref=[^\]\s]*\]")


def keep_page_text(folder: Path, snapshot: str, mask: Callable[[str], str]) -> list[EvidenceFile]:
    """Write an ARIA snapshot, without the references that only its own session understands; nothing for an empty page.

    Raises:
        OSError: the disk refuses.
    """
    text = mask(_REFERENCE.sub("", snapshot)).rstrip()
    if not text:
        return []
    (folder / FILE).write_text(f"{text[:MOST]}\n", encoding="utf-8", errors="backslashreplace")
    return [EvidenceFile(FILE, "page", masked=True)]
