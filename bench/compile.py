"""The compiler against its floor, against check-jsonschema, and against a process that only imports.

python -m bench compile
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import ORCHESTRA, ROOT, SCRIPTS, Case, Figure, alternate, environment, figures, ratio, table, timings
from bench.spec_maker import spec

SCHEMA = ROOT / "schemas" / "orchestra.schema.json"
_OUTPUTS = ("dodo.py", ".orchestra", ".claude", "docs")


def project(folder: Path, tests: int) -> Path:
    """Return a project with one spec of this many tests."""
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    (folder / "specs" / "large.yaml").write_text(spec(tests))
    return folder


def _forget(root: Path) -> None:
    """Remove all outputs, so that a compile has everything to write."""
    for name in _OUTPUTS:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def imports_of(root: Path, script: Path) -> None:
    """Write a script that imports every module that a compile imports, and does nothing else."""
    argv = [sys.executable, "-X", "importtime", *ORCHESTRA[1:], "compile"]
    _forget(root)
    told = subprocess.run(argv, cwd=root, env=environment({}), capture_output=True, text=True, check=True).stderr
    names = re.findall(r"^import time:[^|]*\|[^|]*\|\s*(\S+)$", told, re.MULTILINE)
    lines = [f"try:\n    __import__({name!r})\nexcept ImportError:\n    pass" for name in names if name != "package"]
    script.write_text("\n".join(lines) + "\n")


def _edit(root: Path) -> None:
    """Change the title of one test."""
    path = root / "specs" / "large.yaml"
    before, last, after = path.read_text().rpartition(" and orders it\n")
    path.write_text(f"{before} today{last}{after}")


def _many(root: Path, tests: int, rounds: int) -> tuple[str, list[Figure]]:
    """Return the table of a large spec, compiled from nothing and again after one line was edited, and the ratios."""
    path = str(project(root, tests) / "specs" / "large.yaml")
    taken = alternate(
        {
            "rapidyaml and jsonschema-rs": Case([sys.executable, str(ROOT / "bench" / "floor.py"), path, str(SCHEMA)]),
            "orchestra compile": Case([*ORCHESTRA, "compile"], root, lambda: _forget(root)),
            "orchestra compile, a line edited": Case([*ORCHESTRA, "compile"], root, lambda: _edit(root)),
        },
        rounds,
    )
    floor, whole, edited = taken.values()
    found = [
        ratio(f"compile {tests:,} tests, x floor", whole, floor, 3.5),
        ratio(f"compile {tests:,} tests after an edit, x floor", edited, floor, 1.5),
    ]
    return timings(f"Compile, {tests:,} tests", taken), found


def run(tests: int = 1000, few: int = 16, rounds: int = 9, slow_rounds: int = 1, most: int = 10_000) -> str:
    """Return the tables. `slow_rounds` is for what takes seconds: check-jsonschema, and the spec of `most` tests."""
    with tempfile.TemporaryDirectory() as scratch:
        most_table, most_figures = _many(Path(scratch) / "most", most, 3 * slow_rounds)
        large, small = project(Path(scratch) / "large", tests), project(Path(scratch) / "small", few)
        imports = Path(scratch) / "imports.py"
        imports_of(small, imports)
        path = str(large / "specs" / "large.yaml")
        floor = Case([sys.executable, str(ROOT / "bench" / "floor.py"), path, str(SCHEMA)])
        many = alternate(
            {
                "rapidyaml and jsonschema-rs": floor,
                "orchestra compile": Case([*ORCHESTRA, "compile"], large, lambda: _forget(large)),
                "orchestra validate": Case([*ORCHESTRA, "validate"], large),
            },
            rounds,
        )
        checker = str(SCRIPTS / "check-jsonschema")
        schema_only = alternate(
            {
                "orchestra compile": Case([*ORCHESTRA, "compile"], large, lambda: _forget(large)),
                "check-jsonschema": Case([checker, "--schemafile", str(SCHEMA), path]),
            },
            slow_rounds,
        )
        little = alternate(
            {
                "imports of a compile": Case([sys.executable, str(imports)], small),
                "orchestra compile": Case([*ORCHESTRA, "compile"], small, lambda: _forget(small)),
            },
            rounds,
        )
    compiled = "orchestra compile"
    found = [
        ratio(f"compile {tests:,} tests, x floor", many[compiled], many["rapidyaml and jsonschema-rs"], 3),
        *most_figures,
        ratio(
            f"check-jsonschema of {tests:,} tests, x compile",
            schema_only["check-jsonschema"],
            schema_only[compiled],
            10,
            at_least=True,
        ),
        ratio(f"compile {few} tests, x its imports", little[compiled], little["imports of a compile"], 1.3),
    ]
    return "\n".join(
        [
            timings(f"Compile, {tests:,} tests", many),
            most_table,
            timings(f"Compile and check-jsonschema, {tests:,} tests", schema_only),
            timings(f"Compile, {few} tests", little),
            figures("Compile: ratios", found),
            commands(),
        ]
    )


def commands() -> str:
    """Return how long the slash commands of this repository are."""
    rows = []
    for path in sorted((ROOT / ".claude" / "commands").glob("*.md")):
        text = path.read_bytes()
        lines = text.count(b"\n")
        rows.append((path.name, str(lines), str(len(text)), "held" if lines <= 110 and len(text) <= 6144 else "MISSED"))
    return table("Slash commands, at most 110 lines and 6,144 bytes", ("command", "lines", "bytes", ""), rows)
