"""Start-up: `--help`, an unchanged check and the hook of an agent against the start of Python itself.

python -m bench startup
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from bench.compile import project
from bench.measure import ORCHESTRA, PASS, BenchmarkError, Case, alternate, environment, figures, ratio, timings

_NO_TESTS = """\
orchestra: 1
suite: hook
methods: {cli: {driver: command, command: test_hook}}
tests:
"""


def _with_run(root: Path, tests: int) -> None:
    """Compile a suite of commands that do nothing, run it, and let `wait` print it."""
    lines = "".join(f"  T{number}: {{command: {{argv: [sh, -c, exit 0]}}}}\n" for number in range(tests))
    (root / "specs").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    (root / "specs" / "hook.yaml").write_text(_NO_TESTS + lines)
    for words in ("compile", "run", "wait"):
        subprocess.run([*ORCHESTRA, words], cwd=root, env=environment({}), capture_output=True, check=True)


def _hooks(root: Path) -> dict[str, Case]:
    """Return the hook at each event that it lets through."""
    run = max(path.name for path in (root / ".orchestra/hook/runs").glob("*Z-*"))
    words = f"{run}: all passed"
    record = root / "record.jsonl"
    record.write_text(json.dumps({"text": words}))
    list_of = {"hook_event_name": "PostToolUse", "tool_name": "TodoWrite"}
    events: dict[str, dict[str, object]] = {
        "an entry that names no test": list_of | {"tool_input": {"todos": []}},
        "an entry of a test": list_of | {"tool_input": {"todos": [{"content": "cli:T0", "status": "completed"}]}},
        "the end of a turn": {
            "hook_event_name": "Stop",
            "transcript_path": str(record),
            "last_assistant_message": words,
        },
        "a slash command": {"hook_event_name": "UserPromptExpansion", "command_name": "test_hook"},
    }
    return {
        f"hook: {name}": Case([*ORCHESTRA, "agent", "hook"], root, stdin=json.dumps({"cwd": str(root), **event}))
        for name, event in events.items()
    }


def run(tests: int = 16, rounds: int = 21) -> str:
    """Return the tables, for projects whose specs have this many tests."""
    with tempfile.TemporaryDirectory() as scratch:
        root, other = project(Path(scratch) / "small", tests), Path(scratch) / "hook"
        subprocess.run([*ORCHESTRA, "compile"], cwd=root, env=environment({}), capture_output=True, check=True)
        _with_run(other, tests)
        hooks = _hooks(other)
        taken = alternate(
            {
                "python -c pass": Case(PASS, root),
                "orchestra --help": Case([*ORCHESTRA, "--help"], root),
                "orchestra compile --check, unchanged": Case([*ORCHESTRA, "compile", "--check"], root),
                **hooks,
            },
            rounds,
        )
        if (log := other / ".orchestra/agent-hook.log").exists():
            raise BenchmarkError(f"the hook let a fault through: {log.read_text()}")
    base = taken["python -c pass"]
    found = [
        ratio(f"{name}, x python -c pass", one, base, 4 if name in hooks else 5)
        for name, one in taken.items()
        if one is not base
    ]
    return "\n".join([timings("Start-up", taken), figures("Start-up: ratios", found)])
