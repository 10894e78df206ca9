"""`workers: auto` against one and two workers, on tests that cost the machine much, little, and both.

    python -m bench admission

Each suite runs with one worker, with two and with `auto` in turns; before these, a round of the three fills the history, by whose
costs `auto` decides. `blind` is the first run of all, with `auto` and without any history. The ratio is that of the wall time of
the whole process to the better of one and two.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.measure import ORCHESTRA, ROOT, SCRIPTS, Case, alternate, environment, once, table

LIMIT: Final = 1.03
BUSY: Final = "import time\nwhile time.process_time() < {seconds}: pass"
WORDS: Final[Mapping[str, tuple[str, ...]]] = {"1": ("--workers", "1"), "2": ("--workers", "2"), "auto": ()}
DESK: Final = "tests in a browser, of the sample desk"


def _busy(seconds: float) -> list[str]:
    """Return a command that keeps one processor busy, for so long by its own clock of processor time."""
    return ["python", "-c", BUSY.format(seconds=round(seconds, 3))]


def _wide(seconds: float) -> list[str]:
    """Return a command that keeps two processors busy."""
    text = f"import os\npid = os.fork()\n{BUSY.format(seconds=round(seconds, 3))}\nif pid: os.wait()"
    return ["python", "-c", text]


def _suites(tests: int, seconds: float) -> Iterator[tuple[str, list[list[str]]]]:
    chance = random.Random(1)
    heavy = [_busy(seconds * chance.uniform(0.5, 1.5)) for _ in range(tests)]
    light = [["sleep", f"{seconds * chance.uniform(0.5, 1.5):.3f}"] for _ in range(tests)]
    yield f"{tests} that keep a processor busy", heavy
    yield f"{tests} that sleep", light
    mixed = [*heavy[::3], *light[::3], *(_wide(seconds * chance.uniform(0.5, 1.5)) for _ in range(tests // 3))]
    chance.shuffle(mixed)
    yield f"{len(mixed)} of both, and some that want two processors", mixed


def _project(folder: Path, commands: list[list[str]]) -> Path:
    """Write a suite whose number of workers the machine decides; measured costs count whatever else runs here."""
    # JSON is YAML, and has line ends as escapes.
    rows = "".join(f"  t{index}: {{command: {{argv: {json.dumps(argv)}}}}}\n" for index, argv in enumerate(commands))
    head = "orchestra: 1\nsuite: work\nbaseline: {max_load_percent: 100}\nmethods: {sh: {driver: command}}\ntests:\n"
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    (folder / "specs" / "work.yaml").write_text(head + rows)
    return _compiled(folder)


def _desk(folder: Path) -> Path:
    """Copy the sample desk, whose costs count whatever else runs here."""
    (folder / "orchestra").mkdir(parents=True)
    shutil.copytree(ROOT / "specs", folder / "specs")
    shutil.copytree(ROOT / "orchestra" / "demo", folder / "orchestra" / "demo")
    for other in (folder / "specs").glob("*.yaml"):
        if other.stem != "desk":
            other.unlink()
    spec = folder / "specs" / "desk.yaml"
    spec.write_text(spec.read_text() + "\nbaseline: {max_load_percent: 100}\n")
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    return _compiled(folder)


def _compiled(folder: Path) -> Path:
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def _row(name: str, folder: Path, words: tuple[str, ...], rounds: int) -> list[str]:
    paths = {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}

    def case(*more: str) -> Case:
        return Case([*ORCHESTRA, "run", "--force", *words, *more], folder, env=paths)

    blind = once(case()).wall
    taken = alternate({workers: case(*more) for workers, more in WORDS.items()}, rounds)
    better = min(taken["1"].wall, taken["2"].wall)
    ratio = taken["auto"].wall / better
    seconds = [f"{taken[workers].wall:.2f}" for workers in WORDS]
    return [name, *seconds, f"{ratio:.3f}", f"<= {LIMIT:g}", "held" if ratio <= LIMIT else "MISSED", f"{blind:.2f}"]


def run(tests: int = 24, seconds: float = 0.5, rounds: int = 5, *, browser: bool = True) -> str:
    """Measure each suite and return the table."""
    made: list[tuple[str, Callable[[Path], Path], tuple[str, ...]]] = [
        (name, lambda folder, commands=commands: _project(folder, commands), ())
        for name, commands in (_suites(tests, seconds) if tests else ())
    ]
    if browser:
        made.append((DESK, _desk, ("--method", "cli")))
    rows = []
    for name, make, words in made:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(_row(name, make(Path(scratch) / "work"), words, rounds))
    heads = ("tests", "1 worker, s", "2, s", "auto, s", "auto, x the better", "limit", "", "blind, s")
    return table("Workers: auto against one and two", heads, rows)
