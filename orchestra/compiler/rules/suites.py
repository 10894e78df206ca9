"""Rules about several suites of one project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestra.compiler.rules.context import Context
from orchestra.compiler.rules.files import outputs
from orchestra.diagnostic import Diagnostic
from orchestra.yamltext.document import Path


def suite_id(contexts: Sequence[Context]) -> Iterator[Diagnostic]:
    """Two specs have the same `suite`, so their plans, runs and tasks would be mixed. Rename one of them."""
    first: dict[str, Context] = {}
    for context in contexts:
        name = context.spec["suite"]
        other = first.setdefault(name, context)
        if other is not context:
            place = other.place(("suite",))
            message = f'the suite "{name}" is defined at {place} too'
            yield Diagnostic(context.place(("suite",)), "suite-id", message, "give each spec a suite of its own")


def shared_output(contexts: Sequence[Context]) -> Iterator[Diagnostic]:
    """Two suites write one file: the same slash command, or the same page. One `dodo.py` serves all suites."""
    first: dict[str, tuple[Context, Path]] = {}
    for context in contexts:
        for file, key in outputs(context.spec).items():
            path = _said_at(context, file, key)
            other, there = first.setdefault(file.casefold(), (context, path))
            if other is not context and key != "doit" and other.spec["suite"] != context.spec["suite"]:
                message = (
                    f'the output "{file}" is claimed by the suite "{other.spec["suite"]}" too, at {other.place(there)}'
                )
                hint = (
                    "give the methods commands of other names"
                    if key == "commands"
                    else "set compile.docs to another path"
                )
                yield Diagnostic(context.place(path), "shared-output", message, hint)


def _said_at(context: Context, file: str, key: str) -> Path:
    """Return the place at which a spec declares an output file; without one, its suite."""
    if key == "commands":
        for name, method in context.spec.get("methods", {}).items():
            if file.endswith(f"/{method.get('command', '')}.md"):
                return ("methods", name, "command")
    return ("compile", key) if key in context.spec.get("compile", {}) else ("suite",)


RULES = (suite_id, shared_output)
