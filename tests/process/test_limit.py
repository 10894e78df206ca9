"""Evidence limits of real runs."""

from __future__ import annotations

import pytest

from tests.support.project import HEAD, py


@pytest.mark.parametrize("place", ["test", "defaults"])
def test_a_run_keeps_the_small_ones_and_says_what_went(project, place):
    write = (
        "import os, pathlib, sys; folder = pathlib.Path(sys.argv[1]);"
        " [(folder / f'{n}.bin').write_bytes(b'x' * n * 1000) for n in (1, 3, 4)]; print('told'); raise SystemExit(1)"
    )
    command = py(write).replace("]}}", ', "${attempt.dir}"], attach: ["${attempt.dir}/*.bin"]}}')
    limit = "evidence_limit_megabytes: 0.005"
    defaults = f"defaults: {{{limit}}}\n" if place == "defaults" else ""
    test = command.replace("{command", f"{{{limit}, command", 1) if place == "test" else command
    project.write(f"{HEAD}{defaults}tests:\n  a: {test}\n").compile()
    assert project.run("run").code == 1
    [body] = [event["body"] for event in project.events("attempt_finished")]
    assert body["dropped"] == [{"path": "4.bin", "bytes": 4000, "kind": "attachment"}]
    folder = project.folder / "attempts/cli/a/1"
    assert sorted(path.name for path in folder.iterdir()) == ["1.bin", "3.bin", "output.log"]
    assert [one["path"].rpartition("/")[2] for one in body["evidence"]] == ["output.log", "1.bin", "3.bin"]
    assert (
        "4.bin (attachment, 4000 bytes): over evidence_limit_megabytes" in project.run("show", "a", "--run", "last").out
    )
    assert project.run("audit").code == 0
