"""What a spec becomes: a golden plan for each feature, and what holds for any spec."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra import names, plan
from orchestra.compiler.build import Built, build
from orchestra.compiler.lower import lower, lower_test
from orchestra.compiler.rules.late_names import RUN_NAMES
from tests.golden import check

DATA = Path(__file__).parent / "data" / "lower"
FEATURES = sorted(path.stem for path in DATA.glob("*.yaml"))


def shown(one: plan.Plan) -> str:
    """A plan for people: all but its digest, one key a line."""
    data = msgspec.to_builtins(msgspec.structs.replace(one, source_digest=""))
    return json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def built(folder: Path, text: str) -> Built:
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return build(folder, ["s.yaml"])


def plan_of(folder: Path, text: str) -> plan.Plan:
    made = built(folder, text)
    assert not made.diagnostics, "\n".join(problem.text() for problem in made.diagnostics)
    return made.plans[0]


@pytest.mark.parametrize("name", FEATURES)
def test_feature(name):
    made = build(DATA, [f"{name}.yaml"])
    assert not made.diagnostics, "\n".join(problem.text() for problem in made.diagnostics)
    check(DATA / f"{name}.json", "".join(map(shown, made.plans)))
