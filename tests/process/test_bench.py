"""Each benchmark runs in a tiny form and prints its tables. No figure is judged here: a loaded machine has its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import msgspec
import pytest

from bench import __main__ as bench
from bench import (
    admission,
    cluster,
    cluster_cost,
    faults,
    forecast,
    language,
    ledger,
    look,
    makespan,
    measure,
    page,
    patterns,
    quality,
    runtime,
    secrets,
    shards,
    startup,
    suite,
    watching,
)
from bench import compile as compiling
from bench.measure import BenchmarkError, Case, Figure, alternate, figures, once, ratio, table
from bench.spec_maker import spec
from orchestra.compiler.build import build
from orchestra.ledger.event import AttemptFinished, AttemptStarted
from orchestra.ledger.reading import read


def rows(text, title):
    """The cells of the table under a title."""
    lines = text.split(f"{title}\n\n", 1)[1].split("\n\n", 1)[0].strip().split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_generated_spec_has_no_problem(tmp_path):
    (tmp_path / "large.yaml").write_text(spec(40))
    built = build(tmp_path, ["large.yaml"])
    assert built.diagnostics == ()
    assert len(built.plans[0].tests) == 40
    assert spec(40) == spec(40)


def test_a_generated_test_has_the_size_that_the_figures_speak_of():
    assert 600 <= (len(spec(1000)) - len(spec(0))) / 1000 <= 700


@pytest.mark.nightly  # of the benchmarks of whole programs, start-up and no-op runs are measured by day
def test_compile_prints_its_tables():
    text = compiling.run(tests=3, few=2, rounds=0, slow_rounds=0, most=4)
    names = [row[0] for row in rows(text, "Compile: ratios")[2:]]
    assert [re.sub(r"[0-9]+ tests", "N tests", name) for name in names] == [
        "compile N tests, x floor",
        "compile N tests, x floor",
        "compile N tests after an edit, x floor",
        "check-jsonschema of N tests, x compile",
        "compile N tests, x its imports",
    ]
    assert all(float(row[1]) > 0 and float(row[2]) > 0 for row in rows(text, "Compile, 3 tests")[2:])


def test_the_slash_commands_of_this_repository_are_short():
    found = rows(compiling.commands(), "Slash commands, at most 110 lines and 6,144 bytes")[2:]
    assert {"test_cli_full.md", "test_mcp_full.md"} <= {row[0] for row in found}
    assert {row[3] for row in found} == {"held"}


def test_startup_prints_its_tables():
    text = startup.run(tests=2, rounds=0)
    assert [row[0] for row in rows(text, "Start-up")[2:]] == [
        "python -c pass",
        "orchestra --help",
        "orchestra compile --check, unchanged",
        "hook: an entry that names no test",
        "hook: an entry of a test",
        "hook: the end of a turn",
        "hook: a slash command",
    ]
    assert len(rows(text, "Start-up: ratios")[2:]) == 6


def test_tests_that_do_nothing_print_their_tables():
    text = runtime.no_op(tests=3, rounds=0)
    assert [row[0] for row in rows(text, "Tests that do nothing: overhead")[2:]] == [
        "overhead a test, ms",
        "peak memory, x plain doit",
        "overhead a test with a warm worker, ms",
    ]


def test_a_test_that_does_nothing_is_recorded_as_every_other(tmp_path):
    root = runtime.project(tmp_path / "work", runtime.work_spec(3, "http", "steps: [{set: {done: well}}]"))
    once(Case([sys.executable, "-c", runtime.NOTHING, "run"], root))
    [folder] = (path for path in (root / ".orchestra/work/runs").iterdir() if not path.is_symlink())
    events = [(event.type, getattr(event.body, "task", "")) for event in read(folder / "events.jsonl")]
    for task in ("cli:t0", "cli:t1", "cli:t2"):
        assert [kind for kind, of in events if of == task] == ["attempt_started", "attempt_finished", "verdict"]
    assert events[-1][0] == "seal"
    assert not (folder / "workers").exists(), "no worker was started"
    assert {"state.json", "summary.md", "junit.xml", "ctrf.json"} <= {path.name for path in folder.iterdir()}


@pytest.mark.skipif(shutil.which("ninja", path=str(measure.SCRIPTS)) is None, reason="ninja has no wheel here")
def test_process_tests_print_their_tables():
    text = runtime.processes(tests=3, rounds=0)
    assert [row[0] for row in rows(text, "3 tests that run `true`")[2:]] == [
        "ninja -j2",
        "a loop of Popen, two at a time",
        "orchestra run",
    ]
    left = rows(text, "Process tests: the folder of the run")[2:]
    assert [(row[0], row[-1]) for row in left] == [("files of the run", "held"), ("MB of the run", "held")]


@pytest.mark.skipif(shutil.which("ninja", path=str(measure.SCRIPTS)) is None, reason="ninja has no wheel here")
@pytest.mark.nightly
def test_a_schedule_is_set_beside_its_goals(monkeypatch):
    monkeypatch.setattr(makespan, "TESTS", 6)
    monkeypatch.setattr(makespan, "SECONDS", 0.5)
    text = makespan.run(seeds=1)
    assert [row[0] for row in rows(text, "Schedule: 6 sleeping tests, 4 workers")[2:]] == [
        "sparse, seed 1",
        "deep, seed 1",
        "median",
        "worst",
    ]
    assert [row[2] for row in rows(text, "Schedule: goals")[2:]] == ["<= 1.015", "<= 1.03", "<= 1.05", "<= 1"]


def test_forecasts_are_set_beside_their_goals():
    text = forecast.run(suites=1)
    assert [row[0] for row in rows(text, "Forecast: 1 simulated suites for each sigma")[2:]] == [
        "0.05",
        "0.1",
        "0.2",
        "0.3",
    ]
    [within] = [row for row in rows(text, "Forecast: goals")[2:] if row[0].startswith("within")]
    assert within[2] == ">= 100"


def test_rules_are_right_as_often_as_their_goals_say():
    """The short form: no clock is in it, so the goals themselves are judged, with room for the small number."""
    judge = quality.limits_by(quality.RULE)
    quiet = quality.simulate(judge, 0.1, confirm=3, tests=60, runs=60, seeds=1)
    assert quiet.alarms == 0
    assert quiet.detection == 100
    noisy = quality.simulate(judge, 0.2, confirm=3, tests=100, runs=100, seeds=1)
    assert noisy.alarms <= 2
    assert noisy.detection >= 75
    naive = quality.simulate(quality.naive(1.25), 0.2, confirm=0, tests=60, runs=60, seeds=1)
    assert naive.alarms > 20 * max(noisy.alarms, 1)


def test_quality_prints_its_tables():
    names = {row[0] for row in rows(quality.durations(20, 40, 1), "Slow-downs of 1.5 x, 20 tests x 40 runs x 1")[2:]}
    assert {"orchestra", "naive: ratio 1.25 alone"} < names
    assert [row[3] for row in rows(quality.flakiness(100), "Flakiness within 90 runs, 100 tests")[3:]] == ["held"]
    assert len(rows(quality.gates(10, 2), "Gates")[2:]) == 4


def test_the_graph_is_the_same_for_each_runner(tmp_path):
    edges = re.findall(
        r"build (t\d+): run (t\d+)?", (runtime.ninja_project(tmp_path / "n", 5) / "build.ninja").read_text()
    )
    needs = re.findall(r"^  (t\d+): {(?:needs: \[(t\d+)\])?", runtime.work_spec(5, "command", "title: x"), re.MULTILINE)
    assert edges == needs == [("t0", ""), ("t1", "t0"), ("t2", "t1"), ("t3", "t1"), ("t4", "t2")]


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(BenchmarkError, match=r"exit 3 of .*\noh no"):
        once(Case([sys.executable, "-c", "print('oh no'); raise SystemExit(3)"], tmp_path))


def test_commands_take_turns_and_the_first_round_does_not_count(tmp_path):
    order = []
    cases = {name: Case(measure.PASS, tmp_path, lambda name=name: order.append(name)) for name in "ab"}
    taken = alternate(cases, 2)
    assert order == ["a", "b"] * 3
    assert list(taken) == ["a", "b"]
    order.clear()
    assert list(alternate(cases, 0)) == ["a", "b"]
    assert order == ["a", "b"]


def test_the_environment_starts_python_as_a_user_does(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("CI", "true")
    found = measure.environment({"A": "b"})
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert "CI" not in found
    assert found["A"] == "b"


@pytest.mark.parametrize(
    "figure, says",
    [
        (Figure("x", 4.0, 1.0, 4), ["<= 4", "held"]),
        (Figure("x", 4.01, 1.0, 4), ["<= 4", "MISSED"]),
        (Figure("x", 9.9, 12.0, 10, at_least=True), [">= 10", "MISSED"]),
        (Figure("x", 10.0, 1.0, 10, at_least=True), [">= 10", "held"]),
        (Figure("x", 10.0, 1.0, None), ["", ""]),
    ],
)
def test_a_limit_is_judged_by_wall_time(figure, says):
    assert rows(figures("F", [figure]), "F")[2][3:] == says


def test_a_ratio_is_of_like_and_like():
    figure = ratio("x", measure.Timing(6.0, 2.0, 1.0), measure.Timing(2.0, 4.0, 1.0), 5)
    assert (figure.wall, figure.cpu) == (3.0, 0.5)


def test_a_table_is_markdown():
    assert table("T", ("a", "bb"), [("x", "1")]) == "T\n\n| a | bb |\n| - | -: |\n| x |  1 |\n"


def test_a_figure_may_be_judged_by_cpu_time():
    assert Figure("x", 2.0, 1.0, 1.5, by_cpu=True).row()[-1] == "held"
    assert Figure("x", 1.0, 2.0, 1.5, by_cpu=True).row()[-1] == "MISSED"


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.parametrize("pages", [0, 1])
def test_what_masking_costs(chromium, pages):
    text = secrets.run(programs=2, logs=1, pages=pages, rounds=0)
    figures = rows(text, "Masking: a run with ten secrets")[2:]
    limits = {
        "2 programs that print 20 KB, x without": "<= 1.03",
        **({"2 tests in a browser, x without": "<= 1.03"} if pages else {}),
        "1 commands that only print 200 KB, x without": "",
        "log read for ten secrets, MB a second": "",
    }
    assert {row[0]: row[3] for row in figures} == limits


@pytest.mark.nightly
def test_patterns_that_backtrack_are_measured_against_one_that_does_not():
    text = patterns.run(rounds=0, patterns={"(a+)+$": "a" * 60 + "!"})
    assert [row[0] for row in rows(text, "Patterns that backtrack")[2:]] == [
        "(a+)+$ over the control, x the limit of a search"
    ]


@pytest.mark.nightly
def test_the_page_is_measured_against_ledger_table_and_a_run_without_it(chromium):
    found = rows(page.run(tests=20, followed=2, rounds=1), "The page of 20 tests")[2:]
    assert [(row[0], row[3]) for row in found] == [
        ("making report.html, x reading the ledger", "<= 1.5"),
        ("first paint, x a plain table", "<= 3"),
        ("until the rows are drawn, x a plain table", "<= 3"),
        ("a keystroke in the filter, ms at the 95th percentile", "<= 50"),
        ("a run whose page is followed, x without", "<= 1.01"),
    ]


def test_a_split_and_a_merge_are_measured():
    text = shards.run(tests=40, numbers=(2, 3), each=3, rounds=1)
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert {"2", "3", "read", "audit", "merge"} <= set(rows)


@pytest.mark.nightly
@pytest.mark.browser
def test_logins_and_mocks_print_their_table(chromium):
    found = rows(language.run(tests=1, requests=2, rounds=1), "1 tests with a login, 2 mocked requests")[2:]
    assert [row[0].partition(":")[0] for row in found] == ["cli"] * 6 + ["mcp"] * 6
    assert [row[2] for row in found if row[2]] == ["<= 1.05", "<= 5"] * 2


@pytest.mark.nightly
@pytest.mark.browser
def test_a_watched_run_prints_its_tables(chromium):
    found = rows(watching.run(rounds=1), "Watch")
    assert [row[0] for row in found[2:]] == ["from a save to the first step", "orchestra compile", "a context"]


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.usefixtures("chromium", "node_tools")
def test_looks_print_their_table():
    found = rows(look.run(count=1, rounds=1), "1 looks of a whole page")[2:]
    assert [row[0].partition(":")[0] for row in found] == ["Playwright Test", "cli", "cli", "mcp", "mcp"]
    assert [row[2] for row in found if row[2]] == ["<= 1.3", "<= 1.3"]


@pytest.mark.nightly
def test_auto_is_measured_against_one_and_two_workers():
    found = rows(admission.run(tests=3, seconds=0.01, rounds=0, browser=False), "Workers: auto against one and two")[2:]
    assert [row[5] for row in found] == ["<= 1.03"] * 3
    assert all(float(row[4]) > 0 for row in found)


@pytest.mark.nightly
@pytest.mark.browser
def test_auto_is_measured_on_tests_in_a_browser(chromium):
    found = rows(admission.run(tests=0, rounds=0), "Workers: auto against one and two")[2:]
    assert [row[0] for row in found] == [admission.DESK]


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.usefixtures("chromium", "node_tools")
def test_a_suite_of_browser_tests_prints_its_tables():
    printed = suite.run(count=2, rounds=1)
    assert [row[3] for row in rows(printed, "Suite: ratios")[2:]] == ["<= 0.65", "<= 0.75", "<= 1"]
    assert [row[3] for row in rows(printed, "To-do list: ratios")[2:]] == ["<= 0.75", "<= 0.75", "<= 1"]


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_a_soak_prints_its_table():
    found = rows(suite.soak(count=6, part=2), "Soak: 6 tests in one run")[2:]
    assert [row[0] for row in found] == ["cli: ms a test", "cli: MiB", "mcp: ms a test", "mcp: MiB"]


def test_an_unknown_benchmark_is_refused(capsys):
    assert bench.main(["nothing"]) == 2
    assert (
        'unknown benchmark "nothing"; there are compile, startup, runtime, faults, cluster, hangs, ledger, quality, secrets, patterns, page, shards'
        in capsys.readouterr().err
    )


def test_those_named_are_run(monkeypatch, capsys):
    monkeypatch.setitem(bench.BENCHES, "startup", lambda: "the table")
    assert bench.main(["startup"]) == 0
    assert capsys.readouterr().out == "the table\n"


def test_the_page_names_every_benchmark_and_its_command(root):
    page = (root / "docs" / "benchmarks.md").read_text()
    assert all(f"python -m bench {name}" in page for name in bench.BENCHES)


def test_a_compile_imports_nothing_heavy(tmp_path):
    """What a compile must not pay for: the judge of record, the runtime, browsers, the terminal."""
    root = compiling.project(tmp_path / "p", 2)
    argv = [sys.executable, "-X", "importtime", *measure.ORCHESTRA[1:], "compile"]
    told = subprocess.run(
        argv, cwd=root, env=measure.environment({}), capture_output=True, text=True, check=True
    ).stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines() if "|" in line}
    assert "ruamel" in loaded
    heavy = {"jsonschema", "pydantic", "rich", "mcp", "playwright", "psutil", "httpx", "doit", "uvicorn", "starlette"}
    assert loaded & heavy == set()


# --------------------------------------------------------------------------------------------------------------- faults


def test_every_kind_of_fault_is_injected_as_often_as_the_others():
    kinds = faults.plan_of(10 * len(faults.KINDS), 1)
    assert {kind: kinds.count(kind) for kind in faults.KINDS} == dict.fromkeys(faults.KINDS, 10)
    assert kinds == faults.plan_of(10 * len(faults.KINDS), 1) != faults.plan_of(10 * len(faults.KINDS), 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is left is counted by a subreaper")
@pytest.mark.nightly  # test_incident.py, test_health.py and tests/browser have each kind by day
@pytest.mark.browser
@pytest.mark.parametrize("part", range(6))
def test_no_fault_leaves_a_process_hangs_or_blames_the_product(chromium, part):
    """Thirty in all, of every kind, five in a part; the oracle is that of `python -m bench faults`. Figures are not judged here."""
    kinds = faults.plan_of(30, 1)
    assert set(kinds) == set(faults.KINDS)
    tally = faults.inject(kinds[part::6], part)
    text = faults.report(tally, 1, None)
    assert tally.held(), text
    assert sum(tally.recovered.values()) == 5, text


# -------------------------------------------------------------------------------------------------------------- cluster


def story():
    """The verdicts of a run in which each test has the one that it must have."""
    given = {task: "failed" if kind == "failing" else "passed" for task, kind in cluster.WANTED.items()}
    return [msgspec.structs.replace(ledger.verdict(0), task=task, verdict=word) for task, word in given.items()]


def attempt(outcome):
    """The first attempt of t0."""
    of = {"task": "cli:t0", "test": "t0", "method": "cli", "attempt": 1}
    yield AttemptStarted(**of, dir="attempts/cli/t0/1")
    if outcome:
        nothing = {"seconds": 1.0, "error": None, "steps": (), "evidence": (), "retry": False}
        yield AttemptFinished(**of, outcome=outcome, **nothing)


def test_each_fault_of_a_cluster_is_injected_as_often_as_the_others():
    kinds = cluster.plan_of(10 * len(cluster.KINDS), 1)
    assert {kind: kinds.count(kind) for kind in cluster.KINDS} == dict.fromkeys(cluster.KINDS, 10)
    assert kinds == cluster.plan_of(10 * len(cluster.KINDS), 1) != cluster.plan_of(10 * len(cluster.KINDS), 2)


def test_the_oracle_of_a_cluster_finds_verdicts_that_must_not_be():
    whole = story()
    assert cluster.wrong_verdicts(whole, resumed=False) == []
    assert cluster.wrong_verdicts(whole[1:], resumed=False) == ["cli:t0 has 0 verdicts"]
    assert cluster.wrong_verdicts([*whole, whole[0]], resumed=False) == ["cli:t0 has 2 verdicts"]
    assert cluster.wrong_verdicts([*whole, whole[0]], resumed=True) == []
    failed = msgspec.structs.replace(whole[0], verdict="failed")
    assert cluster.wrong_verdicts([failed, *whole[1:]], resumed=False) == ["cli:t0 is failed"]
    passes = [msgspec.structs.replace(one, verdict="passed") for one in whole]
    assert cluster.wrong_verdicts(passes, resumed=False) == ["cli:t4 is passed"]


def test_the_oracle_of_a_cluster_compares_attempts_with_what_they_left():
    place = "cli/t0/1"
    assert cluster.wrong_effects(attempt("passed"), {place: 1}, {place: 1}) == []
    assert cluster.wrong_effects(attempt("error"), {}, {}) == []  # its node was killed before it began
    assert cluster.wrong_effects(attempt(""), {place: 1}, {}) == []  # the run was killed
    assert cluster.wrong_effects((), {place: 1}, {}) == [f"{place} began and is not in the record"]
    assert cluster.wrong_effects(attempt("passed"), {place: 2}, {place: 2}) == [
        f"{place} began 2 times",
        f"{place} passed and ended 2 times",
    ]
    assert cluster.wrong_effects(attempt("failed"), {}, {}) == [f"{place} failed and never began"]


@pytest.mark.nightly
def test_the_cost_of_a_cluster_prints_its_tables():
    text = cluster_cost.cost(tests=2, seconds=0.1, rounds=0, few=1, many=2)
    assert [row[3] for row in rows(text, "Cost of a cluster")[2:]] == ["<= 1.05", "<= 25"]
    assert len(rows(text, "CPU ms of a test that runs `true`")[2:]) == 4


@pytest.mark.nightly  # test_cluster.py has most of the kinds by day
def test_no_fault_of_a_cluster_loses_or_doubles_a_verdict():
    tally = cluster.inject(cluster.plan_of(len(cluster.KINDS), 1), 1)
    text = cluster.report(tally, 1)
    assert tally.held(), text
    assert {row[0] for row in rows(text, "Faults of a cluster, seed 1")[2:]} == {*cluster.KINDS, "all"}


@pytest.mark.nightly  # test_crash.py has its kills and cuts by day
def test_ledger_prints_its_tables():
    text = ledger.run(appended=3, folded=30, tests=6, flipped=20, kills=1, cuts=1, rounds=0)
    assert [row[0] for row in rows(text, "Ledger: ratios")[2:]] == [
        "append + fsync a verdict, x rate of bare write + fsync",
        "read, verify and fold 30 events, x json.loads",
    ]
    assert rows(text, "Changes of one byte")[2:] == [["20", "20"]]
    ended = rows(text, "Runs that were ended, then resumed")[2:]
    assert [row[0] for row in ended] == ["SIGKILL", "power cut"]
    assert {cell for row in ended for cell in row[2:]} == {"0"}
