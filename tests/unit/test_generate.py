"""Generated files are as their sources make them, and what is stale is named."""

from __future__ import annotations

import pytest

from scripts import generate
from tests.support.paths import ROOT


@pytest.mark.parametrize("name", generate.ARTIFACTS)
def test_a_generated_file_is_as_its_source_makes_it(name):
    before = (ROOT / name).read_text(encoding="utf-8")
    assert generate.ARTIFACTS[name](before) == before, "`make generate` fixes it"


@pytest.fixture
def copy(tmp_path):
    for name in generate.ARTIFACTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_check_names_what_is_stale_and_changes_nothing(copy, capsys):
    assert generate.main(["--check"], copy) == 0
    assert capsys.readouterr().out == ""
    (copy / "docs/rules.md").write_text("edited")
    (copy / "schemas/plan.schema.json").unlink()
    assert generate.main(["--check"], copy) == 1
    assert capsys.readouterr().out.splitlines() == [
        "schemas/plan.schema.json is stale: its source in the code has changed",
        "docs/rules.md is stale: its source in the code has changed",
        "`make generate` fixes it",
    ]
    assert (copy / "docs/rules.md").read_text() == "edited"


def test_what_is_stale_is_made(copy, capsys):
    (copy / "docs/ledger.md").write_text((ROOT / "docs/ledger.md").read_text().replace("| `", "| `x", 1))
    (copy / "docs/metrics.md").unlink()
    assert generate.main([], copy) == 0
    assert capsys.readouterr().out == "docs/metrics.md: updated\ndocs/ledger.md: updated\n"
    assert list(generate.stale(copy)) == []


def test_the_page_of_figures_has_the_sizes_of_the_commands():
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    for file in sorted((ROOT / ".claude/commands").glob("*.md")):
        content = file.read_bytes()
        [row] = [line for line in page.splitlines() if line.startswith(f"| {file.name} ")]
        assert [int(cell) for cell in row.split("|")[2:4]] == [content.count(b"\n"), len(content)], row
