"""The files that a command line names, and what a Python program imports: real files, and a real interpreter as the judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.runtime.argv_files import argv_files

PROGRAM = {
    "server.py": "import os, lib as other\nfrom app.routes import (\n  books,\n  authors as people,\n)\nfrom app import db\n",
    "lib.py": "import json\n",
    "app/__init__.py": "",
    "app/__main__.py": "from . import db\nimport app.routes.books\n",
    "app/db.py": "from .deep import sql  # a comment\n",
    "app/deep.py": "sql = 1\n",
    "app/routes/__init__.py": "from ..shared import x\n",
    "app/routes/books.py": "",
    "app/routes/authors.py": "",
    "app/shared.py": "def x():\n    import late\n    return late\n",
    "late.py": "",
    "not_imported.py": "",
    "json.json": "{}",
    "web/server.js": "require('./other')",
    "web/other.js": "",
    "bin/start": "#!/bin/sh\n",
    "src/pkg/__init__.py": "",
    "src/pkg/main.py": "import pkg.more\n",
    "src/pkg/more.py": "",
}
APP = [
    "app/__init__.py",
    "app/db.py",
    "app/deep.py",
    "app/routes/__init__.py",
    "app/routes/books.py",
    "app/shared.py",
    "late.py",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in PROGRAM.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "out.py").symlink_to("/etc/hostname")
    return tmp_path.resolve()


def names(root: Path, argv: list[str], cwd: str = ".", *, shell: bool = False, **env: str) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in argv_files(root, cwd, argv, env, shell=shell))


@pytest.mark.parametrize(
    "argv, expected",
    [
        (
            ["python", "-u", "-X", "dev", "server.py", "${port}"],
            sorted([*APP, "app/routes/authors.py", "lib.py", "server.py"]),
        ),
        (["python3.12", "-P", "-m", "app"], sorted([*APP, "app/__main__.py"])),
        (["python", "-m", "http.server", "8000"], []),
        (["python", "-c", "import lib", "not_imported.py"], ["not_imported.py"]),
        (["uvicorn", "app.deep:sql", "--port", "${port}"], ["app/__init__.py", "app/deep.py"]),
        (["node", "web/server.js"], ["web/server.js"]),
        (["./bin/start", "--config=json.json"], ["bin/start", "json.json"]),
        (["npm", "start"], []),
        (["cat", "../outside", "out.py", "/etc/hostname", "x" * 5000, "\0"], []),
    ],
)
def test_the_files_of_argv_below_the_root_and_what_python_imports(root, argv, expected):
    assert names(root, argv) == expected


def test_the_words_of_a_shell_and_a_folder_of_its_own(root):
    assert names(root, ["exec node 'server.js' >&2"], "web", shell=True) == ["web/server.js"]
    assert names(root, ["it's not for sh server.js"], "web", shell=True) == ["web/server.js"]
    assert names(root, ["python", "-m", "pkg.main"], PYTHONPATH="src") == [
        "src/pkg/__init__.py",
        "src/pkg/main.py",
        "src/pkg/more.py",
    ]


@pytest.mark.parametrize("argv", [["server.py"], ["-m", "app"]])
def test_python_itself_loads_no_module_of_the_project_that_is_not_named(root, argv):
    code = "import atexit, sys; atexit.register(lambda: print(*(getattr(m, '__file__', None) for m in sys.modules.values())))"
    (root / "sitecustomize.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *argv], cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True
    )
    loaded = {Path(word).relative_to(root) for word in done.stdout.split() if word.startswith(f"{root}/")}
    known = {file.relative_to(root) for file in argv_files(root, ".", ["python", *argv], {})}
    assert loaded - known == {Path("sitecustomize.py")}
    assert Path("app/deep.py") in loaded
