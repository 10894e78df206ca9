"""Rules about paths: inside the project root, and one writer for each file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.steps import outer, text
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import TestSpec
from orchestra.diagnostic import Edit
from orchestra.plan import REPORT_KINDS, Outputs
from orchestra.yamltext.document import Path

_DRIVE = re.compile(r"[A-Za-z]:")
# A file system allows 255; orchestra adds a prefix and an ending.
MOST_NAME_BYTES = 200
_OUTPUTS = Outputs()


def _outside(path: str) -> str:
    """Return the reason why a path is not inside the root, empty if it is. The value of a leading name is unknown."""
    if path.startswith("/"):
        return "is an absolute path"
    if path == "~" or path.startswith("~/"):
        return "begins with the home folder"
    if "\\" in path or _DRIVE.match(path):
        return "has backslashes, as on Windows"
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0 or (part == ".." and path.startswith("${")):
            return "leads out of the project root"
    return ""


def _written_paths(context: Context) -> Iterator[tuple[Path, str]]:
    """Yield every path of the spec and its place, except those of included files, which the reader has checked."""
    spec = context.spec
    for where, command, _ in context.commands:
        yield from (((*where, key), command[key]) for key in ("cwd", *REPORT_KINDS) if key in command)
        for key in ("attach", "inputs"):
            yield from (((*where, key, index), path) for index, path in enumerate(command.get(key, ())))
    for at, kind, args in context.probes():
        yield from (((*at, key), args[key]) for key in kind.holding("path") if key in args)
    for test_id, test in spec["tests"].items():
        if "inputs" in test:
            yield from ((("tests", test_id, "inputs", index), path) for index, path in enumerate(test["inputs"]))
    yield from _paths_of_steps(context)
    for index, item in enumerate(spec.get("env_files", ())):
        path: Path = ("env_files", index)
        yield (path, item) if isinstance(item, str) else ((*path, "path"), item["path"])
    if "ca_file" in spec.get("tls", {}):
        yield ("tls", "ca_file"), spec["tls"]["ca_file"]
    yield from ((("compile", key), path) for key, path in spec.get("compile", {}).items() if isinstance(path, str))


def _paths_of_steps(context: Context) -> Iterator[tuple[Path, str]]:
    for step in context.steps("upload"):
        yield from ((step.path("upload", "files", index), path) for index, path in enumerate(step.body["files"]))
    for step in context.steps("http"):
        for name, part in step.body.get("multipart", {}).items():
            if isinstance(part, dict):
                yield step.path("http", "multipart", name, "file"), part["file"]
    for verb in ("mock", "har"):
        for step in context.steps(verb):
            if isinstance(step.body, str):
                yield step.path(verb), step.body
            elif "file" in step.body:
                yield step.path(verb, "file"), step.body["file"]
    for step in context.steps("download"):
        yield step.path("download", "as"), step.body["as"]


@rule
def path_outside(context: Context) -> Iterator[Problem]:
    """A path is absolute, begins with the home folder, leaves the project root by `..`, or has backslashes.

    Paths are relative to the project root and written with `/`: working folders, files to upload, globs, outputs.
    """
    for path, value in _written_paths(context):
        why = _outside(value)
        if why:
            hint = "write a path inside the project, relative to its root, with /"
            yield Problem(context.place(path), f'the path "{value}" {why}', hint)


@rule
def file_name(context: Context) -> Iterator[Problem]:
    """The file name of a download is a path; it must be a plain name, because each attempt has its own folder."""
    for step in context.steps("download"):
        name = step.body["as"]
        if not _outside(name) and ("/" in name or name in ("", ".", "..")):
            place = context.place(step.path("download", "as"))
            yield Problem(
                place, f'"{name}" is not a file name', f"write {name.rstrip('./').rpartition('/')[2] or 'a name'}"
            )


def outputs(spec: Spec) -> dict[str, str]:
    """Return the paths of the files that a spec compiles to, with their key of `compile`."""
    declared: Mapping[str, str] = {key: str(value) for key, value in spec.get("compile", {}).items()}
    folder = declared.get("commands", _OUTPUTS.commands)
    commands = [method["command"] for method in spec.get("methods", {}).values() if "command" in method]
    commands = commands if spec.get("methods") else ["test_cli_full"]
    return {
        declared.get("doit", _OUTPUTS.doit): "doit",
        declared.get("docs", f"docs/{spec['suite']}.md"): "docs",
        **{f"{folder.rstrip('/')}/{name}.md": "commands" for name in commands},
    }


@rule
def output_path(context: Context) -> Iterator[Problem]:
    """An output would overwrite a spec file or another output, or has the wrong file type.

    `doit` is a Python file, `docs` a Markdown file.
    """
    declared = context.spec.get("compile", {})
    for key, ending in (("doit", ".py"), ("docs", ".md")):
        path = declared.get(key)
        if isinstance(path, str) and not path.endswith(ending):
            place = context.place(("compile", key))
            message = f'the output "{path}" of "{key}" does not end with "{ending}"'
            yield Problem(place, message, f"write {path}{ending}", Edit(path, f"{path}{ending}"))
    written = [path for path, key in outputs(context.spec).items() if key == "commands"]
    if isinstance(declared.get("docs"), str) and declared["docs"] in written:
        message = f'the output "{declared["docs"]}" is written by a slash command too'
        yield Problem(context.place(("compile", "docs")), message, "choose another path")


def _size(name: str) -> int:
    """Return the number of bytes of a file name."""
    return len(name.encode())


def _file_names(context: Context) -> Iterator[tuple[Path, str]]:
    """Yield each name of the spec that becomes the name of a file or folder, and its path in the spec."""
    spec = context.spec
    yield ("suite",), spec["suite"]
    sections: Mapping[str, Mapping[str, Any]] = spec  # type: ignore[assignment]
    for section in ("profiles", "methods", "health"):
        yield from (((section, name), name) for name in sections.get(section, {}))
    for test_id, test in spec["tests"].items():
        ids = (one_id for one_id, _ in resolve.matrix_tests(test_id, test)) if resolve.dimensions(test) else [test_id]
        yield ("tests", test_id), max(ids, key=_size, default=test_id)
    for key in ("doit", "commands", "docs"):
        path = str(spec.get("compile", {}).get(key, ""))
        yield ("compile", key), max(path.split("/"), key=_size)


@rule
def name_length(context: Context) -> Iterator[Problem]:
    """A name of the spec is too long for a file or a folder of that name: more than 200 bytes.

    These are the names of suite, profiles, methods, components and tests, and each part of a path under `compile`.
    """
    for path, name in _file_names(context):
        size = _size(name)
        if size > MOST_NAME_BYTES:
            place = context.place(path, key=path[0] not in {"suite", "compile"})
            message = f'"{name[:20]}…" has {size} bytes, and a file of that name at most {MOST_NAME_BYTES}'
            yield Problem(place, message, "write a shorter name")


# -------------------------------------------------------------------------------------------------- shared reports
class _Claim:
    """A test that writes a report of its cases: its id in the plan, its entry in the spec, its methods."""

    __slots__ = ("entry", "id", "methods")

    def __init__(self, one_id: str, entry: str, methods: Sequence[str]) -> None:
        self.id = one_id
        self.entry = entry
        self.methods = methods


def _report(spec: Spec, test_id: str, test: TestSpec) -> tuple[Path, str, dict[str, Any]] | None:
    """Yield the place of the report path of a command test, the path, and the parameters of its block."""
    command: Mapping[str, Any] = test.get("command", {})
    path: Path = ("tests", test_id, "command")
    given: dict[str, Any] = {}
    if "use" in test:
        name, given = resolve.block_use(test["use"])
        command = spec.get("blocks", {}).get(name, {}).get("command", {})
        path = ("blocks", name, "command")
    kind = next((kind for kind in REPORT_KINDS if kind in command), None)
    return ((*path, kind), command[kind], given) if kind is not None else None


@rule
def shared_junit(context: Context) -> Iterator[Problem]:
    """Tests that can run in parallel write the same report, so one could get the result of another.

    The report is the path in `junit`, `playwright_json` or `pytest_reportlog`.

    `${attempt.dir}` is a fresh folder for each attempt. A fixed path is valid for a test that runs alone: by one method
    with `workers: 1`, with `exclusive: true`, or while it holds a resource with a count of one.
    """
    spec = context.spec
    variables = {f"vars.{name}": value for name, value in spec.get("vars", {}).items()}
    claims: dict[str, list[_Claim]] = {}
    places: dict[str, Path] = {}
    for test_id, test in spec["tests"].items():
        found = _report(spec, test_id, test) if "command" in test or "use" in test else None
        if found is None or "${attempt.dir}" in found[1]:
            continue
        path, value, given = found
        able = tuple(test["methods"]) if "methods" in test else _commanders(context)
        for one_id, values in resolve.matrix_tests(test_id, test):
            known = {**variables, **resolve.values_known(test, values)}
            inner = {**outer(known), **{name: text(item, known) for name, item in given.items()}, "test.id": one_id}
            for method in able if "${method.id}" in value else [""]:
                written = text(value, {**inner, "method.id": method})
                if "${attempt.dir}" not in written:
                    claims.setdefault(written, []).append(_Claim(one_id, test_id, [method] if method else able))
                    places.setdefault(written, path)
    for written, tests in claims.items():
        clash = _clash(context, tests)
        if clash:
            message = f'the report "{written}" is written by {quoted(clash)}, which may run at the same time'
            hint = f"write ${{attempt.dir}}/{written.rpartition('/')[2]}"
            yield Problem(context.place(places[written]), message, hint)


def _commanders(context: Context) -> tuple[str, ...]:
    return tuple(
        name for name, row in context.methods.items() if "command" in context.provided.drivers[row["driver"]].able
    )


def _clash(context: Context, tests: Sequence[_Claim]) -> list[str]:
    """Two of the tests, by method, that may write at the same time; empty when none may."""
    rows = context.methods
    tests = [claim for claim in tests if not context.spec["tests"][claim.entry].get("exclusive", False)]
    if not tests:
        return []
    first = tests[0]
    side_by_side = [name for name in first.methods if name in rows and rows[name].get("parallel")]
    if side_by_side and len(first.methods) > 1:
        return [f"{name}:{first.id}" for name in first.methods[:2]]
    if len(tests) > 1:
        second = tests[1]
        shared = [name for name in first.methods if name in second.methods and name in rows]
        crowded = [name for name in shared if rows[name].get("workers", "auto") != 1]
        if crowded and not _alone(context.spec, [claim.entry for claim in tests]):
            return [first.id, second.id]
    return []


def _alone(spec: Spec, tests: Sequence[str]) -> bool:
    """Return True if a resource lets only one of the tests run at a time."""
    amounts = spec.get("resources", {})
    held = [spec["tests"][name].get("resources", {}) for name in tests]
    common = frozenset(amounts).intersection(*held)
    return any(min(one[name] for one in held) * 2 > amounts[name] for name in common)


RULES = (path_outside, file_name, output_path, name_length, shared_junit)
