"""Render plans to the bytes of every generated file. Pure: reads only its own templates.

The templates hold the frame of a file; its rows, of which there may be thousands, are made in Python. A template can
print nothing that has not gone through an escaping filter: `_finished` refuses plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from orchestra import draw, outputs, resources
from orchestra.compiler.emit import escape, marker
from orchestra.compiler.emit.tables import (
    command_tests,
    gate_table,
    group_tables,
    health_table,
    method_table,
    plugin_table,
    speed_line,
    speed_table,
    test_lines,
)
from orchestra.drivers import DRIVERS
from orchestra.errors import UsageError
from orchestra.names import skill_file, skill_name
from orchestra.outputs import Entry, Index
from orchestra.plan import Method, Plan
from orchestra.plan_file import dump

Kind = Literal["doit", "plan", "command", "skill", "docs", "ignore", "index"]

FOLDER, INDEX = outputs.FOLDER, outputs.PATH
MOST_COMMAND_LINES = 110
MOST_COMMAND_BYTES = 6144
_TITLE_LENGTH = 160

_IGNORE = f"""\
# {marker.WORDS}
# In git: compiled files and accepted baselines. All other files here belong to one machine.
*
!*/
!/.gitattributes
!/.gitignore
!/outputs.txt
!/*/plan.json
!/*/plan.*.json
!/*/baseline.json
"""
_ATTRIBUTES = f"""\
# {marker.WORDS}
# A merge takes the digests of both branches, without a conflict; the next `orchestra compile` rewrites them.
/outputs.txt merge=union
/outputs.txt linguist-generated
# A test has a line. Of two lines of a test that of the later run counts.
/*/baseline.json merge=union
/*/plan*.json linguist-generated
"""
_INDEX = f"""\
# {marker.WORDS}
# The digest of every compiled file, and of the specs of a plan. After a merge run `orchestra compile`.
"""


class File(NamedTuple):
    """A generated file.

    Attributes:
        path: relative to the project root, with `/`.
        content: its bytes, UTF-8 with LF line ends.
        kind: what it is.
        sources, source_digest: of a plan, the spec files that it was made of.
    """

    path: str
    content: bytes
    kind: Kind
    sources: tuple[str, ...] = ()
    source_digest: str = ""


class _Ready(str):
    """Text that needs no escaping in its file."""

    __slots__ = ()


class _Flags(NamedTuple):
    """The command-line options for suite and method, each with a leading space."""

    suite: _Ready
    method: _Ready


def _finished(value: object) -> object:
    """Return the text of a value for Jinja; only the result of an escaping filter is allowed."""
    if isinstance(value, _Ready):
        return value
    raise TypeError(f"a template prints text that is not escaped: {value!r}")


def _filter(function: Callable[[str], str]) -> Callable[[str], _Ready]:
    return lambda text: _Ready(function(text))


def _spec_files(paths: Sequence[str]) -> str:
    """Return the main file by name and the number of the others: two branches that each include one more agree."""
    main, *others = paths or ("",)
    number = f" and the {len(others)} files that it includes" if len(others) > 1 else " and the file that it includes"
    return draw.codes([main]) + (number if others else "")


@cache
def _environment() -> Any:
    import jinja2  # noqa: PLC0415 - a compile after an edit of some tests renders no template, and this is a tenth of it

    environment = jinja2.Environment(  # noqa: S701 - no HTML here; `_finished` demands an escape for each language
        loader=jinja2.FunctionLoader(lambda name: resources.read_text("templates", name)),
        undefined=jinja2.StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        py=_filter(escape.python),
        pys=lambda texts: _Ready(escape.python_tuple(texts)),
        yaml=_filter(escape.yaml),
        md=lambda text: _Ready(draw.markdown(draw.clip(text, _TITLE_LENGTH))),
        files=lambda paths: _Ready(_spec_files(paths)),
        raw=lambda name: _Ready(draw.plain_name(name)),
    )
    return environment


def _render(template: str, **values: object) -> bytes:
    text: str = _environment().get_template(template).render(mark=_Ready(marker.WORDS), **values)
    return text.encode()


def files(plans: Sequence[Plan], default: str = "") -> tuple[File, ...]:
    """Return every file that the plans compile to, sorted by path.

    Args:
        plans: of all suites that share the outputs, with and without profiles.
        default: the suite whose doit tasks have no prefix (default: the first by name).

    Raises:
        UsageError: two suites claim one path.
    """
    suites = sorted((plan for plan in plans if not plan.profile), key=lambda plan: (plan.suite != default, plan.suite))
    compiled = [
        File(_path(FOLDER, plan.suite, _plan_name(plan)), dump(plan), "plan", plan.sources, plan.source_digest)
        for plan in plans
    ]
    for doit in dict.fromkeys(plan.outputs.doit for plan in suites):
        sharing = [plan for plan in suites if plan.outputs.doit == doit]
        compiled.append(_dodo(sharing))
        for index, plan in enumerate(sharing):
            prefix = f"{plan.suite}:" if index else ""
            compiled += [file for method in plan.methods if method.command for file in _commands(plan, method, prefix)]
            compiled += [_docs(plan)] if plan.outputs.docs else []
    compiled.append(File(f"{FOLDER}/.gitignore", _IGNORE.encode(), "ignore"))
    compiled.append(File(f"{FOLDER}/.gitattributes", _ATTRIBUTES.encode(), "ignore"))
    _refuse_clashes(compiled)
    return tuple(sorted([*compiled, index_of(compiled)], key=lambda file: file.path))


def lines_of_tests(plan: Plan) -> dict[str, tuple[bytes, bytes]]:
    """Return, by the id of a test, its line in the task file of doit and its line in the page of the suite."""
    of_page = test_lines(plan)
    rows = zip(plan.tests, _dodo_rows(plan), strict=True)
    return {test.id: (row.encode(), of_page[test.id].encode()) for test, row in rows}


def index_of(made: Iterable[File], more: Index = MappingProxyType({})) -> File:
    """Return the index of generated files.

    Args:
        made: the files that were generated.
        more: entries of others, that were not generated this time.
    """
    own = {
        file.path: (Entry(outputs.digest(file.content), file.source_digest),) for file in made if file.kind != "index"
    }
    return File(INDEX, (_INDEX + outputs.dump({**more, **own})).encode(), "index")


def _path(*parts: str) -> str:
    return PurePosixPath(*parts).as_posix()


def _plan_name(plan: Plan) -> str:
    return f"plan.{plan.profile}.json" if plan.profile else "plan.json"


def _refuse_clashes(made: Iterable[File]) -> None:
    seen: dict[str, File] = {}
    for file in made:
        other = seen.setdefault(file.path, file)
        if other is not file:
            raise UsageError(
                f'"{file.path}" would be written twice, as {other.kind} and as {file.kind}',
                "give each suite its own name, `command` and paths under `compile`",
            )


# ---------------------------------------------------------------------------------------------------------------- doit
def _dodo(plans: Sequence[Plan]) -> File:
    suites = [
        {
            "name": plan.suite,
            "title": plan.title,
            "sources": plan.sources,
            "plan": _path(FOLDER, plan.suite, _plan_name(plan)),
            "methods": tuple(method.id for method in plan.methods),
            "rows": _Ready("\n".join(_dodo_rows(plan))),
        }
        for plan in plans
    ]
    return File(_path(plans[0].outputs.doit), _render("dodo.py.j2", suites=suites), "doit")


def _dodo_rows(plan: Plan) -> Iterable[str]:
    literal, literals = escape.python, escape.python_tuple
    closed, after = plan.closed_with(), draw.followed(plan)
    for test in plan.tests:
        ends = f", {literals(closed[test.id])}" if test.id in closed else ""
        row = f"({literal(test.id)}, {literal(test.title)}, {literals(test.needs)}, {literals(test.methods)}{ends}),"
        # `after` is an edge of the scheduler and none of doit's, where it would select: a note for the reader, as the
        # effect of a need that did not pass.
        notes = [f"{literal(need)} else {effect}" for need, effect in test.unmet.items()]
        notes += [f"then {', '.join(map(literal, closed[test.id]))}"] if ends else []
        others = [*map(literal, after[test.id].tests), *(f"all of {literal(name)}" for name in after[test.id].groups)]
        notes += [f"after {', '.join(others)}"] if test.after else []
        note = f"  # {'; '.join(notes)}" if notes else ""
        yield f"                {row}{note}"


# ------------------------------------------------------------------------------------------------------------ commands
def _commands(plan: Plan, method: Method, prefix: str) -> Iterable[File]:
    """Yield the slash command of a method, and its skill, for the clients of the suite."""
    if "claude-code" in plan.outputs.hosts:
        path = _path(plan.outputs.commands, f"{method.command}.md")
        yield File(path, _command(plan, method, prefix), "command")
    if "agent-skills" in plan.outputs.hosts:
        yield File(skill_file(method.command), _command(plan, method, prefix, skill_name(method.command)), "skill")


def command_text(plan: Plan, method: Method, selection: str) -> str:
    """Return the text of the slash command of a method, without its front matter, about a selection."""
    _, _, text = _command(plan, method, "").decode().removeprefix("---\n").partition("\n---\n")
    return text.strip().replace("$ARGUMENTS", selection)


def _command(plan: Plan, method: Method, prefix: str, skill: str = "") -> bytes:
    """Return the text of a slash command, or of the skill of that name; its table is cut to `MOST_COMMAND_LINES` and
    `MOST_COMMAND_BYTES`.
    """
    template = "command_mcp.md.j2" if method.tool_calls else "command_cli.md.j2"
    flags = _Flags(_Ready(f" --suite {draw.plain_name(plan.suite)}"), _Ready(f" --method {draw.plain_name(method.id)}"))
    tool = _Ready(draw.plain_name(plan.outputs.launcher))
    tests = [test for test in plan.tests if method.id in test.methods]
    title = draw.clip(draw.one_line(plan.title), _TITLE_LENGTH)

    def render(rows: str) -> bytes:
        return _render(
            template,
            description=f"Run the suite “{title}” by the method {method.id}, follow it, and report what failed and why",
            skill=_Ready(skill),
            between=_Ready(" " if skill else ", "),
            plan=plan,
            method=method,
            pages=_Ready("yes" if method.plugin or DRIVERS[method.driver].pages else ""),
            flags=flags,
            tool=tool,
            installed=_Ready("" if "/" in tool else "yes"),
            doit=_doit(plan, f"{prefix}{method.id}"),
            session=_Ready(_session(method)),
            marks=_Ready(speed_line(method.speed or plan.speed)),
            tests=_Ready(rows),
        )

    frame = render("")
    spare_lines = MOST_COMMAND_LINES - frame.count(b"\n")
    spare_bytes = MOST_COMMAND_BYTES - len(frame)
    return render(command_tests(plan, tests, f"{tool} plan{flags.suite}", spare_lines, spare_bytes))


def _doit(plan: Plan, task: str) -> _Ready:
    """Return the doit command line of a method; empty if it is not on PATH, or the path of its task file needs quoting."""
    if "/" in plan.outputs.launcher:
        return _Ready("")
    path = _path(plan.outputs.doit)
    if path == "dodo.py":
        return _Ready(f"doit {draw.plain_name(task)}")
    try:
        return _Ready(f"doit -f {draw.plain_name(path)} {draw.plain_name(task)}")
    except ValueError:
        return _Ready("")


def _session(method: Method) -> str:
    kept = {
        "storage": "cookies and storage are cleared between tests",
        "page": "each test opens a new page",
        "none": "nothing is cleared between tests",
    }[method.reset]
    one = "All tests share one browser session; " if method.single_session else ""
    text = f"{one}{kept}; waits check the page at least every {method.poll_seconds:g} seconds."
    return text[0].upper() + text[1:]


# ---------------------------------------------------------------------------------------------------------------- docs
def _docs(plan: Plan) -> File:
    content = _render(
        "suite.md.j2",
        plan=plan,
        methods=_Ready(method_table(plan)),
        tests=_Ready(group_tables(plan)),
        graph=_Ready(draw.mermaid(plan)),
        health=_Ready(health_table(plan)),
        gates=_Ready(gate_table(plan)),
        speed=_Ready(speed_table(plan)),
        plugins=_Ready(plugin_table(plan)),
    )
    return File(_path(plan.outputs.docs), content, "docs")
