"""Copy axe-core from the locked npm packages of the tests: `python -m scripts.axe`, after a change of their lock.

A run needs no npm: the package carries the file and its licences, unchanged.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests" / "npm" / "node_modules" / "axe-core"
TARGET = ROOT / "orchestra" / "axe"
FILES = ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt")


def main() -> None:
    """Replace the files."""
    for name in FILES:
        shutil.copyfile(SOURCE / name, TARGET / name)


if __name__ == "__main__":
    main()
