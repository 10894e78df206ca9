"""Rules about methods and what their drivers can do."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.resolve import ABLE, BROWSER_DRIVERS, Kind
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.spec import Browser, StepSpec, TestSpec
from orchestra.plan import Driver
from orchestra.steps.vocabulary import VERBS
from orchestra.yamltext.document import Path

_ALL_BROWSERS: frozenset[str] = frozenset(get_args(Browser))
# The browsers that each driver can launch and drive.
DRIVES: dict[Driver, frozenset[str]] = {"playwright": _ALL_BROWSERS, "mcp": _ALL_BROWSERS - {"webkit"}}

_NEEDS: dict[Kind, str] = {"browser": "a browser", "http": "requests", "command": "a process"}


@dataclass(frozen=True)
class _Casting:
    """Which methods run which tests, with no look at a test that is not asked for."""

    context: Context

    @functools.cached_property
    def _by_kind(self) -> dict[Kind, tuple[str, ...]]:
        kinds: tuple[Kind, ...] = ("browser", "http", "command")
        return {
            kind: tuple(name for name, method in self.context.methods.items() if kind in ABLE[method["driver"]])
            for kind in kinds
        }

    @functools.cached_property
    def _steps_alike(self) -> bool:
        return self._by_kind["browser"] == self._by_kind["http"]

    @functools.cached_property
    def all_alike(self) -> bool:
        """Return True if every test certainly runs by the same methods."""
        tests = self.context.spec["tests"].values()
        return self._steps_alike and not any("methods" in test or "command" in test or "use" in test for test in tests)

    def methods_of(self, test: TestSpec) -> tuple[str, ...]:
        """Return the methods that run a test, as `resolve.methods_of` has it; unknown ones left out."""
        if "methods" in test:
            return tuple(name for name in test["methods"] if name in self.context.methods)
        if "command" in test or "use" in test:
            return self._by_kind["command"]
        return self._by_kind["http" if self._steps_alike else resolve.kind_of(self.context.spec, test)]

    @functools.cached_property
    def browser_blocks(self) -> Mapping[str, bool]:
        """For each block whether it has a step that needs a browser, in itself or in a block that it uses."""
        blocks = self.context.spec.get("blocks", {})
        return {name: self._needs_browser(block.get("steps", ())) for name, block in blocks.items()}

    def _needs_browser(self, steps: Sequence[StepSpec]) -> bool:
        return any(VERBS[verb].browser for verb, _ in resolve.all_steps(self.context.spec, steps))

    def first_browser_step(self, test_id: str, test: TestSpec) -> tuple[Path, str] | None:
        """Path and verb of the first step of a test that needs a browser, a `use` where it is in a block."""
        name = test.get("group", "")
        group: Mapping[str, Any] = self.context.spec.get("groups", {}).get(name, {})
        own: Mapping[str, Any] = test
        sections: tuple[tuple[Path, Sequence[StepSpec]], ...] = (
            *((("tests", test_id, key), own.get(key, ())) for key in ("before", "steps", "finally")),
            *((("groups", name, key), group.get(key, ())) for key in ("before", "finally")),
        )
        for section, steps in sections:
            for index, step in enumerate(steps):
                verb, body = resolve.verb_of(step)
                if VERBS[verb].browser or (verb == "use" and self.browser_blocks.get(resolve.block_use(body)[0])):
                    return (*section, index), verb
        return None


@rule
def driver_lacks_step(context: Context) -> Iterator[Problem]:
    """A test has a step, or is a command, that the driver of one of its methods cannot execute.

    Browser steps need the driver `playwright` or `mcp`. A command needs a process of its own: `playwright` or
    `command`.
    """
    casting = _Casting(context)
    if not all("browser" in ABLE[method["driver"]] for method in context.methods.values()):
        yield from _lacks_browser(context, casting)
    for test_id, test in context.spec["tests"].items():
        if "methods" in test and ("command" in test or "use" in test):
            for method in casting.methods_of(test):
                driver = context.methods[method]["driver"]
                if "command" not in ABLE[driver]:
                    key = "command" if "command" in test else "use"
                    message = (
                        f'the method "{method}" has the driver "{driver}", which cannot run the command of "{test_id}"'
                    )
                    able = [name for name, row in context.methods.items() if "command" in ABLE[row["driver"]]]
                    hint = (
                        f"name in its methods only {quoted(able)}" if able else "add a method with the driver command"
                    )
                    yield Problem(context.place(("tests", test_id, key), key=True), message, hint)


def _lacks_browser(context: Context, casting: _Casting) -> Iterator[Problem]:
    for test_id, test in context.spec["tests"].items():
        if "methods" not in test and "command" not in test and "use" not in test:
            continue  # it runs only by methods that can
        for method in casting.methods_of(test):
            driver = context.methods[method]["driver"]
            found = casting.first_browser_step(test_id, test) if driver not in BROWSER_DRIVERS else None
            if found is not None:
                path, verb = found
                message = f'the step "{verb}" needs a browser, which the driver "{driver}" of the method "{method}" does not have'
                hint = f'remove "{method}" from the methods of "{test_id}", or give it the driver playwright'
                yield Problem(context.place(path), message, hint)


@rule
def unreachable_test(context: Context) -> Iterator[Problem]:
    """No method can run a test: every driver lacks a step or a kind of test."""
    drivers = [method["driver"] for method in context.methods.values()]
    able = frozenset[Kind]().union(*(ABLE[driver] for driver in drivers))
    if able == ABLE["playwright"]:
        return
    for test_id, test in context.spec["tests"].items():
        kind = resolve.kind_of(context.spec, test)
        if "methods" not in test and kind not in able:
            fitting = [driver for driver, kinds in ABLE.items() if kind in kinds]
            message = f'no method can run "{test_id}": it needs {_NEEDS[kind]}, and the methods have {quoted(drivers)}'
            hint = f"add a method with the driver {' or '.join(fitting)}"
            yield Problem(context.place(("tests", test_id), key=True), message, hint)


@rule
def idle_method(context: Context) -> Iterator[Problem]:
    """A method runs no test: its driver can run none, or every test names others."""
    casting = _Casting(context)
    idle = dict.fromkeys(context.spec.get("methods", {}))
    for test in context.spec["tests"].values():
        if not idle:
            return
        for name in casting.methods_of(test):
            idle.pop(name, None)
    for name in idle if context.spec["tests"] else ():
        place = context.place(("methods", name), key=True)
        yield Problem(place, f'the method "{name}" runs no test', "remove it, or let tests name it")


@rule
def browser_driver(context: Context) -> Iterator[Problem]:
    """A test has a `browser` that no driver of its methods supports.

    `playwright` drives `chromium`, `firefox` and `webkit`; `mcp` drives `chromium` and `firefox`.
    """
    casting = _Casting(context)
    default = context.spec.get("defaults", {}).get("browser", "chromium")
    drivers = {method["driver"] for method in context.methods.values()} & BROWSER_DRIVERS
    everywhere = _ALL_BROWSERS.intersection(*(DRIVES[driver] for driver in drivers))
    for test_id, test in context.spec["tests"].items():
        for browser, path in _browsers(test_id, test, default):
            if browser in everywhere or browser not in _ALL_BROWSERS:
                continue
            mine = {context.methods[name]["driver"] for name in casting.methods_of(test)} & BROWSER_DRIVERS
            if (
                mine
                and not any(browser in DRIVES[driver] for driver in mine)
                and casting.first_browser_step(test_id, test)
            ):
                message = (
                    f'"{test_id}" needs the browser "{browser}", which the driver {quoted(sorted(mine))} cannot drive'
                )
                can = sorted(_ALL_BROWSERS.intersection(*(DRIVES[driver] for driver in mine)))
                hint = f"choose {quoted(can)}, or add a method with the driver playwright"
                yield Problem(context.place(path), message, hint)


def _browsers(test_id: str, test: TestSpec, default: str) -> Iterator[tuple[str, Path]]:
    """Yield the browsers that a test runs in, and where they are named."""
    if "browser" in test.get("matrix", ()):
        for index, browser in enumerate(test["matrix"]["browser"]):
            yield str(browser), ("tests", test_id, "matrix", "browser", index)
    elif "browser" in test:
        yield test["browser"], ("tests", test_id, "browser")
    else:
        yield default, ("defaults", "browser")


@rule
def ca_file_browser(context: Context) -> Iterator[Problem]:
    """A test runs in a browser that cannot be given the `ca_file` of `tls`: only Chromium can.

    Firefox and WebKit read certificates of their own and of the system alone.
    """
    if not context.spec.get("tls", {}).get("ca_file"):
        return
    casting = _Casting(context)
    default = context.spec.get("defaults", {}).get("browser", "chromium")
    for test_id, test in context.spec["tests"].items():
        if not any(context.methods[name]["driver"] in BROWSER_DRIVERS for name in casting.methods_of(test)):
            continue
        for browser, path in _browsers(test_id, test, default):
            if browser in _ALL_BROWSERS - {"chromium"} and casting.first_browser_step(test_id, test):
                message = f'"{test_id}" runs in "{browser}", which cannot be given the ca_file of `tls`'
                hint = (
                    "choose chromium, or write ignore_https_errors: true in place of ca_file, in a profile of its own"
                )
                yield Problem(context.place(path), message, hint)


@rule
def ca_file_unused(context: Context) -> Iterator[Problem]:
    """`tls` has both `ca_file` and `ignore_https_errors: true`: no certificate would be checked against the file."""
    tls = context.spec.get("tls", {})
    if tls.get("ignore_https_errors") and "ca_file" in tls:
        message = "ignore_https_errors: true accepts every certificate, so the ca_file is never used"
        yield Problem(context.place(("tls", "ca_file"), key=True), message, "remove one of the two")


@rule
def need_method(context: Context) -> Iterator[Problem]:
    """A test runs by a method by which one of its needs does not run, so the need can never be met there."""
    casting = _Casting(context)
    tests = context.spec["tests"]
    groups = context.spec.get("groups", {})
    if casting.all_alike:
        return
    for test_id, test in tests.items():
        if "needs" not in test and "needs" not in groups.get(test.get("group", ""), ()):
            continue
        mine = casting.methods_of(test)
        for name in resolve.effective_needs(context.spec, test_id, test):
            need = context.test_ids.get(name)
            theirs = casting.methods_of(tests[need]) if need is not None else mine
            missing = [method for method in mine if method not in theirs] if theirs != mine else []
            for method in missing:
                own = name in test.get("needs", ())
                path: Path = (
                    ("tests", test_id, "needs", test["needs"].index(name)) if own else ("tests", test_id, "group")
                )
                message = f'"{test_id}" needs "{name}", which the method "{method}" does not run'
                hint = f'let "{name}" run by "{method}" too, or take "{method}" from the methods of "{test_id}"'
                yield Problem(context.place(path), message, hint)


@rule
def session_workers(context: Context) -> Iterator[Problem]:
    """A method with a single browser session has several workers; its only page serves one test at a time."""
    for name, method in context.spec.get("methods", {}).items():
        workers = method.get("workers", "auto")
        if method.get("session", {}).get("single") and isinstance(workers, int) and workers > 1:
            message = f'the method "{name}" has a single session and {workers} workers'
            yield Problem(
                context.place(("methods", name, "workers")), message, "write workers: 1, or session: {single: false}"
            )


RULES = (
    driver_lacks_step,
    unreachable_test,
    idle_method,
    browser_driver,
    ca_file_browser,
    ca_file_unused,
    need_method,
    session_workers,
)
