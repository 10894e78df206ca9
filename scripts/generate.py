"""Make the generated files of this repository, each from its source in the code: the one list of them.

    generate.py            write those whose source has changed
    generate.py --check    write nothing; exit 1 and name those that are stale

What `orchestra compile` makes of specs/ has its own check, and golden files are made by the tests that compare them;
`make generate` runs all three.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestra import metrics
from orchestra.compiler import models, reference
from orchestra.compiler.rules import page as rules
from orchestra.ledger import page, state, versions

ROOT = Path(__file__).resolve().parent.parent


def rendered(schema: Any) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


# In this order: the page of the spec is made from its schema. A maker gets the text of the file as it is.
ARTIFACTS: dict[str, Callable[[str], str]] = {
    "schemas/orchestra.schema.json": lambda _: models.main("spec"),
    "schemas/plan.schema.json": lambda _: models.main("plan"),
    "schemas/event.schema.json": lambda _: rendered(versions.event_schema()),
    "schemas/state.schema.json": lambda _: rendered(state.state_schema()),
    "docs/spec.md": lambda _: reference.main("spec"),
    "docs/steps.md": lambda _: reference.main("steps"),
    "docs/rules.md": lambda _: rules.page(),
    "docs/metrics.md": lambda _: metrics.page(),
    "docs/ledger.md": page.written,  # its tables are made, the rest is written by hand
}


def stale(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that differs from its source, with the text that it should have."""
    for name, make in ARTIFACTS.items():
        path = root / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        made = make(before)
        if made != before:
            yield path, made


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="generate.py", description="Make the generated files of this repository.")
    parser.add_argument("--check", action="store_true", help="only name those that are stale")
    check = parser.parse_args(arguments).check
    found = False
    for path, made in stale(root):
        found = True
        name = path.relative_to(root).as_posix()
        if check:
            print(f"{name} is stale: its source in the code has changed")
        else:
            path.write_text(made, encoding="utf-8")
            print(f"{name}: updated")
    if check and found:
        print("`make generate` fixes it")
    return int(check and found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
