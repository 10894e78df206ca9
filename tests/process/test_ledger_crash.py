"""A writer that dies at any moment loses nothing that it had synced, and its ledger goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

from orchestra.ledger.log import Writer
from orchestra.ledger.reading import read
from orchestra.ledger.view import view_of
from tests.support.ledgers import note, verify
from tests.support.paths import ROOT

# Says a number only after the event that carries it is on the disk.
WRITE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from orchestra.ledger.event import Note
from orchestra.ledger.log import Writer

writer = Writer(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
number = writer.tip.seq
while True:
    number += 1
    writer.append(Note(message=str(number), data={"more": "x" * (number * 37 % 5000)}), sync=number % 3 == 0)
    if number % 3 == 0:
        print(writer.tip.seq, writer.tip.hash, flush=True)
"""


def test_kills_at_seeded_moments_lose_nothing_that_was_synced(tmp_path):
    path, dice = tmp_path / "events.jsonl", random.Random(2026)
    told = {}
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        head = [process.stdout.readline() for _ in range(dice.randrange(1, 30))]
        time.sleep(dice.random() * 0.003)  # only moves the kill; nothing is awaited by it
        process.send_signal(signal.SIGKILL)
        out = b"".join(head) + process.stdout.read()
        process.stdout.close()
        process.wait()
        for line in out.splitlines(keepends=True):
            if line.endswith(b"\n"):
                seq, head_hash = line.split()
                told[int(seq)] = head_hash.decode()
        kept = {event.seq: event.hash for event in read(path)}
        assert told.items() <= kept.items()
    with Writer(path, now=lambda: datetime.now(UTC)) as writer:
        writer.seal()
    assert verify(path) is None
    assert view_of(read(path)).sealed


def test_a_power_cut_drops_what_was_not_synced_and_no_more(tmp_path):
    path, dice = tmp_path / "events.jsonl", random.Random(7)
    synced = []
    for _ in range(40):
        with Writer(path, now=lambda: datetime.now(UTC)) as writer:
            count = dice.randrange(1, 5)
            synced += [writer.append(note(f"kept {number}"), sync=True) for number in range(count)]
            safe = writer.tip.end
            for number in range(dice.randrange(4)):
                writer.append(note(f"late {number}"))
            end = writer.tip.end
        os.truncate(path, dice.randint(safe, end))
        assert set(map(repr, synced)) <= set(map(repr, read(path)))
    with Writer(path, now=lambda: datetime.now(UTC)):
        pass
    assert verify(path) is None
