"""Run the browser suite on a Dask cluster of two nodes of this machine, and kill one of them in the middle.

    python -m scripts.demo_cluster

The tests of the dead node are repeated on the other one, so that the run is green. Exit with its exit code.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / ".orchestra/market/runs"
NODES = ROOT / ".orchestra/market/nodes"
LIMIT_SECONDS = 300.0
ATTEMPTS = 4
"""After so many attempts have begun, a node is killed while it has a test."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(*words: str, quiet: bool = True) -> subprocess.Popen[bytes]:
    output = subprocess.DEVNULL if quiet else None
    return subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=output, stderr=output)


def events(known: set[str]) -> str:
    """Return the events of the run that is not known."""
    fresh = (
        [path for path in RUNS.iterdir() if path.name not in known and not path.is_symlink()] if RUNS.exists() else []
    )
    return "".join(
        (path / "events.jsonl").read_text(encoding="utf-8") for path in fresh if (path / "events.jsonl").exists()
    )


def busy(said: str) -> str:
    """Return the name of a node that has a test, if enough attempts have begun; empty if not."""
    if said.count('"attempt_started"') < ATTEMPTS:
        return ""
    return next((path.relative_to(NODES).parts[0] for path in NODES.glob("node[12]/attempts/*/*/*")), "")


def main() -> int:
    known = {path.name for path in RUNS.iterdir()} if RUNS.exists() else set()
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    started = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")]
    try:
        nodes = {
            name: start("orchestra", "worker", f"--scheduler={address}", f"--name={name}")
            for name in ("node1", "node2")
        }
        started += nodes.values()
        words = ("run", "--suite=market", "--engine=dask", f"--scheduler={address}", "--retries=1", "--full")
        run = start("orchestra", *words, quiet=False)
        started.append(run)
        end = time.monotonic() + LIMIT_SECONDS
        while not (name := busy(events(known))) and run.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if name:
            print(f"demo-scale: {name} is killed while it has a test", flush=True)
            nodes[name].kill()
        code = run.wait()
        if code == 0 and f"the node {name} was lost" not in events(known):
            print("demo-scale: no node was killed, or the run did not notice", file=sys.stderr)
            return 1
        return code
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    sys.exit(main())
