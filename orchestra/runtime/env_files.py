"""Read the variables of a suite from `.env` files.

python-dotenv parses them: quotes, `export`, comments, and `${NAME}` for a variable of the environment or of a line above.
Here a line that it cannot read is a mistake with a place, and a link is refused. Nothing of a file enters a plan: it is
read when a command needs the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from dotenv.parser import Binding, parse_stream
from dotenv.variables import parse_variables

from orchestra import nofollow
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.names import ENV_NAME
from orchestra.plan import EnvFile
from orchestra.yamltext.decoding import decode

RULE: Final = "env-file"


class Variables(NamedTuple):
    """The variables of some files.

    Attributes:
        values: by name; a later file wins.
        secrets: the names whose values are masked.
    """

    values: Mapping[str, str]
    secrets: tuple[str, ...]


def read(
    root: Path, files: Sequence[EnvFile], environment: Mapping[str, str], place: Callable[[str], Place | None]
) -> Variables:
    """Return the variables of some files.

    Args:
        root: the project root.
        files: of a plan.
        environment: wins over the files; for values that name its variables.
        place: where a JSON pointer is in the spec.

    Raises:
        SpecError: a file is missing, is no file inside the root or is reached by a link, or has a bad line.
    """
    values: dict[str, str] = {}
    public = {name for file in files for name in file.public}
    problems: list[Diagnostic] = []
    for index, file in enumerate(files):
        try:
            text = _text(root, file)
        except FileNotFoundError:
            if file.required:
                where = place(f"/env_files/{index}") or Place(file.path, 1, 1)
                hint = "write it, or add `required: false` to its entry of `env_files`"
                problems.append(Diagnostic(where, RULE, f'there is no file "{file.path}"', hint))
            continue
        except OSError as error:
            where = place(f"/env_files/{index}") or Place(file.path, 1, 1)
            problems.append(Diagnostic(where, RULE, f'"{file.path}" cannot be read: {error.strerror}'))
            continue
        for binding in parse_stream(StringIO(text)):
            if problem := _problem(file, binding):
                problems.append(problem)
            elif binding.key and binding.value is not None:
                known = {**values, **environment}
                values[binding.key] = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
    if problems:
        raise SpecError(tuple(sorted(problems)))
    return Variables(values, tuple(name for name in values if name not in public))


def _text(root: Path, file: EnvFile) -> str:
    """Return the text of a file. Raises OSError, also for a link or a path outside of the root."""
    wanted = os.path.normpath(root.resolve() / file.path)
    if not Path(wanted).is_relative_to(root.resolve()):
        raise OSError(0, "it is outside the project", file.path)
    if os.path.realpath(wanted) != wanted:
        raise OSError(0, "it is a link or is below one, and orchestra follows no link", file.path)
    return decode(nofollow.read(wanted), file.path)


def _problem(file: EnvFile, binding: Binding) -> Diagnostic | None:
    """Return the mistake in a line; None without one. Its text may be a secret, so that a message has the name at most."""
    text = binding.original.string
    above = text[: len(text) - len(text.lstrip())]
    line = binding.original.line + len(re.findall(r"\r\n|\n|\r", above))
    where = Place(file.path, line, len(re.split(r"[\r\n]", above)[-1]) + 1)
    if binding.error:
        hint = "write NAME=value, and a value with quotes or line feeds in quotes"
        return Diagnostic(where, RULE, "the line is no variable", hint)
    if binding.key is None:
        return None
    return next((Diagnostic(where, RULE, *words) for words in _wrong(binding.key, binding.value)), None)


def _wrong(name: str, value: str | None) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(ENV_NAME.removeprefix("^").removesuffix("$"), name):
        yield f'"{name}" is not the name of a variable', 'write a letter or "_", then letters, digits and "_"'
    elif value is None:
        yield f'"{name}" has no value', f"write {name}=value, or {name}= for an empty one"
