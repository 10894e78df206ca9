"""doit's side of a run: tasks, reporter, and the pump that feeds the engine. The only module that imports doit.

Each test is two doit tasks. `_run:cli:B004` executes and records, and never fails; `cli:B004` reads the verdict and
fails honestly. doit owns the graph and the selection; the pump replaces doit's runners, takes every ready task from its
dispatcher, hands `_run` tasks to the session without blocking, and lets the engine start tests only when doit has
nothing more ready. So `doit`, `doit cli`, `doit cli:B004`, `doit list --all` and `doit -n 4` work as a doit user
expects. Longer than other modules because no other module imports doit.
"""

from __future__ import annotations

import atexit
import ctypes
import dataclasses
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import doit.cmd_run
import doit.plugin
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from doit.exceptions import TaskFailed, UnmetDependency
from doit.runner import Runner

from orchestra.errors import EXIT_BUG, EXIT_OK, EXIT_SIGINT, MachineError, OrchestraError, PlanError, UsageError
from orchestra.ledger.author import signer_of
from orchestra.ledger.view import Observer
from orchestra.plan import Plan
from orchestra.printing import letter, one_line, printed
from orchestra.project import Project
from orchestra.runtime import inherited
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.outlet import Outlet
from orchestra.runtime.run.session import Options, Session
from orchestra.runtime.select import task_name

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Watch = Callable[[Path, Plan, Path], Sequence[Observer]]


@dataclass(slots=True)
class Launch:
    """The parameters of a run; doit passes no data to a reporter, so they are kept here.

    Attributes:
        project: whose root is the working folder.
        watch: makes the observers of a run, from root, plan and run folder.
        options: how the run is done.
        profile: the profile whose plan is executed.
        plan: that plan, where it is at hand; else it is read for the suite that doit selects.
        load: reads it, from project, suite and profile.
        only: the tasks that ORCHESTRA_SELECT selects, which no other tasks of doit may replace; None without one.
        refused: a mistake in ORCHESTRA_SELECT.
        several: carries out several runs in place of one, and returns their exit code; None for one.
        code: the exit code, once the run is closed.
        told: an error that ended the run, to be reported once.
        bug: an unknown error, by which the session could not be opened.
    """

    project: Project
    watch: Watch
    options: Options
    profile: str = ""
    plan: Plan | None = None
    load: Callable[[Project, str, str], Plan] = load_plan
    only: Sequence[str] | None = None
    refused: OrchestraError | None = None
    several: Callable[[Launch, Plan, Sequence[str]], int] | None = None
    code: int | None = None
    told: OrchestraError | None = None
    bug: Exception | None = None


def _noop() -> None:
    """Do nothing: the action of a `_run` task, for `doit info`; the pump never calls it."""


