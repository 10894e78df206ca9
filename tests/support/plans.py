"""Plans made by hand for the tests of what is emitted: one small, one with everything, one large."""

from __future__ import annotations

from orchestra.plan import (
    Command,
    Component,
    Gate,
    Group,
    Job,
    Live,
    Method,
    Outputs,
    Plan,
    Probe,
    Ready,
    RecoveryStep,
    Service,
    SpeedClass,
    Test,
)
from orchestra.steps.step import Step

CLI = Method("cli", "Playwright", "playwright", command="test_cli_full")
MCP = Method(
    "mcp", "Playwright over MCP", "mcp", workers=1, single_session=True, command="test_mcp_full", tool_calls=True
)
SPEED = (SpeedClass("good", "😊", 30.0), SpeedClass("ok", "😐", 60.0), SpeedClass("slow", "😴"))


def small(suite: str = "shop", **changes: object) -> Plan:
    fields: dict = {
        "suite": suite,
        "title": "Shop",
        "tests": (Test("T1", "The page shows", ("cli",), steps=(Step("goto", args={"url": "/"}),)),),
        "methods": (Method("cli", "Playwright", "playwright", command=f"test_{suite}"),),
        "speed": SPEED,
        "outputs": Outputs(docs=f"docs/{suite}.md"),
        "sources": (f"specs/{suite}.yaml",),
        "source_digest": "sha256:" + "0" * 64,
    }
    return Plan(**fields | changes)


def market() -> Plan:
    both = ("cli", "mcp")
    return Plan(
        suite="market",
        title="Market Parser, browser suite B001–B016",
        tests=(
            Test("B001", "The page renders in Chromium", both, group="compatibility", requires=("frontend",)),
            Test("B002", "The page renders in Firefox", both, group="compatibility", browser="firefox"),
            Test("B004", "Market status", both, group="basics", needs=("B001",), after=("B002",), tags=("smoke",)),
            Test("B005", "One ticker | two", both, group="basics", needs=("B001",), resources={"writes": 1, "cpu": 2}),
            Test(
                "B006[NVDA]", "Ticker ${vars.ticker}", ("cli",), needs=("B004", "B005"), skip="no data for `NVDA` yet"
            ),
            Test(
                "B020",
                "A file of the suite that this team has",
                ("cli",),
                timeout_seconds=0.5,
                command=Command(("npx", "playwright", "test", "e2e/b020.spec.ts"), env={"TOKEN": "never shown"}),
            ),
            Test("B021", "By a shell", ("cli",), command=Command(("echo $HOME | cat",), shell=True)),
        ),
        methods=(CLI, MCP),
        groups=(
            Group("compatibility", "Browser compatibility"),
            Group("basics", "Basic functions", after=("compatibility",)),
            Group("empty", "Nothing yet"),
        ),
        components=(
            Component("seed", "Seed data", job=Job(("python", "-m", "shop.seed"))),
            Component(
                "backend",
                "API server",
                needs=("seed",),
                service=Service(
                    ("python", "-m", "shop", "--port", "${port}"), env={"KEY": "never shown"}, ports=(8000, 8003)
                ),
                ready=Ready(Probe("http", {"path": "/health", "status": 200, "json": {"status": "ok"}})),
                live=Live(Probe("http", {"path": "/health"})),
                recover=(RecoveryStep("restart"), RecoveryStep("run", ("npm", "install")), RecoveryStep("failover")),
            ),
            Component("frontend", "Pages", needs=("backend",), service=Service(("serve",))),
            Component("payments", "Payments", required=False, url="https://sandbox.example"),
            Component("node", "Node.js", required=False, ready=Ready(Probe("run", {"argv": ["node", "--version"]}))),
        ),
        resources={"writes": 1, "cpu": 2},
        speed=SPEED,
        gates=(
            Gate("before", "servers_up", 'health.backend == "healthy"'),
            Gate(
                "during", "machine", "cpu_percent < 90.0 && memory_percent < 85.0", for_seconds=10, on_fail="throttle"
            ),
            Gate("after", "no_regression", "regressions == 0", severity="warn", message="slower than the baseline"),
        ),
        outputs=Outputs(docs="docs/market.md"),
        sources=("specs/market.yaml", "specs/parts/export.yaml"),
        source_digest="sha256:" + "0" * 64,
    )


def large(count: int, groups: int = 0) -> Plan:
    """`count` tests in `groups` groups; each needs the one before it, and comes after the one before that."""
    return Plan(
        suite="large",
        title="Large",
        tests=tuple(
            Test(
                f"T{number:04}",
                f"Test number {number} of a rather large suite",
                ("cli",),
                group=f"g{number % groups}" if groups else "",
                needs=(f"T{number - 1:04}",) if number else (),
                after=(f"T{number - 2:04}",) if number > 1 else (),
            )
            for number in range(count)
        ),
        methods=(Method("cli", "Playwright", "playwright", command="test_large"),),
        groups=tuple(Group(f"g{number}", f"Group {number}") for number in range(groups)),
        speed=SPEED,
        outputs=Outputs(docs="docs/large.md"),
        sources=("specs/large.yaml",),
    )
