"""The logs of services and workers are bound as whole files when a run has ended, and one that is still written is named."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

import pytest

from orchestra.runtime.attempts.whole_log import bind_logs, logs_of
from orchestra.runtime.mask import Masks


def made(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_each_log_is_bound_by_its_digest(tmp_path):
    names = ["attempts/mcp/t/1/mcp/server.log", "services/web.log", "services/web.log.1", "workers/worker-1.log"]
    for name in reversed(names):
        made(tmp_path, name, name.encode())
    made(tmp_path, "attempts/mcp/t/1/output.log", b"this is evidence of an attempt")
    body = logs_of(tmp_path)
    assert body.open == ()
    assert [(file.path, file.bytes) for file in body.files] == [(name, len(name)) for name in names]
    assert [file.digest for file in body.files] == [hashlib.sha256(name.encode()).hexdigest() for name in names]


def test_what_an_mcp_server_said_after_the_attempt_is_masked_before_it_is_bound(tmp_path):
    log = made(tmp_path, "attempts/mcp/t/1/mcp/server.log", b"it says s3cr3t-of-mine here")
    told = []
    bind_logs(tmp_path, told.append, Masks(["K"], {"K": "s3cr3t-of-mine"}).clean)
    assert log.read_bytes() == b"it says ***K*** here"
    assert told[0].files[0].digest == hashlib.sha256(log.read_bytes()).hexdigest()


def test_where_there_is_no_log_nothing_is_recorded(tmp_path):
    bind_logs(tmp_path, lambda *_: pytest.fail("recorded"))


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="only Linux tells who has a file open for writing")
def test_a_log_that_is_still_written_is_named_and_not_bound(tmp_path):
    made(tmp_path, "services/done.log", b"done")
    with made(tmp_path, "services/going.log", b"on and").open("ab"):
        body = logs_of(tmp_path)
        assert ([file.path for file in body.files], body.open) == (["services/done.log"], ("services/going.log",))
    with (tmp_path / "services/going.log").open("rb"):
        assert len(logs_of(tmp_path).files) == 2
