"""Which tests may have another result than at a revision of git: `orchestra run --since REV`.

A test is left out only if all that it rests on is known and the same: its part of the plan by meaning, its method, its
inputs, the files of its services, and the tests that it needs. Where that is not known, the test is selected, and the reason
names the gap. Files are compared by git: of each input, of the target of a link, and of what is gone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestra import git, globs, plan_file
from orchestra import plan as plans
from orchestra.errors import PlanError, UsageError
from orchestra.plan import Component, Plan, Test, closure
from orchestra.runtime.build import Build, build_of, files_of
from orchestra.runtime.files import matching
from orchestra.runtime.select import task_name
from orchestra.steps.look import folder_of, looks
from orchestra.steps.verbs.files import project_files

_WHOLE = ("tls", "plugins")
"""The parts of a plan that change every test."""

_LISTED_FLAGS = "H"
"""The mark of `git ls-files -v` for a file whose changes git looks for."""


Stamps = dict[str, tuple[int, int, int]]
"""Files and links, relative to the project root, each with its time, size and number."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A project at a revision, and its changes since, as git knows them.

    Attributes:
        name: as it was asked for.
        commit: its hash.
        tracked: the files that it has, relative to the project root.
        changed: those of them, and others, that are different now; what is gone is among them.
        links: those of its files that are links.
        unwatched: files of which git was asked not to look for changes.
        plan: the compiled plan that it has; None if it has none that can be read.
    """

    name: str
    commit: str
    tracked: Collection[str]
    changed: Collection[str]
    links: Collection[str] = ()
    unwatched: Collection[str] = ()
    plan: Plan | None = None


def revision(root: Path, name: str, plan_file: str) -> Revision:
    """Ask git about a revision.

    Args:
        root: the project root.
        name: a commit, branch or tag.
        plan_file: the compiled plan, relative to the root.

    Raises:
        UsageError: git does not know it, or does not answer.
    """
    answer = git.ask(root, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"])
    commit = answer.out.decode(errors="replace").strip()
    if answer.code or not commit:
        why = git.untrusted(answer.err, root)
        if answer.code is None or why:
            raise UsageError(f"--since: {why or answer.err}", "run without --since")
        if git.text(root, "rev-parse", "--is-inside-work-tree") is None:
            raise UsageError("--since: the project is not in a work tree of git", "run without --since")
        shallow = (git.text(root, "rev-parse", "--is-shallow-repository") or "").strip() == "true"
        fix = (
            "fetch it: a shallow clone has only the newest commits"
            if shallow
            else "see `git log` and `git branch --all`"
        )
        raise UsageError(f'--since: git knows no commit "{name}"', fix)
    rows = [row.partition("\t") for row in _paths(root, "ls-tree", "-r", "-z", commit)]
    links = frozenset(path for mode, _, path in rows if mode.startswith("120000 "))
    changed = _paths(
        root,
        "diff",
        "--name-only",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--ignore-submodules=none",
        "--relative",
        commit,
        "--",
    )
    flagged = _paths(root, "ls-files", "-v", "-z")
    unwatched = frozenset(line[2:] for line in flagged if line[:1] not in _LISTED_FLAGS)
    tracked = frozenset(path for _, _, path in rows)
    return Revision(name, commit, tracked, frozenset(changed), links, unwatched, _plan(root, commit, plan_file))


def _paths(root: Path, *words: str) -> list[str]:
    asked = git.ask(root, words)
    if asked.code != 0:
        raise UsageError(f"--since: git {words[0]}: {asked.err.strip()}", "run without --since")
    return [path for path in asked.out.decode(errors="surrogateescape").split("\0") if path]


def _plan(root: Path, commit: str, file: str) -> Plan | None:
    asked = git.ask(root, ["show", f"{commit}:./{file}"])
    try:
        return plan_file.load(asked.out, file) if asked.code == 0 else None
    except PlanError:
        return None


def reasons(root: Path, plan: Plan, since: Revision) -> dict[str, str]:
    """Return by task why it may have another result than at a revision; a task without a reason is left out.

    Args:
        root: the project root.
        plan: as it is now.
        since: the revision.
    """
    builds = {row.id: build_of(root, row) for row in plan.components}
    rows = {row.id: _row_reason(root, row, builds[row.id], since) for row in plan.components}
    found: dict[str, str] = {}
    for method in plan.methods:
        for test in plan.tests:
            if method.id not in test.methods:
                continue
            why = _plan_reason(plan, test, method.id, since) or _test_reason(root, plan, test, rows, since)
            by_needs = (task_name(method.id, need) for need in test.needs)
            why = why or next((f"it needs {need}: {found[need]}" for need in by_needs if need in found), "")
            if why:
                found[task_name(method.id, test.id)] = why
    return found


def stamps(root: Path, plan: Plan) -> Stamps:
    """Return the files that the tests of a plan rest on, the spec among them, each with what changes when it is written.

    Args:
        root: the project root.
        plan: the suite.
    """
    real_root = Path(os.path.realpath(root))
    own = {pattern for test in plan.tests for pattern in (*test.inputs, *_sent(plan, test))}
    files = {*matching(root, sorted(own)), *(file for row in plan.components for file in files_of(root, row))}
    names = {*plan.sources, *(_name(root, real_root, file) for file in files)}
    found: Stamps = {}
    for path in {path for name in names for path in _passed(real_root, name) if path is not None}:
        with suppress(OSError):  # it is gone
            status = (real_root / path).lstat()
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _name(root: Path, real_root: Path, file: Path) -> str:
    return file.relative_to(root if file.is_relative_to(root) else real_root).as_posix()


def _plan_reason(plan: Plan, test: Test, method: str, since: Revision) -> str:
    """Return what of the plan is different for a test."""
    then = since.plan
    if then is None:
        return f"{since.name} has no compiled plan that can be read"
    for part in _WHOLE:
        if getattr(then, part) != getattr(plan, part):
            return f"{part} of the spec changed"
    if _by_id(then.methods).get(method) != _by_id(plan.methods)[method]:
        return f"the method {method} changed"
    before = _by_id(then.tests).get(test.id)
    if before is None:
        return "it is new"
    if before != test:
        parts = [name.rstrip("_") for name in test.__struct_fields__ if getattr(before, name) != getattr(test, name)]
        return f"its {', '.join(parts)} changed"
    if then.login_of(test) != plan.login_of(test):
        return f'the login "{test.login}" changed'
    if then.pools_of(test) != plan.pools_of(test):
        return "a pool that it takes an entry of changed"
    old, new = (_by_id(closure(one.components, test.requires)) for one in (then, plan))
    differing = [name for name, row in new.items() if old.get(name) != row]
    return f'"{differing[0]}" changed in the spec' if differing else ""


def _by_id(parts: Iterable[plans.Part]) -> dict[str, plans.Part]:
    return {getattr(part, "id"): part for part in parts}  # noqa: B009 - every one of these parts has an id


def _test_reason(root: Path, plan: Plan, test: Test, rows: Mapping[str, str], since: Revision) -> str:
    """Return which file of a test or of its components is different, or is not known."""
    if not test.inputs and test.command is not None:
        return "it runs a program and declares no inputs"
    files = list(matching(root, (*test.inputs, *_sent(plan, test))))
    own = _files_reason(root, files, test.inputs, since)
    return own or next((why for row in closure(plan.components, test.requires) if (why := rows[row.id])), "")


def _sent(plan: Plan, test: Test) -> Iterator[str]:
    """Yield the files that the steps of a test and of its login send or compare with."""
    login = plan.login_of(test)
    if looks((*test.before, *test.steps, *test.finally_)):
        yield f"{folder_of(plan.suite, test.id)}/**"
    of_login = () if login is None else login.steps
    of_methods = itertools.chain.from_iterable(test.substitutes_by.values())
    yield from project_files((*of_methods, *test.before, *test.steps, *test.finally_, *of_login))


def _row_reason(root: Path, row: Component, build: Build, since: Revision) -> str:
    if not build.digest:
        return ""
    if not build.known:
        return f'no file of "{row.id}" is known; its `inputs` would name them'
    commands = [one for one in (row.service, row.failover, row.job) if one is not None]
    why = _files_reason(root, build.files, [glob for command in commands for glob in command.inputs], since)
    return f'"{row.id}": {why}' if why else ""


def _files_reason(root: Path, files: Iterable[Path], patterns: Iterable[str], since: Revision) -> str:
    """Return which of some files is different, or of which git does not know it.

    Args:
        root: the project root.
        files: absolute.
        patterns: the globs that named them; a file that is gone may match one.
        since: the revision.
    """
    real_root = Path(os.path.realpath(root))
    for file in files:
        name = _name(root, real_root, file)
        for path in _passed(real_root, name):
            if path is None:
                return f"a link leads {name} out of the project"
            if path in since.changed:
                return f"{path} changed"
            if path not in since.tracked:
                return f"{path} is not in {since.name}"
            if path in since.unwatched:
                return f"git is asked not to look for changes of {path}"
    return _gone_reason(real_root, tuple(patterns), since)


def _gone_reason(root: Path, patterns: Sequence[str], since: Revision) -> str:
    """Return which changed file some globs name, or would name if it were still there, also through a link."""
    changed = sorted(since.changed)
    gone = next((path for path in changed if any(globs.would_name(pattern, path) for pattern in patterns)), None)
    if gone is not None:
        return f"{gone} changed"
    for link in sorted(since.links):
        through = [pattern for pattern in patterns if globs.leads(pattern, link)]
        other = next((path for path in changed if path in since.links), None)
        if through and other is not None:  # the link, or one on its way, had another target
            return f"the link {other} changed"
        target = os.path.relpath(os.path.realpath(root / link), root)
        for path in changed if through else ():
            below = path.removeprefix(f"{target}/")
            if below != path and any(globs.would_name(pattern, f"{link}/{below}") for pattern in through):
                return f"{path} changed"
    return ""


def _passed(root: Path, name: str) -> Iterator[str | None]:
    """Yield each link on the way to a file that exists, and the file, relative to the root; None where a link leaves it.

    Args:
        root: the project root, links resolved.
        name: of the file, relative to the root.
    """
    at: list[str] = []
    ahead = name.split("/")[::-1]
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not at:
                yield None
                return
            at.pop()
            continue
        at.append(part)
        path = root.joinpath(*at)
        if path.is_symlink():
            yield "/".join(at)
            target = path.readlink()
            at.pop()
            if target.is_absolute():
                if not target.is_relative_to(root):
                    yield None
                    return
                target, at = target.relative_to(root), []
            ahead += target.parts[::-1]
    yield "/".join(at)
