"""Runs made by hand for the tests of the reports: written to a real ledger, read back from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from orchestra.ledger.event import Body, Event
from orchestra.ledger.log import Writer
from orchestra.ledger.reading import read
from orchestra.ledger.view import Observer, View, view_of
from orchestra.plan import Gate, Group, Method, Plan, SpeedClass, Test
from orchestra.report.fold import nowhere, report
from orchestra.report.rows import Report
from tests.support.events import body as body_of
from tests.support.events import event

RUN = "20260102T030405Z-1a2b"
DIGEST = "0" * 64
SPEC = """\
orchestra: 1
suite: market
tests:
  B001: {title: The page renders}
  B002: {title: The page renders in Firefox}
  B003: {title: "One ticker | two"}
  B004: {title: Market status}
"""
BOTH = ("cli", "mcp")
PLAN = Plan(
    suite="market",
    title="Market Parser, browser suite",
    tests=(
        Test("B001", "The page renders", BOTH, group="basics", tags=("smoke",)),
        Test("B002", "The page renders in Firefox", BOTH, group="basics"),
        Test("B003", "One ticker | two", BOTH, group="basics"),
        Test("B004", "Market status", BOTH, group="asks", needs=("B003",)),
        Test("B005[NVDA]", "A ticker of a matrix", ("cli",), of="B005", group="asks"),
        Test("B006", "Export", ("cli",)),
    ),
    methods=(Method("cli", "Playwright", "playwright"), Method("mcp", "Playwright over MCP", "mcp")),
    groups=(Group("basics", "Basic functions"), Group("asks", "Questions")),
    speed=(SpeedClass("good", "😊", 30.0), SpeedClass("ok", "😐", 60.0), SpeedClass("slow", "😴")),
    gates=(
        Gate("before", "servers_up", 'health.backend == "healthy"'),
        Gate("after", "pass_rate", "pass_rate >= 1.0"),
        Gate("after", "no_regression", "regressions == 0", severity="warn"),
        Gate("after", "forgotten", "failed == 0"),
    ),
    sources=("specs/market.yaml",),
    source_digest="sha256:" + "1" * 64,
)
SELECTION = [f"{one.id}:{test.id}" for one in PLAN.methods for test in PLAN.tests if one.id in test.methods]

Made = tuple[str, dict[str, Any]]


def names(task: str) -> dict[str, str]:
    method, _, test = task.partition(":")
    return {"task": task, "test": test, "method": method}


def run_started(plan: Plan = PLAN, selection: Iterable[str] = SELECTION, **changes: Any) -> Made:
    body = {
        "run": RUN,
        "suite": plan.suite,
        "plan_digest": plan.digest(),
        "source_digest": plan.source_digest,
        "profile": None,
        "selection": list(selection),
        "methods": [method.id for method in plan.methods],
        "workers": 2,
        "argv": ["orchestra", "run"],
        "provenance": {
            "orchestra": "0.1.0",
            "python": "3.11.9",
            "system": "Linux 6.1",
            "git": {"commit": "a" * 40, "branch": "main", "dirty_files": 0},
        },
    }
    return "run_started", body | changes


def attempt(task: str, number: int = 1, outcome: str = "passed", **changes: Any) -> list[Made]:
    error = changes.pop("error", None)
    started = {**names(task), "attempt": number, "dir": f"attempts/{task.replace(':', '/')}/{number}"}
    finished = {
        **names(task),
        "attempt": number,
        "outcome": outcome,
        "seconds": 1.25,
        "error": error,
        "steps": [],
        "evidence": [],
        "retry": False,
    }
    return [("attempt_started", started), ("attempt_finished", finished | changes)]


def verdict(task: str, word: str = "passed", seconds: float = 1.25, attempts: int = 1, **changes: Any) -> Made:
    pace = "timeout" if word == "timeout" else "good" if attempts else None
    body = {
        **names(task),
        "verdict": word,
        "reason": "",
        "seconds": seconds,
        "attempts": attempts,
        "speed_class": pace,
        "degraded": [],
        "inputs": None,
    }
    return "verdict", body | changes


def passed(task: str, seconds: float = 1.25, **changes: Any) -> list[Made]:
    return [*attempt(task, seconds=seconds), verdict(task, seconds=seconds, **changes)]


def gate(name: str, result: str, values: dict[str, Any] | None = None, message: str = "") -> Made:
    found = next(one for one in PLAN.gates if one.name == name)
    return "gate", {
        "phase": found.phase,
        "name": name,
        "result": result,
        "expression": found.require,
        "values": values or {},
        "message": message,
    }


def service(state: str, **changes: Any) -> Made:
    body = {"component": "backend", "state": state, "pid": 7, "port": 8000, "attempt": 1, "reason": "", "seconds": 0.4}
    return "service_event", body | changes


def evidence(path: str, kind: str) -> dict[str, Any]:
    return {"path": path, "digest": DIGEST, "bytes": 12, "kind": kind}


def failure(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "assertion",
        "message": 'the heading "Market" is not visible',
        "step": 1,
        "at": "specs/market.yaml:41:9 (block at specs/market.yaml:12:7)",
        "expected": "visible",
        "found": "no such element\non the page",
        "hint": "look at the screenshot",
    } | changes


def beside(text: str = "no price 7") -> list[dict[str, Any]]:
    """Errors outside assertions: one more than is told with a verdict."""
    where = ("http://127.0.0.1:3000/app.js:3", "", "", "services/backend.log:12")
    layers = ("page_errors", "console_errors", "open_dialogs", "service_logs")
    return [
        {"layer": layer, "level": "warn", "text": text, "where": place, "count": count}
        for count, (layer, place) in enumerate(zip(layers, where, strict=True), 1)
    ]


def network(host: str = "cdn.example") -> dict[str, Any]:
    own = {"requests": 11, "failed": 1, "bytes": 12345, "slowest_ms": 81.4, "component": "backend"}
    return {"requests": 12, "failed": 1, "hosts": {"127.0.0.1:8000": own, host: {"requests": 1, "failed": 0}}}


def run_finished(code: int = 1, **changes: Any) -> Made:
    gates = {"before:servers_up": "passed", "after:pass_rate": "failed", "after:forgotten": "failed"}
    return "run_finished", {"exit_code": code, "counts": {}, "seconds": 65.2, "gates": gates} | changes


def everything() -> list[Made]:
    """A run with each verdict, a retry, a failover, gates of each result, and a task that the ledger lacks."""
    shot = evidence("attempts/cli/B003/2/shot 1.png", "screenshot")
    steps = [
        {"index": 0, "verb": "goto", "seconds": 0.1, "outcome": "passed"},
        {"index": 1, "verb": "expect", "seconds": 5.0, "outcome": "failed"},
    ]
    lost = failure(kind="connection", message="nothing answered", step=None, at=None, hint=None)
    late = failure(kind="timeout", message="the test took longer than 120 s", expected=None, found=None, hint=None)
    return [
        run_started(),
        service("starting"),
        service("healthy", url="http://127.0.0.1:8000"),
        gate("servers_up", "passed", {"health.backend": "healthy"}),
        *passed("cli:B001", 1.0),
        verdict("cli:B002", "skipped", 0.0, 0, reason="no firefox on this machine"),
        *attempt("cli:B003", 1, "error", error=lost, retry=True, retry_cause="connection", retries_left=0),
        *attempt("cli:B003", 2, "failed", error=failure(), steps=steps, evidence=[shot], seconds=6.5),
        verdict("cli:B003", "failed", 6.5, 2, reason='the heading "Market" is not visible'),
        verdict("cli:B004", "blocked", 0.0, 0, reason="needs B003 failed"),
        *attempt("cli:B005[NVDA]", 1, "timeout", error=late, seconds=120.0),
        verdict("cli:B005[NVDA]", "timeout", 120.0, reason="the test took longer than 120 s"),
        verdict("cli:B006", "unchanged", 0.0, 0, reason="nothing it reads has changed", unchanged_since="earlier"),
        service("starting", action="restart", reason="3 misses"),
        service("healthy", action="failover", url="http://127.0.0.1:8001"),
        ("incident", {"component": "backend", "state": "opened", "reason": "3 misses"}),
        *passed("mcp:B001", 1.5, degraded=["backend on failover"]),
        *attempt("mcp:B002", 1, "failed", error=failure(step=None, at=None), retry=True),
        *attempt("mcp:B002", 2),
        verdict("mcp:B002", "flaky", 31.0, 2, reason="passed on attempt 2", speed_class="ok"),
        *attempt("mcp:B003", seconds=90.0, findings=beside(), network=network()),
        verdict("mcp:B003", seconds=90.0, speed_class="slow"),
        gate("pass_rate", "failed", {"pass_rate": 0.25}, 'gate "pass_rate" is not held: pass_rate >= 1.0'),
        gate("no_regression", "not_applicable", {}, "no value for regressions in this selection"),
        run_finished(),
    ]


def ledger(folder: Path, made: Iterable[Made]) -> list[Event]:
    """The events, after they went through a ledger in the folder."""
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ticks = iter(range(10**9))
    with Writer(folder / "events.jsonl", now=lambda: start + timedelta(seconds=next(ticks))) as writer:
        for kind, body in made:
            writer.append(body_of(kind, body))
    return list(read(folder / "events.jsonl"))


def last(made: list[Made]) -> Body:
    """The body of the last event."""
    return body_of(*made[-1])


def reported(plan: Plan, seen: Iterable[Event], place_of: Callable[[str], str] = nowhere) -> Report:
    """The report of a run from its events."""
    return report(plan, view_of(seen), place_of)


def shown(seen: Iterable[Event], *observers: Observer) -> Iterator[tuple[Event, View]]:
    """Each event, after the observers were shown it; they are closed when the last one was given."""
    view = View()
    for one in seen:
        view.see(one)
        for observer in observers:
            observer.see(one, view)
        yield one, view
    for observer in observers:
        observer.close(view)


def show(seen: Iterable[Event], *observers: Observer) -> None:
    """Show events to observers, then close them."""
    for _ in shown(seen, *observers):
        pass


def columns(text: str) -> int:
    """How many columns of a terminal a line takes, by the count of another library."""
    return cell_len(text)


def events(made: list[Made]) -> list[Event]:
    """Return the events of a ledger, without the chain that binds them."""
    return [
        event(number, body_of(kind, body), f"2026-01-02T03:04:{number % 60:02d}.000000Z")
        for number, (kind, body) in enumerate(made, 1)
    ]
