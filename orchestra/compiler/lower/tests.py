"""Lower one test of a spec: each combination of its matrix becomes a test of the plan.

Total: it takes a spec that schema and rules have passed, and cannot fail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.emulation import lower_emulation
from orchestra.compiler.lower.errors import lower_errors
from orchestra.compiler.lower.logins import components_of_login
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
    usual,
)
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.schema.methods import MethodSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import RetrySpec, TestSpec
from orchestra.plan import (
    Command,
    KnownFailure,
    Login,
    Quarantine,
    Retry,
    Test,
)
from orchestra.steps.look import folder_of, looks
from orchestra.steps.step import Step
from orchestra.steps.verb import Verb
from orchestra.steps.verbs.files import project_files

# The defaults, which the plan omits.
_TEST = Test("", "", ())


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
                needs=expanded_ids(needs, expanded),
                unmet=_unmet(needs, expanded),
                after=expanded_ids([*test.get("after", []), *resolve.closed_by(spec, test_id, test)], expanded),
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
        if steps
        for step in lower_steps(spec, steps, "/" + "/".join(map(str, path)), known, (), verbs)
    )


def _substitutes_by(spec: Spec, test: TestSpec, methods: Iterable[str], known: Known) -> dict[str, tuple[Step, ...]]:
    """Return the steps `mock` and `har` of the methods that have some, in the order of these; none for a test without a page."""
    declared: Mapping[str, Any] = spec.get("methods", {})
    if not any("har" in method or "mock" in method for method in declared.values()):
        return {}
    found = {name: tuple(_substitutes_of(name, declared.get(name, {}), known)) for name in methods}
    with_some = {name: steps for name, steps in found.items() if steps}
    return with_some if with_some and resolve.kind_of(spec, test) == "browser" else {}


def _of_addresses(spec: Spec, test: TestSpec, methods: Iterable[str], known: Known) -> set[str]:
    """Return the components on which the browsers of a test run: those in the addresses of its methods."""
    declared: Mapping[str, Any] = spec.get("methods", {})
    given = [declared[name]["connect"] for name in methods if "connect" in declared.get(name, {})]
    if not given or resolve.kind_of(spec, test) != "browser":
        return set()
    return components_in(spec, [text(connect["url"], known) for connect in given])


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


def expanded_ids(names: Iterable[str], expanded: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the ids of the plan for ids of the spec; `expanded` maps the latter to the ids of their tests."""
    return tuple(dict.fromkeys(test_id for name in names for test_id in expanded.get(name, (name,))))


def _unmet(needs: Mapping[str, str], expanded: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the needed tests whose failure does not block, with its effect.

    The id of one test of a matrix wins over that of all its tests.
    """
    effects: dict[str, str] = {}
    for name, effect in sorted(needs.items(), key=lambda item: item[0] in expanded):
        for one in expanded.get(name, (name,)):
            effects.setdefault(one, effect)
    return {one: effect for one, effect in effects.items() if effect != resolve.BLOCK}
