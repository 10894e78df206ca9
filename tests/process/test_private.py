"""What a run writes is its user's alone, whatever the umask is; and nothing that it writes lets a secret be guessed."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestra import owner

SPEC = """orchestra: 1
suite: s
secrets: [PASSWORD]
methods: {cli: {driver: command, workers: 1}}
baseline: {min_runs: 2, max_load_percent: 100}
health:
  db:
    service: {run: [python, -m, http.server, "${port}", --bind, 127.0.0.1], port_range: 8800-8899, env: {P: "${env.PASSWORD}"}}
    ready: {http: {path: /}}
defaults: {requires: [db], retries: {max: 0}, evidence: always}
tests:
  writes:
    command:
      argv: [python, write.py, "${attempt.dir}"]
      attach: ["${attempt.dir}/sub/deeper/*.txt"]
  fails: {command: {argv: [python, -c, "raise SystemExit('no')"]}}
"""

WRITE = """import os, sys
os.umask(0)
folder = sys.argv[1] + "/sub/deeper"
os.makedirs(folder, 0o777)
for name in ("open.txt", "run.sh"):
    with open(os.open(folder + "/" + name, os.O_CREAT | os.O_WRONLY, 0o777), "w") as file:
        file.write("x")
os.symlink("/etc/hostname", folder + "/link")
os.mkfifo(folder + "/fifo", 0o666)
"""

IN_GIT = {"plan.json", "baseline.json"}


@contextmanager
def umask(value: int) -> Iterator[None]:
    """The umask of what is started from here."""
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(home: Path) -> list[str]:
    """What below a suite's folder others may read, write or enter."""
    found = []
    for path in home.rglob("*"):
        mode = path.lstat().st_mode
        plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        if plain and stat.S_IMODE(mode) & 0o077 and not (path.parent == home and path.name in IN_GIT):
            found.append(f"{path.relative_to(home)} {stat.filemode(mode)}")
    return found


@pytest.mark.parametrize("mask", [0o000, *(pytest.param(mask, marks=pytest.mark.nightly) for mask in (0o022, 0o077))])
def test_what_a_run_writes_is_its_users_alone(project, mask):
    """The umask that forbids nothing is the hardest; the usual ones are tried each night."""
    (project.root / "write.py").write_text(WRITE)
    with umask(mask):
        project.write(SPEC).compile()
        assert project.run("run", PASSWORD="hunter22-x").code == 1
        assert project.run("run", "--resume", PASSWORD="hunter22-x").code == 1
        assert project.run("run", "cli:writes", PASSWORD="hunter22-x").code == 0
        assert project.run("baseline", "accept").code == 0
        assert project.run("report").code == 0
        assert project.run("history").code == 0
    home = project.root / ".orchestra/s"
    assert open_to_others(home) == []
    names = {path.name for path in home.rglob("*")}
    assert names >= {
        "events.jsonl",
        "state.json",
        "db.log",
        "output.log",
        "open.txt",
        "history.json",
        "junit.xml",
        "lock",
    }
    assert stat.S_IMODE((project.folder / "attempts/cli/writes/1/sub/deeper/run.sh").stat().st_mode) == 0o700
    for name in IN_GIT:
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o666 & ~mask


def test_the_record_of_what_is_up_lets_no_value_be_tried(project):
    """Its digests are made with a key that lies elsewhere: with what is next to them they cannot be made again."""
    project.write(SPEC).compile()
    with umask(0):
        assert project.run("up", PASSWORD="test").code == 0
    try:
        home = project.root / ".orchestra/s"
        record = json.loads((home / "up.json").read_text())
        assert list(record["variables"]) == ["PASSWORD"]
        assert open_to_others(home) == []
        assert project.run("run", PASSWORD="test").code == 1
        assert "up_refused" not in [event["body"]["kind"] for event in project.events("note")]
        assert project.run("run", PASSWORD="changed-since").code == 1
        [refused] = [event["body"] for event in project.events("note") if event["body"]["kind"] == "up_refused"]
        assert "PASSWORD had another value when it was started" in refused["message"]
    finally:
        assert project.run("down").code == 0
    text = f"{record['mark']} PASSWORD='test'"
    key = Path(os.environ["XDG_STATE_HOME"], "orchestra/record.key")
    assert owner.mac(key.read_bytes(), text) == record["variables"]["PASSWORD"]
    beside = [str(value).encode() for value in record.values()] + [b"test", b"PASSWORD"]
    assert record["variables"]["PASSWORD"] not in [owner.mac(one, text) for one in beside]
    assert not key.is_relative_to(project.root)


ADDRESSES = """orchestra: 1
suite: s
secrets: [PASSWORD]
methods: {cli: {driver: command}}
health:
  hub: {service: {run: [sh, -c, "echo up at http://127.0.0.1:1/?token=$PASSWORD; sleep 60"]}, ready: {log: {match: "(?P<url>http.*)"}}}
  away: {url: "http://user:${env.PASSWORD}@127.0.0.1:1", ready: {http: {path: /}, within_seconds: 0.1}, required: false}
tests: {uses: {requires: [hub], command: {argv: [python, -c, "import sys; sys.exit('token' not in sys.argv[1])", "${hub.url}"]}}}
"""


def test_no_verb_about_servers_prints_an_address_with_a_secret(project):
    """Its record has the address, since a run needs it."""
    project.write(ADDRESSES).compile()
    secret = {"PASSWORD": "two-words-and-7"}
    try:
        ended = [project.run(*verb.split(), **secret) for verb in ("up", "health", "health --json", "run")]
        assert "two-words-and-7" in (project.root / ".orchestra/s/up.json").read_text(), "the control"
    finally:
        ended.append(project.run("down", **secret))
    assert [one.code for one in ended] == [0] * 5, ended
    printed = "".join(one.out + one.err for one in ended)
    assert "two-words-and-7" not in printed
    assert "http://127.0.0.1:1/?token=***PASSWORD***" in printed
    assert "http://user:***PASSWORD***@127.0.0.1:1" in printed
