"""Lower a spec to its plan: variables, defaults, groups, blocks and matrices resolved.

Total: it takes a spec that schema and rules have passed, and cannot fail. The order of the tests in the plan is the
order in which one worker would run them: dependencies first, otherwise as the spec has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.health import lower_component
from orchestra.compiler.lower.logins import lower_logins
from orchestra.compiler.lower.steps import (
    Known,
    final_text,
    text,
    text_map,
    usual,
)
from orchestra.compiler.lower.tests import expanded_ids, lower_test
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.schema.methods import MethodSpec, SpeedSpec
from orchestra.compiler.schema.spec import GateSpec, Spec, TlsSpec
from orchestra.compiler.schema.tests import GroupSpec
from orchestra.plan import (
    EVERY_RUN,
    NO_TLS,
    Baseline,
    Collect,
    Connect,
    Engine,
    Gate,
    Group,
    KeepRuns,
    Method,
    Outputs,
    Plan,
    Pool,
    SpeedClass,
    Test,
    Tls,
)

DEFAULT_SPEED: dict[str, SpeedSpec] = {
    "good": {"below_seconds": 30, "mark": "😊"},
    "ok": {"below_seconds": 60, "mark": "😐"},
    "slow": {"mark": "😴"},
}

_METHOD = Method("", "", "command")
_GATE = Gate("after", "", "")
_OUTPUTS = Outputs()


def _group(
    name: str, title: str, path: Sequence[tuple[str, GroupSpec]], expanded: Mapping[str, tuple[str, ...]]
) -> Group:
    """Return a group that waits for all that those around it wait for."""
    own = path[-1][1]
    inner_first = list(reversed(path))
    after = dict.fromkeys(other for _, group in inner_first for other in group.get("after", ()))
    return Group(
        name,
        title,
        tuple(after),
        tuple(around for around, _ in inner_first[1:]),
        expanded_ids(resolve.once_in(own, resolve.BEFORE_ALL), expanded),
        expanded_ids(resolve.once_in(own, resolve.AFTER_ALL), expanded),
    )


def run_order(tests: Sequence[Test], groups: Sequence[Group]) -> tuple[Test, ...]:
    """Return the tests in the order in which one worker would run them.

    A group's `after` is an edge from the end of one set to the start of another: two nodes a group stand for it, so
    that the number of edges grows with the tests and not with their square.
    """
    before: dict[str, list[str]] = {}
    nodes: list[str] = []
    for group in groups:
        start, end = f"<{group.id}", f">{group.id}"
        nodes += [start, end]
        before[start] = [f">{other}" for other in group.after]
        before.setdefault(end, []).append(start)
        for around in group.outer:
            before.setdefault(f">{around}", []).append(end)
    for test in tests:
        before[test.id] = [*test.needs, *test.after]
        if test.group:
            before[test.id].append(f"<{test.group}")
            before[f">{test.group}"].append(test.id)
    by_id = {test.id: test for test in tests}
    ordered = resolve.topological([*nodes, *by_id], before)
    return tuple(by_id[node] for node in ordered if node in by_id)


def _methods(methods: Mapping[str, MethodSpec], known: Known, provided: Provided) -> tuple[Method, ...]:
    lowered = []
    for name, method in methods.items():
        workers = method.get("workers", "auto")
        session = method.get("session", {})
        kind = provided.drivers[method["driver"]]
        lowered.append(
            Method(
                id=name,
                title=final_text(method.get("title", name), known),
                driver=method["driver"],
                workers=0 if workers == "auto" else workers,
                parallel=method.get("parallel", False),
                single_session=session.get("single", False),
                reset=session.get("reset", "storage"),
                poll_seconds=usual(method.get("poll_seconds", _METHOD.poll_seconds), _METHOD.poll_seconds),
                command=method.get("command", ""),
                speed=_classes(method.get("speed", {})),
                plugin=provided.package_of("driver", method["driver"]),
                own_pages=kind.own_pages,
                tool_calls=kind.tool_calls,
                connect=_connect(method, known),
            )
        )
    return tuple(lowered)


def _connect(method: MethodSpec, known: Known) -> Connect | None:
    if "connect" not in method:
        return None
    given = method["connect"]
    return Connect(text(given["url"], known), given.get("sessions", 0))


def _engine(spec: Spec, known: Known) -> Engine | None:
    if "engine" not in spec:
        return None
    given = spec["engine"]["dask"]
    return Engine("dask", text(given.get("scheduler", ""), known), given.get("slots", 0))


def _classes(classes: Mapping[str, SpeedSpec]) -> tuple[SpeedClass, ...]:
    return tuple(SpeedClass(name, one.get("mark", "😴"), one.get("below_seconds")) for name, one in classes.items())


def _gates(spec: Spec, known: Known) -> tuple[Gate, ...]:
    gates = spec.get("gates", {})
    phases: tuple[tuple[Any, dict[str, GateSpec]], ...] = (
        ("before", gates.get("before", {})),
        ("during", gates.get("during", {})),
        ("after", gates.get("after", {})),
    )
    return tuple(
        Gate(
            phase=phase,
            name=name,
            require=final_text(gate["require"], known),
            for_seconds=usual(gate.get("for_seconds", _GATE.for_seconds), _GATE.for_seconds),
            on_fail=gate.get("on_fail", "block"),
            severity=gate.get("severity", "error"),
            message=final_text(gate.get("message", ""), known),
        )
        for phase, named in phases
        for name, gate in named.items()
    )


def _tls(tls: TlsSpec, known: Known) -> Tls:
    made = Tls(tls.get("ignore_https_errors", False), final_text(tls.get("ca_file", ""), known))
    return NO_TLS if made == NO_TLS else made  # the plan omits that very object


def lower(
    spec: Spec,
    provided: Provided = BUILT_IN,
    *,
    sources: Sequence[str] = (),
    source_digest: str = "",
    profile: str = "",
) -> Plan:
    """Return the plan of a spec that has no problem.

    Args:
        spec: what the schema and the rules have passed, with the profile applied.
        provided: the kinds that it can use.
        sources: the paths of its files, the main one first.
        source_digest: their digest (`orchestra.yamltext.document.digest_files`).
        profile: the name of the applied profile, empty for none.
    """
    known = {f"vars.{name}": value for name, value in spec.get("vars", {}).items()}
    expanded = {
        test_id: tuple(one for one, _ in resolve.matrix_tests(test_id, test)) for test_id, test in spec["tests"].items()
    }
    groups = tuple(
        _group(name, final_text(group.get("title", name), known), resolve.group_path(spec, name), expanded)
        for name, group in spec.get("groups", {}).items()
    )
    methods = resolve.methods(spec)
    logins = {login.id: login for login in lower_logins(spec, methods, known, provided.verbs)}
    tests = [
        made
        for test_id in spec["tests"]
        for made in lower_test(spec, test_id, expanded, known, methods, provided, logins)
    ]
    health = spec.get("health", {})
    order = resolve.topological(list(health), {name: row.get("needs", []) for name, row in health.items()})
    outputs = spec.get("compile", {})
    baseline = spec.get("baseline", {})
    tls = _tls(spec.get("tls", {}), known)
    plain = Baseline()
    return Plan(
        suite=spec["suite"],
        title=final_text(spec.get("title", spec["suite"]), known),
        tests=run_order(tests, groups),
        methods=_methods(methods, known, provided),
        groups=groups,
        logins=tuple(logins.values()),
        pools=tuple(
            Pool(name, tuple(text_map(entry, known) for entry in entries))
            for name, entries in spec.get("pools", {}).items()
        ),
        components=tuple(lower_component(name, health[name], known, provided) for name in order),
        resources=dict(spec.get("resources", {})),
        secrets=tuple(spec.get("secrets", [])),
        env_files=resolve.env_files(spec),
        tls=tls,
        keep_runs=KeepRuns(**spec["keep_runs"]) if "keep_runs" in spec else EVERY_RUN,
        speed=_classes(spec.get("speed", DEFAULT_SPEED)),
        baseline=Baseline(
            window=baseline.get("window", plain.window),
            min_runs=baseline.get("min_runs", plain.min_runs),
            slower_ratio=usual(baseline.get("slower_ratio", plain.slower_ratio), plain.slower_ratio),
            slower_seconds=usual(baseline.get("slower_seconds", plain.slower_seconds), plain.slower_seconds),
            confirm=baseline.get("confirm", plain.confirm),
            max_load_percent=usual(baseline.get("max_load_percent", plain.max_load_percent), plain.max_load_percent),
        ),
        gates=_gates(spec, known),
        collect=tuple(
            Collect(name, tuple(final_text(word, known) for word in collect["run"]), collect["of"])
            for name, collect in spec.get("collect", {}).items()
        ),
        outputs=Outputs(
            doit=outputs.get("doit", _OUTPUTS.doit),
            commands=outputs.get("commands", _OUTPUTS.commands),
            docs=outputs.get("docs", f"docs/{spec['suite']}.md"),
            launcher=outputs.get("launcher", _OUTPUTS.launcher),
            hosts=_hosts(outputs),
        ),
        plugins=provided.packages,
        engine=_engine(spec, known),
        profile=profile,
        sources=tuple(sources),
        source_digest=source_digest,
    )


def _hosts(outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the clients that get commands; the default itself, which the plan omits, if they are the same."""
    hosts = tuple(dict.fromkeys(outputs.get("hosts", _OUTPUTS.hosts)))
    return _OUTPUTS.hosts if hosts == _OUTPUTS.hosts else hosts
