"""Logs of servers are judged by patterns, which a process of their own searches for."""

from __future__ import annotations

import msgspec

from orchestra import plan
from orchestra.plan import Errors
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.log_finding import with_log_findings
from orchestra.runtime.attempts.window import marks


def result(**more):
    return Result("cli:B1", 1, "passed", 1.0, **more)


def test_a_log_is_read_from_the_start_of_the_attempt_over_its_two_halves(tmp_path):
    log = tmp_path / "services" / "shop.log"
    log.parent.mkdir()
    stamp = "10:00:00.000 "
    log.write_text(f"{stamp}ERROR before\n{stamp}ok\n", encoding="utf-8")
    begun = marks(tmp_path, ["shop"])
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{stamp}ERROR one\n")
    log.rename(log.with_name("shop.log.1"))
    log.write_text(f"{stamp}fine\n{stamp}  ERROR indented\n{stamp}ERROR two\n", encoding="utf-8")
    errors = Errors(service_logs="fail", log_patterns={"shop": ("^ERROR",), "other": ("",)})
    test = plan.Test("B1[a]", "", ("cli",), of="B1", errors=errors)
    found = with_log_findings(result(), test, "cli", tmp_path, begun)
    assert [(finding.text, finding.where) for finding in found.findings] == [
        ("shop: ERROR one", "services/shop.log.1:3"),
        ("shop: ERROR two", "services/shop.log:3"),
    ]
    assert (found.outcome, found.failure.pointers) == ("failed", ("/tests/B1",))
    ignored = msgspec.structs.replace(test, errors=Errors(service_logs="ignore", log_patterns={"shop": ("ERROR",)}))
    assert with_log_findings(result(), ignored, "cli", tmp_path, begun) == result()
