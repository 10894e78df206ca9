"""Ledgers that earlier versions wrote, read by this one: each verb shows what it showed when they were recorded.

`tests.support.recordings` makes the files of tests/data/runs. The golden file beside each has the answers of the verbs that read it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestra import cli
from orchestra.ledger import plan_store
from orchestra.ledger.quick import STATE
from orchestra.ledger.runs import LEDGER, find_run, runs_of
from orchestra.ledger.segment import segments
from orchestra.ledger.view import look
from orchestra.runtime.gates.figures import outage_figures
from orchestra.runtime.run.resume import decide, nothing_to_resume
from tests.support import golden, paths

DATA = paths.DATA / "runs"
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in DATA.glob("*.tar.xz"))


def unpacked(name: str, folder: Path) -> Path:
    """The project of a recorded run, in a folder of its own."""
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(params=NAMES)
def recorded(request, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(unpacked(request.param, tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def plain(value: Any) -> Any:
    """JSON data in one form: 1.0 and 1 are the same number."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def answered(capsys, *words: str) -> str:
    """What a verb writes, and its exit code."""
    code = cli.run(list(words))
    told = capsys.readouterr()
    return f"{told.out}{told.err}exit code {code}\n"


def going_on(folder: Path) -> dict[str, Any]:
    """What a further segment of the run would begin with, were nothing changed since."""
    view = look(folder, steps=False)
    if why := nothing_to_resume(view):
        return {"nothing": why}
    plan = plan_store.load(folder, view.segment.plan_digest)
    known = {given.test: given.inputs for given in view.verdicts.values()}
    builds = view.segment.builds
    found = decide(view, plan, plan, builds, lambda test: known.get(test.id) or "", allow_changed=False)
    goes_on = {task: life for task, life in view.lives.items() if task not in found.rerun}
    figures = outage_figures(view)
    return {
        "segment": found.segment,
        "kept": {task: view.verdicts[task].verdict for task in view.selection if task in found.kept},
        "rerun": found.rerun,
        "attempts": {task: life.ended for task, life in goes_on.items() if life.ended and task not in found.kept},
        "held": {task: life.held for task, life in goes_on.items() if life.held},
        "groups": sorted({(checkpoint.body.method, checkpoint.body.group) for checkpoint in view.checkpoints}),
        "incidents": view.health.numbers,
        "moved": {task: one.result for task, life in view.lives.items() if (one := life.comparison) is not None},
        "suspects": figures["infra_suspect"],
        "recoveries": figures["recoveries"],
        "failovers": sorted(
            {change.body.component for change in view.health.changes if change.body.action == "failover"}
        ),
        "seconds": round(view.seconds, 6),
    }


def sections(home: Path, capsys) -> Iterator[tuple[str, str]]:
    folder = find_run(home)
    runs = runs_of(home)
    plan = json.loads((home / "plan.json").read_bytes())
    tests = [test["id"] for test in plan["tests"]]
    (folder / STATE).unlink(missing_ok=True)
    yield "status", answered(capsys, "status")
    yield "state", _json(json.loads((folder / STATE).read_bytes()))
    yield "resume", _json(going_on(folder))
    verbs = ["events", "audit", "audit --policy", "audit --gates", "compare", "history", "history --flaky"]
    verbs += ["history --failures", "history --json", *(f"report --format {form}" for form in ("md", "junit", "ctrf"))]
    verbs += [f"compare {runs[-1]} {runs[0]}"] if len(runs) > 1 else []
    for verb in verbs:
        yield verb, answered(capsys, *verb.split())
    yield "show", answered(capsys, "show", *tests, "--run", runs[0])


def _json(value: Any) -> str:
    return json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"


def test_every_verb_shows_of_a_recorded_run_what_it_showed(recorded, request, capsys):
    found = "".join(f"==> {name}\n{text}\n" for name, text in sections(recorded / ".orchestra/s", capsys))
    golden.check(DATA / f"{request.node.callspec.params['recorded']}.txt", found)


def test_the_state_is_the_one_that_the_run_wrote_at_its_end(recorded):
    file = find_run(recorded / ".orchestra/s") / STATE
    live = json.loads(file.read_bytes())
    file.unlink()
    assert cli.run(["status"]) == 0
    again = {name: value for name, value in json.loads(file.read_bytes()).items() if name in live or value}
    if any(one["outcome"] == "unresolved" and one["seconds"] is None for one in again["past_incidents"]):
        again["past_incidents"] = live["past_incidents"]  # version 0.1 forgot an incident that a kill had cut off
    again = {name: value for name, value in again.items() if name in live}  # a later version has more
    assert plain(live) == plain(again) or live["seq"] != again["seq"], "only that of a run that was killed is another"


def test_the_lines_of_a_ledger_are_printed_as_they_were_written(recorded, capsys):
    folder = find_run(recorded / ".orchestra/s")
    written = b"".join(file.read_bytes() for file in segments(folder / LEDGER))
    whole = written[: written.rfind(b"\n") + 1]
    assert cli.run(["events", "--json"]) == 0
    assert capsys.readouterr().out.encode() == whole
