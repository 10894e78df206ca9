"""Load the plan of a suite, and refuse one that is not what the specs compile to."""

from __future__ import annotations

import os

import msgspec

from orchestra import nofollow, outputs, plan_file, plugins
from orchestra.errors import PlanError
from orchestra.outputs import Entry
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.yamltext.digest import digest_files


class StaleError(PlanError):
    """A plan is intact, and older than its spec.

    Attributes:
        plan: with the digest of the spec as it is now.
    """

    def __init__(self, message: str, hint: str, plan: Plan) -> None:
        super().__init__(message, hint)
        self.plan = plan


def load_plan(project: Project, suite: str, profile: str = "") -> Plan:
    """Return the compiled plan of a suite, if it is of the specs as they are now.

    Raises:
        PlanError: there is none, or it is damaged.
        StaleError: the specs were changed since.
        PluginError: a plug-in is not installed, or in another version than it was compiled with.
    """
    name = project.plan_file(suite, profile)
    try:
        data = nofollow.read(project.root / name)
    except OSError as error:
        of = f' with profile "{profile}"' if profile else ""
        raise PlanError(
            f'no plan of suite "{suite}"{of}: {name}: {error.strerror}', "run `orchestra compile`"
        ) from error
    plan = plan_file.load(data, name)
    mend = "run `orchestra compile`, review the change, and run again"
    try:
        now = digest_files(project.root, plan.sources)
    except OSError as error:
        spec = os.path.relpath(error.filename or project.root, project.root)
        mend = f"restore {spec}; if it was removed on purpose, `orchestra compile` removes its outputs"
        raise PlanError(f"{name}: its spec {spec} cannot be read: {error.strerror}", mend) from error
    known = _entries(project, name) or (Entry("", plan.source_digest),)
    if now not in {entry.sources for entry in known}:
        listed = ", ".join(plan.sources)
        why = "git merged it from two branches" if len(known) > 1 else "the spec was changed after it was compiled"
        if known[0].sources == "":
            why = f"{outputs.PATH} does not list it, and its source is unknown"
        message = f"{name}: {why} ({listed})"
        if len(known) == 1 and known[0].sources and outputs.digest(data) == known[0].content:
            raise StaleError(message, mend, msgspec.structs.replace(plan, source_digest=now))
        raise PlanError(message, mend)
    if known[0].content and outputs.digest(data) not in {entry.content for entry in known}:
        raise PlanError(f"{name}: the plan was changed or damaged after it was compiled", mend)
    plugins.check(((plugin.name, plugin.version) for plugin in plan.plugins), project.root)
    return msgspec.structs.replace(plan, source_digest=now)


def _entries(project: Project, name: str) -> tuple[Entry, ...]:
    """Return the index entries of a plan; empty if the index has no digest of it."""
    try:
        return outputs.parse(nofollow.read(project.root / outputs.PATH)).get(name, ())
    except OSError:
        return ()
