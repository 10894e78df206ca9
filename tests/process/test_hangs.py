"""A run that is told to end ends, whatever hangs; an attempt ends ten seconds after its limit, whatever hangs.

`python -m bench hangs` has the whole table, with times; here is a short form, whose limits are those that are promised.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.project import HEAD, SuiteProject, py
from tests.support.servers import until


@pytest.fixture
def project(tmp_path) -> SuiteProject:
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    return SuiteProject(tmp_path)


def test_a_reader_that_does_not_read_holds_up_no_signal(project):
    """Forty thousand lines are more than a pipe holds and than waits for a reader."""
    noisy = (
        "".join(f"  T{n}: {py('raise SystemExit(1)')}\n" for n in range(3))
        + f"  Z: {py('import time; time.sleep(1000)')}\n"
    )
    project.write(f"{HEAD}tests:\n{noisy}").compile()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    os.set_blocking(writing, True)
    running = project.start("run", stderr=writing)
    os.close(writing)
