"""Of the files that are compiled: which git tracks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from orchestra.compiler.emit import files
from orchestra.compiler.outputs import drift
from orchestra.yamltext.digest import digest_files
from tests.support import plans as plan_samples

SPEC = "specs/shop.yaml"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / SPEC).write_text("suite: shop\n")
    return tmp_path


def test_git_keeps_what_is_compiled_and_nothing_else(project):
    plan = plan_samples.small(source_digest=digest_files(project, [SPEC]))
    drift.apply(project, files.files([plan, msgspec.structs.replace(plan, profile="staging")]))
    for path in (
        "shop/baseline.json",
        "shop/runs/r1/plan.json",
        "shop/runs/r1/events.jsonl",
        "shop/state.json",
        "x.log",
    ):
        (project / ".orchestra" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / ".orchestra" / path).write_text("{}")
    clean = {"HOME": str(project), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=project, env=clean, check=True, capture_output=True, text=True)

    git("init", "-q")
    kept = git("ls-files", "--others", "--exclude-standard", ".orchestra").stdout.split()
    assert kept == [
        ".orchestra/.gitattributes",
        ".orchestra/.gitignore",
        ".orchestra/outputs.txt",
        ".orchestra/shop/baseline.json",
        ".orchestra/shop/plan.json",
        ".orchestra/shop/plan.staging.json",
    ]
