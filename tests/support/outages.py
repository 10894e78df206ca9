"""A suite over the misbehaving server of `health_ground`: what a run does when its servers fail under its tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.project import HEAD, SuiteProject, py
from tests.support.servers import SERVER, free_range

ASK = (
    "import sys, urllib.request\n"
    "reply = urllib.request.urlopen(sys.argv[1] + '/health', timeout=float(sys.argv[2])).read()\n"
    "assert b'ok' in reply, reply\n"
)
"""A client of the server: `ask.py URL SECONDS`."""

FAULT = """
import os, pathlib, signal, sys
how, folder = sys.argv[1:3]
pid = int(pathlib.Path(folder, "starts").read_text().split()[-1])
if how == "kill":
    os.kill(pid, signal.SIGKILL)
elif how == "stop":
    os.kill(pid, signal.SIGSTOP)
else:
    fresh = pathlib.Path(folder, "mode.new")
    fresh.write_text(how)
    fresh.replace(pathlib.Path(folder, "mode"))
"""
"""Breaks the server: `fault.py HOW FOLDER`; `kill`, `stop`, or one of its modes."""

WATCH = "live: {http: {path: /health, timeout_seconds: 5}, every_seconds: 5, failures: 2}"


def backend(name: str = "backend", *flags: str, more: str = "", recover: str = "[restart]", live: str = WATCH) -> str:
    """The row of a component, as YAML. Its server answers as the file `NAME/mode` says, and heals when it restarts."""
    low, high = free_range(4)
    run = json.dumps(["python", "serve.py", name, "${port}", name, *flags])
    return f"""  {name}:
    service: {{run: {run}, port_range: {low}-{high}, stop: {{grace_seconds: 0.3}}}}
    ready: {{http: {{path: /health, json: {{status: ok}}}}, within_seconds: 60}}
    {live}
    retries: {{max: 2, initial_seconds: 0.05, max_seconds: 0.2}}
    recover: {recover}
    {more}
"""


SERVE = """
import os, pathlib, sys
name = sys.argv[1]
pathlib.Path(name).mkdir(exist_ok=True)
if not pathlib.Path(name, "sick").exists():
    pathlib.Path(name, "mode").write_text("ok")
sys.argv = ["server.py", *sys.argv[2:]]
exec(compile(pathlib.Path("server.py").read_text(), "server.py", "exec"))
"""
"""The server, healed by its start unless the file `sick` is in its folder: `serve.py NAME PORT FOLDER [FLAGS]`."""


def suite(project: SuiteProject, health: str, tests: str, head: str = HEAD) -> SuiteProject:
    """Write the programs and the spec, and compile it."""
    for name, text in {"server.py": SERVER, "serve.py": SERVE, "ask.py": ASK, "fault.py": FAULT}.items():
        Path(project.root, name).write_text(text)
    return project.write(f"{head}health:\n{health}tests:\n{tests}").compile()


def breaks(how: str, name: str = "backend", seconds: float = 30.0) -> str:
    """A test that breaks the server the first time that it runs, and asks it. As flow YAML without its first brace.

    One that kills has a connection, which is lost: the server may be back before it could be asked anew.
    """
    line = "    line = socket.create_connection(('127.0.0.1', int(sys.argv[1].rpartition(':')[2])))\n"
    lost = "    sys.exit('answered' if line.recv(1) else 'its connection was lost')\n"
    code = (
        "import os, pathlib, socket, subprocess, sys\n"
        f"seconds = '{seconds}'\n"
        "try:\n"
        f"    pathlib.Path('broken-{name}').touch(exist_ok=False)\n"
        f"{line if how == 'kill' else ''}"
        f"    subprocess.run([sys.executable, 'fault.py', {how!r}, {name!r}], check=True)\n"
        f"{lost if how == 'kill' else ''}"
        "except FileExistsError:\n"
        "    seconds = '60'\n"
        "subprocess.run([sys.executable, 'ask.py', sys.argv[1], seconds], check=True)\n"
    )
    argv = json.dumps(["python", "-c", code, f"${{{name}.url}}"])
    return f"requires: [{name}], command: {{argv: {argv}}}}}"


def asks(name: str = "backend") -> str:
    """A test that asks the server once. As `breaks`."""
    return f'requires: [{name}], command: {{argv: [python, ask.py, "${{{name}.url}}", "30"]}}}}'


__all__ = ["HEAD", "WATCH", "asks", "backend", "breaks", "py", "suite"]
