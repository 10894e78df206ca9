"""A ledger of several files on a full disk, and read by every verb."""

from __future__ import annotations

import pytest

from orchestra.ledger.retention import _rests_on
from orchestra.ledger.segment import segment_path, segments
from tests.support.ledgers import own_mounts, python
from tests.support.project import HEAD, Ended, SuiteProject


def test_a_disk_that_is_full_at_a_change_of_files_stops_the_record_at_a_whole_line(tmp_path):
    wrap = own_mounts()
    if wrap is None:
        pytest.skip("needs a mount table of its own (unshare --mount), which this system does not allow")
    script = (
        "import subprocess, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from orchestra.errors import MachineError\n"
        "from orchestra.ledger.event import Note\n"
        "from orchestra.ledger.log import Writer\n"
        "from tests.support.ledgers import verify\n"
        "from orchestra.ledger.segment import segments\n"
        "folder = Path(sys.argv[1])\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], check=True)\n"
        "ballast, path = folder / 'ballast', folder / 'events.jsonl'\n"
        "ballast.write_bytes(bytes(32 * 1024))\n"
        "writer, refused = Writer(path, now=lambda: datetime.now(UTC), segment_bytes=4000), 0\n"
        "for number in range(400):\n"
        "    try:\n"
        "        writer.append(Note(message='x' * 150), sync=True)\n"
        "    except MachineError as error:\n"
        "        refused += 1\n"
        "        assert 'no space left on device' in error.message, error\n"
        "        assert verify(path) is None\n"
        "        if refused == 3:\n"
        "            ballast.unlink()\n"
        "        if refused == 6:\n"
        "            break\n"
        "writer.close()\n"
        "print(refused, verify(path), len(list(segments(path))) > 8)\n"
    )
    done = python(script, tmp_path, wrap=wrap)
    assert (done.stdout, done.stderr) == ("6 None True\n", "")


SHORT = dict.fromkeys((f"orchestra.ledger.{module}.SEGMENT_BYTES" for module in ("segment", "log")), 1500)

SPEC = f"""{HEAD}
groups: {{first: {{}}, second: {{after: [first]}}}}
tests:
  a: {{group: first, command: {{argv: [sh, -c, "echo a >> ran"]}}}}
  b: {{group: first, inputs: [specs/*], command: {{argv: [sh, -c, "echo b >> ran"]}}}}
  c: {{group: second, needs: [b], command: {{argv: [sh, -c, "echo c >> ran; test -e good"]}}}}
  d: {{group: second, command: {{argv: [sh, -c, "echo d >> ran"]}}}}
"""


def short(project: SuiteProject, *words: str) -> Ended:
    """`orchestra …` with files of the ledger so short that a run has many."""
    return project.shortened(SHORT, *words)


def test_all_that_reads_a_run_reads_it_over_its_files(project):
    project.write(SPEC).compile()
    done = short(project, "run")
    assert done.code == 1, done.err
    folder = project.folder
    before = len(list(segments(folder / "events.jsonl")))
    assert before > 4
    assert short(project, "audit").out.startswith(f"{folder.name}: sealed whole: ")
    assert "3 passed, 1 failed" in short(project, "status").out
    assert short(project, "events", "--type", "verdict").out.count("cli:") == 4
    assert "1 failed" in short(project, "report", "--format", "md").out
    assert short(project, "history", "--rebuild").code == 0
    assert "B" not in short(project, "show", "c", "--run", "last").err

    back = short(project, "rollback", "cli:first")
    assert (back.code, "2 wait" in back.out) == (0, True), back.err
    (project.root / "good").touch()
    done = short(project, "run", "--resume")
    assert done.code == 0, done.err
    assert project.folder == folder
    assert len(list(segments(folder / "events.jsonl"))) > before
    assert "".join(sorted("".join((project.root / "ran").read_text().split()))) == "abccdd"
    audit = short(project, "audit", "--policy", "--excuse", "clean_tree")
    assert audit.code == 0, audit.out
    assert "4 passed" in (folder / "summary.md").read_text()

    assert short(project, "run").code == 0
    assert short(project, "compare", folder.name, project.folder.name).code in {0, 1}
    assert _rests_on(project.folder / "events.jsonl") == [("cli:b", folder.name)]

    second = segment_path(folder / "events.jsonl", 2)
    whole = bytearray(second.read_bytes())
    whole[len(whole) // 2] ^= 1
    second.write_bytes(whole)
    told = short(project, "audit", folder.name)
    assert (told.code, "events-2.jsonl:" in told.out) == (1, True), told.out
