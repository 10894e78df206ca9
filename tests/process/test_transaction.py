"""What a run changes outside of its folder is all old or all new, at whichever step its process dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.errors import MachineError
from orchestra.ledger.transaction import Transaction, recover
from tests.support.paths import ROOT

# Dies, as by SIGKILL, just before the step of this number that changes the disk.
CHANGE = """
import os, sys
from pathlib import Path
from orchestra.ledger.transaction import Transaction, recover

left = int(sys.argv[2])
armed = False

def step(event, arguments):
    global left
    changes = event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate"}
    changes = changes or (event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if armed and changes:
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(step)
armed = True
change = Transaction(Path(sys.argv[1]))
change.write("history.json", b"new")
change.write("executions.jsonl", b"new")
change.link("runs/last", "20260728T120001Z-0002")
change.remove("baseline.json")
change.commit()
"""


def old(home: Path) -> Path:
    (home / "runs").mkdir(parents=True)
    (home / "history.json").write_bytes(b"old")
    (home / "baseline.json").write_bytes(b"old")
    (home / "runs" / "last").symlink_to("20260728T120000Z-0001")
    return home


def read(home: Path) -> dict[str, str]:
    found = {
        name: (home / name).read_text()
        for name in ("history.json", "executions.jsonl", "baseline.json")
        if (home / name).exists()
    }
    return {**found, "runs/last": str((home / "runs" / "last").readlink())}


OLD = {"history.json": "old", "baseline.json": "old", "runs/last": "20260728T120000Z-0001"}
NEW = {"history.json": "new", "executions.jsonl": "new", "runs/last": "20260728T120001Z-0002"}


def test_at_every_step_it_is_the_old_or_the_new(tmp_path):
    seen = []
    for number in range(60):
        home = old(tmp_path / str(number))
        done = subprocess.run([sys.executable, "-c", CHANGE, str(home), str(number)], cwd=ROOT, check=False)
        recover(home)
        found = read(home)
        assert found in (OLD, NEW), number
        left = [path.name for path in home.iterdir() if path.name.startswith(".") and not path.name.endswith(".tmp")]
        assert left == [], number
        seen.append(found == NEW)
        if done.returncode == 0:
            break
        assert done.returncode == 9
    else:
        pytest.fail("it never came to its end")
    assert seen == sorted(seen), "once it is decided, it stays decided"
    assert seen[0] is False
    assert sum(not one for one in seen) > 5
    assert sum(seen) > 5


def test_nothing_changes_before_it_is_committed(tmp_path):
    home = old(tmp_path)
    change = Transaction(home)
    change.write("history.json", b"new")
    assert read(home) == OLD
    Transaction(home).commit()
    assert read(home) == OLD
    assert not (home / ".prepared").exists()


def test_a_disk_that_refuses_leaves_the_old(tmp_path):
    home = old(tmp_path)
    change = Transaction(home)
    change.write("history.json", b"new")
    (home / ".commit.json").mkdir()
    with pytest.raises(MachineError, match="cannot write"):
        change.commit()
    (home / ".commit.json").rmdir()
    recover(home)
    assert read(home) == OLD
