"""Variables from `.env` files: values, secrets, and the place of each mistake."""

from __future__ import annotations

import pytest

from orchestra.diagnostic import Place
from orchestra.errors import SpecError
from orchestra.plan import EnvFile
from orchestra.runtime import env_files

WHERE = Place("specs/s.yaml", 3, 13)


def read(root, *files, environment=None):
    return env_files.read(root, files, environment or {}, lambda pointer: WHERE if pointer == "/env_files/0" else None)


def problems(root, *files):
    with pytest.raises(SpecError) as caught:
        read(root, *files)
    return caught.value.message.splitlines()


def test_lines_are_values_and_secrets(tmp_path):
    lines = ["# a comment", "export A='one' # why", "", 'B="two\nlines"', "C=${A}-${HOME}${NONE:-x}", "D=", "P=open"]
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "more").write_bytes(b"\xef\xbb\xbfA=three\r\nE=5\r\n")
    found = read(tmp_path, EnvFile(".env", public=("P",)), EnvFile("more"), environment={"HOME": "/h", "A": "real"})
    wanted = {"A": "three", "B": "two\nlines", "C": "real-/hx", "D": "", "P": "open", "E": "5"}
    assert (found.values, found.secrets) == (wanted, ("A", "B", "C", "D", "E"))
    assert read(tmp_path, EnvFile("none", required=False)) == ({}, ())


def test_each_bad_line_has_its_place_and_does_not_show_its_value(tmp_path):
    (tmp_path / ".env").write_text('A=1\n\n  B="hidden\n\t2x=hidden\nC\n=hidden\n', encoding="utf-8")
    found = problems(tmp_path, EnvFile(".env"))
    assert found[::2] == [
        ".env:3:3: the line is no variable [env-file]",
        '.env:4:2: "2x" is not the name of a variable [env-file]',
        '.env:5:1: "C" has no value [env-file]',
        ".env:6:1: the line is no variable [env-file]",
    ]
    assert "hidden" not in "".join(found)


def test_a_missing_file_has_its_place_in_the_spec(tmp_path):
    assert problems(tmp_path, EnvFile("none"), EnvFile("other")) == [
        'other:1:1: there is no file "other" [env-file]',
        "    hint: write it, or add `required: false` to its entry of `env_files`",
        'specs/s.yaml:3:13: there is no file "none" [env-file]',
        "    hint: write it, or add `required: false` to its entry of `env_files`",
    ]


@pytest.mark.parametrize(
    "path, reason",
    [
        ("link", "it is a link or is below one, and orchestra follows no link"),
        ("folder/.env", "it is a link or is below one, and orchestra follows no link"),
        ("../x/.env", "it is outside the project"),
        ("/etc/hostname", "it is outside the project"),
        ("real", "it is not a regular file"),
    ],
)
def test_no_link_is_followed_and_nothing_outside_is_read(tmp_path, path, reason):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real/.env").write_text("A=1", encoding="utf-8")
    (root / "folder").symlink_to("real")
    (root / "link").symlink_to("real/.env")
    assert problems(root, EnvFile(path)) == [f'specs/s.yaml:3:13: "{path}" cannot be read: {reason} [env-file]']


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=1\nB=\xff\n")
    assert problems(tmp_path, EnvFile(".env"))[0].startswith(".env:2:3: found the byte 0xff, which is not UTF-8")
