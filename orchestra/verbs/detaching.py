"""Start a run in a session of its own, for `run --detach`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from orchestra.errors import EXIT_OK
from orchestra.ledger.view import Observer
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report import watch
from orchestra.report.console.lines import line
from orchestra.runtime.run import detached
from orchestra.runtime.run.detached import Herald
from orchestra.runtime.run.session import Options
from orchestra.verbs.group import say, warn

DETACHED = "--detached"
"""The word by which `--detach` asks the process of the run to report to it."""


def words_of(options: Options) -> list[str]:
    """Return the options of a run as words of its command line."""
    return [
        *([f"--workers={options.workers}"] if options.workers is not None else []),
        *([f"--engine={options.engine}"] if options.engine else []),
        *([f"--scheduler={options.scheduler}"] if options.scheduler else []),
        *(["--headed"] if options.headed else []),
        *([f"--slow={options.slow_ms}"] if options.slow_ms else []),
        *[f"--update-looks={name}" for name in options.update_looks],
        *(["--force"] if options.force else []),
        *([f"--resume={options.resume}"] if options.resume else []),
        *(["--allow-changed"] if options.allow_changed else []),
        *(["--trust"] if options.trust else []),
        *([f"--shuffle={options.seed}"] if options.seed is not None else []),
        *([f"--max-failures={options.max_failures}"] if options.max_failures else []),
        *([f"--retries={options.retries}"] if options.retries is not None else []),
        *(["--isolate-retries"] if options.isolate_retries else []),
        *([f"--shard={options.shard.name}"] if options.shard is not None else []),
    ]


def observers(root: Path, plan: Plan, folder: Path, *, brief: bool | None) -> Sequence[Observer]:
    """Return the observers of a detached run; from here on it prints into its folder."""
    herald = Herald(folder)
    return (herald, *watch.observers(root, plan, folder, brief=brief, in_job=False))


def detach(project: Project, plan: Plan, words: Sequence[str]) -> int:
    """Start a run in a session of its own; print its id and the commands that follow and stop it.

    A run that is refused, or ends before its first test, ends this with its own output and exit code.
    """
    suite, tool = plan.suite, plan.outputs.launcher
    started = detached.start(["run", DETACHED, *words], project.root, project.root / PLAN_FOLDER / suite, os.environ)
    if started.code is not None:
        warn(started.printed.rstrip("\n"))
        return started.code
    say(line("run", started.run, suite, "has begun"))
    for word, verb in (("follow", "wait"), ("stop", "stop")):
        say(line(word, f"{tool} {verb} {started.run} --suite {suite}"))
    return EXIT_OK
