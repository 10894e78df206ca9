"""What a service is made of: its log, its port, and the proof that it is itself who answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from orchestra.errors import MachineError
from orchestra.runtime.mask import NOTHING, Masks
from orchestra.runtime.processes.pipe import Pipe
from orchestra.runtime.processes.process import Process, end_tree, spawn
from orchestra.runtime.servers import identity, port
from orchestra.runtime.servers.journal import SILENCE_SECONDS, Journal
from orchestra.runtime.servers.port import Port, Taken, busy, locks_folder, reserve
from orchestra.runtime.servers.service import ending
from tests.support.servers import free_range, until

LISTEN = """
import socket, sys, time
one = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("up", flush=True)
time.sleep(1000)
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's table of sockets is Linux's")


@pytest.fixture
def listener(tmp_path):
    """Starts a process that listens at an address, and waits until it does."""
    started: list[Process] = []

    def start(host: str, number: int) -> Process:
        mark = f"listener-{os.getpid()}-{len(started)}"
        argv = [sys.executable, "-c", LISTEN, host, str(number)]
        process = spawn(argv, cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, mark=mark)
        started.append(process)
        assert process.popen.stdout is not None
        assert process.popen.stdout.readline() == b"up\n"
        return process

    yield start
    for process in started:
        end_tree(process, grace_seconds=0.0)
        assert process.popen.stdout is not None
        process.popen.stdout.close()


# ------------------------------------------------------------------------------------------------------------------ log


def lines(path: Path) -> list[str]:
    found = path.read_text().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line) for line in found), "each line has its time"
    return [line[13:] for line in found]


def test_a_log_has_whole_lines_with_their_time_and_without_secrets(tmp_path):
    journal = Journal(tmp_path / "a" / "one.log", Masks(["K"], {"K": "hunter2"}))
    journal.begin("start 1 with hunter2")
    for block in (b"a hunt", b"er2 b\nsecond \xe2\x82", b"\xac line\n\nlast"):
        journal.take(block)
    assert journal.last_lines().splitlines() == ["a ***K*** b", "second € line", "last"]
    journal.close()
    assert lines(tmp_path / "a" / "one.log") == ["[start 1 with ***K***]", "a ***K*** b", "second € line", "", "last"]


@pytest.mark.parametrize("size", [1, 5, 64, 65, 1000])
def test_a_secret_of_several_lines_is_in_no_line_of_a_log(tmp_path, size):
    key = "-----BEGIN KEY-----\n" + base64.encodebytes(random.Random(7).randbytes(300)).decode() + "-----END KEY-----\n"
    code = base64.encodebytes(b"x" * 50 + key.encode())
    data = b"loaded " + key.replace("\n", "\r\n").encode() + code + b"last"
    journal = Journal(tmp_path / "one.log", Masks(["K"], {"K": key}))
    journal.begin("start 1")
    for at in range(0, len(data), size):
        journal.take(data[at : at + size])
    shown = journal.last_lines()
    journal.close()
    text = (tmp_path / "one.log").read_text() + shown
    assert not [line for line in key.splitlines() if len(line) >= 8 and line in text]
    assert not [line for line in code.decode().splitlines()[1:-1] if line in text]
    assert text.count("***K***") >= 9
    assert lines(tmp_path / "one.log")[-1] == "last"


def test_what_was_said_counts_for_one_start_and_across_blocks(tmp_path):
    journal = Journal(tmp_path / "one.log", NOTHING)
    pattern = r"^port (?P<port>\d+)$"

    def said() -> Mapping[str, str] | None:
        return asyncio.run(journal.said(pattern))

    journal.begin("start 1", (pattern,))
    assert said() is None
    journal.take(b"the port 1\npor")
    assert said() is None
    journal.take(b"t 4711\nport 9\n")
    assert said() == {"port": "4711"}
    journal.begin("start 2", (pattern,))
    assert said() is None
    journal.close()


