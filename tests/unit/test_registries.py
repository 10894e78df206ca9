"""Tables next to a registry have a row for each of its kinds, and name the one that they lack."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from orchestra.plan import ENGINES, RecoveryStep
from orchestra.runtime.browsers import places
from orchestra.runtime.servers import climb
from tests.support.paths import ROOT

RECOVERY = get_args(get_type_hints(RecoveryStep)["kind"])


@pytest.mark.parametrize(
    "table", [name for name, value in vars(places).items() if isinstance(value, dict) and "chromium" in value]
)
def test_every_browser_is_in_each_table_of_places(table):
    assert {engine for engine in ENGINES if engine not in vars(places)[table]} == set()


def test_every_recovery_step_has_its_words_and_its_row_in_the_docs():
    page = (ROOT / "docs/health.md").read_text(encoding="utf-8")
    assert {kind for kind in RECOVERY if kind not in climb._WORDS} == set()
    assert {kind for kind in RECOVERY if f"| `{kind}` |" not in page and f"| `{{{kind}: " not in page} == set()
