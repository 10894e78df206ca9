"""What else is recorded of a page on request: Playwright's trace, masked inside, and a picture of each step."""

from __future__ import annotations

import os
import zipfile

import pytest

from orchestra.runtime.browsers.places import film_program
from orchestra.runtime.mask import Masks
from tests.support.nights import at_night
from tests.support.project import SuiteProject

SECRET = "s3cr3t-of-the-page"
SPEC = """orchestra: 1
suite: s
secrets: [THE_TOKEN]
methods: {cli: {driver: playwright, workers: 1}, mcp: {driver: mcp}}
health:
  web:
    service: {run: [python, -m, http.server, "${port}", --bind, 127.0.0.1, --directory, web], port_range: 8800-8899}
    ready: {http: {path: /}}
defaults: {requires: [web], record: [trace, pictures, steps]}
tests:
  bad:
    steps:
      - goto: "${web.url}/page.html?token=${env.THE_TOKEN}"
      - expect: {role: heading, to: {be: visible}}
      - expect: {role: heading, within_seconds: 0.2, to: {have_text: nothing of this}}
  good: {steps: [{goto: "${web.url}/page.html"}, {expect: {role: heading, to: {be: visible}}}]}
  off: {evidence: "off", steps: [{goto: "${web.url}/page.html"}, {expect: {text: nowhere, within_seconds: 0.2, to: {be: visible}}}]}
"""
HEADING = {"left": 40, "top": 30, "width": 200, "height": 50}
STYLE = "position: absolute; left: 40px; top: 30px; width: 200px; height: 50px; margin: 0"
PAGE = f"<!doctype html><title>P</title><h1 style='{STYLE}'>Page</h1><script>document.title = location.search</script>"


@pytest.mark.browser
def test_a_failed_test_keeps_trace_and_pictures_and_others_leave_nothing(project: SuiteProject, chromium):
    project.write(SPEC).write(PAGE, "web/page.html").compile()
    done = project.run("run", THE_TOKEN=SECRET)
    assert done.code == 1, done.err
    kept = {
        event["body"]["task"]: {(one["kind"], one["path"].rpartition("/")[2]) for one in event["body"]["evidence"]}
        for event in project.events("attempt_finished")
    }
    pictures = {("screenshot", f"steps-{name}.png") for name in ("1-goto", "2-expect")}
    pictures |= {("picture", f"steps-{name}.jpg") for name in ("1-goto", "2-expect")}
    assert kept["cli:bad"] >= {("trace", "trace.zip"), *pictures}
    assert kept["mcp:bad"] >= {("trace", "trace.zip"), *pictures}
    marks = [
        one["marks"]
        for event in project.events("attempt_finished")
        for one in event["body"]["evidence"]
        if one["path"].endswith("bad/1/failure.png")
    ]
    assert marks == [[HEADING], [HEADING]], "by both methods, and the only heading of the page"
    for task in ("cli:good", "mcp:good", "cli:off", "mcp:off"):
        assert not {kind for kind, _ in kept[task]} & {"trace", "screenshot", "picture"}, task
        folder = project.folder / "attempts" / task.replace(":", "/") / "1"
        assert not [path for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".zip"}], task
    for method in ("cli", "mcp"):
        with zipfile.ZipFile(project.folder / f"attempts/{method}/bad/1/trace.zip") as trace:
            assert "trace.trace" in trace.namelist()
            parts = [trace.read(name) for name in trace.namelist()]
        assert not [part for part in parts if SECRET.encode() in part]
        assert [part for part in parts if b"***THE_TOKEN***" in part]
        assert [part for part in parts if b'"method":"goto"' in part], "what is done by the server is in it"
    assert project.run("audit").code == 0


FILMED = (
    SPEC.replace("[trace, pictures, steps]", "[video]")
    .replace("secrets: [THE_TOKEN]\n", "")
    .replace("?token=${env.THE_TOKEN}", "")
)


def filmed(project: SuiteProject) -> dict[str, list[str]]:
    """The paths of the videos that are evidence, by task."""
    return {
        event["body"]["task"]: [one["path"] for one in event["body"]["evidence"] if one["kind"] == "video"]
        for event in project.events("attempt_finished")
    }


@pytest.mark.browser
@pytest.mark.parametrize(
    "methods", [("cli",), at_night(("cli", "mcp"))], ids="-".join
)  # what is missing is one program
def test_without_the_program_that_makes_videos_the_tests_run_and_the_mend_is_told(
    project: SuiteProject, chromium, methods
):
    spec = FILMED if len(methods) == 2 else FILMED.replace(", mcp: {driver: mcp}", "")
    project.write(spec).write(PAGE, "web/page.html").compile()
    without = {"PLAYWRIGHT_BROWSERS_PATH": str(project.root / "none"), "ORCHESTRA_BROWSER": str(chromium.executable)}
    done = project.run("run", **without)
    assert done.code == 1, done.err
    assert "no video of bad and 1 more is recorded on this machine" in done.err
    assert "playwright install ffmpeg" in done.err
    assert project.verdicts() == {
        f"{method}:{test}": word
        for method in methods
        for test, word in (("bad", "failed"), ("good", "passed"), ("off", "failed"))
    }
    assert not any(filmed(project).values())
    said = {event["body"]["task"]: event["body"]["facts"].get("video") for event in project.events("attempt_finished")}
    assert {said[f"{method}:off"] for method in methods} == {None}
    for task in (*(f"{method}:bad" for method in methods), "cli:good"):
        assert "playwright install ffmpeg" in said[task], task
    told = project.run("doctor", **without).out
    assert "bad records a video: it will run without" in told
    assert "playwright install ffmpeg" in told
    assert project.run("audit").code == 0


@pytest.mark.browser
def test_a_video_is_kept_of_a_test_that_fails_by_both_methods(project: SuiteProject, chromium):
    if film_program(os.environ) is None:
        pytest.skip("Playwright's ffmpeg is not on this machine (playwright install ffmpeg)")
    project.write(FILMED).write(PAGE, "web/page.html").compile()
    done = project.run("run")
    assert done.code == 1, done.err
    assert "no video" not in done.err
    kept = filmed(project)
    for task in ("cli:bad", "mcp:bad"):
        [path] = kept[task]
        film = project.folder / path
        assert film.read_bytes()[:4] == b"\x1aE\xdf\xa3", task  # a file of Matroska, which WebM is
    assert not [kept[task] for task in ("cli:good", "mcp:good", "cli:off", "mcp:off") if kept[task]]
    assert len(list(project.folder.rglob("*.webm"))) == 2
    assert project.run("audit").code == 0
    film.write_bytes(film.read_bytes()[:-1])
    assert project.run("audit").code == 1


def test_a_secret_packed_in_an_archive_is_taken_out(tmp_path):
    masks = Masks(["K"], {"K": SECRET})
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in.txt", f"before {SECRET} behind " * 50)
        archive.writestr("whole.bin", bytes(range(256)))
    (tmp_path / "no.zip").write_bytes(b"this is no archive, " + SECRET.encode())
    clean = (tmp_path / "clean.zip").open("wb")
    with clean, zipfile.ZipFile(clean, "w") as archive:
        archive.writestr("a", "b")
    untouched = (tmp_path / "clean.zip").read_bytes()
    masks.clean(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("in.txt").decode() == "before ***K*** behind " * 50
        assert archive.read("whole.bin") == bytes(range(256))
    assert (tmp_path / "no.zip").read_bytes() == b"this is no archive, ***K***"
    assert (tmp_path / "clean.zip").read_bytes() == untouched
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "clean.zip", "no.zip"]
