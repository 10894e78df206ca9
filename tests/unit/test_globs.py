"""Globs: what `Path.glob` finds, with one look at each folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra import globs

NAMES = ["a", "b", "ab", "a.py", ".x", "b.py"]
PARTS = ["**", "*", "a", "a*", "?", "*.py", "[ab]", "link", "back", ".x", "absent", "."]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Folders of folders, a link to one of them, and one that leads back to the top."""
    root = tmp_path_factory.mktemp("tree")
    for one in NAMES[:3]:
        for two in NAMES[:3]:
            (root / one / two / "a").mkdir(parents=True)
            for name in NAMES[3:]:
                (root / one / two / name).touch()
                (root / one / two / "a" / name).touch()
    (root / "link").symlink_to("a")
    (root / "b" / "back").symlink_to(root)
    (root / "b" / "broken").symlink_to("nowhere")
    return root


@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=5))
def test_a_glob_names_the_files_that_it_names_to_python(tree, parts):
    glob = "/".join(parts)
    if set(parts) == {"."}:
        return  # an error of both
    written = f"{glob}/*" if parts[-1] == "**" else glob  # before 3.13 a final `**` names folders only
    assert set(globs.files(tree, glob)) == {str(path) for path in tree.glob(written) if path.is_file()}


@pytest.mark.parametrize("glob", ["**/d/**/d/**/d/**/d/**/d/**/*.x", "**/**/**/**/**/**/**/*.x"])
def test_each_folder_is_looked_at_once(tmp_path, monkeypatch, glob):
    """`Path.glob` looks thousands of times."""
    folder = tmp_path.joinpath(*["d"] * 20)
    folder.mkdir(parents=True)
    (folder / "f.x").touch()
    looks: list[str] = []
    listed = os.scandir

    def counted(path):
        looks.append(os.fspath(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert list(globs.files(tmp_path, glob)) == [str(folder / "f.x")]
    assert len(looks) == len(set(looks)) == 21


def test_a_folder_that_may_not_be_read_names_nothing(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.txt").touch()
    listed = os.scandir

    def refused(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert list(globs.files(tmp_path, "**/*")) == [str(tmp_path / "open.txt")]


@pytest.mark.parametrize("glob, why", [("", "nothing"), (".", "nothing"), ("/a", "absolute"), ("**a", "whole part")])
def test_what_is_no_glob_is_refused(tmp_path, glob, why):
    with pytest.raises(ValueError, match=why):
        list(globs.files(tmp_path, glob))
