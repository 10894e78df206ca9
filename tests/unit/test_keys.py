"""Every key that a spec accepts is read by something: by which module, and for steps by each driver."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import CodeType, FunctionType

import msgspec
import pytest

from orchestra import plan
from orchestra.runtime.driver import sections
from orchestra.runtime.driver.downloading import Guard
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp import verbs
from orchestra.runtime.driver.playwright import verbs as playwright_verbs
from orchestra.steps.vocabulary import VERBS, required_fields
from tests.support.paths import ROOT

# By part of the plan, who acts on its fields: module of `orchestra`, then the fields.
READERS = {
    "Probe": {
        "runtime/servers/up.py": "kind args",
        "runtime/servers/probe.py": "timeout_seconds plugin",
    },
    "Ready": {
        "runtime/servers/ask.py": "probe successes",
        "runtime/servers/recovery.py": "within_seconds",
    },
    "Live": {
        "runtime/servers/watching.py": "probe every_seconds failures",
    },
    "Backoff": {
        "runtime/servers/recovery.py": "max initial_seconds factor max_seconds jitter",
    },
    "Service": {
        "runtime/servers/start.py": "run port_wait_seconds",
        "runtime/build.py": "shell cwd env inputs",
        "runtime/servers/survey.py": "host ports",
        "runtime/servers/service.py": "stop_signal",
        "runtime/servers/matrix.py": "grace_seconds",
    },
    "Job": {
        "runtime/servers/start.py": "run",
        "runtime/build.py": "shell inputs",
        "runtime/processes/commands.py": "cwd env",
        "runtime/servers/recovery.py": "timeout_seconds",
    },
    "RecoveryStep": {
        "runtime/servers/recovery.py": "kind run timeout_seconds",
    },
    "Component": {
        "runtime/gates/figures.py": "id required",
        "runtime/servers/survey.py": "title",
        "runtime/servers/reuse.py": "needs",
        "runtime/build.py": "job service failover",
        "runtime/servers/start.py": "url retries",
        "runtime/servers/matrix.py": "recover between",
        "runtime/servers/watching.py": "fail_back cool_down_seconds",
        "runtime/servers/up.py": "ready live",
        "runtime/servers/lending.py": "identity shared",
        "instances.py": "per where",
        "runtime/servers/climb.py": "reset",
    },
    "ResetStep": {"runtime/servers/recovery.py": "run request timeout_seconds"},
    "SpeedClass": {
        "runtime/attempts/verdict.py": "name below_seconds",
        "ledger/outcome.py": "mark",
    },
    "Method": {
        "runtime/dag.py": "id",
        "compiler/emit/tables.py": "title",
        "runtime/worker.py": "driver",
        "runtime/engine/slots.py": "workers single_session",
        "runtime/run/schedule.py": "parallel",
        "runtime/run/decide.py": "speed",
        "runtime/driver/mcp/session.py": "reset",
        "runtime/driver/mcp/driver.py": "poll_seconds",
        "compiler/emit/files.py": "command tool_calls",
        "runtime/driver/__init__.py": "plugin",
        "runtime/attempt.py": "own_pages connect",
    },
    "Connect": {"runtime/inherited.py": "url", "runtime/engine/pools.py": "sessions"},
    "Plugin": {
        "runtime/load_plan.py": "name version",
        "compiler/emit/tables.py": "probes drivers",
        "report/forms.py": "formats",
        "runtime/nodes/registry.py": "engines",
    },
    "Engine": {"runtime/run/engine.py": "name scheduler slots"},
    "Group": {
        "runtime/select.py": "id",
        "draw.py": "title",
        "runtime/engine/queue.py": "after outer",
        "runtime/run/resume.py": "before_all after_all",
    },
    "Retry": {
        "runtime/run/conclude.py": "isolated",
        "runtime/attempts/verdict.py": "max on",
    },
    "Quarantine": {
        "runtime/attempts/excuse.py": "owner until reason cases",
    },
    "KnownFailure": {
        "runtime/attempts/excuse.py": "match reason strict",
    },
    "Errors": {
        "layers.py": "page_errors console_errors failed_requests http_5xx open_dialogs a11y",
        "runtime/attempts/finding.py": "allow",
        "runtime/attempts/log_finding.py": "service_logs log_patterns",
    },
    "Emulation": {
        "draw.py": "device",
        "runtime/driver/emulation.py": (
            "viewport device_scale_factor is_mobile has_touch user_agent locale timezone geolocation permissions"
            " color_scheme reduced_motion offline extra_headers"
        ),
    },
    "Geolocation": {"runtime/driver/emulation.py": "latitude longitude accuracy"},
    "Command": {
        "runtime/engine/job.py": "argv exit_codes cases attach",
        "plan.py": "junit playwright_json pytest_reportlog",
        "runtime/build.py": "shell cwd env",
    },
    "Test": {
        "runtime/dag.py": "id title methods needs",
        "runtime/attempts/excuse.py": "of quarantine known_failures",
        "runtime/attempts/verdict.py": "unmet",
        "runtime/engine/pools.py": "takes",
        "runtime/gates/figures.py": "group",
        "report/fold.py": "outer",
        "runtime/doctor.py": "browser steps",
        "runtime/engine/queue.py": "after exclusive",
        "runtime/build.py": "requires inputs",
        "report/advice/quicker.py": "resources",
        "runtime/select.py": "tags",
        "runtime/engine/job.py": "timeout_seconds",
        "runtime/driver/sections.py": "action_timeout_seconds action_idle_seconds substitutes_by",
        "runtime/run/opening.py": "retries",
        "runtime/attempts/record.py": "evidence",
        "runtime/attempts/limit.py": "evidence_limit_megabytes",
        "runtime/attempts/finding.py": "errors errors_by",
        "runtime/driver/emulation.py": "emulation emulation_by",
        "runtime/run/schedule.py": "skip login",
        "runtime/attempt.py": "record before finally_ command login_page",
        "verbs/views.py": "matrix",
    },
    "Login": {
        "runtime/driver/signing_in.py": "id steps check valid_seconds page emulation emulation_by",
        "runtime/attempt.py": "timeout_seconds",
    },
    "Pool": {"runtime/engine/pools.py": "id entries"},
    "Baseline": {
        "runtime/run/pace.py": "window confirm",
        "ledger/baseline.py": "min_runs slower_ratio slower_seconds",
        "runtime/run/repeats.py": "max_load_percent",
    },
    "Gate": {
        "runtime/gates/gate.py": "phase name require for_seconds on_fail severity message",
    },
    "Collect": {
        "verbs/collect.py": "name run of",
    },
    "Outputs": {
        "runtime/servers/reuse.py": "doit docs",
        "compiler/emit/files.py": "commands hosts",
        "runtime/agent_setup.py": "launcher",
    },
    "Plan": {
        "runtime/doctor.py": "suite secrets",
        "report/fold.py": "title",
        "runtime/dag.py": "tests methods",
        "runtime/inherited.py": "env_files components",
        "runtime/load_plan.py": "plugins sources source_digest",
        "runtime/select.py": "groups",
        "runtime/engine/queue.py": "resources",
        "runtime/engine/pools.py": "pools",
        "runtime/run/opening.py": "baseline profile",
        "runtime/run/decide.py": "speed",
        "runtime/gates/gate.py": "gates",
        "verbs/collect.py": "collect",
        "runtime/servers/reuse.py": "outputs",
        "runtime/servers/survey.py": "tls",
        "runtime/run/session.py": "keep_runs logins",
        "runtime/run/engine.py": "engine",
    },
    "EnvFile": {"runtime/env_files.py": "path required public"},
    "Tls": {"runtime/driver/http.py": "ignore_https_errors ca_file"},
    "KeepRuns": {"runtime/run/session.py": "count days"},
}


def parts() -> dict[str, list[str]]:
    """The parts of the plan and their fields; steps are looked at below."""
    found = {}
    for name, value in vars(plan).items():
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value is not plan.Part and name[0] != "_":
            found[name] = [field.name for field in msgspec.structs.fields(value)]
    return {name: fields for name, fields in found.items() if name not in {"Step", "Target"}}


def test_every_field_of_the_plan_has_a_reader():
    named = {part: sorted(" ".join(by.values()).split()) for part, by in READERS.items()}
    assert named == {part: sorted(fields) for part, fields in parts().items()}


@pytest.mark.parametrize("part", READERS)
def test_a_reader_names_what_it_reads(part):
    for module, fields in READERS[part].items():
        text = (ROOT / "orchestra" / module).read_text(encoding="utf-8")
        for field in fields.split():
            assert re.search(rf"(\.|\"){field}\b", text), f"{module} does not read {part}.{field}"


# Fields of a step that another module reads for the drivers, by the property of a job that gives them.
BY_PROPERTY = {"own_seconds": "within_seconds", "idle_seconds": "within_seconds"}


def words(function: FunctionType, seen: set[CodeType]) -> Iterator[str]:
    """The texts and attributes of a function, and of those of this program that it calls."""
    code = function.__code__
    codes = [code]
    while codes:
        one = codes.pop()
        if one in seen:
            continue
        seen.add(one)
        codes += [const for const in one.co_consts if isinstance(const, CodeType)]
        yield from (const for const in one.co_consts if isinstance(const, str))
        for name in one.co_names:
            yield name
            called = function.__globals__.get(name)
            if isinstance(called, dict):
                yield from (key for key in called if isinstance(key, str))
            if getattr(called, "__module__", "").startswith("orchestra."):
                for part in [called] if inspect.isfunction(called) else functions_of(called):
                    yield from words(part, seen)
    for cell in function.__closure__ or ():
        if isinstance(cell.cell_contents, str):
            yield cell.cell_contents


def functions_of(made: object) -> list[FunctionType]:
    return [member for member in vars(made).values() if inspect.isfunction(member)] if inspect.isclass(made) else []


def read_by(*functions: FunctionType) -> set[str]:
    seen: set[CodeType] = set()
    found = {word for function in functions for word in words(function, seen)}
    return found | {BY_PROPERTY[word] for word in found if word in BY_PROPERTY}


LOWERED = {"page": {"opens_with"}}
"""Fields that a plan does not have: the compiler turns them into steps."""


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if verb.browser])
def test_every_field_of_a_step_is_read_by_each_driver(name):
    wanted = {field.name for field in VERBS[name].fields} - LOWERED.get(name, set())
    guard = functions_of(Guard) if name == "download" else []
    ours = read_by(playwright_verbs.VERBS[name]) | (set(required_fields(VERBS[name])) if VERBS[name].method else set())
    theirs = read_by(verbs.VERBS[name], VERBS[name].calls, *guard)
    assert (wanted - ours, wanted - theirs) == (set(), set())


def test_every_field_of_a_request_is_read():

    read = read_by(*functions_of(Http))
    wanted = {field.name for field in VERBS["http"].fields}
    assert {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} == wanted - read - {"method", "url"}
    assert {"method", "url"} <= read  # what these become
    assert "values" in read_by(sections._Attempt._do)
