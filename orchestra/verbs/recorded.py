"""A recorded test on its way into a spec: checked, written whole or not at all, and proven by a run of each method."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestra.compiler.build import build
from orchestra.diagnostic import Diagnostic
from orchestra.drivers import DRIVERS
from orchestra.errors import EXIT_FAILED, EXIT_OK, SpecError, UsageError
from orchestra.ledger.disk import disk_error
from orchestra.ledger.runs import LAST, find_run
from orchestra.ledger.view import look
from orchestra.plan import Method, Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.recording import files as uploads
from orchestra.recording.draft import Draft
from orchestra.recording.suite import entry_lines, free_name, new_suite, with_test
from orchestra.report import watch
from orchestra.report.console.lines import line
from orchestra.runtime import dag
from orchestra.runtime.dag import Launch
from orchestra.runtime.run.session import Options
from orchestra.runtime.servers import up
from orchestra.verbs.compiling import compile_specs
from orchestra.verbs.group import warn
from orchestra.verbs.proven import proven_plan

FILES = "files"
"""The folder next to a spec for files that a recorded test uploads, and that were outside the project."""

_MOST_FOLDERS = 5_000
"""So many folders are searched for a file that was uploaded."""


@dataclass(slots=True)
class Goal:
    """The suite that a recorded test goes into.

    Attributes:
        project: of the suite.
        file: the spec, relative to the root.
        plan: of the suite; None if the file is new.
        copied: files that were copied for the test.
    """

    project: Project
    file: str
    plan: Plan | None = None
    copied: list[Path] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The spec, absolute."""
        return self.project.root / self.file

    @property
    def suite(self) -> str:
        """The id of the suite."""
        return self.plan.suite if self.plan is not None else _suite_of(self.file)

    @property
    def bases(self) -> dict[str, str]:
        """The URLs of components: of those elsewhere, and of those that `orchestra up` runs."""
        if self.plan is None:
            return {}
        running = up.read(self.project.root / PLAN_FOLDER / self.suite)
        rows = running.rows if running is not None else {}
        known = {
            component.id: rows[component.id].url if component.id in rows else component.url
            for component in self.plan.components
        }
        return {name: url for name, url in known.items() if url and "${" not in url}

    def methods(self) -> tuple[str, ...]:
        """Return the methods that can carry out the test, where not all of the suite can.

        Raises:
            UsageError: none can.
        """
        if self.plan is None:
            return ()
        able = tuple(method.id for method in self.plan.methods if _has_pages(method))
        if not able:
            listed = ", ".join(f'"{method.id}" ({method.driver})' for method in self.plan.methods)
            raise UsageError(
                f'no method of "{self.file}" drives a browser; there are {listed}',
                "add one: `cli: {title: Playwright, driver: playwright}`",
            )
        return () if len(able) == len(self.plan.methods) else able


def _has_pages(method: Method) -> bool:
    return method.driver in DRIVERS and DRIVERS[method.driver].pages and not method.plugin


def _suite_of(file: str) -> str:
    stem = "".join(letter if letter.isalnum() else "_" for letter in PurePosixPath(file).stem.lower()).strip("_")
    return stem if stem[:1].isalpha() and stem.isascii() else "recorded"


def goal_of(project: Project, file: str) -> Goal:
    """Return where a test goes, before anything is recorded.

    Raises:
        UsageError: the file cannot take a test.
        SpecError: its spec is invalid.
    """
    path = project.root / file
    if PurePosixPath(file).suffix not in {".yaml", ".yml"}:
        raise UsageError(f'"{file}" is no name of a spec', "end it with .yaml")
    if not Path(os.path.realpath(path)).is_relative_to(project.root):
        raise UsageError(f'"{file}" leads out of the project root', "remove the link, or name another file")
    if not path.exists():
        return Goal(project, file)
    built = build(project.root, [file])
    if built.diagnostics:
        raise SpecError(built.diagnostics)
    goal = Goal(project, file, next(plan for plan in built.plans if not plan.profile))
    goal.methods()
    return goal


