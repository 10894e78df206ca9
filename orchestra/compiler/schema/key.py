"""The meaning of a key of a spec, its bounds, and the keys that several mappings share."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from orchestra.names import ENV_NAME

PLAN: Final = object()
"""In place of a default: that of the plan, for the key of the same mapping and name in `DEFAULTS`."""


class Key(NamedTuple):
    """The description of a key for the schema and docs/spec.md.

    Attributes:
        doc: one sentence for editors' hover and for the docs.
        example: a value that is valid there.
        pattern, minimum, above, min_items: bounds, as in JSON Schema (`above` is exclusiveMinimum).
        names: the pattern of the keys where the value is a mapping with free keys.
        ref: the definition that replaces the schema of the type (the step language).
        default: the value if the key is absent, for the docs; `PLAN` where the plan has it.
        single: the value is a mapping with exactly one key.
        choices: the allowed texts, where a table has them.
    """

    doc: str
    example: Any
    pattern: str = ""
    minimum: float | None = None
    above: float | None = None
    min_items: int | None = None
    names: str = ""
    ref: str = ""
    default: Any = None
    single: bool = False
    choices: tuple[str, ...] = ()


ID = r"^[a-z][a-z0-9_]*$"
TEST_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
PORT_RANGE = r"^[0-9]{1,5}(-[0-9]{1,5})?$"
COMMAND_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
LAUNCHER = r"^\.?[A-Za-z0-9_]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
PARAMETER = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"

# The meaning of the patterns, for messages.
PATTERNS = {
    ID: 'a lower-case letter, then lower-case letters, digits and "_"',
    TEST_ID: 'a letter or digit, then letters, digits, "_", "." and "-"',
    ENV_NAME: 'a letter or "_", then letters, digits and "_"',
    PORT_RANGE: 'a port, or two with "-" between them, such as "8000-8003"',
    COMMAND_NAME: 'a letter or digit, then letters, digits, "_" and "-"',
    DATE: 'a day, such as "2026-12-31"',
    PACKAGE: 'a letter or digit, then letters, digits, "_", "." and "-"; a letter or digit at the end',
    LAUNCHER: 'a letter, digit or "_", a "." before it or not, then letters, digits, ".", "_", "-" and "/"',
    PARAMETER: 'a block and one of its parameters, such as "pw.file"',
}

Argv: TypeAlias = list[str]
StepSpec: TypeAlias = dict[str, Any] | str

RUN_DOC = "the program and its arguments, one item each; no shell splits or expands them"
CWD = Key("the working folder, relative to the project root", "web", default=PLAN)
ENV = Key("environment variables, added to the inherited ones", {"MODEL": "stub"}, names=ENV_NAME)
BUILD = Key(
    "globs of the files of its build (default: the files that `run` names, and the modules that Python files among them import)",
    ["app/**"],
)
SHELL = Key("pass the only item of the list to `sh -c`; shown in the plan", True, default=PLAN)
