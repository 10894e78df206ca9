"""A ledger on a disk that is full, read-only or limited."""

import pytest

from tests.support.ledgers import own_mounts, python

FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from orchestra.errors import MachineError
from orchestra.ledger.event import Note
from orchestra.ledger.log import Writer
from tests.support.ledgers import verify

def fill(path, mend):
    writer = Writer(path, now=lambda: datetime.now(UTC))
    try:
        for number in range(10000):
            writer.append(Note(message="x" * 150), sync=True)
    except MachineError as error:
        print(error.message.replace(str(path), "PATH"))
        print(error.hint)
    assert writer.tip.seq > 20, writer.tip
    assert path.stat().st_size == writer.tip.end, "half a line is left"
    assert verify(path) is None
    mend()
    writer.append(Note(message="goes on"), sync=True)
    writer.seal()
    writer.close()
    print(verify(path))
"""


def test_a_limit_on_file_sizes_stops_the_record_at_a_whole_line(tmp_path):
    script = FILL + (
        "import resource\n"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, hard))\n"
        "fill(Path(sys.argv[1]), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))\n"
    )
    done = python(script, tmp_path / "events.jsonl")
    assert done.stderr == ""
    assert done.stdout == (
        'cannot write "PATH": file too large\n'
        "raise the limit on file sizes (`ulimit -f`), then continue with `orchestra run --resume`\n"
        "None\n"
    )


def test_a_full_disk_and_a_read_only_one_are_told_and_leave_whole_lines(tmp_path):
    wrap = own_mounts()
    if wrap is None:
        pytest.skip("needs a mount table of its own (unshare --mount), which this system does not allow")
    script = FILL + (
        "import subprocess\n"
        "folder = Path(sys.argv[1])\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', folder], check=True)\n"
        "ballast = folder / 'ballast'\n"
        "ballast.write_bytes(bytes(64 * 1024))\n"
        "fill(folder / 'events.jsonl', ballast.unlink)\n"
        "subprocess.run(['mount', '-o', 'remount,ro', folder], check=True)\n"
        "try:\n"
        "    Writer(folder / 'other.jsonl', now=lambda: datetime.now(UTC))\n"
        "except MachineError as error:\n"
        "    print(error.message.replace(str(folder), 'FOLDER'))\n"
        "    print(error.hint)\n"
        "print(verify(folder / 'events.jsonl'))\n"
    )
    done = python(script, tmp_path, wrap=wrap)
    assert done.stderr == ""
    assert done.stdout == (
        'cannot write "PATH": no space left on device\n'
        "free some space, then continue with `orchestra run --resume`\n"
        "None\n"
        'cannot open "FOLDER/other.jsonl": read-only file system\n'
        "mount the file system writable, or choose another folder with `orchestra -C DIR`\n"
        "None\n"
    )