def take(goal: Goal, draft: Draft, name: str | None, title: str) -> str:
    """Write a recorded test into its spec, and return its id.

    Args:
        goal: where it goes.
        draft: what was recorded.
        name: its id; None for the first that is free.
        title: for people.

    Raises:
        OrchestraError: it was not written, and no file has changed.
    """
    taken = {test.of or test.id for test in goal.plan.tests} if goal.plan is not None else set()
    taken |= {test.id for test in goal.plan.tests} if goal.plan is not None else set()
    if name in taken:
        raise UsageError(f'"{goal.file}" has a test {name} already', f"choose another id: {free_name(taken)}")
    name = name or free_name(taken)
    try:
        uploads.relative(draft, goal.project.root, lambda path: _copied(goal, path, draft))
        entry = entry_lines(name, title, draft.steps, goal.methods())
        new = goal.plan is None
        text = new_suite(goal.suite, entry, draft.secrets) if new else with_test(_read(goal.path), goal.file, entry)
        _write(goal, text)
    except BaseException:
        for file in goal.copied:
            file.unlink(missing_ok=True)
        raise
    return name


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise disk_error(error, path, "read") from error


def _copied(goal: Goal, path: Path, draft: Draft) -> str:
    """Copy a file from outside the project next to the spec, and return its path; one that is there is not replaced."""
    folder = goal.path.parent / FILES
    target = folder / path.name
    shown = target.relative_to(goal.project.root).as_posix()
    try:
        content = path.read_bytes()
    except OSError as error:
        draft.note(f'the file "{path}" of an upload cannot be read ({error.strerror}): put it at {shown}')
        return shown
    if there := _same(goal.project.root, path.name, content):
        return there
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            goal.copied.append(target)
            file.write(content)
    except FileExistsError:
        raise UsageError(
            f'"{shown}" exists already, with another content than "{path}"', "rename one of them"
        ) from None
    except OSError as error:
        raise disk_error(error, target, "write") from error
    draft.note(f'the file "{path.name}" of an upload was copied to {shown}')
    return shown


def _same(root: Path, name: str, content: bytes) -> str:
    """Return the path of a file of the project with this name and content; empty if there is none nearby."""
    for _, (folder, folders, files) in zip(range(_MOST_FOLDERS), os.walk(root), strict=False):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one != "node_modules")
        path = Path(folder) / name
        with suppress(OSError):
            if name in files and path.read_bytes() == content:
                return path.relative_to(root).as_posix()
    return ""


def _write(goal: Goal, text: str) -> None:
    """Replace the spec by a text that compiles; anything else leaves it as it is.

    Raises:
        SpecError: the text does not compile.
        MachineError: the disk refuses.
    """
    target = Path(os.path.realpath(goal.path))
    candidate = target.with_name(f".{target.stem}.recorded{target.suffix}")
    shown = candidate.relative_to(goal.project.root).as_posix()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        candidate.write_bytes(text.encode())
        if target.exists():
            shutil.copymode(target, candidate)
        built = build(goal.project.root, [shown])
        if built.diagnostics:
            raise SpecError(tuple(_at(problem, shown, goal.file) for problem in built.diagnostics))
        candidate.replace(target)
    except OSError as error:
        raise disk_error(error, goal.path, "write") from error
    finally:
        with suppress(OSError):
            candidate.unlink()


def _at(problem: Diagnostic, candidate: str, file: str) -> Diagnostic:
    """Return a problem of the candidate as one of the spec that it would become."""
    place = problem.place._replace(file=file) if problem.place.file == candidate else problem.place
    return Diagnostic(place, problem.rule, problem.message, problem.hint, problem.edit)


def prove(goal: Goal, name: str) -> int:
    """Compile the suite and run a recorded test by each method. Return the exit code: 0 if it passed by all.

    Raises:
        OrchestraError: an output must not be overwritten, or the machine refuses.
    """
    done = compile_specs(goal.project, [goal.file], over_edits=False)
    if done.code:
        raise UsageError("\n".join((*done.lines, done.last)))
    plan = proven_plan(goal.project, goal.suite)
    tasks = [f"{method}:{test.id}" for test in plan.tests if name in {test.id, test.of} for method in test.methods]
    launch = Launch(goal.project, watch.observers, Options(argv=("orchestra", *sys.argv[1:]), force=True), "")
    code = dag.run(launch, goal.suite, plan, tasks)
    given = look(find_run(goal.project.root / PLAN_FOLDER / goal.suite, LAST), steps=False).verdicts
    bad = {task: given[task].verdict if task in given else "error" for task in tasks}
    bad = {task: verdict for task, verdict in bad.items() if verdict not in {"passed", "flaky"}}
    if bad:
        results = (f"{task} {verdict}" for task, verdict in bad.items())
        warn(line("recorded", name, "not by each method", *results))
        return code or EXIT_FAILED
    warn(line("recorded", name, "passed", *tasks))
    return EXIT_OK if code == EXIT_FAILED else code  # a gate of the suite is about more than this test
