"""The browsers of a run: one that is proven to start for each engine that a selected test drives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from orchestra import names
from orchestra.diagnostic import Place
from orchestra.engines import REQUIRED_ENGINE
from orchestra.errors import MachineError, UsageError
from orchestra.plan import Method, Test
from orchestra.runtime.attempt import wants_film
from orchestra.runtime.browsers import finder
from orchestra.runtime.browsers.finder import Browser, Missing
from orchestra.runtime.browsers.places import FILM_FIX, film_program
from orchestra.runtime.browsers.remote import Refusal, address, prove

_NO_DISPLAY = "leave out --headed, or give it a display: xvfb-run -a orchestra run --headed"


def has_display(environment: Mapping[str, str]) -> bool:
    """Return True if the environment has a display."""
    return not sys.platform.startswith("linux") or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def engines(
    wanted: Sequence[str], root: Path, environment: Mapping[str, str], *, headed: bool
) -> dict[str, Browser | Missing]:
    """Return the browser, or the missing one, of each engine.

    Args:
        wanted: the engine of each selected test, empty for one without a browser.
        root: the project root.
        environment: names the browsers that are to be tried first.
        headed: whether they must show a window.

    Raises:
        MachineError: the browser that a machine must have is not there, and
            no selected test could run without a browser; or no window can be shown.
    """
    if headed and any(wanted) and not has_display(environment):
        message = "--headed shows browsers, and there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
        raise MachineError(message, _NO_DISPLAY)
    found: dict[str, Browser | Missing] = {
        engine: finder.find(engine, environment, root, headed=headed) for engine in sorted(set(wanted) - {""})
    }
    for one in found.values() if headed else ():
        if isinstance(one, Missing):
            tried = "; ".join((one.reason, *one.tried))
            fixes = "\n".join(f"  - {fix}" for fix in (_NO_DISPLAY, *one.fixes))
            raise MachineError(f"--headed shows browsers, and {tried}", f"any of these fixes it:\n{fixes}")
    missing = found.get(REQUIRED_ENGINE)
    if isinstance(missing, Missing) and all(isinstance(found.get(engine), Missing) for engine in wanted):
        fixes = "\n".join(f"  - {fix}" for fix in missing.fixes)
        raise MachineError(missing.reason, f"any of these fixes it:\n{fixes}")
    return found


def remote(
    methods: Mapping[str, tuple[Method, frozenset[str]]],
    environment: Mapping[str, str],
    place: Callable[[str], Place | None],
    mask: Callable[[str], str],
    *,
    headed: bool,
) -> None:
    """Check that the servers of remote browsers give one of each engine, where they are not components of the run.

    Args:
        methods: those with `connect`, and the engines that their selected tests drive.
        environment: of the run.
        place: where a JSON pointer is in the spec.
        mask: removes secrets.
        headed: whether browsers must show a window.

    Raises:
        UsageError: the address of one has no value.
        MachineError: one gives no browser.
    """
    for name, (method, wanted) in methods.items():
        where = place(f"/methods/{name}/connect/url")
        if headed:
            message = f'--headed shows browsers, and those of the method "{name}" run on another machine'
            raise MachineError(message, "leave out --headed, or select tests of another method")
        url = method.connect.url if method.connect is not None else ""
        late = names.names_in(url)
        if not all(one.startswith("env.") for one in late):
            continue  # a component of the run, which starts it
        known = {one: environment[one[4:]] for one in late if one[4:] in environment}
        try:
            final = address(url, known)
        except UsageError as error:
            raise UsageError(f"{where}: {error.message}" if where else error.message, error.hint) from None
        for engine in sorted(wanted):
            if isinstance(found := prove(final, engine, environment), Refusal):
                message = mask(f'the method "{name}": {found.message}')
                raise MachineError(f"{where}: {message}" if where else message, found.hint)


def unfilmed(tests: Iterable[Test], env: Mapping[str, str]) -> str:
    """Return a note before a run whose videos cannot be recorded; empty if they can, or if there are none."""
    wanted = sorted({test.id for test in tests if wants_film(test)})
    if not wanted or film_program(env) is not None:
        return ""
    more = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    return f"no video of {wanted[0]}{more} is recorded on this machine; the tests run without: {FILM_FIX}"
