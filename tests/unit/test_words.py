"""The check of wording finds denied words where people read them, and nowhere else."""

from __future__ import annotations

import pytest

from scripts import words


@pytest.fixture
def covered(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "COVERED", ("*.md", "*.py"))
    return tmp_path


@pytest.mark.nightly  # `make check` runs the same command
def test_the_covered_places_of_this_repository_hold_no_denied_word(capsys):
    assert words.main([]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "name, text, lines",
    [
        (
            "page.md",
            "It is mended.\n\n`told` here\n\n```\njudge\n```\n\nWhat runs is listed.\n",
            ["page.md:1", "page.md:9"],
        ),
        ("code.py", 'judge = 1\n# Judges it.\ntext = f"somebody {judge} "\n', ["code.py:2", "code.py:3"]),
        (
            "clean.md",
            "A judge-free page that recommends repairs. Understands what runs.\n\n## What is it?\n",
            ["clean.md:1"],
        ),
        ("code.py", '"""\nWhat it returns.\n"""\n', ["code.py:2"]),
    ],
)
def test_denied_words_are_listed_by_line(covered, capsys, name, text, lines):
    (covered / name).write_text(text, encoding="utf-8")
    assert words.main([], covered) == 1
    assert [line.rsplit(": ", 2)[0] for line in capsys.readouterr().out.splitlines()] == lines


def test_an_exception_excuses_its_phrase_in_its_file_only(covered, capsys, monkeypatch):
    monkeypatch.setattr(words, "EXCEPTIONS", {("one.md", "as they say"): "a quotation"})
    (covered / "one.md").write_text("It is so, as they say.\n", encoding="utf-8")
    (covered / "two.md").write_text("It is so, as they say.\n", encoding="utf-8")
    assert words.main([], covered) == 1
    assert (
        capsys.readouterr().out
        == 'two.md:1: "say" is on the list of denied words: use report, state, declare, define\n'
    )


def test_each_exception_is_needed():
    for name, phrase in words.EXCEPTIONS:
        assert any(phrase in line for _, line in words.prose(words.ROOT / name)), f"{name} no longer holds {phrase!r}"
