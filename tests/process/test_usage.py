"""What a command used is recorded: processor time and memory, of it and of what it waited for."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from orchestra.runtime.processes import usage
from orchestra.runtime.processes.family import Meter
from orchestra.runtime.processes.usage import take, used
from tests.support.project import HEAD, py

FAMILY = """
import subprocess, sys
inner = "import sys, time\\nprint(flush=True)\\nfor line in sys.stdin:\\n  held = b'x' * int(line)\\n  end = time.process_time() + 0.3\\n" \\
    "  while time.process_time() < end: pass\\n  del held\\n  print(flush=True)"
child = subprocess.Popen([sys.executable, "-c", inner])
raise SystemExit(child.wait())
"""

BURN = """
import subprocess, sys, time
if len(sys.argv) == 2:
    raise SystemExit(subprocess.run([sys.executable, __file__, sys.argv[1], "inner"]).returncode + 3)
held = b"x" * int(sys.argv[1])
while time.process_time() < 0.5:
    pass
"""


def counted(*, user=1.0, system=0.5, peak):
    return resource.struct_rusage((user, system, peak, *([0] * 13)))


def test_a_peak_that_may_be_our_own_is_not_told(monkeypatch):
    monkeypatch.setattr(usage, "_UNIT", 1024)
    assert used(counted(peak=200_000), 100_000) == (1.5, 204.8)
    assert used(counted(peak=100_000), 100_000) == (1.5, None)
    assert used(counted(peak=101_000), 100_000) == (1.5, None)


def test_the_exit_code_is_taken_once():
    waits = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(7)"], stdin=subprocess.PIPE, bufsize=0
    )
    assert take(waits, wait=False) is None
    assert waits.returncode is None
    waits.stdin.close()
    found = take(waits, wait=True)
    assert found is not None
    assert found.cpu_seconds > 0
    assert waits.wait() == 7
    assert take(waits, wait=True) is None


def test_a_signal_is_told_as_popen_tells_it():
    sleeps = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    sleeps.terminate()
    assert take(sleeps, wait=True) is not None
    assert sleeps.returncode == -15


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread waits for each command there")
def test_a_run_records_what_its_commands_used(project):
    (project.root / "burn.py").write_text(BURN)
    # A process begins with the peak of those that started it, and these tests may be large by now.
    held = 200_000_000 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cut = py("import time\nwhile True: time.sleep(0.01)").replace("{command", "{timeout_seconds: 1, command")
    project.write(
        f"{HEAD}tests:\n  big: {{command: {{argv: [python, burn.py, '{held}']}}}}\n"
        f'  small: {{command: {{argv: ["true"]}}}}\n  cut: {cut}\n'
    ).compile()
    assert project.run("run").code == 1
    found = {event["body"]["task"]: event["body"] for event in project.events("attempt_finished")}
    assert found["cli:big"]["exit_code"] == 3
    assert found["cli:big"]["resources"]["cpu_seconds"] >= 0.5
    assert held < found["cli:big"]["resources"]["peak_rss_megabytes"] * 1e6 < held + 200_000_000
    assert list(found["cli:small"]["resources"]) == ["cpu_seconds"]
    assert found["cli:cut"]["outcome"] == "timeout"
    assert found["cli:cut"]["resources"]["cpu_seconds"] > 0
    told = project.run("show", "big", "--run", "last").out
    assert f" s of CPU, {found['cli:big']['resources']['peak_rss_megabytes']:.0f} MB at most" in told
    assert project.run("audit").code == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is read from /proc")
def test_a_family_is_counted_from_one_look_to_the_next():
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as top:
        meter = Meter(top.pid)
        top.stdout.readline()
        assert meter.take()["peak_rss_megabytes"] < 150
        found = []
        for held in (b"300000000\n", b"10\n"):
            top.stdin.write(held)
            top.stdout.readline()
            found.append(meter.take())
        top.stdin.close()
    much, little = found
    # The system counts user and system time in hundredths of a second, each cut off, for each process.
    assert much["cpu_seconds"] >= 0.25
    assert much["peak_rss_megabytes"] > 300
    assert 0.25 <= little["cpu_seconds"] <= 0.25 + much["cpu_seconds"], "what was counted is not counted again"
    assert little["peak_rss_megabytes"] < 150, "the peak of before is forgotten"


def test_a_family_that_has_used_no_time_yet_has_its_memory(tmp_path):
    (tmp_path / "4/task/4").mkdir(parents=True)
    (tmp_path / "4/task/4/children").write_text("")
    (tmp_path / "4/stat").write_text("4 (python) S " + " ".join(["0"] * 40))
    (tmp_path / "4/status").write_text("Name:\tpython\nVmHWM:\t    2000 kB\n")
    assert Meter(4, tmp_path).take() == {"cpu_seconds": 0.0, "peak_rss_megabytes": 2.0, "tree_megabytes": 2.0}


def test_a_family_that_the_system_does_not_show_has_no_figures(tmp_path):
    assert Meter(4, tmp_path).take() == {}
