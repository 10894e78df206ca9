"""Rules about methods and what their drivers can do."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestra import remote_address
from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.steps import text
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.tests import TestSpec
from orchestra.drivers import DriverKind, Needs
from orchestra.engines import DEFAULT_ENGINE, ENGINES
from orchestra.steps.vocabulary import VERBS, on_page
from orchestra.yamltext.document import Path

_NEEDS: dict[Needs, str] = {"browser": "a browser", "http": "requests", "command": "a process"}


@dataclass(frozen=True)
class Casting:
    """Which methods run which tests, with no look at a test that is not asked for."""

    context: Context

    @functools.cached_property
    def _by_kind(self) -> dict[Needs, tuple[str, ...]]:
        return {
            kind: tuple(name for name in self.context.methods if kind in self.driver_of(name).able) for kind in _NEEDS
        }

    def driver_of(self, method: str) -> DriverKind:
        """Return the driver of a method."""
        return self.context.provided.drivers[self.context.methods[method]["driver"]]

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

    def _verbs_of(self, block: str) -> tuple[str, ...]:
        """Return the verbs of a block and of the blocks that it uses, in order, each once."""
        if block not in self._block_verbs:
            steps = self.context.spec.get("blocks", {}).get(block, {}).get("steps", ())
            walked = resolve.all_steps(self.context.spec, steps)
            self._block_verbs[block] = tuple(dict.fromkeys(verb for verb, _ in walked))
        return self._block_verbs[block]

    @functools.cached_property
    def _block_verbs(self) -> dict[str, tuple[str, ...]]:
        return {}

    def first_browser_step(
        self, test_id: str, test: TestSpec, driver: DriverKind | None = None
    ) -> tuple[Path, str] | None:
        """Path and verb of the first step of a test that needs a browser, a `use` where it is in a block.

        With a driver: the first one that it cannot carry out.
        """
        own: Mapping[str, Any] = test
        everywhere: Mapping[str, Any] = resolve.defaults_of(self.context.spec, test)
        logins = resolve.logins_of(self.context.spec, test)
        groups: Sequence[tuple[str, Mapping[str, Any]]] = resolve.groups_of(self.context.spec, test)
        sections: tuple[tuple[Path, Sequence[StepSpec]], ...] = (
            *((("logins", login, "steps"), resolve.login_steps(self.context.spec, login)) for login in logins),
            *((("tests", test_id, key), own.get(key, ())) for key in ("before", "steps", "finally")),
            *((("groups", name, key), group.get(key, ())) for name, group in groups for key in ("before", "finally")),
            *((("defaults", key), everywhere.get(key, ())) for key in ("before", "finally")),
        )
        for section, steps in sections:
            for index, step in enumerate(steps):
                verb, body = resolve.verb_of(step)
                opening = [resolve.verb_of(first)[0] for first in resolve.flat(resolve.opening_steps(verb, body))]
                inner = [verb, *opening] if verb != "use" else self._verbs_of(resolve.block_use(body)[0])
                lacking = (
                    step_verb
                    for step_verb in inner
                    if on_page(step_verb) and (driver is None or driver.lacks(step_verb))
                )
                if (lacked := next(lacking, None)) is not None:
                    return (*section, index), verb if driver is None else lacked
        return None


@rule
def driver_lacks_step(context: Context) -> Iterator[Problem]:
    """A test has a step, or is a command, that the driver of one of its methods cannot execute.

    Browser steps need the driver `playwright` or `mcp`, or one of a plug-in that has them. A step of a plug-in needs the
    driver that brings it. A command needs a process of its own: `playwright` or `command`.
    """
    casting = Casting(context)
    if not all(casting.driver_of(name).pages for name in context.methods):
        yield from _lacks_browser(context, casting)
    own_steps = len(context.provided.verbs) > len(VERBS)
    if own_steps or any(casting.driver_of(name).verbs is not None for name in context.methods):
        yield from _lacks_verb(context, casting)
    for test_id, test in context.spec["tests"].items():
        if "methods" in test and ("command" in test or "use" in test):
            for method in casting.methods_of(test):
                driver = context.methods[method]["driver"]
                if "command" not in casting.driver_of(method).able:
                    key = "command" if "command" in test else "use"
                    message = (
                        f'the method "{method}" has the driver "{driver}", which cannot run the command of "{test_id}"'
                    )
                    able = [name for name in context.methods if "command" in casting.driver_of(name).able]
                    hint = (
                        f"name in its methods only {quoted(able)}" if able else "add a method with the driver command"
                    )
                    yield Problem(context.place(("tests", test_id, key), key=True), message, hint)


def _lacks_browser(context: Context, casting: Casting) -> Iterator[Problem]:
    for test_id, test in context.spec["tests"].items():
        if "methods" not in test and "command" not in test and "use" not in test:
            continue  # it runs only by methods that can
        for method in casting.methods_of(test):
            driver = casting.driver_of(method)
            found = None if driver.pages else casting.first_browser_step(test_id, test)
            if found is not None:
                path, verb = found
                lacks = f'the driver "{driver.name}" of the method "{method}" does not have'
                message = f'the step "{verb}" needs a browser, which {lacks}'
                hint = f'remove "{method}" from the methods of "{test_id}", or give it the driver playwright'
                yield Problem(context.place(path), message, hint)


def _lacks_verb(context: Context, casting: Casting) -> Iterator[Problem]:
    for test_id, test in context.spec["tests"].items():
        for method in casting.methods_of(test):
            driver = casting.driver_of(method)
            found = casting.first_browser_step(test_id, test, driver) if driver.pages else None
            if found is not None and found[1] not in VERBS:
                yield _foreign_step(context, test_id, method, *found)
            elif found is not None:
                path, verb = found
                steps = quoted(sorted(driver.verbs or ()), most=30)
                message = f'the driver "{driver.name}" of the method "{method}" has no step "{verb}"; it has {steps}'
                hint = f'name in the methods of "{test_id}" only those that have it'
                yield Problem(context.place(path), message, hint)


def _foreign_step(context: Context, test_id: str, method: str, path: Path, verb: str) -> Problem:
    """Return the problem of a step that only the driver of a plug-in has."""
    owner = next(kind.name for kind in context.provided.drivers.values() if any(one.name == verb for one in kind.steps))
    package, driver = context.provided.package_of("driver", owner), context.methods[method]["driver"]
    message = (
        f'the step "{verb}" is of the driver "{owner}" of {package}, and the method "{method}", by which "{test_id}" runs,'
        f' has the driver "{driver}"'
    )
    return Problem(
        context.place(path), message, f'name in the methods of "{test_id}" only those with the driver {owner}'
    )


@rule
def unreachable_test(context: Context) -> Iterator[Problem]:
    """No method can run a test: every driver lacks a step or a kind of test."""
    drivers = [method["driver"] for method in context.methods.values()]
    table = context.provided.drivers
    able = frozenset[Needs]().union(*(table[driver].able for driver in drivers))
    if able == frozenset(_NEEDS):
        return
    for test_id, test in context.spec["tests"].items():
        kind = resolve.kind_of(context.spec, test)
        if "methods" not in test and kind not in able:
            fitting = [name for name, driver in table.items() if kind in driver.able]
            message = f'no method can run "{test_id}": it needs {_NEEDS[kind]}, and the methods have {quoted(drivers)}'
            hint = f"add a method with the driver {' or '.join(fitting)}"
            yield Problem(context.place(("tests", test_id), key=True), message, hint)


@rule
def idle_method(context: Context) -> Iterator[Problem]:
    """A method runs no test: its driver can run none, or every test names others."""
    casting = Casting(context)
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
    casting = Casting(context)
    default = context.spec.get("defaults", {}).get("browser", DEFAULT_ENGINE)
    drivers = [driver for name in context.methods if (driver := casting.driver_of(name)).browsers]
    everywhere = frozenset(ENGINES).intersection(*(driver.browsers for driver in drivers))
    for test_id, test in context.spec["tests"].items():
        for browser, path in browsers_of(test_id, test, default):
            if browser in everywhere or browser not in ENGINES:
                continue
            methods = [casting.driver_of(name) for name in casting.methods_of(test)]
            mine = {driver.name: frozenset(driver.browsers) for driver in methods if driver.browsers}
            if (
                mine
                and not any(browser in drives for drives in mine.values())
                and casting.first_browser_step(test_id, test)
            ):
                message = (
                    f'"{test_id}" needs the browser "{browser}", which the driver {quoted(sorted(mine))} cannot drive'
                )
                can = sorted(frozenset(ENGINES).intersection(*mine.values()))
                hint = f"choose {quoted(can)}, or add a method with the driver playwright"
                yield Problem(context.place(path), message, hint)


def browsers_of(test_id: str, test: TestSpec, default: str) -> Iterator[tuple[str, Path]]:
    """Yield the browsers that a test runs in, and where they are named."""
    if "browser" in test.get("matrix", ()):
        for index, browser in enumerate(test["matrix"]["browser"]):
            yield str(browser), ("tests", test_id, "matrix", "browser", index)
        for index, entry in enumerate(test["matrix"].get(resolve.INCLUDE, ())):
            if isinstance(entry, dict) and "browser" in entry:
                yield str(entry["browser"]), ("tests", test_id, "matrix", resolve.INCLUDE, index, "browser")
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
    casting = Casting(context)
    default = context.spec.get("defaults", {}).get("browser", DEFAULT_ENGINE)
    for test_id, test in context.spec["tests"].items():
        if not any(casting.driver_of(name).browsers for name in casting.methods_of(test)):
            continue
        for browser, path in browsers_of(test_id, test, default):
            if browser in ENGINES and not ENGINES[browser].trusts and casting.first_browser_step(test_id, test):
                message = f'"{test_id}" runs in "{browser}", which cannot be given the ca_file of `tls`'
                can = quoted([kind.name for kind in ENGINES.values() if kind.trusts])
                hint = f"choose {can}, or write ignore_https_errors: true in place of ca_file, in a profile of its own"
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
    casting = Casting(context)
    tests = context.spec["tests"]
    if casting.all_alike:
        return
    for test_id, test in tests.items():
        if "needs" not in test and not any("needs" in group for _, group in resolve.groups_of(context.spec, test)):
            continue
        mine = casting.methods_of(test)
        for name in resolve.effective_needs(context.spec, test_id, test):
            need = context.test_ids.get(name)
            theirs = casting.methods_of(tests[need]) if need is not None else mine
            missing = [method for method in mine if method not in theirs] if theirs != mine else []
            for method in missing:
                own = resolve.need_names(test.get("needs", ()))
                path: Path = (
                    ("tests", test_id, "needs", own.index(name)) if name in own else ("tests", test_id, "group")
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
            edits = context.rewritten(
                (("methods", name, "workers"), workers, 1), (("methods", name, "session", "single"), True, False)
            )
            place = context.place(("methods", name, "workers"))
            yield Problem(place, message, "write workers: 1, or session: {single: false}", edits=edits)


@rule
def connect_address(context: Context) -> Iterator[Problem]:
    """The `url` of `connect` is no address of a server, or holds a token as text, which the record would show.

    An address begins with `ws://`, `wss://`, `http://` or `https://`, or with a name: `${env.PW_WS}`, `${COMPONENT.url}`.
    User info, a token in a query and a path like a token are secrets: they stand in variables.
    """
    known = {f"vars.{name}": value for name, value in context.spec.get("vars", {}).items()}
    for name, method in context.spec.get("methods", {}).items():
        if "connect" not in method:
            continue
        url = text(method["connect"]["url"], known)
        place = context.place(("methods", name, "connect", "url"))
        if why := remote_address.fault(url):
            hint = "write ws://HOST:PORT/PATH, or ${env.NAME} of a variable that has the address"
            yield Problem(place, f'"{url}" is no address of a server of browsers: {why}', hint)
        elif secret := remote_address.literal_secret(url):
            message = f"the address of the remote browsers holds {secret}, and a spec is no place for a secret"
            yield Problem(place, message, "put the address into a variable, and write url: ${env.PW_WS}")


@rule
def connect_no_page(context: Context) -> Iterator[Problem]:
    """A method has `connect`, and none of its tests has a page: no browser would ever be asked for."""
    casting, spec = Casting(context), context.spec
    for name, method in spec.get("methods", {}).items():
        if (
            "connect" in method
            and "connect" in casting.driver_of(name).keys
            and not any(
                resolve.kind_of(spec, test) == "browser" and name in casting.methods_of(test)
                for test in spec["tests"].values()
            )
        ):
            place = context.place(("methods", name, "connect"), key=True)
            yield Problem(
                place, f'"connect" has no effect on the method "{name}", whose tests have no page', "remove it"
            )


@rule
def connect_ca_file(context: Context) -> Iterator[Problem]:
    """A method has `connect`, and the suite a `ca_file`, which a browser of another machine cannot be given."""
    if not context.spec.get("tls", {}).get("ca_file"):
        return
    for name, method in context.spec.get("methods", {}).items():
        if "connect" in method:
            message = (
                f'the browsers of the method "{name}" run on another machine and cannot be given the ca_file of `tls`'
            )
            hint = "write ignore_https_errors: true in place of ca_file, or install the authority on that machine"
            yield Problem(context.place(("methods", name, "connect"), key=True), message, hint)


@rule
def engine_address(context: Context) -> Iterator[Problem]:
    """The `scheduler` of `engine` is no address of a scheduler of Dask: `tcp://HOST:PORT`, `tls://HOST:PORT`, or a variable."""
    given = context.spec.get("engine", {}).get("dask", {})
    if "scheduler" not in given:
        return
    known = {f"vars.{name}": value for name, value in context.spec.get("vars", {}).items()}
    url = text(given["scheduler"], known)
    if why := remote_address.scheduler_fault(url):
        hint = "write tcp://HOST:PORT, or ${env.NAME} of a variable that has the address"
        yield Problem(
            context.place(("engine", "dask", "scheduler")), f'"{url}" is no address of a scheduler: {why}', hint
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
    connect_address,
    connect_no_page,
    connect_ca_file,
    engine_address,
)
