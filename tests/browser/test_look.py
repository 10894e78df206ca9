"""`expect: {look: …}` by both browser methods: pictures are written, compared, refused."""

from __future__ import annotations

import sys

import pytest

from orchestra.runtime.attempt import Looks
from tests.support.both import failed, passed
from tests.support.project import ANY_LOAD
from tests.support.site import page

pytestmark = pytest.mark.browser

FOLDER = "specs/looks/shop/T1"
END = f"chromium-{sys.platform}.png"
KEPT, WRITING = Looks(FOLDER, "chromium"), Looks(FOLDER, "chromium", ("*",))
MOVING = """<style>body { margin: 0; height: 900px } div { width: 90px; height: 40px; background: teal }
@keyframes turn { to { transform: rotate(1turn) } } #turns { animation: turn 1s infinite }</style>
<div id=turns></div><input autofocus><p id=now style="height: 20px"></p><script>now.textContent = performance.now()</script>"""
RUNNING = page("<p id=now></p><script>setInterval(() => { now.textContent = performance.now() }, 10)</script>")
BIG, SMALL = (
    page("<div id=box style='width: 60px; height: 50px'></div>"),
    page("<div id=box style='width: 60px; height: 40px'></div>"),
)

WINDOW = {"viewport": {"width": 320, "height": 240}}
"""A picture of a larger one costs ten times as much."""


def look(name, within_seconds=30, **more):
    return {"expect": {"look": name, "within_seconds": within_seconds, **more}}


def shown(colour="teal"):
    return [page(MOVING.replace("teal", colour)), WINDOW]


def files(result):
    return {one.kind: one.path for one in result.evidence if one.kind.startswith("look")}


def test_pictures_are_written_once_and_compared_from_then_on(both):
    steps = [
        look("the page", full_page=True, mask=[{"css": "#now"}]),
        look("turning", css="#turns"),
        look("../../x", css="#turns", max_diff_ratio=0.1, threshold=0.1),
    ]
    for result in failed(both(*shown(), *steps, looks=KEPT)):
        assert result.failure.message == 'there is no picture for the look "the page"'
        assert result.failure.expected == f"{FOLDER}/the-page-aafdd3f2-{END}"
        assert files(result) == {"look_actual": "look-the-page-aafdd3f2-actual.png"}
    for result in passed(both(*shown(), *steps, looks=WRITING)):
        assert result.facts["looks"] == dict.fromkeys(["the page", "turning", "../../x"], "added")
    for result in passed(both(*shown(), *steps, look("turning", css="#turns"), looks=WRITING)):
        assert "looks" not in result.facts
    for result in failed(both(*shown("tan"), *steps, looks=KEPT)):
        found = result.failure.found
        assert result.failure.message == f'the look "the page" is another one: {found}'
        assert found.endswith(" are different")
        assert result.failure.expected == "no pixel different"
        assert "captured a stable screenshot" in result.failure.log
        assert set(files(result)) == {"look_expected", "look_actual", "look_diff"}
    for result in passed(
        both(
            *shown("tan"),
            look("turning", css="#turns"),
            look("../../x", css="#turns", max_diff_ratio=1),
            looks=Looks(FOLDER, "chromium", ("turning",)),
        )
    ):
        assert result.facts["looks"] == {"turning": "changed"}
    written = sorted(path.name for path in both.folder.rglob("specs/looks/shop/T1/*"))
    assert written == sorted([f"the-page-aafdd3f2-{END}", f"turning-{END}", f"x-9cdf6a50-{END}"] * 2)


def test_another_size_a_page_that_does_not_rest_and_a_broken_picture_are_told_apart(both):
    passed(both(BIG, look("box", css="#box"), RUNNING, WINDOW, look("masked", mask=[{"css": "p"}]), looks=WRITING))
    (size, _), (unrest, _) = both.cases(
        [SMALL, look("box", css="#box")], [RUNNING, WINDOW, look("masked", 4)], opened=False, looks=KEPT
    )
    for result in failed(size, case="size"):
        assert result.failure.message == 'the look "box" has another size'
        assert (result.failure.expected, result.failure.found) == ("60 x 50 pixels", "60 x 40 pixels")
    for result in failed(unrest, case="unrest"):
        assert result.failure.message.endswith("did not settle within 4 s: two pictures in a row were never the same")
        assert set(files(result)) == {"look_actual"}
    (gone, _), (two, _) = both.cases(
        [SMALL, look("gone", 1, css="#gone")], [page("<p>a<p>b"), look("two", css="p")], opened=False, looks=WRITING
    )
    for result in failed(gone, case="gone"):
        assert result.failure.message == 'no picture of {css: "#gone"} within 1 s'
    for result in failed(two, case="two"):
        assert result.failure.message == '{css: "p"} matches 2 elements'
        assert result.failure.found.startswith("2 elements: 1) <p>a")
    for picture in both.folder.rglob("box-*.png"):
        picture.write_text("version https://git-lfs.github.com/spec/v1")
    for result in failed(both(SMALL, look("box", css="#box"), looks=KEPT), "error", "setup"):
        assert result.failure.message == f'"{FOLDER}/box-{END}" is no PNG picture'
    passed(both(SMALL, look("box", css="#box"), look("box", css="#box"), looks=WRITING))


SPEC = f"""
orchestra: 1
suite: s
methods: {{cli: {{driver: playwright, workers: 1}}}}
baseline: {{{ANY_LOAD}}}
tests:
  B001: {{inputs: [x.txt], steps: [{{goto: "URL/steps.html"}}, {{expect: {{look: start, css: h1}}}}]}}
  B002: {{steps: [{{goto: "URL/steps.html"}}]}}
"""


@pytest.mark.usefixtures("chromium")
def test_a_run_writes_the_pictures_that_it_is_asked_for(project, step_url):
    (project.root / "x.txt").write_text("1")
    project.write(SPEC.replace("URL", step_url)).compile()
    none = project.run("run", "--update-looks", "stat")
    assert (none.code, 'no selected test has the look "stat" (did you mean "start"?)' in none.err) == (2, True)
    done = project.run("run", "--update-looks", "start")
    assert (done.code, set(project.verdicts())) == (0, {"cli:B001"}), done.out
    picture = project.root / f"specs/looks/s/B001/start-{END}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "added the look start" in project.run("report", "--format", "md").out
    picture.unlink()
    assert project.run("run", "B001").code == 1
    (ended,) = project.events("attempt_finished")
    assert ended["body"]["error"]["message"] == 'there is no picture for the look "start"'
