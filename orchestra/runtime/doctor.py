"""Check this machine and this project, and suggest fixes."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from orchestra import checkout, git, names, plugins
from orchestra.engines import DEFAULT_ENGINE, ENGINES
from orchestra.errors import OrchestraError, SpecError, UsageError
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.remote_address import shown
from orchestra.runtime import inherited, interpreter, scratch
from orchestra.runtime.attempt import needs_browser, wants_film
from orchestra.runtime.browsers import finder
from orchestra.runtime.browsers.finder import Browser
from orchestra.runtime.browsers.places import film_program
from orchestra.runtime.browsers.remote import Refusal, address, prove
from orchestra.runtime.inherited import Inherited
from orchestra.runtime.mask import Masks, weakness

State = Literal["ok", "warning", "broken"]

TOOL_SECONDS = 20.0
FREE_MEGABYTES = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the doctor's table.

    Attributes:
        subject: what was looked at.
        state: `broken` ends the command with exit 3, a `warning` does not.
        found: what is there.
        hint: what to do, empty when nothing is.
    """

    subject: str
    state: State
    found: str
    hint: str = ""


def examine(project: Project, env: Mapping[str, str], plan_of: Callable[[Project, str], Plan]) -> Iterator[Finding]:
    """Yield every finding, one by one: a browser that is really launched takes a moment.

    Args:
        project: to examine.
        env: of the process.
        plan_of: returns the plan of a suite.
    """
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _python(env)
    yield Finding("doit", "ok", version("doit"))
    yield Finding("playwright", "ok", version("playwright"))
    yield _git(project.root)
    yield _disk(project.root)
    yield _scratch(env)
    specs = project.spec_files()
    if specs:
        yield Finding("specs", "ok", ", ".join(specs))
    else:
        yield Finding("specs", "broken", f"none below {project.root}", "write one with `orchestra init`")
    plans: list[Plan] = []
    for suite in project.suites():
        finding, plan = _plan(project, suite, plan_of)
        yield finding
        plans += [] if plan is None else [plan]
    if specs and not project.suites():
        yield Finding("plan", "broken", "no suite is compiled", "run `orchestra compile`")
    wanted = {
        test.browser
        for plan in plans
        for test in plan.tests
        for method in plan.methods
        if test.steps and method.id in test.methods and not method.own_pages and method.connect is None
    }
    for engine in ENGINES:
        if engine in wanted or engine == DEFAULT_ENGINE:
            yield _browser(engine, project.root, env, needed=engine in wanted)
    if filmed := [
        test.id
        for plan in plans
        for test in plan.tests
        if wants_film(test) and any(one.connect is None for one in plan.methods if one.id in test.methods)
    ]:
        yield _film(filmed[0], env)
    yield from _plugins(project.root)
    for plan in plans:
        yield from _variables(project.root, plan, env)
        yield from _remote(project.root, plan, env)


def _python(env: Mapping[str, str]) -> Finding:
    """Report the `python` of specs, which is not always the interpreter that runs orchestra."""
    program, reason = interpreter.of_specs(interpreter.environment(env))
    subject = "python of specs"
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            check=False,
            env=checkout.without_key(env),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(subject, "warning", f"{program} ({reason}) cannot be started: {error}", "correct PATH")
    printed = (done.stdout or done.stderr).strip().removeprefix("Python ")
    if done.returncode:
        return Finding(
            subject, "warning", f"{program} ({reason}): {printed}", "correct PATH, or activate an environment"
        )
    return Finding(subject, "ok", f"{printed} ({program}; {reason})")


def _git(root: Path) -> Finding:
    if checkout.program("git", os.environ.get("PATH", os.defpath), root) is None:
        return Finding("git", "warning", "not on PATH outside the project", "install it: runs record commit and branch")
    asked = git.ask(root, ["--version"], seconds=TOOL_SECONDS)
    if asked.code != 0:
        return Finding(
            "git", "warning", asked.err.strip() or "`git --version` failed", "runs go without commit and branch"
        )
    printed = asked.out.decode(errors="replace").strip()
    inside = any((folder / ".git").exists() for folder in (root, *root.parents))
    if not inside:
        return Finding("git", "warning", f"{printed}; {root} is not a work tree", "run `git init`")
    if why := git.refusal(root):
        return Finding("git", "warning", f"{printed}; runs go without commit and branch", why)
    return Finding("git", "ok", printed)


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free // 2**20
    if free < FREE_MEGABYTES:
        return Finding("disk", "warning", f"{free} MB free", "make room: evidence of one run can take hundreds of MB")
    return Finding("disk", "ok", f"{free} MB free")


