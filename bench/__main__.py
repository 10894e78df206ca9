"""Run benchmarks and print their tables: `python -m bench`, or `python -m bench compile startup` for some of them."""

from __future__ import annotations

import sys

from bench import (
    admission,
    cluster,
    faults,
    forecast,
    hangs,
    language,
    ledger,
    look,
    makespan,
    page,
    patterns,
    quality,
    runtime,
    secrets,
    shards,
    startup,
    suite,
    watching,
)
from bench import compile as compiling

BENCHES = {
    "compile": compiling.run,
    "startup": startup.run,
    "runtime": runtime.run,
    "faults": faults.run,
    "cluster": cluster.run,
    "hangs": hangs.run,
    "ledger": ledger.run,
    "quality": quality.run,
    "secrets": secrets.run,
    "patterns": patterns.run,
    "page": page.run,
    "shards": shards.run,
    "makespan": makespan.run,
    "forecast": forecast.run,
    "admission": admission.run,
    "language": language.run,
    "watching": watching.run,
    "look": look.run,
    "suite": suite.run,
    "soak": suite.soak,
}


def main(names: list[str]) -> int:
    """Run those named, or all."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f'unknown benchmark "{unknown[0]}"; there are {", ".join(BENCHES)}', file=sys.stderr)
        return 2
    for name in names or BENCHES:
        print(BENCHES[name](), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
