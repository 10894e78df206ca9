"""Lower a spec to its plan: variables, defaults, groups, blocks and matrices resolved.

Total: it takes a spec that schema and rules have passed, and cannot fail. The order of the tests in the plan is the
order in which one worker would run them: dependencies first, otherwise as the spec has them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.emulation import lower_emulation
from orchestra.compiler.lower.errors import lower_errors
from orchestra.compiler.lower.health import lower_component
from orchestra.compiler.lower.logins import components_of_login, lower_logins
from orchestra.compiler.lower.requires import components_in, components_of
from orchestra.compiler.lower.steps import (
    Known,
    fill,
    final_text,
    lower_command,
    lower_step,
    lower_steps,
    outer,
    text,
    text_map,
    usual,
)
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.schema.methods import MethodSpec, SpeedSpec
from orchestra.compiler.schema.spec import GateSpec, Spec, TlsSpec
from orchestra.compiler.schema.tests import GroupSpec, RetrySpec, TestSpec
from orchestra.plan import (
    EVERY_RUN,
    NO_TLS,
    Baseline,
    Collect,
    Command,
    Connect,
    Gate,
    Group,
    KeepRuns,
    KnownFailure,
    Login,
    Method,
    Outputs,
    Plan,
    Pool,
    Quarantine,
    Retry,
    SpeedClass,
    Test,
    Tls,
)
from orchestra.steps.look import folder_of, looks
from orchestra.steps.step import Step
from orchestra.steps.verb import Verb
from orchestra.steps.verbs.files import project_files

DEFAULT_SPEED: dict[str, SpeedSpec] = {
    "good": {"below_seconds": 30, "mark": "😊"},
    "ok": {"below_seconds": 60, "mark": "😐"},
    "slow": {"mark": "😴"},
}

# The defaults, which the plan omits.
_TEST = Test("", "", ())
_METHOD = Method("", "", "command")
_GATE = Gate("after", "", "")
_OUTPUTS = Outputs()


def _command_of(spec: Spec, test: TestSpec, known: Known) -> Command | None:
    if "command" in test:
        return lower_command(test["command"], known)
    if "use" not in test:
        return None
    name, given = resolve.block_use(test["use"])
    inner = {**outer(known), **{param: fill(value, known) for param, value in given.items()}}
    return lower_command(spec["blocks"][name]["command"], inner)


def _retry(test: RetrySpec | None, default: RetrySpec) -> Retry:
    merged: RetrySpec = {**default, **(test or {})}
    plain = Retry()
    return Retry(
        max=merged.get("max", plain.max), on=tuple(merged.get("on", plain.on)), isolated=merged.get("isolated", False)
    )


def _quarantine(test: TestSpec) -> Quarantine | None:
    quarantine = test.get("quarantine")
    if quarantine is None:
        return None
    return Quarantine(
        quarantine["owner"], quarantine["until"], quarantine.get("reason", ""), tuple(quarantine.get("cases", ()))
    )


def _requires(spec: Spec, test: TestSpec, found: Iterable[str]) -> tuple[str, ...]:
    """Return the components that a test declares, then those that its texts name."""
    declared = test.get("requires", spec.get("defaults", {}).get("requires", []))
    return tuple(dict.fromkeys([*declared, *sorted(set(found))]))


def lower_test(
    spec: Spec,
    test_id: str,
    expanded: Mapping[str, tuple[str, ...]],
    variables: Known,
    methods: Mapping[str, MethodSpec] | None = None,
    provided: Provided = BUILT_IN,
    logins: Mapping[str, Login] | None = None,
) -> tuple[Test, ...]:
    """Return the tests that one entry of the spec makes; `expanded` maps each id of the spec to the ids of its tests."""
    test = spec["tests"][test_id]
    defaults = spec.get("defaults", {})
    groups = resolve.groups_of(spec, test)
    places = [group for _, group in groups]
    needs = resolve.effective_needs(spec, test_id, test)
    made = []
    for one_id, values in resolve.matrix_tests(test_id, test):
        known = {**variables, **resolve.values_known(test, values)} if values else variables
        login = (logins or {}).get(resolve.login_of(spec, test, known))
        pointer = f"/tests/{test_id}"
        before = _lowered(spec, resolve.opening(spec, test_id, test), known, provided.verbs)
        steps = lower_steps(spec, test.get("steps", []), f"{pointer}/steps", known, (), provided.verbs)
        after = _lowered(spec, resolve.closing(spec, test_id, test), known, provided.verbs)
        command = _command_of(spec, test, known)
        methods_here = resolve.methods_of(spec, test, methods, provided.drivers)
        errors, errors_by = lower_errors(spec, test, places, methods_here)
        emulation, emulation_by = lower_emulation(spec, test, places, methods_here, known)
        substitutes_by = _substitutes_by(spec, test, methods_here, known)
        of_methods = tuple(itertools.chain.from_iterable(substitutes_by.values()))
        browser = values.get("browser", test.get("browser", defaults.get("browser", _TEST.browser)))
        evidence = test.get("evidence", defaults.get("evidence", _TEST.evidence))
        patience = test.get("action_timeout_seconds", defaults.get("action_timeout_seconds"))
        action = _TEST.action_timeout_seconds if patience is None else patience
        made.append(
            Test(
                id=one_id,
                title=final_text(test.get("title", test_id), known),
                methods=methods_here,
                of=test_id if values else "",
                group=test.get("group", ""),
                outer=tuple(name for name, _ in reversed(groups[:-1])),
                browser=_TEST.browser if browser == _TEST.browser else browser,
                needs=_ids(needs, expanded),
                unmet=_unmet(needs, expanded),
                after=_ids([*test.get("after", []), *resolve.closed_by(spec, test_id, test)], expanded),
                requires=_requires(
                    spec,
                    test,
                    components_of(
                        spec, (*of_methods, *before, *steps, *after), command, (emulation, *emulation_by.values())
                    )
                    | _of_addresses(spec, test, methods_here, known)
                    | (set() if login is None else components_of_login(spec, login)),
                ),
                resources=dict(test.get("resources", {})),
                takes=dict(sorted(resolve.takes_of(spec, test).items())),
                exclusive=test.get("exclusive", _TEST.exclusive),
                tags=tuple(test.get("tags", defaults.get("tags", []))),
                timeout_seconds=usual(
                    test.get("timeout_seconds", defaults.get("timeout_seconds", _TEST.timeout_seconds)),
                    _TEST.timeout_seconds,
                ),
                action_timeout_seconds=usual(action, _TEST.action_timeout_seconds),
                action_idle_seconds=usual(
                    _TEST.action_idle_seconds if patience is None else action, _TEST.action_idle_seconds
                ),
                retries=_retry(test.get("retries"), defaults.get("retries", {})),
                evidence=_TEST.evidence if evidence == _TEST.evidence else evidence,
                record=tuple(test.get("record", defaults.get("record", []))),
                evidence_limit_megabytes=usual(
                    test.get("evidence_limit_megabytes", defaults.get("evidence_limit_megabytes", 0)),
                    _TEST.evidence_limit_megabytes,
                ),
                inputs=_inputs(spec["suite"], one_id, test, known, (*of_methods, *before, *steps, *after)),
                skip=final_text(test.get("skip", ""), known),
                quarantine=_quarantine(test),
                known_failures=tuple(
                    KnownFailure(one["match"], one.get("reason", ""), one.get("strict", False))
                    for one in test.get("known_failures", [])
                ),
                errors=errors,
                errors_by=errors_by,
                emulation=emulation,
                emulation_by=emulation_by,
                substitutes_by=substitutes_by,
                login="" if login is None else login.id,
                login_page=login is not None and login.page,
                matrix=values,
                before=before,
                steps=steps,
                finally_=after,
                command=command,
            )
        )
    return tuple(made)


def _lowered(
    spec: Spec, sections: Iterable[resolve.Section], known: Known, verbs: Mapping[str, Verb]
) -> tuple[Step, ...]:
    """Return the steps of several lists, one after the other."""
    return tuple(
        step
        for path, steps in sections
        for step in lower_steps(spec, steps, "/" + "/".join(map(str, path)), known, (), verbs)
    )


def _substitutes_by(spec: Spec, test: TestSpec, methods: Iterable[str], known: Known) -> dict[str, tuple[Step, ...]]:
    """Return the steps `mock` and `har` of the methods that have some, in the order of these; none for a test without a page."""
    declared: Mapping[str, Any] = spec.get("methods", {})
    found = {name: tuple(_substitutes_of(name, declared.get(name, {}), known)) for name in methods}
    with_some = {name: steps for name, steps in found.items() if steps}
    return with_some if with_some and resolve.kind_of(spec, test) == "browser" else {}


def _of_addresses(spec: Spec, test: TestSpec, methods: Iterable[str], known: Known) -> set[str]:
    """Return the components on which the browsers of a test run: those in the addresses of its methods."""
    if resolve.kind_of(spec, test) != "browser":
        return set()
    declared: Mapping[str, Any] = spec.get("methods", {})
    given = (declared.get(name, {}).get("connect") for name in methods)
    return components_in(spec, [text(connect["url"], known) for connect in given if connect is not None])


def _substitutes_of(name: str, method: Mapping[str, Any], known: Known) -> Iterator[Step]:
    if "har" in method:
        yield lower_step("har", method["har"], (f"/methods/{name}/har",), known)
    for index, body in enumerate(method.get("mock", ())):
        yield lower_step("mock", body, (f"/methods/{name}/mock/{index}",), known)


def _inputs(
    suite: str, one_id: str, test: TestSpec, known: Mapping[str, Any], steps: Sequence[Step]
) -> tuple[str, ...]:
    """Return the globs of the files that the result of a test rests on: those of its steps and its expected pictures, too."""
    globs = [final_text(glob, known) for glob in test.get("inputs", [])]
    if globs:
        globs += project_files(steps)
        globs += [f"{folder_of(suite, one_id)}/**"] if looks(steps) else []
    return tuple(dict.fromkeys(globs))


def _ids(wanted: Iterable[str], expanded: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for name in wanted for one in expanded.get(name, (name,))))


def _unmet(needs: Mapping[str, str], expanded: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the needed tests whose failure does not block, with its effect.

    The id of one test of a matrix wins over that of all its tests.
    """
    effects: dict[str, str] = {}
    for name, effect in sorted(needs.items(), key=lambda item: item[0] in expanded):
        for one in expanded.get(name, (name,)):
            effects.setdefault(one, effect)
    return {one: effect for one, effect in effects.items() if effect != resolve.BLOCK}


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
        _ids(resolve.once_in(own, resolve.BEFORE_ALL), expanded),
        _ids(resolve.once_in(own, resolve.AFTER_ALL), expanded),
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
        profile=profile,
        sources=tuple(sources),
        source_digest=source_digest,
    )


def _hosts(outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the clients that get commands; the default itself, which the plan omits, if they are the same."""
    hosts = tuple(dict.fromkeys(outputs.get("hosts", _OUTPUTS.hosts)))
    return _OUTPUTS.hosts if hosts == _OUTPUTS.hosts else hosts
