"""Record the origin of a run: commit, machine, versions, user.

The environment is recorded by name; values only of a few variables that are known to change runs and to hold no secret.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil

from orchestra import git
from orchestra.ledger.log import SECOND
from orchestra.ledger.origin import Environment, Git, Provenance

MOST_DIRTY = 200
"""So many changed files are recorded with their digests; all are counted."""

_BEHIND = timedelta(seconds=5)
"""Two runs within a second, and a clock that is corrected by a little, are not worth a word."""

_DIGEST_BYTES = 64 << 20
_PACKAGES = ("doit", "playwright", "mcp", "httpx", "psutil")

# Variables that identify who started the run, the most specific first; their values are never recorded.
_STARTED_BY = (
    *((name, "agent") for name in ("CLAUDECODE", "CODEX_SANDBOX", "CURSOR_AGENT", "GEMINI_CLI")),
    *((name, "ci") for name in ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI", "CI")),
)
# Variables in which a CI system has the address of its job.
_JOB = ("CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL")
_PLAIN = re.compile(r"(?:CI|LANG|LC_ALL|TZ|TERM|DISPLAY|WAYLAND_DISPLAY|PYTHONHASHSEED|NODE_ENV|ORCHESTRA_[A-Z]+)")
_ANYTHING_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|CREDENTIAL|TREE")


def git_state(root: Path) -> Git:
    """Commit, branch, and the changed files with their digests; empty outside of a git work tree or without git.

    A digest is the SHA-256 of the file as it is; a file that is gone or very large, and a folder, have none.
    """
    status = git.text(root, "status", "--porcelain=v2", "--branch", "-z")
    top = None if status is None else git.text(root, "rev-parse", "--show-toplevel")
    if status is None or top is None:
        return Git()
    parts = status.split("\0")
    heads = dict(part[2:].split(" ", 1) for part in parts if part.startswith("# branch."))
    changed = sorted(_changed(parts))
    base = Path(top.rstrip("\n"))
    return Git(
        commit=heads.get("branch.oid", ""),
        branch=heads.get("branch.head", ""),
        dirty_files=len(changed),
        dirty={path: _digest(base / path) for path in changed[:MOST_DIRTY]},
    )


def odd(root: Path, origin: Provenance, run: str, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield kind and message of a note about each thing that is odd about where a new run comes from.

    Args:
        root: the project root.
        origin: its provenance.
        run: its id.
        now: by the clock.
    """
    if not origin.git.commit and (why := git.refusal(root)):
        yield "git", f"the record has no commit and no branch: {why}"
    second = datetime.strptime(run.partition("-")[0], SECOND).replace(tzinfo=UTC)
    if second - now > _BEHIND:
        yield (
            "clock",
            f"the clock is at {now:%Y-%m-%d %H:%M:%S}Z, earlier than the newest run of the suite: ids continue from that one",
        )


def _changed(parts: list[str]) -> Iterator[str]:
    """Yield the paths in the entries of `git status --porcelain=v2 -z`, relative to the top of the work tree."""
    entries = iter(parts)
    for entry in entries:
        if entry[:2] in {"1 ", "2 ", "u "}:
            yield entry.split(" ", {"1": 8, "2": 9, "u": 10}[entry[0]])[-1]
            if entry[0] == "2":
                next(entries, None)  # the path that it had before
        elif entry.startswith("? "):
            yield entry[2:]


def _digest(file: Path) -> str | None:
    try:
        if not file.is_file() or file.stat().st_size > _DIGEST_BYTES:
            return None
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def environment(env: Mapping[str, str]) -> Environment:
    """Return the environment, redacted: the names of all variables, and the values of those that are known to be
    harmless.
    """
    plain = {name: value for name, value in env.items() if _PLAIN.fullmatch(name) and not _ANYTHING_SECRET.search(name)}
    return Environment(values=plain, names=tuple(sorted(set(env) - set(plain))))


def started_by(env: Mapping[str, str]) -> dict[str, str]:
    """Return who started the run, as far as the environment shows: a person, an agent, or a job of a CI system."""
    kind = next((who for name, who in _STARTED_BY if env.get(name)), "person")
    found = {"started_by": kind}
    if kind == "ci":
        job = next((env[name] for name in _JOB if env.get(name)), "")
        if env.get("GITHUB_RUN_ID"):
            job = f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs/{env['GITHUB_RUN_ID']}"
        found |= {"job": job} if job else {}
    elif user := env.get("USER") or env.get("LOGNAME"):
        found["user"] = user
    return found


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.mac_ver()[0]


def provenance(
    root: Path, env: Mapping[str, str], version: str, browsers: Mapping[str, str] = MappingProxyType({})
) -> Provenance:
    """Return what the first event of a run records of its origin.

    Args:
        root: the project root.
        env: the environment of the run.
        version: of orchestra.
        browsers: versions by engine.
    """
    return msgspec.structs.replace(
        this_machine(),
        orchestra=version,
        python=platform.python_version(),
        tools=_versions(),
        browsers=browsers,
        distribution=_distribution(),
        git=git_state(root),
        environment=environment(env),
        **started_by(env),
    )


def this_machine() -> Provenance:
    """Return the part of the origin on which the shape of the machine rests."""
    return Provenance(
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        memory_megabytes=psutil.virtual_memory().total // 2**20,
    )
