"""Prepares the market data of the sample application: `python -m orchestra.demo.seed`.

It validates the table and writes it to `.orchestra/demo/market.json`, the same bytes each time; the API server reads it
with `--data`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestra.demo import market


def write(path: Path, text: str) -> None:
    """Write `text` to `path` as a whole or not at all, and makes the folders on the way.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        staged.write_text(text, encoding="utf-8", newline="\n")
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def main(argv: Sequence[str]) -> int:
    """Seeds the data and gives back the exit code: 0, or 1 when the table or the file is no good."""
    parser = argparse.ArgumentParser(
        prog="orchestra.demo.seed", description="Prepares the market data of Market Parser."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(".orchestra/demo/market.json"),
        metavar="FILE",
        help="the data file (%(default)s)",
    )
    options = parser.parse_args(argv)
    data = market.embedded()
    found = market.problems(data)
    if found:
        sys.stderr.write("the market data cannot be served:\n" + "".join(f"  {problem}\n" for problem in found))
        return 1
    try:
        write(options.output, market.to_json(data))
    except OSError as error:
        sys.stderr.write(f"cannot write {options.output}: {error.strerror or error}\n")
        return 1
    sys.stdout.write(f"{len(data)} quotes of {market.SESSION} in {options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
