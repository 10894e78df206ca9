"""Baselines: the rule, the file, and a run that finds a test slower than it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import MachineError
from orchestra.ledger import baseline
from orchestra.ledger.baseline import Bounds, Entry, Usual, bounds, suspect, usual
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.ledger.view import view_of
from orchestra.plan import Baseline
from orchestra.plan import Test as Case
from orchestra.runtime.attempt import Result
from orchestra.runtime.run.pace import Pace
from tests.support import runs as samples
from tests.support.events import event as event_of

RULE = Baseline(window=20, min_runs=5, slower_ratio=1.25, slower_seconds=0.0, confirm=3)


def test_median_and_mad_are_not_moved_by_an_outlier():
    assert usual([1.0, 2.0, 3.0, 4.0, 100.0]) == Usual(3.0, 1.0, 5)


def test_fewer_runs_than_wanted_judge_nothing():
    assert bounds(Usual(1.0, 0.0, 4), RULE) is None
    assert bounds(Usual(1.0, 0.0, 5), RULE) == Bounds(0.8, 1.25)


@pytest.mark.parametrize(
    "base, rule, seconds, found",
    [
        # the ratio decides
        (Usual(10.0, 0.0, 20), RULE, 12.5, None),
        (Usual(10.0, 0.0, 20), RULE, 12.51, "slower"),
        (Usual(10.0, 0.0, 20), RULE, 7.99, "faster"),
        # the seconds decide
        (Usual(0.1, 0.0, 20), Baseline(slower_ratio=1.25, slower_seconds=0.5), 0.6, None),
        (Usual(0.1, 0.0, 20), Baseline(slower_ratio=1.25, slower_seconds=0.5), 0.61, "slower"),
        (Usual(0.1, 0.0, 20), Baseline(slower_ratio=1.25, slower_seconds=0.5), 0.0, None),
        # the noise decides: 10 + 1.4826 x 3 x sqrt(2) = 16.29
        (Usual(10.0, 3.0, 20), RULE, 16.2, None),
        (Usual(10.0, 3.0, 20), RULE, 16.3, "slower"),
        # and more so while the median rests on few runs: 10 + 1.4826 x 3 x sqrt(5) = 19.95
        (Usual(10.0, 3.0, 5), RULE, 19.9, None),
        (Usual(10.0, 3.0, 5), RULE, 20.0, "slower"),
    ],
)
def test_ratio_seconds_and_noise_must_hold_together(base, rule, seconds, found):
    limits = bounds(base, rule)
    assert limits is not None
    assert suspect(seconds, limits) == found


positive = st.floats(0.001, 1000.0)


@given(st.lists(positive, min_size=5, max_size=20), st.floats(1.01, 4.0), st.floats(0.0, 5.0))
def test_the_median_itself_is_never_suspicious(seconds, ratio, floor):
    base = usual(seconds)
    limits = bounds(base, Baseline(slower_ratio=ratio, slower_seconds=floor))
    assert limits is not None
    assert limits.fast < base.median < limits.slow
    assert suspect(base.median, limits) is None


def test_a_full_window_stays_until_somebody_accepts_another():
    samples = {"a": (1.0, 1.0), "b": (2.0,)}
    assert baseline.filled(samples, {"a": 9.0, "b": 2.12345678, "c": 3.0}, 2) == {
        "a": (1.0, 1.0),
        "b": (2.0, 2.123),
        "c": (3.0,),
    }


def test_what_is_accepted_is_of_this_machine_and_of_passes():
    def record(run, machine, profile="", **tasks):
        return RunRecord(run, machine, profile, executions={f"cli:{name}": one for name, one in tasks.items()})

    good = Execution("passed", "chromium", attempts=(Attempt("passed", 1.0),), repeats=(1.1, 1.2))
    flaky = Execution("flaky", "", attempts=(Attempt("failed", 9.0), Attempt("passed", 2.0)))
    bad = Execution("failed", "chromium", attempts=(Attempt("failed", 5.0),))
    records = [
        record("1", "here", a=good, b=flaky),
        record("2", "there", a=good),
        record("3", "here", a=bad, b=flaky),
        record("4", "here", "slow", a=good),
        record("5", "here", b=Execution("passed", attempts=(Attempt("passed", 7.0),), disturbed="load")),
    ]
    assert baseline.accepted(records, None, "here", 1, 20) == {
        "cli:a chromium here": Entry((1.0, 1.1, 1.2), "1"),
        "cli:b - here": Entry((2.0,), "3"),
    }
    assert baseline.accepted(records, {"cli:b"}, "here", 2, 20) == {"cli:b - here": Entry((2.0, 2.0), "3")}
    assert baseline.accepted(records, None, "here", 9, 2)["cli:a chromium here"].seconds == (1.1, 1.2)
    assert baseline.accepted(records, None, "nowhere", 9, 2) == {}
    assert list(baseline.accepted(records, None, "here/slow", 9, 9)) == ["cli:a chromium here/slow"]


def test_the_file_is_sorted_and_has_one_key_a_line(tmp_path):
    path = tmp_path / "baseline.json"
    assert baseline.load(path) == {}
    path.write_bytes(baseline.encode({"cli:b - m": Entry((1.0, 2.5), "7"), "cli:a - m": Entry((0.25,))}))
    assert path.read_text() == (
        '{"orchestra": "baseline", "format": 2, "tests": {\n"cli:a - m": {"seconds":[0.25]},\n'
        '"cli:b - m": {"seconds":[1.0,2.5],"run":"7"},\n"": {}\n}}\n'
    )
    assert baseline.load(path) == {"cli:a - m": (0.25,), "cli:b - m": (1.0, 2.5)}


def test_a_file_of_format_1_is_read(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text('{"orchestra": "baseline", "format": 1, "seconds": {\n"cli:a - m": [0.25]\n}}\n')
    assert baseline.load(path) == {"cli:a - m": (0.25,)}


@pytest.mark.parametrize(
    "accepted, durations, both",
    [
        ({}, {"a": (1.0,)}, {"a": (1.0,)}),
        ({"a": (1.0,)}, {}, {"a": (1.0,)}),
        ({"a": (1.0,)}, {"a": (1.0, 2.0), "b": (3.0,)}, {"a": (1.0, 2.0), "b": (3.0,)}),
        ({"a": (9.0,)}, {"a": (1.0, 2.0)}, {"a": (9.0,)}),  # accepted elsewhere since
        ({"a": (1.0, 2.0)}, {"a": (1.0,)}, {"a": (1.0, 2.0)}),
    ],
)
def test_durations_count_on_top_of_what_they_were_measured_with(accepted, durations, both):
    assert baseline.together(accepted, durations) == both


@given(st.dictionaries(st.text(min_size=1), st.lists(st.floats(0, 1e6), min_size=1, max_size=5).map(tuple)))
def test_the_file_gives_back_what_was_written(samples):
    form = json.loads(baseline.encode(baseline.plain(samples)))
    assert form["tests"].pop("") == {}
    assert {key: tuple(taken["seconds"]) for key, taken in form["tests"].items()} == samples


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_two_lines_of_a_key_that_of_the_later_run_counts(tmp_path, order):
    path = tmp_path / "baseline.json"
    lines = ['{"seconds":[1.0],"run":"20260102"}', '{"seconds":[2.0],"run":"20260301"}', '{"seconds":[3.0]}']
    tests = "".join(f'"cli:B001 - m": {lines[number]},\n' for number in order)
    path.write_text(f'{{"orchestra": "baseline", "format": 2, "tests": {{\n{tests}"": {{}}\n}}}}\n')
    assert baseline.entries(path) == {"cli:B001 - m": Entry((2.0,), "20260301")}


@pytest.mark.parametrize(
    "content, says",
    [
        ("<<<<<<< HEAD\n", "is not a baseline"),
        (
            '{"orchestra": "baseline", "format": 7, "seconds": {}}',
            "has format 7; this version reads format 2 and before",
        ),
        (
            '{"orchestra": "baseline", "format": 1, "seconds": {"cli:a - m": []}}',
            'no samples, or one below 0, for "cli:a',
        ),
        ('{"orchestra": "baseline", "format": 2, "tests": {"a": {"seconds": "1"}}}', "is not a baseline"),
        ('{"orchestra": "baseline", "format": 2, "tests": [1]}', "is not a baseline"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused_with_its_mend(tmp_path, content, says):
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(MachineError, match=says) as caught:
        baseline.load(path)
    assert "orchestra baseline reset" in caught.value.hint


def paced(tmp_path, seconds, repeats, rule=RULE):
    """What a pace makes of an attempt and its repeats, against a baseline of ten seconds: the numbers it asks for."""
    (tmp_path / "baseline.json").write_bytes(baseline.encode({"cli:a - m": Entry((10.0,) * 20)}))
    pace = Pace.open(tmp_path, rule, "m")
    events = []
    asked = [
        pace.after(Result("cli:a", 1, outcome, one), Case("a", "", ("cli",)), "", events.append)
        for one, outcome in [(seconds, "passed"), *repeats]
    ]
    run = view_of(samples.events([samples.run_started(), *samples.attempt("cli:a", seconds=seconds)]))
    for event in events:
        run.see(event_of(99, event))
    return pace, asked, [event.result for event in events], run


@pytest.mark.parametrize(
    "seconds, repeats, asked, results, moved",
    [
        (10.0, [], [0], [], ""),
        (13.0, [(13.0, "passed")] * 3, [1, 2, 3, 0], ["slower"], "slower"),
        (13.0, [(13.0, "passed"), (12.0, "passed")], [1, 2, 0], ["unconfirmed"], ""),
        (13.0, [(13.0, "timeout")], [1, 0], ["unconfirmed"], ""),
        (13.0, [(13.0, "interrupted")], [1, 0], ["unconfirmed"], ""),
        (7.0, [(7.0, "passed")] * 3, [1, 2, 3, 0], ["faster"], "faster"),
        (7.0, [(13.0, "passed")], [1, 0], ["unconfirmed"], ""),
    ],
)
def test_every_repeat_must_agree(tmp_path, seconds, repeats, asked, results, moved):
    pace, numbers, found, run = paced(tmp_path, seconds, repeats)
    assert (numbers, found) == (asked, results)
    assert pace.figures(run) == {"regressions": int(moved == "slower")}
    assert not pace.repeating("cli:a")
    kept = []
    pace.samples = {}
    pace.keep(tmp_path, run, kept.append)
    assert (len(kept), bool(pace.samples)) == ((0, False) if moved else (1, True)), (
        "another pace is for people to accept"
    )


def test_without_repeats_the_first_duration_decides(tmp_path):
    _, numbers, found, _ = paced(tmp_path, 13.0, [], Baseline(slower_ratio=1.25, confirm=0))
    assert (numbers, found) == ([0], ["slower"])


def test_what_did_not_pass_has_no_pace(tmp_path):
    pace = Pace.open(tmp_path, RULE, "m")
    assert pace.after(Result("cli:a", 1, "failed", 99.0), Case("a", "", ("cli",)), "", lambda *_: None) == 0
    run = view_of(samples.events([samples.run_started(), *samples.attempt("cli:a", outcome="failed", seconds=99.0)]))
    assert pace.figures(run) == {}
    pace.keep(tmp_path, run, lambda *_: pytest.fail("nothing was measured"))


LOAD = "other programs used 80 % of the processors"


@pytest.mark.parametrize(
    "taken, asked, result, reason",
    [
        # seconds of the attempt and of each repeat, with what disturbed it
        ([(13.0, LOAD), (13.0, ""), (13.0, ""), (13.0, "")], [1, 2, 3, 0], "slower", ""),
        ([(13.0, LOAD), (10.0, "")], [1, 0], "unconfirmed", ""),
        ([(13.0, ""), (13.0, LOAD)], [1, 0], "unconfirmed", LOAD),
        (
            [(13.0, ""), (13.0, ""), (13.0, "degraded: a on failover")],
            [1, 2, 0],
            "unconfirmed",
            "degraded: a on failover",
        ),
        ([(10.0, LOAD)], [0], None, None),
    ],
)
def test_a_disturbed_duration_confirms_nothing(taken, asked, result, reason):
    pace, events = Pace(RULE, "m", {"cli:a - m": (10.0,) * 20}), []
    case = Case("a", "", ("cli",))
    numbers = [pace.after(Result("cli:a", 1, "passed", one), case, "", events.append, why) for one, why in taken]
    assert numbers == asked
    assert [(event.result, event.reason) for event in events] == ([] if result is None else [(result, reason)])


def test_without_repeats_a_disturbed_duration_is_not_confirmed():
    pace, events = Pace(Baseline(slower_ratio=1.25, confirm=0), "m", {"cli:a - m": (10.0,) * 20}), []
    assert pace.after(Result("cli:a", 1, "passed", 13.0), Case("a", "", ("cli",)), "", events.append, LOAD) == 0
    assert [(event.result, event.reason) for event in events] == [("unconfirmed", LOAD)]


def test_a_disturbed_duration_becomes_no_part_of_a_baseline(tmp_path):
    pace = Pace.open(tmp_path, RULE, "m")
    finished = [*samples.attempt("cli:a", seconds=10.0, disturbed=LOAD), *samples.attempt("cli:b", seconds=5.0)]
    run = view_of(samples.events([samples.run_started(), *finished]))
    kept = []
    pace.keep(tmp_path, run, kept.append)
    assert (len(kept), list(pace.samples)) == (1, ["cli:b - m"])


def test_repeats_wait_for_a_time_that_is_bounded_for_each_and_for_the_run():
    now = 0.0
    pace = Pace(RULE, "m", {f"cli:{name} - m": (10.0,) * 20 for name in "abcdef"}, clock=lambda: now)
    waited = []
    for name in "abcdef":
        case = Case(name, "", ("cli",))
        assert pace.after(Result(f"cli:{name}", 1, "passed", 13.0), case, "", lambda _: None) == 1
        left = pace.patience(f"cli:{name}")
        waited.append(left)
        now += left
        assert pace.patience(f"cli:{name}") == 0
        pace.waited(f"cli:{name}")
        pace.give_up(f"cli:{name}", case, lambda event: waited.append(event.reason), "busy")
    assert waited == [30, "busy", 30, "busy", 30, "busy", 30, "busy", 0, "busy", 0, "busy"]


def test_a_profile_has_a_baseline_of_its_own():
    assert baseline.place_of("m", "") == "m"
    assert baseline.parts_of(baseline.key_of("cli:a [x y]", "", baseline.place_of("m", "slow"))) == (
        "cli:a [x y]",
        "-",
        "m/slow",
    )