@pytest.mark.parametrize(
    "blocks, pattern, groups",
    [
        (
            [b"  Local:   \x1b[36mhttp://127.0.0.1:\x1b[1m5173\x1b[22m/\x1b[39m\n"],
            r"Local: +http://[^:]+:(?P<port>\d+)/$",
            {"port": "5173"},
        ),
        ([b"building 1%\rbuilding 99%\rdone\n"], "^done$", {}),
        ([b"ready\r", b"\n"], "^ready$", {}),
        ([b"\x1b[3", b"2mread", b"y\x1b[0m\r\n"], "^ready$", {}),
        ([b"|\b/\b-\bready\n"], "^ready$", {}),
    ],
)
def test_what_a_person_sees_is_what_is_searched(tmp_path, blocks, pattern, groups):
    journal = Journal(tmp_path / "one.log", NOTHING)
    journal.begin("start", (pattern,))
    for block in blocks:
        journal.take(block)
    assert asyncio.run(journal.said(pattern)) == groups
    journal.close()


def test_a_line_without_an_end_is_searched_after_a_silence_and_never_half(tmp_path):
    now, pattern = [100.0], r"listening on (?P<port>\d+)"
    journal = Journal(tmp_path / "one.log", NOTHING, clock=lambda: now[0])
    journal.begin("start", (pattern,))

    def said() -> Mapping[str, str] | None:
        return asyncio.run(journal.said(pattern))

    journal.take(b"listening on 184")
    now[0] += SILENCE_SECONDS - 0.01
    assert said() is None
    journal.take(b"77")
    now[0] += SILENCE_SECONDS - 0.01
    assert said() is None, "the silence begins again with each piece"
    now[0] += 0.01
    assert said() == {"port": "18477"}
    journal.close()


def test_the_last_lines_are_as_a_person_saw_them(tmp_path):
    journal = Journal(tmp_path / "one.log", NOTHING)
    journal.begin("start")
    journal.take(b"10%\r20%\rfailed\r\n\x1b[31mError:\x1b[0m no licence\n\x1b[2K\rbye")
    assert journal.last_lines().splitlines() == ["failed", "Error: no licence", "bye"]
    journal.close()


def test_a_flood_is_bounded_on_the_disk_and_its_end_is_kept(tmp_path):
    journal = Journal(tmp_path / "one.log", NOTHING, limit=100_000)
    journal.begin("start")
    for number in range(2000):
        journal.take(b"%06d %s\n" % (number, b"x" * 1000))
    journal.take(b"y" * 1_000_000)  # a line without an end
    journal.take(b"\nthe end\n")
    journal.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["one.log", "one.log.1"]
    assert sum(file.stat().st_size for file in files) < 1_300_000
    assert lines(tmp_path / "one.log")[-1] == "the end"
    assert journal.last_lines().endswith("the end")


def test_a_turn_of_the_loop_takes_whatever_a_pipe_holds():
    """A loop that does much else has few turns; who writes into a full pipe waits for one."""
    taken = []

    async def whole():
        with Pipe(asyncio.get_running_loop(), lambda block: taken.append(len(block))) as pipe:
            os.set_blocking(pipe.write_end, False)
            written = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    written += os.write(pipe.write_end, b"x" * 65536)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return written

    assert asyncio.run(whole()) == sum(taken) > 0


def test_a_disk_that_refuses_costs_the_log_only(tmp_path):
    (tmp_path / "services").write_text("a file in the way")
    journal = Journal(tmp_path / "services" / "one.log", NOTHING)
    journal.begin("start", ("up",))
    journal.take(b"up\n")
    assert asyncio.run(journal.said("up")) == {}
    assert journal.last_lines() == "up"
    journal.close()


def test_an_exit_code_in_words():
    assert [ending(code) for code in (0, 3, -9, -15, -200)] == [
        "exit code 0",
        "exit code 3",
        "signal SIGKILL",
        "signal SIGTERM",
        "signal 200",
    ]


# ----------------------------------------------------------------------------------------------------------------- ports


def test_a_reserved_port_is_nobody_elses_until_it_is_released(tmp_path):
    low, high = free_range(2)
    first = reserve("127.0.0.1", (low, high), but={}, folder=tmp_path)
    second = reserve("127.0.0.1", (low, high), but={}, folder=tmp_path)
    assert isinstance(first, Port)
    assert isinstance(second, Port)
    assert (first.number, second.number) == (low, high)
    third = reserve("127.0.0.1", (low, high), but={low: "port is cursed"}, folder=tmp_path)
    assert third == Taken(
        ("port is cursed", f"port {high} is reserved by another run of yours (process {os.getpid()})"), ours=True
    )
    first.release()
    first.release()
    again = reserve("127.0.0.1", (low, low), but={}, folder=tmp_path)
    assert isinstance(again, Port)
    again.release()
    second.release()