def test_tasks(prefix: str, suite: str, method: str, tests: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield the doit tasks of one method of a suite, the group of them first.

    Args:
        prefix: `cli` for the default suite, `self:cli` for others.
        suite: its id.
        method: its id.
        tests: rows of the index: id, title, needs, the methods that run it, and the tests of `after_all` that run with
            it where there are any. The task with the verdict waits for these, so that doit selects them; no running task does.
    """
    mine = [row for row in tests if method in row[3]]
    by_method = {row[0] for row in mine}
    # One dictionary for all tests of a method, not one a test: a graph of ten thousand is measured in megabytes.
    running = {"orchestra": (suite, method), "basename": f"_run:{prefix}", "run": True}
    judging = {"orchestra": (suite, method), "basename": prefix, "run": False}
    yield {"basename": prefix, "name": None, "doc": f"{len(mine)} tests of {suite} by {method}"}
    for test_id, title, needs, _, *closed in mine:
        ends = [f"_run:{prefix}:{end}" for some in closed for end in some if end in by_method and end != test_id]
        yield {
            "basename": f"_run:{prefix}",
            "name": test_id,
            "actions": [_noop],
            "task_dep": [f"_run:{prefix}:{need}" for need in needs if need in by_method],
            "meta": running,
        }
        yield {
            "basename": prefix,
            "name": test_id,
            "doc": printed(one_line(title)),
            "actions": [_noop],
            "task_dep": [f"_run:{prefix}:{test_id}", *ends],
            "meta": judging,
        }


def _task_of(task: Any) -> tuple[str, str]:
    """Return the suite of a doit task of ours, and the name of the task in the plan: `cli:B004`."""
    suite, method = task.meta["orchestra"]
    return suite, task_name(method, task.name.removeprefix(task.meta["basename"] + ":"))


_NOTHING: frozenset[Any] = frozenset()


_OF_A_FINISHED_TASK = ("name", "meta", "subtask_of", "has_subtask", "teardown")


def _let_go(node: Any) -> None:
    """Take from a finished node what doit has no more use for, and from its task: three kilobytes.

    It asks for the status of the node, and for the name of the task.
    """
    node.generator = None
    node.waiting_me = node.wait_run = node.wait_run_calc = node.calc_dep = _NOTHING
    node.task_dep = node.ancestors = ()
    known = vars(node.task)
    node.task.__dict__ = {name: known[name] for name in _OF_A_FINISHED_TASK if name in known}


_MANY_TASKS = 2_000
"""With more tasks than this a run gives back what they had before it writes its reports."""


def _give_back() -> None:
    """Return freed memory to the system: glibc keeps what tasks had, and the reports at the end come on top of it."""
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


class Pump(Runner):  # type: ignore[misc]
    """doit's runner, replaced: one loop, nothing blocks but the wait for a verdict."""

    def __init__(self, dep_manager: Any, reporter: Any, *args: Any, **options: Any) -> None:
        number = args[3] if len(args) > 3 else options.pop("num_process", 0)
        super().__init__(dep_manager, reporter, *args[:3], **options)
        if number and isinstance(reporter, Reporter):
            reporter.workers = number

    @staticmethod
    def available() -> bool:
        """Asked of MRunner: the pump always is."""
        return True

    def run_tasks(self, task_dispatcher: Any) -> None:
        """Feed the session until doit has no more tasks."""
        session = self.reporter.session if isinstance(self.reporter, Reporter) else None
        if session is None:
            if not isinstance(self.reporter, Reporter):
                super().run_tasks(task_dispatcher)
            return
        try:
            self._pump(task_dispatcher, session)
        except Exception as error:  # noqa: BLE001 - doit would go on to the end of the run, whose code would hide it
            session.fail(error)
        if len(task_dispatcher.tasks) > _MANY_TASKS:
            _give_back()

    def _pump(self, dispatcher: Any, session: Session) -> None:
        nodes: dict[str, Any] = {}
        done: list[Any] = []
        while True:
            told = done.pop() if done else None
            try:
                node = dispatcher.generator.send(told)
            except StopIteration:
                return
            if told is not None:
                _let_go(told)
            if node == "hold on":
                if not done:
                    done = self._collect(session, nodes)
                continue
            if node.task.meta is None:  # the group of a method, after all its tests: the tests of the next one wait
                if self.select_task(node, dispatcher.tasks):
                    self._succeeded(node)
                done.append(node)
                continue
            # Our tasks always run: doit neither checks whether they are up to date nor stores their state.
            node.run_status = "run"
            _, name = _task_of(node.task)
            if node.task.meta["run"]:
                nodes[name] = node
                session.push(name)
                continue
            reason = session.fails(name)
            if reason:
                self.process_task_result(node, TaskFailed(reason))
            else:
                self._succeeded(node)
            done.append(node)

    def _collect(self, session: Session, nodes: dict[str, Any]) -> list[Any]:
        finished = [nodes.pop(name) for name in session.wait()]
        for node in finished:
            self._succeeded(node)
        return finished

    def _succeeded(self, node: Any) -> None:
        node.run_status = "successful"
        self.reporter.add_success(node.task)


class Reporter:
    """doit's reporter, silent: it opens and closes the session, and the observers of the ledger show the rest."""

    desc = "orchestra"
    launch: Launch

    def __init__(self, outstream: Any, options: Any) -> None:
        del outstream, options
        self.session: Session | None = None
        self.workers: int | None = None
        self._handlers: dict[int, Any] = {}
        self._outlet: Outlet | None = None

    def initialize(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
        """Open a session for what is selected and what it needs."""
        launch = self.launch
        self._outlet = Outlet(sys.stderr)
        atexit.register(self._outlet.finish)  # if the end of the run is never reached
        sys.stderr = self._outlet
        heard: list[int] = []
        try:
            with _hearing(heard):
                self._open(tasks, selected_tasks)
        except OrchestraError as error:
            launch.told = error
            launch.code = error.exit_code
        # doit goes on to `complete_run`, whose code would hide any other end of the opening, too.
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            launch.code = EXIT_SIGINT
        except SystemExit as stop:
            launch.code = stop.code if isinstance(stop.code, int) else EXIT_BUG
        except Exception as error:  # noqa: BLE001 - as above
            launch.bug = error
        if self.session is None:
            return
        # The plan and doit's graph stand until the end: the collector of cycles need not search them again and again.
        gc.freeze()
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._signalled)
        if heard:
            self.session.ask(signal.SIGINT)

    def _open(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
        launch = self.launch
        if launch.refused is not None:
            raise launch.refused
        if launch.only is not None and set(selected_tasks) != set(launch.only):
            raise UsageError(
                f"ORCHESTRA_SELECT and the tasks of doit are two selections: {', '.join(selected_tasks[:3])}",
                "unset ORCHESTRA_SELECT, or name no task",
            )
        suite, names = _selected(tasks, selected_tasks)
        plan = launch.plan or launch.load(launch.project, suite, launch.profile)
        selection = [
            name for method in plan.methods for test in plan.tests if (name := task_name(method.id, test.id)) in names
        ]
        if len(selection) != len(names):
            raise PlanError("dodo.py lists tests that its plan does not have", "run `orchestra compile`")
        inherits = inherited.of_plan(launch.project.root, plan, os.environ)
        options = dataclasses.replace(launch.options, sign=signer_of(os.environ), secrets=inherits.secrets)
        if self.workers is not None:
            options = dataclasses.replace(options, workers=self.workers)
        root = launch.project.root
        if launch.several is not None:
            alone = dataclasses.replace(launch, options=options, plan=plan, only=None, several=None)
            launch.code = launch.several(alone, plan, launch.only or selection)
            return
        self.session = Session(
            root,
            plan,
            selection,
            options=options,
            environment=inherits.environment,
            observers=lambda folder: launch.watch(root, plan, folder),
        )

    def _signalled(self, number: int, frame: object) -> None:
        """End the run in order at the first signal; at a second one exit at once, and the reaper cleans up."""
        del frame
        session = self.session
        if session is None or session.interrupted():
            os._exit(128 + number)
        if self._outlet is not None:
            self._outlet.hurry()
        session.ask(number)

    def complete_run(self) -> None:
        """Close the session, report an early end, and exit with the code of the run."""
        launch = self.launch
        if self.session is not None:
            gc.unfreeze()
            launch.code = self.session.close()
            launch.told = self.session.fault
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if launch.told is not None:
            sys.stderr.write(f"{letter(launch.told.message, launch.told.hint)}\n")
        if launch.bug is not None:
            sys.stderr.write(f"{letter(f'the run could not be opened: {type(launch.bug).__name__}')}\n")
        if self._outlet is not None:
            self._outlet.finish()
            sys.stderr = self._outlet.stream
        raise SystemExit(EXIT_BUG if launch.code is None else launch.code)

    def add_failure(self, task: Any, fail: Any) -> None:
        """Fail the group of a failed verdict, which the observers show; any other failure is a bug to show."""
        if not isinstance(fail, TaskFailed | UnmetDependency):
            sys.stderr.write(f"{letter(f'{task.name}: {fail.get_msg()}')}\n")

    def runtime_error(self, msg: str) -> None:
        """doit's own complaint, for instance about a task that does not exist."""
        sys.stderr.write(f"{printed(msg)}\n")

    def get_status(self, task: Any) -> None:
        """Show nothing: the ledger has the status."""

    execute_task = add_success = skip_uptodate = skip_ignore = teardown_task = get_status

    def cleanup_error(self, exception: Any) -> None:
        """Ignore teardown failures: there are no teardowns."""


@contextmanager
def _hearing(heard: list[int]) -> Iterator[None]:
    """Add each SIGINT of the block to a list, and raise it as usual: Python loses one in a callback of its own."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    if usual:
        signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _selected(tasks: Mapping[str, Any], selected: Sequence[str]) -> tuple[str, set[str]]:
    """Return the suite and the tasks that a selection of doit reaches.

    Raises:
        PlanError: they are of several suites; a run is of one.
    """
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    stack = list(selected)
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        task = tasks[name]
        stack += task.task_dep
        if task.meta and task.meta["run"]:
            found.add(_task_of(task))
    suites = sorted({suite for suite, _ in found})
    if len(suites) != 1:
        listed = " and ".join(suites) or "nothing"
        raise PlanError(f"one run is of one suite; this selects {listed}", "run them one after the other")
    return suites[0], {name for _, name in found}


def seam() -> None:
    """Put the pump in the place of doit's runners: the one private seam, watched by a test, doit pinned."""
    for name in ("Runner", "MRunner", "MThreadRunner"):
        setattr(doit.cmd_run, name, Pump)


def config(launch: Launch, default_tasks: Sequence[str]) -> dict[str, Any]:
    """DOIT_CONFIG of a run: our reporter, a database of this process alone, no capture, no early end."""
    try:
        handle, dep_file = tempfile.mkstemp(prefix="orchestra-doit-", suffix=".json")
    except OSError as error:
        raise MachineError(f"no temporary file can be made: {error.strerror}", "set TMPDIR to a folder") from error
    os.close(handle)
    Path(dep_file).unlink()
    return {
        "default_tasks": list(default_tasks),
        "continue": True,
        "reporter": type("LaunchReporter", (Reporter,), {"launch": launch}),
        "backend": "json",
        "dep_file": dep_file,
        "verbosity": 0,
    }


@contextmanager
def without_plugins() -> Iterator[None]:
    """Let doit look for no plug-in of an installed package: as of a file, a command of one could stand for `run`.

    It would also read the entry points of all packages, three times: a tenth of the processor time of a short run.
    """
    looks = doit.plugin.PluginDict.add_plugins
    doit.plugin.PluginDict.add_plugins = lambda *_: None
    try:
        yield
    finally:
        doit.plugin.PluginDict.add_plugins = looks


def forget(config: Mapping[str, Any]) -> None:
    """Remove the database of `config`."""
    with suppress(FileNotFoundError):
        Path(config["dep_file"]).unlink()


def run(launch: Launch, suite: str, plan: Plan, tasks: Sequence[str]) -> int:
    """Run tasks of a suite through doit in this process and give the exit code."""
    closed = plan.closed_with()
    rows = [(test.id, test.title, test.needs, test.methods, closed.get(test.id, ())) for test in plan.tests]

    def task_tests() -> Iterator[dict[str, Any]]:
        for method in plan.methods:
            yield from test_tasks(method.id, suite, method.id, rows)

    launch.plan = plan
    settings = config(launch, tasks)
    seam()
    try:
        loader = ModuleTaskLoader({"DOIT_CONFIG": settings, "task_tests": task_tests})
        # No doit.cfg and no [tool.doit]: a command of theirs could stand for `run`, and nothing would be run.
        with without_plugins():
            code = DoitMain(loader, config_filenames=()).run([])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_OK
    finally:
        forget(settings)
    if launch.bug is not None:
        raise launch.bug
    return EXIT_BUG if launch.code is None and not code else int(code)  # nothing ran, so nothing is good
