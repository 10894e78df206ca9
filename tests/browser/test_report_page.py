"""report.html in a real browser: opened from its file, with everything that a run may hold, and with ten thousand tests."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench import ledger as ledger_bench
from bench import shards
from orchestra import plan as plans
from orchestra.ledger.author import UNKNOWN
from orchestra.ledger.event import ResourceSampled
from orchestra.ledger.life import Seen
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.report.compare.comparison import compare
from orchestra.report.compare.sides import Side
from orchestra.report.compared_page import compared_page
from orchestra.report.evidence_text import contents
from orchestra.report.html import html, shell
from orchestra.report.loading import report_of
from orchestra.report.page import page as page_of
from orchestra.report.page_data import Progress
from orchestra.report.rows import Report
from orchestra.runtime.shards.merge import merge, sources_of
from tests.support import runs as samples
from tests.support.hostile import NASTY
from tests.support.nights import at_night
from tests.support.pages import data_of
from tests.support.paths import ROOT

FOLDER = f".orchestra/market/runs/{samples.RUN}"
VIEWS = (
    "#/",
    "#/test/B003/cli",
    "#/test/B003/cli/1",
    "#/test/B003/cli/all",
    "#/test/B002/mcp",
    "#/test/B004/cli",
    "#/timeline",
    "#/needs",
    "#/history",
    "#/run",
)
WIDTHS = (360, 768, 1280, 2560)
DAY = ((360, "dark"), (1280, "light"))
PICTURES = ROOT / "test-results" / "report"
"""Pictures of each view at each width, in light and dark, for people to look at; git ignores them."""
NUL = "\0"  # in no name of a file
READY = "html[data-ready]"


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium.executable, args=list(chromium.args), env=dict(chromium.env) or None
        )
        yield launched
        launched.close()


class Watched:
    """A page with all that must not happen in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.files = True  # whether all files are there that the page links to
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: self.console(message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error {error}"))
        page.on("request", lambda request: self.wrong.append(request.url) if self.outside(request.url) else None)

    def console(self, text: str) -> None:
        if self.files or "ERR_FILE_NOT_FOUND" not in text:
            self.wrong.append(f"console {text}")

    @staticmethod
    def outside(url: str) -> bool:
        return not url.startswith(("file:", "data:"))

    def open(self, text: str, folder: Path, view: str = "#/") -> Page:
        file = folder / "report.html"
        file.write_text(text)
        self.page.goto(f"{file.as_uri()}{view}")
        self.page.wait_for_selector(READY)
        return self.page


def go(page: Page, view: str) -> None:
    """Lead a page to one of its views, and wait until it is drawn."""
    page.evaluate("(view) => { location.hash = view; }", view)
    page.wait_for_function("(view) => document.documentElement.dataset.shown === view", arg=view)


@pytest.fixture
def watched(browser) -> Iterator[Watched]:
    context = browser.new_context()
    seen = Watched(context.new_page())
    yield seen
    context.close()
    assert seen.wrong == []


def picture(width: int = 40, height: int = 30) -> bytes:
    """Return a real PNG."""
    rows = b"".join(b"\0" + bytes([200, 60, 60]) * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def everything(tmp_path) -> Report:
    shot = tmp_path / "attempts/cli/B003/2/shot 1.png"
    shot.parent.mkdir(parents=True)
    shot.write_bytes(picture())
    report = samples.reported(
        samples.PLAN, samples.ledger(tmp_path, samples.everything()), lambda _: "specs/m.yaml:7:9"
    )
    runs = [(f"run{number}", 1.0 if number < 12 else 2.0 + number / 1000) for number in range(24)]
    looks = [ResourceSampled(cpu_percent=50.0 + at, memory_percent=25.0, workers=2, seconds=10.0) for at in (0, 30)]
    seen = tuple(Seen(at, f"2026-01-02T03:04:{5 + 10 * at:02}.000000Z", look) for at, look in enumerate(looks, 1))
    return replace(
        report,
        samples=seen,
        earlier=tuple(RunRecord(run, executions={"cli:B001": passing(took)}) for run, took in runs),
    )


def passing(seconds: float) -> Execution:
    return Execution("passed", attempts=(Attempt("passed", seconds),))


def many(number: int) -> Report:
    """Return the report of a run of so many tests, of which every hundredth failed."""
    tests = tuple(plans.Test(f"T{index:05}", f"Test number {index}", ("cli",)) for index in range(number))
    plan = msgspec.structs.replace(samples.PLAN, tests=tests, methods=samples.PLAN.methods[:1], gates=())
    made = [samples.run_started(plan, [f"cli:{test.id}" for test in tests])]
    for index, test in enumerate(tests):
        task = f"cli:{test.id}"
        if index % 100 == 7:
            made += [*samples.attempt(task, 1, "failed", error=samples.failure()), samples.verdict(task, "failed")]
        else:
            made += samples.passed(task)
    return samples.reported(plan, samples.events([*made, samples.run_finished()]))


def test_the_first_screen_has_the_verdict_each_test_and_the_gates_that_decided(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path)
    assert page.inner_text(".headline") == "Failed: 4 of 10 tests and 2 gates"
    table = [row.split("\t") for row in page.inner_text(".matrix tbody").splitlines() if row.strip()]
    assert len(page.query_selector_all(".matrix tbody tr.item")) == 6, table
    cells = page.eval_on_selector_all("tr.item .cell .badge", "all => all.map((one) => one.lastChild.textContent)")
    assert sorted(cells) == sorted(row.verdict for row in everything.rows)
    assert "after:pass_rate" in page.inner_text("main")
    assert "pass_rate = 0.25" in page.inner_text("main")
    commands = page.eval_on_selector_all(".command code", "all => all.map((one) => one.textContent)")
    assert commands == [
        "orchestra run --suite market B003 'B005[NVDA]' --method cli",
        "orchestra run --suite market B004 --method mcp",
    ]


def test_a_failure_shows_step_message_both_texts_and_its_picture(watched, everything, tmp_path):
    report = replace(everything, tool=".venv/bin/orchestra", profile="staging")
    page = watched.open(html(report, FOLDER), tmp_path, "#/test/B003/cli")
    text = page.inner_text("main")
    assert ".venv/bin/orchestra run --suite market --profile staging B003 --method cli" in text
    for part in ("Step 2 expect", 'the heading "Market" is not visible', "no such element", "look at the screenshot"):
        assert part in text
    page.wait_for_function("document.querySelector('.shots img').naturalWidth === 40")
    page.click("text=attempt 1")
    page.wait_for_selector("text=nothing answered")
    assert page.url.endswith("#/test/B003/cli/1")
    page.click("nav[aria-label=Methods] >> text=mcp")
    page.wait_for_selector("h1 + .row >> text=mcp")


def test_the_element_of_a_failure_is_framed_and_each_step_and_attempt_is_shown(watched, tmp_path):
    folder = "attempts/cli/B001/1"
    (tmp_path / folder).mkdir(parents=True)
    looks = [f"look-start-{part}.png" for part in ("expected", "actual", "diff")]
    for name in ("failure.png", "steps-1-goto.jpg", "steps-2-click.jpg", *looks):
        (tmp_path / folder / name).write_bytes(picture(400, 300))
    marks = [
        {"left": 100, "top": 30, "width": 200, "height": 60},
        {"left": 900, "top": 900, "width": 5, "height": 5},
    ]
    kept = [samples.evidence(f"{folder}/failure.png", "screenshot") | {"marks": marks}]
    kept += [samples.evidence(f"{folder}/steps-{name}.jpg", "picture") for name in ("1-goto", "2-click")]
    kept += [samples.evidence(f"{folder}/{name}", f"look_{name[11:-4]}") for name in looks]
    made = [
        samples.run_started(selection=["cli:B001"]),
        *samples.attempt("cli:B001", 1, "failed", error=samples.failure(), evidence=kept, retry=True),
        *samples.attempt("cli:B001", 2, "failed", error=samples.failure(message="another reason")),
        samples.verdict("cli:B001", "failed", attempts=2),
        samples.run_finished(),
    ]
    text = html(samples.reported(samples.PLAN, samples.events(made)), FOLDER)
    page = watched.open(text, tmp_path, "#/test/B001/cli/1")
    page.wait_for_selector(".frame")
    shown = page.locator(".framed img").bounding_box()
    frame = page.locator(".frame").bounding_box()  # one alone: the other element is below the picture
    places = ((frame[side] - shown[side]) / shown[size] for side, size in (("x", "width"), ("y", "height")))
    sizes = (frame[size] / shown[size] for size in ("width", "height"))
    assert [*places, *sizes] == pytest.approx([0.25, 0.1, 0.5, 0.2], abs=0.01)
    inside = page.eval_on_selector(
        ".frame", "(one) => [one.clientWidth, one.clientHeight, getComputedStyle(one).boxShadow]"
    )
    assert inside[:2] == pytest.approx([frame["width"], frame["height"]], abs=1), "it is around an element of one line"
    assert "inset" not in inside[2]
    assert page.locator("h2 >> text=Look start").count() == page.locator("h2 >> text=1 screenshot").count() == 1
    page.get_by_label("Expected picture of start over the actual one").fill("20")
    assert page.locator(".slider .over").evaluate("(one) => one.style.clipPath") == "inset(0px 80% 0px 0px)"
    assert page.locator(".slider + .shots figcaption").all_inner_texts() == ["expected", "actual", "diff"]
    assert page.locator(".strip figcaption").all_inner_texts() == ["step 1 goto", "step 2 click"]
    page.click("text=side by side")
    page.wait_for_selector(".columns .frame")
    assert page.url.endswith("#/test/B001/cli/all")
    heads = page.locator(".columns h2").all_inner_texts()
    assert [head.partition("\n")[0].strip() for head in heads] == ["Attempt 1", "Attempt 2"]
    messages = page.locator(".columns .message").all_inner_texts()
    assert messages == ['the heading "Market" is not visible', "another reason"]


def test_the_part_of_a_value_that_differs_is_marked_and_a_trace_is_linked(watched, tmp_path):
    values = {
        "B001": ('to have the text "5.40 EUR"', '"6.00 EUR"'),
        "B002": ('to contain "a tea \\"x\\""', '"a pot of tea \\"x\\""'),
        "B003": ("status 200", "status 503"),
        "B004": ("visible", ""),
        "B005": ("visible", "hidden by a banner"),
    }
    made = [samples.run_started(selection=[f"cli:{test}" for test in values])]
    for test, (expected, found) in values.items():
        error = samples.failure(expected=expected, found=found, log=f"waiting for {test}")
        kept = [samples.evidence(f"attempts/cli/{test}/1/trace.zip", "trace")]
        made += [*samples.attempt(f"cli:{test}", 1, "failed", error=error, evidence=kept)]
        made += [samples.verdict(f"cli:{test}", "failed")]
    page = watched.open(
        html(samples.reported(samples.PLAN, samples.events([*made, samples.run_finished()])), FOLDER), tmp_path
    )
    traces = "all => all.map((one) => one.getAttribute('href').split('/').slice(-3).join('/'))"
    linked = [f"{test}/1/trace.zip" for test in values]
    assert page.eval_on_selector_all(".failures .trace", traces) == linked
    assert page.eval_on_selector_all("tr.item .trace", traces) == linked
    marks = {}
    for test in values:
        go(page, f"#/test/{test}/cli")
        assert page.inner_text(".log pre") == f"waiting for {test}"
        sides = page.locator(".pair > div").all()
        marks[test] = [side.locator("mark").all_inner_texts() for side in sides]
        assert (sides[0].locator("pre").inner_text(), sides[1].inner_text()[6:].strip()) == (
            values[test][0],
            values[test][1] or "nothing",
        )
    assert marks == {
        "B001": [["5.40"], ["6.00"]],
        "B002": [[], ["pot", " ", "of", " "]],
        "B003": [["200"], ["503"]],
        "B004": [[], []],
        "B005": [[], []],
    }


def test_each_case_of_a_wrapped_runner_is_shown(watched, tmp_path):
    shot = "attempts/cli/B001/1/test-results/shot 1.png"
    cases = [
        {"name": "cart > adds", "verdict": "passed", "seconds": 0.25},
        {
            "name": "cart > pays",
            "verdict": "failed",
            "seconds": 2.0,
            "message": "no\n<b>card</b>",
            "more": ["tear-down"],
            "attachments": ["test-results/shot 1.png"],
        },
        {"name": "cart > signs", "verdict": "flaky", "retries": 2, "message": "too early"},
        {"name": "cart > old", "verdict": "failed", "message": "known", "excused": "bug 7"},
        *({"name": f"list > {number}", "verdict": "skipped"} for number in range(400)),
    ]
    evidence = [samples.evidence(shot, "screenshot")]
    made = [samples.run_started(selection=["cli:B001"])]
    made += [*samples.attempt("cli:B001", 1, "failed", error=samples.failure(), cases=cases, evidence=evidence)]
    made += [samples.verdict("cli:B001", "failed"), samples.run_finished()]
    watched.files = False
    page = watched.open(html(samples.reported(samples.PLAN, samples.events(made)), FOLDER), tmp_path, "#/test/B001/cli")
    assert page.locator("h2 >> text=404 cases").count() == 1
    odd = [row.split("\t") for row in page.locator("[aria-label^=Cases] tbody tr").all_inner_texts()]
    assert [row[0] for row in odd] == ["cart > pays", "cart > old", "cart > signs"]
    assert odd[0][3].split("\n") == ["", "no", "<b>card</b>", "tear-down", " shot 1.png"]
    assert ("excused: bug 7" in odd[1][3], "2 retries" in odd[2][3]) == (True, True)
    assert page.inner_text("summary >> text=1 passed") == "1 passed, 299 skipped, 101 more in ctrf.json"
    page.click("summary >> text=1 passed")
    assert page.locator("[aria-label='Other cases'] tbody tr").count() == 300
    page.screenshot(path=PICTURES / "cases.png", full_page=False)


def test_a_resumed_run_shows_the_end_that_counts_with_its_excused_and_flaky_tests(watched, tmp_path):
    first = [samples.run_started(selection=["cli:B001", "cli:B002", "mcp:B003"])]
    first += [*samples.attempt("cli:B001", 1, "failed", error=samples.failure()), samples.verdict("cli:B001", "failed")]
    first += [("interrupted", {"signal": "SIGINT"}), samples.run_finished(130)]
    again = ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"]})
    made = [*first, again, *samples.attempt("cli:B001", 1, "error", error=samples.failure(), retry=True)]
    made += [samples.attempt("cli:B001", 2)[1], samples.verdict("cli:B001", "flaky", attempts=2)]
    made += [*samples.passed("cli:B002"), *samples.attempt("mcp:B003", 1, "failed", error=samples.failure())]
    made += [samples.verdict("mcp:B003", "failed", excused="bug 7"), samples.run_finished(0, gates={})]
    plan = msgspec.structs.replace(samples.PLAN, gates=())
    page = watched.open(html(samples.reported(plan, samples.events(made)), FOLDER), tmp_path)
    assert page.inner_text(".headline") == "Passed: 2 of 3 tests, 1 excused"
    assert "Resumed 1 time." in page.inner_text(".hero")
    badges = page.eval_on_selector_all("tr.item .cell .badge", "all => all.map((one) => one.lastChild.textContent)")
    assert (badges, page.inner_text("tr.item .flag")) == (["flaky", "passed", "failed"], "excused")
    page.click("tr.item .id a >> nth=0")
    page.wait_for_selector("nav[aria-label=Attempts]")
    assert page.locator("nav[aria-label=Attempts] a").all_inner_texts()[-1] == "side by side"


def test_a_merged_run_is_one_page(watched, tmp_path):
    plan, home = ledger_bench.plan_of(6), tmp_path / ".orchestra" / "work"
    made = merge(home, sources_of(shards.written(home, 2, 3), incomplete=False), author=UNKNOWN, observers=no_observers)
    text = html(report_of(tmp_path, plan, made.folder), str(made.folder.relative_to(tmp_path)))
    page = watched.open(text, tmp_path)
    assert page.inner_text(".headline") == "Passed: 6 of 6 tests"
    assert page.locator("tr.item").count() == 6
    for view in ("#/timeline", "#/needs", "#/history", "#/run"):
        go(page, view)


def no_observers(plan: plans.Plan, folder: Path) -> tuple[()]:
    """Return no observers: the report is made afterwards."""
    del plan, folder
    return ()


def test_embedded_pictures_need_no_file(watched, everything, tmp_path):
    report = replace(everything, contents=contents(tmp_path, tmp_path, samples.PLAN, everything, embed=True))
    (tmp_path / "attempts/cli/B003/2/shot 1.png").unlink()
    page = watched.open(html(report, FOLDER), tmp_path, "#/test/B003/cli")
    page.wait_for_function("document.querySelector('.shots img').naturalWidth === 40")


def test_two_sides_are_one_page_whose_texts_stay_texts(watched, tmp_path):
    (tmp_path / "b.png").write_bytes(picture(400, 300))
    hostile = "<img src=x onerror=alert(1)>"
    sides = [
        {name: Side(f"m:{name}", "passed", 1.0) for name in ("same", hostile)},
        {
            "same": Side("m:same", "passed", 2.0),
            hostile: Side(f"m:{hostile}", "failed", 1.0, hostile, evidence=("a.txt", "b.png")),
        },
    ]
    made = compare("one", sides[0], hostile, sides[1])
    text = compared_page("</title><script>alert(1)</script>", [made], [], {"one": tmp_path, hostile: tmp_path}, {})
    (tmp_path / "b.png").unlink()
    (tmp_path / "compare.html").write_text(text)
    page = watched.page
    page.goto((tmp_path / "compare.html").as_uri())
    assert page.inner_text("h1") == "</title><script>alert(1)</script>"
    assert page.inner_text(".headline") == f"{hostile} against one"
    assert page.locator("script, [onerror]").count() == 0
    card = page.locator("[data-test]")
    assert card.get_attribute("data-test") == hostile
    assert card.locator("tbody tr").first.inner_text().split("\t") == ["verdict", "passed", "failed"]
    assert card.locator("figcaption").all_inner_texts() == [hostile]
    page.wait_for_function("document.querySelector('figure img').naturalWidth === 400")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_what_is_copied_is_the_whole_failure(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path, "#/test/B003/cli")
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.click("text=Copy all of this as text")
    copied = page.evaluate("window.copied")
    assert 'message: the heading "Market" is not visible' in copied
    assert f"screenshot: {FOLDER}/attempts/cli/B003/2/shot 1.png" in copied
    assert copied.endswith("repeat: orchestra run --suite market B003 --method cli\n")


def test_every_hostile_text_stays_text(watched, tmp_path):
    tests = tuple(plans.Test(f"T{number}", text, ("cli",), group=text) for number, text in enumerate(NASTY))
    plan = msgspec.structs.replace(samples.PLAN, title="</script><script>alert(1)</script>", tests=tests)
    made = [samples.run_started(plan, [f"cli:{test.id}" for test in tests])]
    for test in tests:
        error = samples.failure(message=test.title, expected=test.title, found=f"{test.title}x", hint=test.title)
        files = [samples.evidence(f"attempts/{test.title.replace(NUL, '')}.png", test.title)]
        made += samples.attempt(f"cli:{test.id}", 1, "failed", error=error, evidence=files)
        made.append(samples.verdict(f"cli:{test.id}", "failed", reason=test.title))
    text = html(samples.reported(plan, samples.events(made)), FOLDER)
    watched.files = False
    page = watched.open(text, tmp_path)
    assert page.inner_text("h1") == "</script><script>alert(1)</script>"
    titles = page.eval_on_selector_all("tr.item .title", "all => all.map((one) => one.textContent)")
    assert titles == [test["title"] for test in data_of(text)["tests"]]
    for number in range(len(NASTY)):
        go(page, f"#/test/T{number}/cli")
        assert page.text_content("h1").startswith(f"T{number} ")
        links = page.eval_on_selector_all(".files a", "all => all.map((one) => one.protocol)")
        assert links == ["file:"]
    assert page.eval_on_selector_all("script, iframe, object", "all => all.length") == 2
    watched.wrong[:] = [
        text for text in watched.wrong if "ERR_FILE_NOT_FOUND" not in text
    ]  # the pictures are not there


def test_a_script_that_comes_into_the_page_does_not_run(browser, everything, tmp_path):
    page = browser.new_page()
    Watched(page).open(html(everything, FOLDER), tmp_path)
    refused = page.evaluate("""() => {
        const out = [];
        try { document.body.innerHTML = "<img src=x onerror='window.hacked = 1'>"; } catch (error) { out.push(error.name); }
        const script = document.createElement("script");
        try { script.text = "window.hacked = 2"; } catch (error) { out.push(error.name); }
        document.body.append(script);
        const frame = document.createElement("a");
        frame.setAttribute("href", "javascript:window.hacked=3");
        document.body.append(frame);
        frame.click();
        return out;
    }""")
    assert refused == ["TypeError", "TypeError"]
    assert page.evaluate("window.hacked") is None
    page.close()


def test_a_run_under_way_has_a_forecast_by_earlier_runs(watched, everything, tmp_path):
    rows = [row for row in everything.rows if row.task == "cli:B001"]
    progress = Progress({"cli:B001"}, ())
    data = page_of(replace(everything, rows=tuple(rows)), FOLDER, progress=progress)
    page = watched.open(shell(data), tmp_path)
    assert "about 2.0 s left" in page.inner_text(".hero")  # the median of 24 runs
    data = page_of(replace(everything, rows=tuple(rows), earlier=()), FOLDER, progress=progress)
    page.goto("about:blank")
    assert "left" not in watched.open(
        shell(msgspec.structs.replace(data, tasks=_without_time(data.tasks))), tmp_path
    ).inner_text(".hero")


def _without_time(tasks):
    return tuple(msgspec.structs.replace(task, attempts=0, tries=()) for task in tasks)


def test_filters_are_links_and_the_table_follows_them(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path)
    page.fill("input[type=search]", "ticker")
    assert page.eval_on_selector_all("tr.item td.id", "all => all.map((one) => one.textContent)") == [
        "B003",
        "B005[NVDA]",
    ]
    page.click(".chips >> text=timeout 1")
    address = page.url
    assert page.inner_text("#number") == "1 test of 6"
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(READY)
    assert page.eval_on_selector_all("tr.item td.id", "all => all.map((one) => one.textContent)") == ["B005[NVDA]"]
    page.click("tr.item a")
    page.wait_for_selector(".crumbs")
    page.go_back()
    page.wait_for_selector("#filter")
    assert page.input_value("input[type=search]") == "ticker"


def test_the_timeline_has_a_bar_for_each_attempt_and_each_state_of_a_server(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path, "#/timeline")
    bars = page.eval_on_selector_all(".chart a", "all => all.map((one) => one.getAttribute('aria-label'))")
    expected = [
        f"{row.task} attempt {one.body.attempt}: {one.body.outcome}" for row in everything.rows for one in row.tries
    ]
    assert sorted(bar.rpartition(",")[0] for bar in bars) == sorted(expected)
    marks = len(everything.incidents) + sum(gate.at != "" for gate in everything.gates)
    shown = len(expected) + len(everything.changes) + marks + len(everything.samples)
    assert page.locator(".chart rect:not(.lane)").count() == shown
    assert "after:pass_rate failed" in page.text_content(".chart")
    assert "3 misses open" in page.text_content(".chart")


def test_the_timeline_of_a_run_on_several_machines_has_lanes_by_node(watched, everything, tmp_path):
    rows = []
    for row in everything.rows:
        tries = [one._replace(body=msgspec.structs.replace(one.body, node=f"n{one.body.attempt}")) for one in row.tries]
        rows.append(replace(row, tries=tuple(tries)))
    page = watched.open(html(replace(everything, rows=tuple(rows)), FOLDER), tmp_path, "#/timeline")
    labels = page.eval_on_selector_all("svg.chart > text", "all => all.map((one) => one.firstChild.textContent)")
    assert [label for label in labels if "@" in label] == ["cli@n1", "cli@n2", "mcp@n1", "mcp@n2"]
    assert page.locator('svg.chart a[aria-label^="cli:B003 attempt 2: failed, "][aria-label$=" on n2"]').count() == 1
    page.click('svg.chart a[aria-label^="cli:B003 attempt 2: failed, "]')
    page.wait_for_selector("h1 >> text=B003")
    assert "on n2" in page.inner_text("main").splitlines()


def test_the_timeline_has_the_load_of_the_machine_on_its_axis(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path, "#/timeline")
    titles = page.eval_on_selector_all(".chart .look title", "all => all.map((one) => one.textContent)")
    assert titles == [
        "up to 10 s: processors 50 %, by others 0 %, memory 25 %, 2 workers",
        "up to 20 s: processors 80 %, by others 0 %, memory 25 %, 2 workers",
    ]
    (left, top), (right, higher) = page.eval_on_selector_all(
        ".chart .look", "all => all.map((one) => [one.x.baseVal.value, one.y.baseVal.value])"
    )
    assert page.get_attribute(".chart .workers", "d").startswith(f"M{left},{top}H"), "as many as at most"
    area = page.get_attribute(".chart .cpu", "d")
    steps = re.findall(r"M([\d.]+),([\d.]+)V([\d.]+)", area)
    drawn = [number for x, y, up in steps for number in (float(x), float(y) - float(up))]
    assert drawn == pytest.approx([left, 27.0, right, 43.2]), "half and four fifths of the height"
    assert (top, left < right) == (higher, True)


def test_the_needs_are_a_graph_with_the_longest_chain_and_what_is_blocked(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path, "#/needs")
    boxes = page.eval_on_selector_all(".graph a", "all => all.map((one) => one.getAttribute('aria-label'))")
    assert boxes == ["B003: failed, 1 min 30 s", "B004: error"]  # no other test needs one or is needed
    assert page.eval_on_selector_all(".graph .edge title", "all => all.map((one) => one.textContent)") == [
        "B004 needs B003"
    ]
    assert page.inner_text("#critical") == "The longest chain takes 1 min 30 s: B003 1 min 30 s"
    page.click(".graph a >> nth=1")
    page.wait_for_selector("h1 >> text=B004")
    tests = tuple(
        plans.Test(f"T{number}", "x", ("cli",), needs=(f"T{number - 1}",) if number else ()) for number in range(900)
    )
    plan = msgspec.structs.replace(samples.PLAN, tests=tests, methods=samples.PLAN.methods[:1], gates=())
    made = [samples.run_started(plan, [f"cli:{test.id}" for test in tests])]
    made += [event for test in tests for event in samples.passed(f"cli:{test.id}")]
    text = html(samples.reported(plan, samples.events([*made, samples.run_finished()])), FOLDER)
    page.goto("about:blank")
    page = watched.open(text, tmp_path, "#/needs")
    assert page.locator(".graph a").count() == 400
    assert float(page.get_attribute(".graph", "width")) == 400 * 220 - 44 + 8


def test_the_history_has_a_bar_for_each_run_and_names_where_a_level_changed(watched, everything, tmp_path):
    page = watched.open(html(everything, FOLDER), tmp_path, "#/history")
    [row] = [row for row in page.locator("tbody tr").all() if "cli:B001" in row.inner_text()]
    assert row.locator("svg rect:not(.usual)").count() == len(everything.earlier) + 1
    band = row.locator("svg .usual")
    assert band.locator("title").text_content() == "usual: 1.5 s to 2.5 s", "of the last 20 passes"
    assert "changed at run12: 1.0 s to 2.0 s" in row.inner_text()
    assert "24 of 24" in row.inner_text()
    go(page, "#/test/B001/cli")
    assert "The band is what is usual: 1.5 s to 2.5 s." in page.inner_text("main")


def test_ten_thousand_tests_are_a_few_rows_at_a_time(watched, tmp_path):
    text = html(many(10_000), FOLDER)
    assert len(text) < 2_000_000
    page = watched.open(text, tmp_path)
    assert page.locator("tr.item").count() < 100
    assert page.get_attribute(".matrix", "aria-rowcount") == "10001"
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector("text=T09999")
    page.fill("input[type=search]", "T05007")
    page.wait_for_selector("text=1 test of 10000")
    assert page.inner_text("tr.item .badge").strip().endswith("failed")


# By day the narrowest and a usual one; at night all, with their pictures. Colours make no view wider.
@pytest.mark.parametrize(
    "width, scheme",
    [
        *DAY,
        *(at_night(width, scheme) for width in WIDTHS for scheme in ("light", "dark") if (width, scheme) not in DAY),
    ],
)
def test_no_view_is_wider_than_the_window(browser, everything, tmp_path, scheme, width, pytestconfig):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    Watched(page).open(html(everything, FOLDER), tmp_path)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        go(page, view)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
        if pytestconfig.getoption("nightly"):
            name = re.sub(r"\W+", "-", view.strip("#/")) or "first"
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
    page.close()


@pytest.mark.xdist_group("node")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, node_tools, everything, tmp_path, scheme):
    axe = (node_tools.modules / "axe-core" / "axe.min.js").read_text()
    page = browser.new_page(color_scheme=scheme, reduced_motion="reduce")
    Watched(page).open(html(everything, FOLDER), tmp_path)
    page.evaluate(axe)
    for view in VIEWS:
        go(page, view)
        found = page.evaluate(
            "axe.run().then((done) => done.violations.map((one) => [one.id, one.impact, one.nodes.map((node) => node.html)]))"
        )
        assert [one for one in found if one[1] in {"serious", "critical"}] == [], (view, json.dumps(found, indent=1))
    page.close()


def test_without_scripts_the_page_names_the_failures(browser, everything, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    (tmp_path / "report.html").write_text(html(everything, FOLDER))
    page.goto((tmp_path / "report.html").as_uri())
    text = page.inner_text("main")
    assert "Failed: 4 of 10 tests and 2 gates" in text
    assert re.search(r"cli:B003 .*: failed: the heading \"Market\" is not visible", text)
    assert "summary.md" in text
    context.close()
