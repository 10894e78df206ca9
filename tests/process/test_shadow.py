"""Files of the user's that bear the name of a module: no process of ours may import one of them in its place."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import SuiteProject, environment
from tests.support.servers import free_range

BIN = Path(sys.executable).parent
TRACE = "import os\nwith open(os.path.join({root!r}, 'shadowed'), 'a') as file:\n    file.write(__name__ + chr(10))\n"
PROGRAM = "import http.server, sys\nhttp.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
NAMES = sorted(
    {*sys.stdlib_module_names, *importlib.metadata.packages_distributions(), "orchestra"} - {"this", "antigravity"}
)


@pytest.fixture
def shadowed(project: SuiteProject) -> SuiteProject:
    """A suite with requests and pages by both methods, whose root has a file and a folder for every module that there is."""
    low, high = free_range(2)
    project.write(
        f"orchestra: 1\nsuite: s\nhealth:\n  web: {{service: {{run: [python, -P, program_.py, '${{port}}'], port_range: {low}-{high}}}, ready: {{http: {{path: /}}}}}}\n"
        "methods: {cli: {driver: playwright}, mcp: {driver: mcp}}\n"
        "tests:\n"
        "  A: {title: request, requires: [web], steps: [{http: {GET: /, base: web, status: 200}}]}\n"
        '  B: {title: page, requires: [web], steps: [{goto: "${web.url}/"}, {expect: {page: {title: {contain: "listing"}}}}]}\n'
    ).compile()
    (project.root / "program_.py").write_text(PROGRAM)
    trace = TRACE.format(root=str(project.root))
    for name in NAMES:
        (project.root / name).mkdir()
        for file in (project.root / f"{name}.py", project.root / name / "__init__.py"):
            file.write_text(trace)
    return project


def call(project: SuiteProject, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(BIN / words[0]), *words[1:]]
    return subprocess.run(argv, cwd=project.root, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.browser
@pytest.mark.parametrize(
    "lines",
    [
        ["orchestra compile --check", "orchestra run", "doit cli:A"],  # the pages are in the run before
        pytest.param(  # and the programs that few use
            ["doit", "orchestra up", "orchestra health", "orchestra down", "orchestra doctor"],
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_no_file_of_the_root_stands_for_a_module(shadowed, chromium, lines):
    for line in lines:
        words = line.split()
        done = call(shadowed, *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert not (shadowed.root / "shadowed").exists(), (shadowed.root / "shadowed").read_text()


def test_a_module_that_is_run_by_name_leaves_the_files_of_the_folder_alone(project):
    """`python -m orchestra` has the folder on its path."""
    project.write(
        "orchestra: 1\nsuite: s\nmethods: {cli: {driver: http}}\ntests: {A: {steps: [{set: {x: one}}]}}\n"
    ).compile()
    for name in ("calendar", "http", "platform", "queue", "statistics", "playwright", "email", "mcp"):
        (project.root / name).mkdir()
        (project.root / name / "__init__.py").write_text("raise SystemExit(f'{__name__} is shadowed')\n")
    argv = [sys.executable, "-m", "orchestra", "run"]
    done = subprocess.run(argv, cwd=project.root, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
