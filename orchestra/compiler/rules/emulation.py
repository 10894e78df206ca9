"""Rules about `emulate`: values, browsers, and methods whose tests share a page."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.emulation import laid, places
from orchestra.compiler.lower.steps import Known, fill
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.rules.drivers import Casting
from orchestra.compiler.schema.pages import EmulateSpec
from orchestra.compiler.schema.tests import TestSpec
from orchestra.devices import devices
from orchestra.diagnostic import Edit
from orchestra.engines import DEFAULT_ENGINE, ENGINES
from orchestra.plan import PLAIN_PAGE, Emulation
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_DEGREES = {"latitude": 90, "longitude": 180}
_PERMISSIONS = frozenset(name for kind in ENGINES.values() for name in kind.grantable)


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _written(context: Context) -> Iterator[tuple[Path, EmulateSpec, list[Known]]]:
    """Yield each `emulate` of the spec with its path, and the names that have a value there: for each test of a matrix."""
    spec = context.spec
    variables = {f"vars.{name}": value for name, value in spec.get("vars", {}).items()}
    if "emulate" in spec.get("defaults", {}):
        yield ("defaults", "emulate"), spec["defaults"]["emulate"], [variables]
    for section in ("methods", "groups", "tests"):
        entries: Mapping[str, Any] = spec.get(section, {})  # type: ignore[assignment]
        for name, entry in entries.items():
            if "emulate" in entry:
                known: list[Known] = [variables]
                if section == "tests":
                    known = [{**variables, **values} for values in _values(name, entry)]
                yield (section, name, "emulate"), entry["emulate"], known


def _values(test_id: str, test: TestSpec) -> Iterator[Mapping[str, Any]]:
    """Yield the values that a matrix and rows give each test of an entry."""
    for _, values in resolve.matrix_tests(test_id, test):
        yield resolve.values_known(test, values) if values else {}


@rule
def emulation_value(context: Context) -> Iterator[Problem]:
    """A value of `emulate` is none that a browser has: a device, a locale, a time zone, a permission, a header, a place.

    Devices have Playwright's names. A device, a locale and a time zone must be known when the spec is compiled, so that
    the plan is exact; a user agent and headers can hold runtime variables.
    """
    for path, emulate, known in _written(context):
        for key in ("device", "locale", "timezone"):
            if key in emulate:
                values = dict.fromkeys(resolve.scalar_text(fill(emulate[key], names)) for names in known)
                yield from (problem for value in values for problem in _text(context, (*path, key), value))
        for index, name in enumerate(emulate.get("permissions", ())):
            if name not in _PERMISSIONS:
                message = f'unknown permission "{name}"{did_you_mean(name, _PERMISSIONS)}'
                hint = f"there are {quoted(sorted(_PERMISSIONS), most=30)}"
                place = context.place((*path, "permissions", index))
                yield Problem(place, message, hint, correction(name, _PERMISSIONS))
        named: set[str] = set()
        for name, value in emulate.get("extra_headers", {}).items():
            if _HEADER.fullmatch(name) is None:
                place = context.place((*path, "extra_headers", name), key=True)
                yield Problem(place, f'"{name}" is no name of a header', "write letters, digits and -: X-Tenant")
            yield from _late(context, (*path, "extra_headers", name), value)
            if name.lower() in named:
                place = context.place((*path, "extra_headers", name), key=True)
                yield Problem(
                    place, f'"{name}" is there twice: the case of a header has no meaning', "remove one of them"
                )
            named.add(name.lower())
        yield from _late(context, (*path, "user_agent"), emulate.get("user_agent", ""))
        for axis, most in _DEGREES.items():
            degrees: Any = emulate.get("geolocation", {}).get(axis, 0)
            if not -most <= degrees <= most:
                place = context.place((*path, "geolocation", axis))
                yield Problem(place, f"there is no {axis} {degrees}", f"it is from -{most} to {most}")


def _text(context: Context, path: Path, value: str) -> Iterator[Problem]:
    key = path[-1]
    place = context.place(path)
    if "${" in value:
        message = f'"{key}" becomes "{value}", which has no value before the test runs'
        yield Problem(place, message, "write it, or a variable, or a value of the matrix")
    elif key == "device" and value not in devices():
        near = did_you_mean(value, devices())
        hint = 'the names are Playwright\'s, such as "iPhone 14", "Pixel 7" and "Desktop Chrome"'
        yield Problem(place, f'unknown device "{value}"{near}', hint, correction(value, devices()))
    elif key == "locale" and _LOCALE.fullmatch(value) is None:
        edit = Edit(value, value.replace("_", "-")) if _LOCALE.fullmatch(value.replace("_", "-")) else None
        yield Problem(place, f'"{value}" is no locale', 'write a language, and a region after "-": de-DE', edit)
    elif key == "timezone" and _zones() and value not in _zones():
        near = did_you_mean(value, _zones())
        yield Problem(place, f'unknown time zone "{value}"{near}', "write an IANA name: Europe/Berlin, UTC")


def _late(context: Context, path: Path, value: str) -> Iterator[Problem]:
    if any(ord(letter) < ord(" ") and letter != "\t" for letter in value):
        yield Problem(context.place(path), f'"{path[-1]}" has a control character, such as a line end', "remove it")
    if "${saved." in value:
        message = f'"{path[-1]}" has a saved value, and the page is there before the first step'
        yield Problem(context.place(path), message, "use a variable, or `${env.NAME}`")


@rule
def emulation_browser(context: Context) -> Iterator[Problem]:
    """A test emulates what its browser does not have: a mobile device in Firefox, or a permission that it cannot grant."""
    default = context.spec.get("defaults", {}).get("browser", DEFAULT_ENGINE)
    for test_id, known, method, emulation in _emulated(context):
        browser = str(known.get("matrix.browser", context.spec["tests"][test_id].get("browser", default)))
        engine = ENGINES.get(browser)
        if engine is not None:
            if emulation.is_mobile and not engine.mobile:
                path = _nearest(context, test_id, method, "device")
                message = (
                    f'"{test_id}" runs in "{browser}", which cannot emulate the mobile device "{emulation.device}"'
                )
                hint = "choose chromium or webkit, or write viewport, user_agent and locale in place of device"
                yield Problem(context.place(path), message, hint)
            for name in emulation.permissions:
                if name in _PERMISSIONS and name not in engine.grantable:
                    path = _nearest(context, test_id, method, "permissions")
                    message = f'"{test_id}" runs in "{browser}", which cannot grant the permission "{name}"'
                    hint = f"it has {quoted(engine.grantable, most=30)}"
                    yield Problem(context.place(path), message, hint)


@rule
def emulation_session(context: Context) -> Iterator[Problem]:
    """Tests of a method that share a page differ in `emulate`, or their driver does not emulate at all.

    A session with `reset: page` or `reset: none` hands cookies and storage from one test to the next, and a browser
    cannot change language, device or time zone in between. With `reset: storage` a test with another `emulate` begins
    with a new browser. A driver of a plug-in emulates if it names the key `emulate`.
    """
    first: dict[str, tuple[str, Emulation]] = {}
    casting = Casting(context)
    for test_id, _, method, emulation in _emulated(context, everything=True):
        driver = casting.driver_of(method)
        path = _nearest(context, test_id, method)
        if "emulate" not in driver.keys:
            if emulation != PLAIN_PAGE:
                message = (
                    f'the driver "{driver.name}" of the method "{method}" does not emulate anything for "{test_id}"'
                )
                yield Problem(context.place(path, key=True), message, "name other methods in its `methods`")
            continue
        session = context.methods[method].get("session", {})
        if "session" not in driver.keys or session.get("reset", "storage") == "storage":
            continue
        before, other = first.setdefault(method, (test_id, emulation))
        if other != emulation:
            message = (
                f'"{test_id}" emulates another page than "{before}", and the method "{method}" shares one with'
                f" reset: {session['reset']}"
            )
            hint = "write the same `emulate` for both (of the method), reset: storage, or a method of their own"
            yield Problem(context.place(path, key=True), message, hint)


def _emulated(context: Context, *, everything: bool = False) -> Iterator[tuple[str, Known, str, Emulation]]:
    """Yield each test with a page and each of its methods, with its emulation; only where something is emulated.

    With `everything`, all tests if any of the spec emulates something.
    """
    if not any(True for _ in _written(context)):
        return
    casting = Casting(context)
    for test_id, test in context.spec["tests"].items():
        if casting.first_browser_step(test_id, test) is None:
            continue
        for method in casting.methods_of(test):
            found = list(places(context.spec, test_id, method))
            if found or everything:
                variables = {f"vars.{name}": value for name, value in context.spec.get("vars", {}).items()}
                for values in _values(test_id, test):
                    yield test_id, values, method, laid((one for _, one in found), {**variables, **values})


def _nearest(context: Context, test_id: str, method: str, key: str = "") -> Path:
    """Return the path of the nearest `emulate` of a test, or of a key in it; the test itself without one."""
    for path, place in reversed(list(places(context.spec, test_id, method))):
        if key in place:
            return (*path, key)
        if not key:
            return path
    return ("tests", test_id)


RULES = (emulation_value, emulation_browser, emulation_session)
