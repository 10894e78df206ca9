"""What docs/ledger.md and the schemas name is produced: each type of event, and each field of events and of the state.

The suites of `tests.support.recordings` are run by this version, and a few more for what those have no reason to hold. A field
that no run fills is a promise that nothing keeps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import inspect

from orchestra.ledger.event import CATALOGUE
from orchestra.ledger.state import State
from tests.process.test_tampering_reports import KEY, pem
from tests.support.project import ANY_LOAD, HEAD, py
from tests.support.recordings import COUNTED, RECORDED, Ground

Field = tuple[str, str]

SLOW = "import os, sys, time; time.sleep(3 if os.path.exists('slow') else 0); open(sys.argv[1] + '/big', 'wb').write(bytes(300_000_000))"


def signed_in_ci(ground: Ground) -> None:
    """A run of a job in CI, with workers of the command line, inputs that are declared, and a key that signs."""
    ci = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "a/b", "USER": ""}
    ground.write(
        f"{HEAD}tests:\n  a: {{inputs: [specs/s.yaml], {py('pass')[1:-1]}}}\n  b: {py('raise SystemExit(1)')}\n"
    ).compile()
    assert ground.run("run", "--workers", "2", ORCHESTRA_SIGN_KEY=pem(KEY), **ci).code == 1
    assert ground.run("run", "--resume", "--workers", "1", USER="somebody").code == 1


def baseline_before_a_checkpoint(ground: Ground) -> None:
    """A rollback to a group that was completed again after the run had left its durations."""
    ground.write(COUNTED.replace("groups:", f"baseline: {{{ANY_LOAD}}}\ngroups:", 1)).compile()
    (ground.root / "good").touch()
    ground.ran(0, "run").ran(0, "rollback", "first").ran(0, "run", "--resume").ran(0, "rollback", "second")


def a_repeat_that_leaves_too_much(ground: Ground) -> None:
    """A repeat with a file that is not kept."""
    rule = f"baseline: {{min_runs: 2, slower_ratio: 2, slower_seconds: 1, confirm: 1, {ANY_LOAD}}}\n"
    argv = json.dumps(["python", "-c", SLOW, "${attempt.dir}"])
    ground.write(
        f"{HEAD}{rule}tests:\n  a: {{command: {{argv: {argv}, attach: ['${{attempt.dir}}/big']}}}}\n"
    ).compile()
    ground.ran(0, "run").ran(0, "run")
    (ground.root / "slow").touch()
    ground.ran(0, "run")


MORE = (signed_in_ci, baseline_before_a_checkpoint, a_repeat_that_leaves_too_much)


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
@pytest.mark.xfail(
    strict=True,
    reason="no suite here has cases of a wrapped runner, a failure in `before`, two retries left, a dropped file of a "
    "repeat, or a recovery bound: 21 fields are not seen to be filled",
)
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
