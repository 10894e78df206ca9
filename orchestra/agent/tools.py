"""The table of the tools that `orchestra mcp` offers: each is one command line of this program. Pure.

A value of a client is an argument behind `--` or a part of `--option=value`, so that none can become an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from orchestra.errors import UsageError
from orchestra.ledger.event import VERDICTS
from orchestra.suggest import did_you_mean

Kind: TypeAlias = Literal["text", "texts", "integer", "number", "flag"]

PAGE_CHARACTERS: Final = 12_000
"""The longest text of an answer; the next page begins at `offset`."""

WAIT_SECONDS: Final = 100
MOST_WAIT_SECONDS: Final = 3600


class Param(NamedTuple):
    """An argument of a tool.

    Attributes:
        name: of the argument, and of the option `--name` without its `_`.
        kind: of its value.
        about: for the model.
        positional: it is an argument of the command line, and no option.
        option: the name of the option, if it is another one.
        required: it must be given.
    """

    name: str
    kind: Kind
    about: str
    positional: bool = False
    option: str = ""
    required: bool = False


class Tool(NamedTuple):
    """A tool.

    Attributes:
        name: as the client calls it.
        words: the verb, and options that it always has.
        about: for the model.
        params: its arguments.
        read_only: it changes no file and ends nothing.
        destructive: it ends something.
        live: its lines are sent as progress while it runs.
        paged: a further page is read by another call with `offset`.
    """

    name: str
    words: tuple[str, ...]
    about: str
    params: tuple[Param, ...]
    read_only: bool = True
    destructive: bool = False
    live: bool = False
    paged: bool = True


_SUITE = Param("suite", "text", "name of the suite (default: the only one)")
_METHODS = Param("methods", "texts", "only these methods (default: all)", option="method")
_RUN = Param("run", "text", "id of a run, a part of it, or last (default: the newest)", positional=True)
_SELECTION = Param("selection", "texts", "ids, groups, globs or tag:NAME (default: all tests)", positional=True)

TOOLS: Final[tuple[Tool, ...]] = (
    Tool(
        "validate",
        ("validate", "--format=json"),
        "Validate the specs; all problems with file, line, rule, hint and, where there is one, the edit that fixes it.",
        (Param("files", "texts", "spec files (default: all)", positional=True), _SUITE),
    ),
    Tool(
        "compile",
        ("compile",),
        "Compile the specs to tasks, plans, commands and docs. With check: write nothing, report what differs.",
        (
            Param("files", "texts", "spec files (default: all)", positional=True),
            _SUITE,
            Param("check", "flag", "write nothing"),
            Param("diff", "flag", "show the differences"),
        ),
        read_only=False,
    ),
    Tool(
        "plan", ("plan",), "The tests of a suite with their edges, in the order in which they run.", (_SUITE, _METHODS)
    ),
    Tool(
        "run",
        ("run", "--detach"),
        "Start a run, which goes on by itself. Then call wait until its exit code is not 124.",
        (
            _SELECTION,
            _SUITE,
            _METHODS,
            Param("profile", "text", "profile of the spec"),
            Param("workers", "integer", "parallel tests for each method"),
            Param("last_failed", "flag", "only the tests of the newest run that were not green"),
            Param("force", "flag", "also tests whose inputs have not changed"),
        ),
        read_only=False,
        paged=False,
    ),
    Tool(
        "wait",
        ("wait", "--brief"),
        "Wait for a run; its new lines. Exit code 124: it goes on, call again. Any other exit code is that of the run.",
        (
            _RUN,
            _SUITE,
            Param("seconds", "number", f"longest wait (default: {WAIT_SECONDS}, at most {MOST_WAIT_SECONDS})"),
        ),
        read_only=False,
        live=True,
        paged=False,
    ),
    Tool(
        "stop",
        ("stop",),
        "End a run in order. Only if the user asks for it.",
        (_RUN, _SUITE),
        read_only=False,
        destructive=True,
        paged=False,
    ),
    Tool(
        "status", ("status",), "Progress of a run: verdicts, running tests, servers, gates.", (_RUN, _SUITE, _METHODS)
    ),
    Tool(
        "events",
        ("events",),
        "The events of a run, one a line.",
        (
            _RUN,
            _SUITE,
            _METHODS,
            Param("types", "texts", "only these types: verdict, gate, incident, …", option="type"),
        ),
    ),
    Tool(
        "results", ("report", "--format=md"), "All tests of a run with verdict, duration and failure.", (_RUN, _SUITE)
    ),
    Tool(
        "show",
        ("show",),
        "With run: the results of its tests, step by step. Without: the tests as they will run, with their calls.",
        (
            Param("tests", "texts", "ids, groups, globs or tag:NAME (default: all tests)", positional=True),
            _SUITE,
            Param("method", "text", "method whose calls are shown"),
            Param("run", "text", "id of a run, a part of it, or last"),
            Param("failed", "flag", "the tests of the run that are not green, in the short form"),
        ),
    ),
    Tool(
        "compare",
        ("compare",),
        "Compare runs, or the methods of a run (default: the last run with the one before).",
        (Param("sides", "texts", "a run and two methods, or two runs", positional=True), _SUITE),
    ),
    Tool(
        "health",
        ("health",),
        "The health matrix now: each server, tool and address with its state, reason and hint. Starts nothing.",
        (Param("rows", "texts", "rows (default: all)", positional=True), _SUITE),
    ),
    Tool(
        "claim",
        ("claim",),
        'Check a sentence about a run ("16 tests, 16 passed") with its sealed record before you report it. '
        "Exit 1: it differs, or has words that were not checked.",
        (
            Param("sentence", "text", "the sentence", positional=True),
            Param("run", "text", "id of a run, a part of it, or last (default: the newest)"),
            _SUITE,
            *(Param(name, "integer", f"number of tests: {name}") for name in ("tests", *VERDICTS)),
        ),
    ),
)

_OFFSET = Param("offset", "integer", "first character of the page, from next_offset of the page before")
_SCHEMAS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "integer": {"type": "integer", "minimum": 0},
    "number": {"type": "number", "minimum": 0},
    "flag": {"type": "boolean"},
}


def params_of(tool: Tool) -> tuple[Param, ...]:
    """Return the arguments of a tool, with that for its pages."""
    return (*tool.params, _OFFSET) if tool.paged else tool.params


def schema(tool: Tool) -> dict[str, Any]:
    """Return the JSON Schema of the arguments of a tool."""
    return {
        "type": "object",
        "properties": {param.name: {**_SCHEMAS[param.kind], "description": param.about} for param in params_of(tool)},
        "additionalProperties": False,
    }


def command(name: str, arguments: Mapping[str, Any]) -> tuple[Tool, list[str], int]:
    """Return the tool, the words of its command line, and the offset of the page.

    Raises:
        UsageError: there is no such tool, or one of its arguments is unknown or has the wrong type.
    """
    tool = next((candidate for candidate in TOOLS if candidate.name == name), None)
    if tool is None:
        known = [candidate.name for candidate in TOOLS]
        raise UsageError(f'unknown tool "{name}"{did_you_mean(name, known)}; there are {", ".join(known)}')
    params = {param.name: param for param in params_of(tool)}
    for key in arguments:
        if key not in params:
            raise UsageError(f'{name} has no argument "{key}"{did_you_mean(key, params)}; it has {", ".join(params)}')
    checked = {key: _checked(name, params[key], value) for key, value in arguments.items() if value is not None}
    if name == "wait":
        checked["seconds"] = min(float(checked.get("seconds", WAIT_SECONDS)), MOST_WAIT_SECONDS)
    if name == "show" and checked.get("failed"):
        tool = tool._replace(words=(*tool.words, "--brief"))
    words = [*tool.words, *(word for key, value in checked.items() for word in _option(params[key], value))]
    positional = [text for key, value in checked.items() if params[key].positional for text in _texts(value)]
    return tool, [*words, *(["--", *positional] if positional else [])], int(checked.get("offset", 0))


def _checked(tool: str, param: Param, value: Any) -> Any:
    fits = {
        "text": isinstance(value, str),
        "texts": isinstance(value, list) and all(isinstance(one, str) for one in value),
        "integer": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "number": isinstance(value, int | float) and not isinstance(value, bool) and value >= 0,
        "flag": isinstance(value, bool),
    }
    words = {
        "texts": "a list of texts",
        "integer": "a whole number from 0",
        "number": "a number from 0",
        "flag": "true or false",
    }
    if not fits[param.kind]:
        raise UsageError(
            f'"{param.name}" of {tool} is {value!r}; it must be {words.get(param.kind, f"a {param.kind}")}'
        )
    return value


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _option(param: Param, value: Any) -> Iterable[str]:
    if param.positional or param is _OFFSET or value is False:
        return []
    name = f"--{(param.option or param.name).replace('_', '-')}"
    if value is True:
        return [name]
    return [f"{name}={one}" for one in (value if isinstance(value, list) else [value])]


class Page(NamedTuple):
    """A part of a text, and where the next one begins; None after the last."""

    text: str
    following: int | None


def page(text: str, offset: int) -> Page:
    """Return the part of a text that begins at an offset, up to the end of a line where there is one."""
    part = text[offset : offset + PAGE_CHARACTERS]
    if offset + PAGE_CHARACTERS >= len(text):
        return Page(part, None)
    cut = part.rfind("\n") + 1 or len(part)
    return Page(part[:cut], offset + cut)
