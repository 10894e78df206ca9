"""What docs/ledger.md and the schemas name is produced: each type of event, and each field of events and of the state.

The suites of `tests.support.recordings` are run by this version, and a few more for what those have no reason to hold. A field
that no run fills is a promise that nothing keeps.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import inspect

from orchestra.ledger import baseline
from orchestra.ledger.event import CATALOGUE
from orchestra.ledger.state_rows import State
from tests.process.test_tampering_reports import KEY, pem
from tests.support.outages import backend, breaks
from tests.support.project import ANY_LOAD, HEAD, py
from tests.support.recordings import COUNTED, FAILS, RECORDED, Ground, killed, newer, served
from tests.support.servers import until

Field = tuple[str, str]

SLOW = "import os, sys, time; time.sleep(float(open('slow').read()) if os.path.exists('slow') else 0); open(sys.argv[1] + '/big', 'wb').write(bytes(100_000))"


def signed_in_ci(ground: Ground) -> None:
    """A run of a job in CI, with workers of the command line, inputs that are declared, and a key that signs."""
    ci = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "a/b", "USER": ""}
    ground.write(
        f"{HEAD}tests:\n  a: {{inputs: [specs/s.yaml], {py('pass')[1:-1]}}}\n  b: {py('raise SystemExit(1)')}\n"
        f"  none: {py('pass')}\n"
    ).compile()
    ground.git("init", "--quiet").git("commit", "--quiet", "--allow-empty", "--message", "first")
    words = ("--workers", "2", "--since", "HEAD", "--shuffle", "1", "--max-failures", "9", "--retries", "0")
    assert ground.run("run", "!none", *words, ORCHESTRA_SIGN_KEY=pem(KEY), **ci).code == 1
    assert ground.run("run", "--resume", "--workers", "1", USER="somebody").code == 1
    ground.git("add", "--all").git("commit", "--quiet", "--message", "second")
    (ground.root / "specs/s.yaml").write_text((ground.root / "specs/s.yaml").read_text() + "# changed\n")
    assert ground.compile().run("run", "a", "--burn-in", "HEAD").code == 0


def accepted_before_a_rollback(ground: Ground) -> None:
    """A rollback to a group that was completed after a duration of the run had been accepted."""
    ground.write(COUNTED.replace("groups:", f"baseline: {{{ANY_LOAD}}}\ngroups:", 1)).compile().ran(1, "run")
    (ground.root / "good").touch()
    (ground.root / "seen.txt").write_text("the page is green\n")
    ground.ran(0, "attest", "b", "--status", "failed", "--evidence", "seen.txt", "--note", "a grey button")
    ground.ran(0, "baseline", "accept", "a").ran(0, "run", "--resume").ran(0, "rollback", "second")


def a_repeat_that_leaves_too_much(ground: Ground) -> None:
    """A repeat with a file that is not kept."""
    rule = f"baseline: {{min_runs: 2, slower_ratio: 2, slower_seconds: 1, confirm: 1, {ANY_LOAD}}}\n"
    argv = json.dumps(["python", "-c", SLOW, "${attempt.dir}"])
    ground.write(
        f"{HEAD}{rule}tests:\n  a: {{evidence_limit_megabytes: 0.01, command: {{argv: {argv}, attach: ['${{attempt.dir}}/big']}}}}\n"
    ).compile()
    ground.ran(0, "run").ran(0, "run")
    (ground.root / "slow").write_text(str(4 * max(*itertools.chain(*durations(ground))) + 2))
    ground.ran(0, "run")


def durations(ground: Ground) -> Iterable[Sequence[float]]:
    """The durations that the runs have left."""
    return baseline.load(ground.root / ".orchestra/s/durations.json").values()


CASES = """<testsuite><testcase classname="cart" name="pays" time="1.5"><failure type="ValueError" message="refused"/>
<error message="its tear-down failed, too"/><system-out>[[ATTACHMENT|bill.txt]]</system-out></testcase>
<testcase classname="cart" name="signs" time="0.5"><flakyFailure message="too early"/></testcase></testsuite>"""


def cases_of_a_wrapped_runner(ground: Ground) -> None:
    """A case with all that a runner may report of it, excused, and compared with a test."""
    ground.put(wrapped=f"import sys; open(sys.argv[1] + '/j.xml', 'w').write({CASES!r})")
    argv = json.dumps(["python", "wrapped.py", "${attempt.dir}"])
    ground.write(
        f"{HEAD}tests:\n  a: {{{FAILS}}}\n  shop:\n    known_failures: [{{match: refused}}, {{match: tear-down}}]\n"
        f"    command: {{argv: {argv}, junit: '${{attempt.dir}}/j.xml', cases: {{'cart*pays': {{of: a}}}}}}\n"
    ).compile().ran(1, "run")


def fails_before_and_twice(ground: Ground) -> None:
    """A test that fails in its `before`, and one that has two retries."""
    refused = "http: {GET: 'http://127.0.0.1:1/', within_seconds: 0.1}"
    ground.write(
        f"{HEAD}tests:\n  a: {{before: [{{{refused}}}], steps: [{{set: {{x: 1}}}}]}}\n"
        f"  b: {{retries: {{max: 2, on: [failed]}}, {FAILS}}}\n"
    ).compile().ran(1, "run")


DEEP = "import gzip, sys; data = b'x'\nfor _ in range(9): data = gzip.compress(data)\nopen(sys.argv[1] + '/c.gz', 'wb').write(data)"


def a_file_that_cannot_be_searched(ground: Ground) -> None:
    """A file that is packed too often, in a run with a secret."""
    argv = json.dumps(["python", "-c", DEEP, "${attempt.dir}"])
    ground.write(
        f"{HEAD}secrets: [TOKEN]\ntests:\n  a: {{command: {{argv: {argv}, attach: ['${{attempt.dir}}/c.gz']}}}}\n"
    ).compile()
    assert ground.run("run", TOKEN="a-long-value-that-is-secret").code == 0


def killed_when_the_workers_are_more(ground: Ground) -> None:
    """The state of a run that a SIGKILL ended once the load of the machine had changed the number of its workers."""
    tests = "".join(
        f"  t{number}: {py('import time; time.sleep(600)')}\n" for number in range(2 * (os.cpu_count() or 1))
    )
    ground.write(f"{HEAD.replace('workers: 2', 'workers: auto')}tests:\n{tests}").compile()
    free = {f"orchestra.runtime.engine.slots.{name}_PERCENT": 101.0 for name in ("ROOM", "FULL")}
    process = ground.start("run", limits=free)
    until(lambda: '"reason":"' in ledger_of(ground), "a sample with another number of workers")
    process.kill()
    process.communicate()
    ground.run("status")


def killed_after_a_recovery(ground: Ground) -> None:
    """The state of a run that a SIGKILL ended once a server had been started again."""
    waits = py("import pathlib, time; pathlib.Path('here').touch(); time.sleep(600)")[1:-1]
    served(
        ground, backend(), f"  a: {{{breaks('kill', seconds=2.0)}\n  b: {{after: [a], requires: [backend], {waits}}}\n"
    )
    process = ground.began("run", file="here")
    process.kill()
    process.communicate()
    ground.run("status")


def ledger_of(ground: Ground) -> str:
    """The resource samples of the only run, as far as they were written."""
    [file, *_] = [*(ground.root / ".orchestra/s/runs").glob("2*/events.jsonl"), None]
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    return "\n".join(line for line in lines if '"type":"resource' in line)


def looked_at_while_an_incident_is_open(ground: Ground) -> None:
    """The state of a run that a SIGKILL ended while an incident was open."""
    killed(ground)
    ground.run("status")


def looked_at_by_an_older_version(ground: Ground) -> None:
    """The state of a run of a newer version."""
    newer(ground)
    (ground.folder / "state.json").unlink()
    assert ground.run("status").code == 0


def shards_that_are_merged(ground: Ground) -> None:
    """Two shards and their merge, with retries of the command line, a lease, and a picture with the element that failed."""
    page = 'goto: "data:text/html,<h1>Prices</h1>"'
    ground.write(
        f"{HEAD.replace('driver: command', 'driver: playwright')}"
        f"pools: {{users: [{{name: ana}}, {{name: ben}}]}}\ntests:\n"
        "  a: {takes: {user: users}, steps: [{set: {name: '${user.name}'}}]}\n"
        f"  b: {{steps: [{{{page}}}, {{expect: {{css: h1, to: {{have_text: Costs}}, within_seconds: 1}}}}]}}\n"
    ).compile()
    for shard in ("1/2", "2/2"):
        ground.run("run", "--shard", shard, "--retries", "1")
    folders = sorted(path for path in (ground.root / ".orchestra/s/runs").iterdir() if path.name.startswith("2"))
    ground.ran(1, "merge", *map(str, folders))


MORE = (
    shards_that_are_merged,
    signed_in_ci,
    accepted_before_a_rollback,
    a_repeat_that_leaves_too_much,
    cases_of_a_wrapped_runner,
    fails_before_and_twice,
    a_file_that_cannot_be_searched,
    killed_when_the_workers_are_more,
    killed_after_a_recovery,
    looked_at_while_an_incident_is_open,
    looked_at_by_an_older_version,
)


def fields(kind: inspect.Type) -> Iterator[Field]:
    """Each field of the structs of a type, by the name of the struct."""
    if isinstance(kind, inspect.Metadata):
        yield from fields(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from fields(one)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield kind.cls.__name__, field.encode_name
            yield from fields(field.type)
    elif isinstance(kind, inspect.VarTupleType):
        yield from fields(kind.item_type)
    elif isinstance(kind, inspect.DictType):
        yield from fields(kind.value_type)


def filled(kind: inspect.Type, value: Any) -> Iterator[Field]:
    """Each field of a value that says something."""
    if isinstance(kind, inspect.Metadata):
        yield from filled(kind.type, value)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from filled(one, value)
    elif isinstance(kind, inspect.StructType) and isinstance(value, dict):
        for field in kind.fields:
            if value.get(field.encode_name):
                yield kind.cls.__name__, field.encode_name
                yield from filled(field.type, value[field.encode_name])
    elif isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        for item in value:
            yield from filled(kind.item_type, item)
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for item in value.values():
            yield from filled(kind.value_type, item)


BODIES = {name: inspect.type_info(entry.body) for name, entry in CATALOGUE.items()}
STATE = inspect.type_info(State)

ELSEWHERE = {
    ("Died", "before"): "tests/browser/test_driver_playwright.py ends a browser between two tests",
    ("Logs", "open"): "tests/unit/test_whole_log.py has a log that is still written",
    ("AttemptFinished", "disturbed"): "tests/process/test_baseline.py puts the machine under load",
    ("Repeated", "disturbed"): "tests/unit/test_baseline.py disturbs a repeat",
    ("Compared", "reason"): "tests/process/test_baseline.py puts the machine under load",
}
"""Fields that take more than a suite: a fault from outside, at the right moment. Their tests are real, too."""


@pytest.fixture(scope="module")
def produced(tmp_path_factory) -> tuple[set[str], set[Field]]:
    """The types of events and the fields that the runs of this version fill."""
    base = tmp_path_factory.mktemp("produced")
    types: set[str] = set()
    known: set[Field] = set()
    for name, make in {**RECORDED, **{one.__name__: one for one in MORE}}.items():
        root = base / name
        root.mkdir()
        (root / "pyproject.toml").write_text("[tool.orchestra]\n")
        make(Ground(root))
        for ledger in root.glob(".orchestra/*/runs/*/events*.jsonl"):
            for line in ledger.read_bytes().splitlines():
                event = json.loads(line) if line.endswith(b"}") else {"type": ""}
                if event["type"] in BODIES:
                    types.add(event["type"])
                    known.update(filled(BODIES[event["type"]], event["body"]))
        for state in root.glob(".orchestra/*/runs/*/state.json"):
            known.update(filled(STATE, json.loads(state.read_bytes())))
        shutil.rmtree(root)
    return types, known


@pytest.mark.nightly
@pytest.mark.browser
def test_each_type_of_event_and_each_field_is_produced(produced):
    types, known = produced
    assert sorted(set(BODIES) - types) == []
    promised = {field for kind in (*BODIES.values(), STATE) for field in fields(kind)}
    missing = sorted(promised - known - set(ELSEWHERE))
    assert not missing, "\n".join(map(str, missing))
    assert set(ELSEWHERE) - promised == set()


@pytest.mark.parametrize("field", ELSEWHERE)
def test_what_is_produced_elsewhere_is(field):
    path, _, _ = ELSEWHERE[field].partition(" ")
    assert field[1] in Path(path).read_text(encoding="utf-8")