def test_a_reservation_ends_with_its_process_however_it_ends(tmp_path):
    low, _ = free_range(1)
    program = (
        "import sys, time; from pathlib import Path; from orchestra.runtime.servers.port import reserve\n"
        f"print(reserve('127.0.0.1', ({low}, {low}), but={{}}, folder=Path(sys.argv[1])), flush=True); time.sleep(1000)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert f"number={low}" in holder.stdout.readline().decode()
    taken = reserve("127.0.0.1", (low, low), but={}, folder=tmp_path)
    assert taken == Taken((f"port {low} is reserved by another run of yours (process {holder.pid})",), ours=True)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    port = reserve("127.0.0.1", (low, low), but={}, folder=tmp_path)
    assert isinstance(port, Port)
    port.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_is_busy_whichever_of_its_addresses_is_taken(listener, host):
    number, _ = free_range(1)
    assert busy(host, number) == ""
    holder = listener("0.0.0.0" if host == "127.0.0.1" else "127.0.0.1", number)
    assert busy(host, number).startswith(f"port {number} is held by process {holder.pid} ({sys.executable} -c ")


def test_a_host_that_is_no_address_of_this_machine_is_refused():
    for host in ("203.0.113.7", "no-such-host.invalid"):
        with pytest.raises(MachineError, match=re.escape(repr(host))):
            busy(host, 4711)


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(port, "_SHARED", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"orchestra-ports-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match="belongs to another user"):
        locks_folder(os.getuid())
    assert locks_folder(os.getuid() + 1) if os.getuid() != tmp_path.stat().st_uid else True
    with pytest.raises(MachineError, match="belongs to another user"):
        locks_folder(os.getuid() + 1)


# -------------------------------------------------------------------------------------------------------------- identity


@linux
def test_the_kernel_is_read_as_it_prints_addresses(listener):
    number, _ = free_range(1)
    for host, asked in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")):
        if ":" in host and not socket.has_dualstack_ipv6():
            continue
        process = listener(host, number) if host != "::" else dual(listener, number)
        who = identity.answerer(process, asked, number)
        assert who.stranger == "", host
        assert len(who.inodes) == 1
        end_tree(process, grace_seconds=0.0)


def dual(listener, number: int) -> Process:
    return listener("::", number)


@linux
def test_the_most_specific_listener_is_the_one_that_answers(listener):
    number, _ = free_range(1)
    every, loopback = listener("0.0.0.0", number + 0), None
    who = identity.answerer(every, "127.0.0.1", number)
    assert who.stranger == ""
    loopback = listener("127.0.0.2", number + 0) if _binds("127.0.0.2", number) else None
    if loopback is not None:
        assert identity.answerer(every, "127.0.0.2", number).stranger.startswith(f"process {loopback.pid} ")


def _binds(host: str, number: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
        except OSError:
            return False
    return True


def test_a_stranger_is_named_and_a_known_socket_costs_nothing(listener, monkeypatch):
    low, high = free_range(2)
    ours, other = listener("127.0.0.1", low), listener("127.0.0.1", high)
    mine = identity.answerer(ours, "127.0.0.1", low)
    assert mine.stranger == ""
    assert identity.answerer(ours, "127.0.0.1", high).stranger.startswith(f"process {other.pid} ({sys.executable} -c ")
    if mine.inodes != {0}:
        monkeypatch.setattr(identity, "tree", None)  # would fail if it were asked
        assert identity.answerer(ours, "127.0.0.1", low, mine.inodes) == mine


def test_a_process_that_this_user_cannot_see_is_told_by_its_user(listener, monkeypatch):
    number, _ = free_range(1)
    process = listener("127.0.0.1", number)
    monkeypatch.setattr(identity, "_holders", lambda *_: {})
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    user = psutil.Process().username()
    assert identity.owners("127.0.0.1", number) == f"a process of user {user}"
    end_tree(process, grace_seconds=0.0)
    until(lambda: not identity._listeners("127.0.0.1", number), "the end of the listener")
    assert identity.owners("127.0.0.1", number) == "a process that this user cannot see"


def test_an_address_of_this_machine_is_told_from_others():
    assert identity.is_local("127.0.0.1")
    assert identity.is_local("0.0.0.0")
    assert not identity.is_local("203.0.113.7")
    assert not identity.is_local("no-such-host.invalid")
    assert identity.reachable("::") == "::1"
