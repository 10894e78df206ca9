"""Generate the files of this repository that have a source in the code.

    python -m scripts.generate            write those whose source has changed
    python -m scripts.generate --check    write nothing; exit 1 and name those that are stale

`orchestra compile` has its own check for the files that it generates from specs/, and golden files are written by the
tests that compare them. `make generate` runs all three.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestra.compiler import reference
from orchestra.compiler.rules import page as rules
from orchestra.compiler.schema import models
from orchestra.gates import catalogue
from orchestra.ledger import page, state, versions
from scripts import architecture, for_agents

ROOT = Path(__file__).resolve().parent.parent


def rendered(schema: Any) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


# In this order: the page of the spec is generated from its schema. Each function gets the current text of its file.
ARTIFACTS: dict[str, Callable[[str], str]] = {
    "schemas/orchestra.schema.json": lambda _: models.main("spec"),
    "schemas/plan.schema.json": lambda _: models.main("plan"),
    "schemas/event.schema.json": lambda _: rendered(versions.event_schema()),
    "schemas/state.schema.json": lambda _: rendered(state.state_schema()),
    "docs/spec.md": lambda _: reference.main("spec"),
    "docs/steps.md": lambda _: reference.main("steps"),
    "docs/rules.md": lambda _: rules.page(),
    "docs/metrics.md": lambda _: catalogue.page(),
    "docs/for-agents.md": for_agents.page,
    "llms.txt": for_agents.llms,  # after the pages that it lists
    "docs/agents.md": for_agents.with_transcript,  # only its transcript is made
    "docs/architecture.md": architecture.written,  # only its picture is made
    "docs/ledger.md": page.written,  # its tables are made, the rest is written by hand
}


def stale(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that differs from its source, with the expected text."""
    for name, make in ARTIFACTS.items():
        path = root / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        made = make(before)
        if made != before:
            yield path, made


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="generate", description="Generate the files that have a source in the code.")
    parser.add_argument("--check", action="store_true", help="only name the stale files")
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
