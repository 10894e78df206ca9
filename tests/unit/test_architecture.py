"""The shape of the program: sizes of classes, and the picture of its packages."""

from __future__ import annotations

from collections import Counter

from scripts import architecture


def test_no_class_is_longer_than_the_limit():
    longer = {
        name: lines for name, lines in architecture.classes().items() if lines > architecture.MOST_LINES_OF_A_CLASS
    }
    assert longer == {}, "split it by subject"


def test_each_module_is_measured():
    assert len(architecture.modules()) > 300
    assert len(architecture.classes()) > 300
    assert "run.session" not in architecture.modules()
    assert architecture.classes()["runtime.run.session.Session"] > 100


def test_only_code_counts():
    text = '"""Docstring\n\nof a module."""\n\n# comment\nA = 1\n\n\ndef b():\n    """One."""\n    return (\n        A\n    )\n'
    assert architecture.code_lines(text) == 5


def test_the_picture_has_an_arrow_for_imports():
    lines = architecture.picture().splitlines()
    for arrow in ("runtime.dag --> runtime.run", "compiler.outputs --> compiler.emit", "cli --> verbs"):
        start, end = (architecture.node(name) for name in arrow.split(" --> "))
        assert f"  {start} --> {end}" in lines


def test_an_arrow_that_a_longer_way_implies_is_left_out():
    assert architecture.reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


def test_the_sizes_are_printed(capsys, monkeypatch):
    few = {
        name: file
        for name, file in architecture.modules().items()
        if name.startswith(("runtime.run.", "ledger.", "plan"))
    }
    monkeypatch.setattr(architecture, "modules", lambda: few)
    architecture.main()
    printed = capsys.readouterr().out
    assert "| runtime |" in printed
    assert "ledger.view.View" in printed


def test_the_table_of_sizes_is_of_now():
    """Within a twentieth, so that not each new module asks for a new table."""
    page = (architecture.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Sizes")[2]
    rows = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")
    ]
    stated = {name: int(now) for name, _, _, _, now, *_ in rows[1:]}
    counted = Counter("top level" if "." not in name else name.partition(".")[0] for name in architecture.modules())
    counted["all"] = counted.total()
    assert stated.keys() == counted.keys()
    off = {name: (stated[name], now) for name, now in counted.items() if abs(stated[name] - now) > max(2, now / 20)}
    assert not off, "stated, and now; `python scripts/architecture.py` prints the table"
