"""Render the tables of slash commands and of the page about a suite as Markdown. Pure.

No table shows the environment of a process: names of variables are the spec's affair, values may be secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchestra.draw import After, clip, code, codes, emulated, followed, grouped, markdown, markdown_table
from orchestra.engines import DEFAULT_ENGINE
from orchestra.plan import PLAIN_PAGE, Component, Gate, Plan, Probe, ResetStep, Service, SpeedClass, Test, encode

_COMMAND_TITLE = 80
# The head of a table and the rule below it.
_HEAD = 2
_HEADS = ("test", "title", "methods", "needs", "after", "requires", "timeout", "notes")


def _seconds(value: float) -> str:
    return f"{value:g} s"


# ------------------------------------------------------------------------------------------------------------ commands
def command_tests(plan: Plan, tests: Sequence[Test], more: str, spare_lines: int, spare_bytes: int) -> str:
    """Return the table of a command's tests: as many rows as fit, then the command that shows the rest.

    Args:
        plan: the suite.
        tests: of the method, in the order of the plan.
        more: the command that shows the rest.
        spare_lines: how many lines the table may take.
        spare_bytes: how many bytes it may take.
    """
    after = followed(plan)
    rows = (
        (code(test.id), markdown(clip(test.title, _COMMAND_TITLE)), _waits(test, after[test.id]))
        for test in tests[: max(0, spare_lines)]
    )
    lines = markdown_table(("test", "title", "notes"), rows).split("\n")
    if len(lines) == len(tests) + _HEAD and _fits(lines, spare_lines, spare_bytes):
        return "\n".join(lines)
    end = f"And more: `{more}`."  # without their number, which two branches would change to different ones
    while len(lines) > _HEAD and not _fits([*lines, "", end], spare_lines, spare_bytes):
        lines.pop()
    return "\n".join([*lines, "", end])


def _fits(lines: Sequence[str], most_lines: int, most_bytes: int) -> bool:
    return len(lines) <= most_lines and sum(len(line.encode()) + 1 for line in lines) <= most_bytes


def _waits(test: Test, after: After) -> str:
    parts = [f"needs {_needs(test)}"] if test.needs else []
    parts += [f"after {_after(after)}"] if test.after else []
    parts += [f"skipped: {markdown(clip(test.skip, _COMMAND_TITLE))}"] if test.skip else []
    return "; ".join(parts)


def _needs(test: Test) -> str:
    """Return the tests that a test needs, with the effect of a failure where it is not `block`."""
    return ", ".join(
        f"{code(need)} (else {test.unmet[need]})" if need in test.unmet else code(need) for need in test.needs
    )


def _after(after: After) -> str:
    return ", ".join((*map(code, after.tests), *(f"all of {code(name)}" for name in after.groups)))


# ---------------------------------------------------------------------------------------------------------------- docs
def method_table(plan: Plan) -> str:
    """Return the table of methods: id, title, driver, workers, slash command."""
    rows = [
        (
            code(method.id),
            markdown(method.title),
            method.driver,
            "by the capacity of the machine" if method.workers == 0 else str(method.workers),
            code(f"/{method.command}") if method.command else "",
        )
        for method in plan.methods
    ]
    return markdown_table(("method", "title", "driver", "workers", "slash command"), rows)


def plugin_table(plan: Plan) -> str:
    """Return the table of plug-ins: package, version, and the names that it brings; empty without plug-ins."""
    rows = [
        (code(plugin.name), code(plugin.version), codes(plugin.probes), codes(plugin.drivers), codes(plugin.formats))
        for plugin in plan.plugins
    ]
    return markdown_table(("package", "version", "probes", "drivers", "report formats"), rows) if rows else ""


def group_tables(plan: Plan) -> str:
    """Return a table of tests for each group, under its title."""
    parts = []
    groups, after = grouped(plan), followed(plan)
    for _, title, tests in groups:
        table = markdown_table(_HEADS, (_test_row(test, after[test.id]) for test in tests))
        heading = markdown(title) if title else "Other tests"
        parts.append(f"### {heading}\n\n{table}" if len(groups) > 1 or title else table)
    return "\n\n".join(parts)


def test_lines(plan: Plan) -> dict[str, str]:
    """Return, by the id of a test, its line in those tables."""
    after = followed(plan)
    tables = {test.id: markdown_table(_HEADS, [_test_row(test, after[test.id])]) for test in plan.tests}
    return {name: table.rpartition("\n")[2] for name, table in tables.items()}


def _test_row(test: Test, after: After) -> tuple[str, ...]:
    return (
        code(test.id),
        markdown(test.title),
        codes(test.methods),
        _needs(test),
        _after(after),
        codes(test.requires),
        _seconds(test.timeout_seconds),
        "; ".join(_notes(test)),
    )


def _notes(test: Test) -> Iterable[str]:
    if test.skip:
        yield f"skipped: {markdown(test.skip)}"
    if test.browser != DEFAULT_ENGINE:
        yield test.browser
    if test.login:
        yield f"login {test.login}"
    if test.takes:
        yield f"takes {codes(sorted(test.takes.values()))}"
    if test.emulation != PLAIN_PAGE:
        yield f"emulates {codes(emulated(test.emulation))}"
    for method, emulation in test.emulation_by.items():
        yield f"emulates {codes(emulated(emulation))} by {code(method)}"
    if test.resources:
        yield "holds " + ", ".join(f"{number} {code(name)}" for name, number in sorted(test.resources.items()))
    if test.tags:
        yield f"tags {codes(test.tags)}"
    if test.command is not None:
        yield f"runs {code(' '.join(test.command.argv))}" + (" in a shell" if test.command.shell else "")


def health_table(plan: Plan) -> str:
    """Return the health matrix: a row for each component, in the order of the plan."""
    rows = [
        (
            code(component.id),
            markdown(component.title),
            _kind(component),
            codes(component.needs),
            "yes" if component.required else "no",
            _probe(component.ready.probe, f"within {_seconds(component.ready.within_seconds)}")
            if component.ready
            else "",
            _probe(component.live.probe, f"every {_seconds(component.live.every_seconds)}") if component.live else "",
            ", ".join(step.kind for step in component.recover),
        )
        for component in plan.components
    ]
    heads = ("component", "title", "kind", "needs", "required", "ready", "live", "recovery")
    return markdown_table(heads, rows) if rows else "This suite has no health matrix."


def _kind(component: Component) -> str:
    each = f", one for each {component.per}" if component.per != "run" else ""
    each += ", one on each node of a cluster" if component.where != "shared" else ""
    if component.job is not None:
        return f"job {code(' '.join(component.job.run))}{each}"
    if component.service is not None:
        reset = ", ".join(map(_reset, component.reset))
        return f"service {_service(component.service)}{each}{f', reset by {reset}' if reset else ''}"
    return f"at {markdown(component.url)}{each}" if component.url else f"check{each}"


def _reset(step: ResetStep) -> str:
    if step.request is not None:
        return markdown(f"{step.request.args['method']} {step.request.args['path']}")
    return code(" ".join(step.run)) if step.run else "restart"


def _service(service: Service) -> str:
    ports = f", port {service.ports[0]} to {service.ports[1]}" if service.ports else ""
    return code(" ".join(service.run)) + ports


def _probe(probe: Probe, when: str) -> str:
    arguments = (
        (key, value if isinstance(value, str) else encode(value).decode()) for key, value in sorted(probe.args.items())
    )
    return ", ".join([f"{probe.kind} " + markdown(" ".join(f"{key}={value}" for key, value in arguments)), when])


def gate_table(plan: Plan) -> str:
    """Return the table of gates: phase, condition and effect of a failure."""
    rows = [(gate.phase, code(gate.name), markdown(gate.require), _on_fail(gate)) for gate in plan.gates]
    heads = ("phase", "gate", "condition", "on failure")
    return markdown_table(heads, rows) if rows else "This suite has no gates."


def _on_fail(gate: Gate) -> str:
    plain_warning = gate.severity == "warn" and gate.on_fail in {"block", "warn"}
    does = "a warning" if plain_warning else gate.on_fail + (", a warning" if gate.severity == "warn" else "")
    during = f" after {_seconds(gate.for_seconds)}" if gate.for_seconds else ""
    return does + during + (f": {markdown(gate.message)}" if gate.message else "")


def speed_table(plan: Plan) -> str:
    """Return the classes of duration, half-open: the lower bound belongs to a class, the upper one does not.

    A method with classes of its own has a table of its own after that of the suite.
    """
    own = [f"By the method {code(method.id)}:\n\n{_speeds(method.speed)}" for method in plan.methods if method.speed]
    return "\n\n".join((_speeds(plan.speed), *own))


def _speeds(classes: Sequence[SpeedClass]) -> str:
    rows = [
        (markdown(one.mark), code(one.name), _seconds(lower), "" if upper is None else _seconds(upper))
        for one, lower, upper in _tiles(classes)
    ]
    return markdown_table(("mark", "class", "from", "below"), [*rows, ("❌", "`timeout`", "", "")])


def _tiles(classes: Sequence[SpeedClass]) -> Iterator[tuple[SpeedClass, float, float | None]]:
    lower = 0.0
    for one in classes:
        yield one, lower, one.below_seconds
        lower = one.below_seconds or lower


def speed_line(classes: Sequence[SpeedClass]) -> str:
    """Return the marks of a method in one line: `😊 below 30 s, 😐 from 30 s, 😴 from 60 s, ❌ timed out`."""
    marks = [
        f"{markdown(one.mark)} {f'from {_seconds(lower)}' if lower or upper is None else f'below {_seconds(upper)}'}"
        for one, lower, upper in _tiles(classes)
    ]
    return ", ".join((*marks, "❌ timed out"))