def _scratch(env: Mapping[str, str]) -> Finding:
    """Return the folder in which browsers keep their temporary files."""
    try:
        own, why = scratch.environment(env)
    except OrchestraError as error:
        return Finding("tmpdir", "broken", error.message, error.hint)
    if why:
        return Finding("tmpdir", "warning", why, "make room there, or set TMPDIR to a folder with a short path")
    return Finding("tmpdir", "ok", own.get("TMPDIR") or "/tmp")  # noqa: S108 - what is used where none is named


def _plan(project: Project, suite: str, plan_of: Callable[[Project, str], Plan]) -> tuple[Finding, Plan | None]:
    try:
        plan = plan_of(project, suite)
    except OrchestraError as error:
        return Finding(f"plan {suite}", "broken", error.message, error.hint), None
    return Finding(f"plan {suite}", "ok", f"{len(plan.tests)} tests, up to date"), plan


def _browser(engine: str, root: Path, env: Mapping[str, str], *, needed: bool) -> Finding:
    try:
        found = finder.find(engine, env, root)
    except OrchestraError as error:
        return Finding(engine, "broken" if needed else "warning", error.message, error.hint)
    if isinstance(found, Browser):
        return Finding(engine, "ok", f"{found.version} ({found.origin}: {found.executable})")
    # Without the required one the tests that drive it are blocked, exit code 3; tests of another engine are skipped with a
    # reason.
    state: State = "broken" if needed and ENGINES[engine].required else "warning"
    return Finding(engine, state, found.reason, "; or ".join(found.fixes))


def _remote(root: Path, plan: Plan, env: Mapping[str, str]) -> Iterator[Finding]:
    """Report whether the servers of remote browsers give one of each engine that tests drive."""
    methods = {one.id: one.connect.url for one in plan.methods if one.connect is not None}
    if not methods:
        return
    try:
        inherits = inherited.of_plan(root, plan, env)
    except SpecError:
        return  # there is a finding about its files
    mask = Masks(inherits.secrets, inherits.environment).text
    known = {f"env.{name}": value for name, value in inherits.environment.items()}
    for name, url in methods.items():
        subject = f"browsers of {name}"
        if late := [one for one in names.names_in(url) if not one.startswith("env.")]:
            yield Finding(subject, "ok", f'of the component "{late[0].partition(".")[0]}", which a run starts')
            continue
        try:
            final = address(url, known)
        except UsageError as error:
            yield Finding(subject, "broken", error.message, error.hint)
            continue
        for engine in sorted({test.browser for test in plan.tests if name in test.methods and needs_browser(test)}):
            answer = prove(final, engine, inherits.environment)
            if isinstance(answer, Refusal):
                yield Finding(subject, "broken", mask(answer.message), answer.hint)
            else:
                yield Finding(subject, "ok", mask(f"{engine} {answer} at {shown(final)}"))


def _film(test: str, env: Mapping[str, str]) -> Finding:
    program = film_program(env)
    if program is None:
        found = f"none, and {test} records a video: it will run without"
        return Finding("ffmpeg", "warning", found, "run `playwright install ffmpeg`")
    return Finding("ffmpeg", "ok", str(program))


def _plugins(root: Path) -> Iterator[Finding]:
    """Report each installed package that brings probes, drivers or report formats; none of it is loaded."""
    for package in plugins.installed(root):
        brought = ", ".join(f"{entry.sort} {entry.name}" for entry in package.entries)
        yield Finding(f"plug-in {package.name}", "ok", f"{package.version} ({brought})")


def _variables(root: Path, plan: Plan, env: Mapping[str, str]) -> Iterator[Finding]:
    """Report the files with variables, and the variables that hold secrets."""
    try:
        inherits = inherited.of_plan(root, plan, env)
    except SpecError as error:
        for problem in error.diagnostics:
            yield Finding("env file", "broken", f"{problem.place}: {problem.message}", problem.hint)
        inherits = Inherited(dict(env), plan.secrets)
    else:
        yield from (Finding("env file", "ok", file.path) for file in plan.env_files if (root / file.path).exists())
    yield from _secrets(plan, inherits)


def _secrets(plan: Plan, inherits: Inherited) -> Iterator[Finding]:
    for name in inherits.secrets:
        value = inherits.environment.get(name)
        if value is None:
            yield Finding(f"secret {name}", "warning", f"not set; suite {plan.suite} names it", f"export {name}=…")
        elif why := weakness(name, value):
            yield Finding(f"secret {name}", "warning", why, "use a longer value")
        else:
            yield Finding(f"secret {name}", "ok", "set, masked")
