"""Check whether this machine can record the videos of tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestra.plan import Test
from orchestra.runtime.attempt import wants_film
from orchestra.runtime.browsers.places import film_program

FIX = "`playwright install ffmpeg` installs the program that records it"


def unfilmed(tests: Iterable[Test], env: Mapping[str, str]) -> str:
    """Return a note before a run whose videos cannot be recorded; empty if they can, or if there are none."""
    wanted = sorted({test.id for test in tests if wants_film(test)})
    if not wanted or film_program(env) is not None:
        return ""
    more = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    return f"no video of {wanted[0]}{more} is recorded on this machine; the tests run without: {FIX}"
