"""Where a run comes from: commit, machine, versions, who started it. May import psutil and nothing of this package."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

GIT_SECONDS = 10.0

# Variables that tell who started the run; their mere presence is recorded, never a value that could be a secret.
_STARTED_BY = (("CLAUDECODE", "agent"), ("GITHUB_ACTIONS", "ci"), ("GITLAB_CI", "ci"), ("CI", "ci"))


def git_state(root: Path) -> dict[str, object]:
    """Commit, branch and the number of changed files; empty outside of a git work tree or without git."""
    try:
        told = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return {}
    heads = dict(line[2:].split(" ", 1) for line in told if line.startswith("# branch."))
    dirty = sum(not line.startswith("#") for line in told)
    return {"commit": heads.get("branch.oid", ""), "branch": heads.get("branch.head", ""), "dirty_files": dirty}


def provenance(root: Path, env: Mapping[str, str], version: str) -> dict[str, object]:
    """What the first event of a run records.

    Args:
        root: the project root.
        env: the environment of the run.
        version: of orchestra.
    """
    return {
        "orchestra": version,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_megabytes": psutil.virtual_memory().total // 2**20,
        "git": git_state(root),
        "started_by": next((who for name, who in _STARTED_BY if env.get(name)), "person"),
    }
