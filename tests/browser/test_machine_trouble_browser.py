"""Trouble of the machine that browsers meet: a TMPDIR that they cannot use, and no display."""

from __future__ import annotations

import pytest

from tests.support.nights import at_night, by_day
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

SPEC = """orchestra: 1
suite: s
methods: {cli: {driver: playwright}, mcp: {driver: mcp}}
tests:
  a: {title: A page, steps: [{goto: "about:blank"}]}
  b: {title: A program, methods: [cli], command: {argv: [python, -c, "import os; open('seen', 'w').write(os.environ['TMPDIR'])"]}}
"""


NO_HOME = {"XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""}


# One that is given a shorter name, and one that cannot be written to; at night one that does not exist.
@pytest.mark.parametrize("kind", by_day(["long", "no folder", "no files in it"], "long", "no files in it"))
def test_a_tmpdir_that_browsers_cannot_use_fails_no_test(project: SuiteProject, chromium, tmp_path, kind):
    folder = {"long": tmp_path / ("x" * 100), "no folder": tmp_path / "no", "no files in it": "/proc"}[kind]
    env = {"TMPDIR": str(folder)}
    if kind == "long":
        folder.mkdir()
        env |= {**NO_HOME, "HOME": "/proc", "ORCHESTRA_BROWSER": chromium.executable}  # nor one with a home
    project.write(SPEC).compile()
    done = project.run("run", **env)
    assert done.code == 0, done.err
    notes = [event["body"]["message"] for event in project.events("note") if event["body"]["kind"] == "tmpdir"]
    assert [note.partition(" (")[0] for note in notes] == [f"TMPDIR {folder} cannot be used by browsers"] * (
        kind != "long"
    )
    assert (project.root / "seen").read_text() == str(folder), "a program of the user's has what the user says"
    assert ("warning  tmpdir " in project.run("doctor", TMPDIR=str(folder)).out) == (kind != "long")


@pytest.mark.parametrize("display", ["", ":98765"])
def test_a_browser_that_is_to_be_seen_and_has_no_display_is_of_the_machine(project: SuiteProject, chromium, display):
    project.write(SPEC).compile()
    done = project.run("run", "--headed", DISPLAY=display, WAYLAND_DISPLAY="")
    assert done.code == 3
    assert "error: --headed shows browsers, and " in done.err
    assert "xvfb-run -a orchestra run --headed" in done.err
    assert project.run("run", "--headed", "b", DISPLAY=display, WAYLAND_DISPLAY="", TMPDIR="/tmp").code == 0


@pytest.mark.parametrize(
    "home",
    [
        at_night("", id="none"),
        at_night("/proc", id="read-only"),  # by day with a TMPDIR, above
        at_night("/dev/null", id="a file"),
    ],
)
def test_a_home_that_browsers_cannot_use_fails_no_test(project: SuiteProject, chromium, home):
    """The browser is named: one in a cache of that home is not there."""
    project.write(SPEC).compile()
    done = project.run("run", **NO_HOME, HOME=home, TMPDIR="/tmp", ORCHESTRA_BROWSER=chromium.executable)
    assert done.code == 0, done.err
