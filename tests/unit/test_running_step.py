"""The step that a worker executes now: its file, what displays make of it, and the forecast."""

from __future__ import annotations

import pytest

from orchestra import plan as plans
from orchestra.ledger.running_step import FOLDER, NodeSteps, RunningStep, StepFile, running_steps
from orchestra.report.console.display import Feed
from orchestra.report.console.lines import step_words
from orchestra.steps.target import Target
from orchestra.steps.vocabulary import Step
from tests.support import runs as samples

STEP = RunningStep("cli:B001", 1, "steps", 1, 3, "click", 5.0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def test_a_display_reads_the_latest_step_of_each_worker(folder):
    assert running_steps(folder / "none") == {}
    one, two = (StepFile(folder / FOLDER / f"worker-{number}.step") for number in (1, 2))
    long = RunningStep("mcp:B002" + "x" * 300, 2, "finally", 0, 1, "goto", 6.0)
    two.show(long)
    assert running_steps(folder) == {long.task: long}
    one.show(STEP)
    two.show(RunningStep("mcp:B002", 2, "before", 0, 1, "set", 7.0))  # shorter than the line that it takes the place of
    assert {task: step.verb for task, step in running_steps(folder).items()} == {"cli:B001": "click", "mcp:B002": "set"}
    one.show(None)
    assert list(running_steps(folder)) == ["mcp:B002"]
    StepFile(None).show(STEP)
    StepFile(folder / "none" / "x.step").show(STEP)  # a disk that refuses costs a display, no test


@pytest.mark.parametrize(
    "content", [b"", b'{"task":', b"\xff\xfe\n", b'{"task": "cli:B001"}\n', b"[]\n", b'["a", 1]', b"\x00" * 9000]
)
def test_a_line_that_is_no_step_shows_nothing(folder, content):
    (folder / FOLDER / "worker-1.step").write_bytes(content)
    (folder / FOLDER / "worker-1.log").write_bytes(b"a log")
    assert running_steps(folder) == {}


def test_a_link_in_place_of_a_file_is_not_followed(folder, tmp_path):
    StepFile(tmp_path / "elsewhere").show(STEP)
    (folder / FOLDER / "worker-1.step").symlink_to(tmp_path / "elsewhere")
    assert running_steps(folder) == {}
    StepFile(folder / FOLDER / "worker-1.step").show(RunningStep("cli:other", 1, "steps", 0, 1, "set", 1.0))
    assert b"other" not in (tmp_path / "elsewhere").read_bytes()


def test_the_steps_of_a_node_are_in_one_file_until_it_is_gone(tmp_path):
    other = RunningStep("cli:B002", 1, "steps", 0, 1, "http", 6.0)
    nodes = NodeSteps(tmp_path)
    nodes.show("n2", ())
    assert not (tmp_path / FOLDER).exists()
    nodes.show("n1", [STEP, other])
    nodes.show("n2", [RunningStep("cli:B003", 1, "steps", 0, 1, "set", 7.0)])
    assert sorted(running_steps(tmp_path)) == ["cli:B001", "cli:B002", "cli:B003"]
    nodes.show("n1", [STEP._replace(since=9.0), other])  # a clock that is read again makes no other step
    assert running_steps(tmp_path)["cli:B001"] == STEP
    nodes.show("n1", [other])
    nodes.show("n2", ())
    assert running_steps(tmp_path) == {"cli:B002": other}
    nodes.close()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_steps_of_nodes_on_a_disk_that_refuses_show_nothing(tmp_path):
    (tmp_path / FOLDER).write_text("a file")
    NodeSteps(tmp_path).show("n1", [STEP])
    assert running_steps(tmp_path) == {}


def test_words_have_the_target_of_the_plan_unless_that_is_another_step():
    click = Step("click", target=Target("role", "button", name="Pay", within=Target("text", "Tea")))
    test = plans.Test("B001", "x", ("cli",), steps=(Step("goto"), click))
    assert step_words(STEP, None) == "step 2 of 3 click"
    assert step_words(STEP, test) == 'step 2 of 3 click {role: "button", name: "Pay", within: {text: "Tea"}}'
    other = RunningStep("cli:B001", 1, "steps", 0, 3, "click", 5.0)
    assert step_words(other, test) == "step 1 of 3 click"
    late = RunningStep("cli:B001", 1, "finally", 0, 1, "set", 5.0)
    assert step_words(late, test) == "step of finally 1 of 1 set"


def feed(known: dict[str, float], now: float = 10.0) -> Feed:
    return Feed(samples.PLAN, "run", list, lambda: now, known=known, steps=lambda: {"cli:B001": STEP})


def test_the_forecast_has_the_times_of_earlier_runs_and_their_median_for_a_new_test():
    assert feed({}).left(["cli:B001"], {}) is None
    assert feed({"cli:B001": 4.0}).left(["cli:B001"], {}) == 4.0
    three = feed({"cli:a": 2.0, "cli:b": 6.0})
    assert three.left(["cli:a", "cli:b", "cli:new"], {}) == 12.0
    assert three.left(["cli:b"], {"cli:b": 3.0}) == 3.0, "a time of this run comes first"
    three.running = {"cli:a": 9.0, "cli:b": 0.0}
    assert three.left(["cli:a"], {}) == 1.5, "one has a second left, one is over its time, and two run at a time"


def test_a_log_names_the_step_of_each_running_test():
    one = feed({})
    one.running = {"cli:B001": 0.0, "cli:B002": 4.0}
    assert one.running_line() == "running     cli:B001 10.0 s in step 2 of 3 click  cli:B002 6.0 s"
    one.nodes = {"cli:B001": "n1", "cli:B002": "n2"}
    assert one.running_line() == "running     cli:B001 10.0 s on n1 in step 2 of 3 click  cli:B002 6.0 s on n2"
