"""What a command imports: each library costs time at every start."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def test_the_stamp_imports_next_to_nothing():
    program = "import sys; before = set(sys.modules); import orchestra.compiler.outputs.stamp; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    heavy = {"pathlib", "re", "dataclasses", "msgspec", "jinja2", "click", "ruamel", "tempfile", "typing"}
    loaded = set(done.stdout.split())
    assert "orchestra.compiler.outputs.stamp" in loaded
    assert not (loaded & heavy) - {"re"}


def test_compiling_does_not_import_what_only_makes_or_words_the_schema():
    code = "import sys, orchestra.compiler.schema.validate as s; s._validator(); print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "jsonschema_rs" in modules
    assert {"pydantic", "jsonschema", "orchestra.compiler.schema.models"}.isdisjoint(modules)


def test_the_library_is_loaded_only_for_a_gate():
    program = "import sys, orchestra.gates.expression; print(any('cel' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_a_run_does_not_import_the_compiler_a_server_or_a_terminal_it_does_not_need():
    program = "import sys, orchestra.verbs.runs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = set(done.stdout.split())
    assert "orchestra.runtime.dag" in modules
    heavy = {
        "orchestra.compiler.build",
        "ruamel",
        "ruamel.yaml",
        "rich",
        "rich.console",
        "uvicorn",
        "starlette",
        "playwright",
        "jinja2",
    }
    assert not modules & heavy


def test_a_worker_imports_the_http_library_for_a_request_alone_and_without_its_command_line():
    program = (
        "import sys, orchestra.runtime.worker; print(*sys.modules); "
        "from orchestra.runtime.http_library import library; print(library().Client.__name__); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    before, name, after = done.stdout.splitlines()
    assert name == "Client"
    assert not {"httpx", "rich", "click", "pygments"} & set(before.split())
    assert "httpx" in after.split()
    assert not {"rich", "click", "pygments"} & set(after.split())
