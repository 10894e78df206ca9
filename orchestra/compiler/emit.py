"""Plans to the bytes of every generated file. Pure: reads nothing but its own templates. May import `plan` and `draw`.

The templates hold the frame of a file; its rows, of which there may be thousands, are made in Python. A template can
print nothing that has not gone through an escaping filter: `_finished` refuses plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import jinja2

from orchestra import draw, resources
from orchestra.compiler import escape, marker
from orchestra.compiler.tables import (
    command_tests,
    gate_table,
    group_tables,
    health_table,
    method_table,
    speed_line,
    speed_table,
)
from orchestra.errors import UsageError
from orchestra.plan import Method, Plan, dump

Kind = Literal["doit", "plan", "command", "docs", "ignore", "index"]

FOLDER = ".orchestra"
INDEX = f"{FOLDER}/outputs.txt"
MOST_COMMAND_LINES = 120
MOST_COMMAND_BYTES = 8192
_TITLE_LENGTH = 160

_IGNORE = """\
# {mark}
# Kept in git: what is compiled, and the baselines. All else here belongs to one machine.
*
!*/
!/.gitignore
!/outputs.txt
!/*/plan.json
!/*/plan.*.json
!/*/baseline.json
"""
_INDEX = """\
# {mark}
# Every file that was compiled, so that one which no spec produces any more is found and removed.
{paths}
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
    """Text that may stand in a file as it is."""

    __slots__ = ()


class _Flags(NamedTuple):
    """The options of a command line that name suite and method, each with its leading space."""

    suite: _Ready
    method: _Ready


def _finished(value: object) -> object:
    """What Jinja may print: only text that an escaping filter has made."""
    if isinstance(value, _Ready):
        return value
    raise TypeError(f"a template prints text that is not escaped: {value!r}")


def _filter(function: Callable[[str], str]) -> Callable[[str], _Ready]:
    return lambda text: _Ready(function(text))


@cache
def _environment() -> jinja2.Environment:
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
        codes=lambda texts: _Ready(draw.codes(texts)),
        raw=lambda name: _Ready(draw.plain_name(name)),
    )
    return environment


def _render(template: str, version: str, **values: object) -> bytes:
    mark = _Ready(marker.words(version))
    return marker.seal(_environment().get_template(template).render(mark=mark, **values))


def files(plans: Sequence[Plan], version: str, default: str = "") -> tuple[File, ...]:
    """Every file that the plans compile to, sorted by path.

    Args:
        plans: of all suites that share the outputs; those of profiles beside those without.
        version: of the compiler, for the marks.
        default: the suite whose doit tasks have no prefix; without it the first by name.

    Raises:
        UsageError: two suites claim one path.
    """
    suites = sorted((plan for plan in plans if not plan.profile), key=lambda plan: (plan.suite != default, plan.suite))
    made = [
        File(_path(FOLDER, plan.suite, _plan_name(plan)), dump(plan, version), "plan", plan.sources, plan.source_digest)
        for plan in plans
    ]
    for doit in dict.fromkeys(plan.outputs.doit for plan in suites):
        sharing = [plan for plan in suites if plan.outputs.doit == doit]
        made.append(_dodo(sharing, version))
        for index, plan in enumerate(sharing):
            prefix = f"{plan.suite}:" if index else ""
            made += [_command(plan, method, prefix, version) for method in plan.methods if method.command]
            made += [_docs(plan, version)] if plan.outputs.docs else []
    made.append(File(f"{FOLDER}/.gitignore", marker.seal(_IGNORE.format(mark=marker.words(version))), "ignore"))
    _refuse_clashes(made)
    paths = "\n".join(sorted([INDEX, *(file.path for file in made)]))
    made.append(File(INDEX, marker.seal(_INDEX.format(mark=marker.words(version), paths=paths)), "index"))
    return tuple(sorted(made, key=lambda file: file.path))


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
def _dodo(plans: Sequence[Plan], version: str) -> File:
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
    return File(_path(plans[0].outputs.doit), _render("dodo.py.j2", version, suites=suites), "doit")


def _dodo_rows(plan: Plan) -> Iterable[str]:
    literal, literals = escape.python, escape.python_tuple
    for test in plan.tests:
        row = f"({literal(test.id)}, {literal(test.title)}, {literals(test.needs)}, {literals(test.methods)}),"
        # `after` is an edge of the scheduler and none of doit's, where it would select: a note for the reader.
        after = f"  # after {', '.join(map(literal, test.after))}" if test.after else ""
        yield f"                {row}{after}"


# ------------------------------------------------------------------------------------------------------------ commands
def _command(plan: Plan, method: Method, prefix: str, version: str) -> File:
    """The slash command of a method; its table is cut to keep `MOST_COMMAND_LINES` and `MOST_COMMAND_BYTES`."""
    template = "command_mcp.md.j2" if method.driver == "mcp" else "command_cli.md.j2"
    flags = _Flags(_Ready(f" --suite {draw.plain_name(plan.suite)}"), _Ready(f" --method {draw.plain_name(method.id)}"))
    tests = [test for test in plan.tests if method.id in test.methods]
    title = draw.clip(draw.one_line(plan.title), _TITLE_LENGTH)

    def render(rows: str) -> bytes:
        return _render(
            template,
            version,
            description=f"Run the suite “{title}” by the method {method.id}, follow it, and report what failed and why",
            plan=plan,
            method=method,
            counts=_Ready(f"{len(tests)} test{'s' * (len(tests) != 1)}"),
            flags=flags,
            doit=_doit(plan, f"{prefix}{method.id}"),
            session=_Ready(_session(method)),
            marks=_Ready(speed_line(method.speed or plan.speed)),
            tests=_Ready(rows),
        )

    frame = render("")
    spare_lines = MOST_COMMAND_LINES - frame.count(b"\n")
    spare_bytes = MOST_COMMAND_BYTES - len(frame)
    content = render(command_tests(tests, flags.suite, spare_lines, spare_bytes))
    return File(_path(plan.outputs.commands, f"{method.command}.md"), content, "command")


def _doit(plan: Plan, task: str) -> _Ready:
    """The doit command line of a method; empty when the path of its task file is not plain enough for one."""
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
        "page": "the page is opened anew for each test",
        "none": "nothing is cleared between tests",
    }[method.reset]
    one = "All tests share one browser session; " if method.single_session else ""
    text = f"{one}{kept}; waits look at the page at least every {method.poll_seconds:g} seconds."
    return text[0].upper() + text[1:]


# ---------------------------------------------------------------------------------------------------------------- docs
def _docs(plan: Plan, version: str) -> File:
    content = _render(
        "suite.md.j2",
        version,
        plan=plan,
        methods=_Ready(method_table(plan)),
        tests=_Ready(group_tables(plan)),
        graph=_Ready(draw.mermaid(plan)),
        health=_Ready(health_table(plan)),
        gates=_Ready(gate_table(plan)),
        speed=_Ready(speed_table(plan)),
    )
    return File(_path(plan.outputs.docs), content, "docs")
