"""Start-up: `--help` and an unchanged check against the start of Python itself.

python -m bench startup
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from bench.compile import project
from bench.measure import ORCHESTRA, PASS, Case, alternate, environment, figures, ratio, timings


def run(tests: int = 16, rounds: int = 21) -> str:
    """Return the tables, for a project whose spec has this many tests."""
    with tempfile.TemporaryDirectory() as scratch:
        root = project(Path(scratch) / "small", tests)
        subprocess.run([*ORCHESTRA, "compile"], cwd=root, env=environment({}), capture_output=True, check=True)
        taken = alternate(
            {
                "python -c pass": Case(PASS, root),
                "orchestra --help": Case([*ORCHESTRA, "--help"], root),
                "orchestra compile --check, unchanged": Case([*ORCHESTRA, "compile", "--check"], root),
            },
            rounds,
        )
    base = taken["python -c pass"]
    found = [ratio(f"{name}, x python -c pass", one, base, 5) for name, one in taken.items() if one is not base]
    return "\n".join([timings("Start-up", taken), figures("Start-up: ratios", found)])
