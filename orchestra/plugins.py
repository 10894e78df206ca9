"""Find and load what installed packages add to orchestra: probes, drivers, report formats and engines.

A spec names the packages (`plugins: [orchestra-redis]`), and only these are looked at, so that a spec without plug-ins
costs nothing, and machines with different packages compile the same plan. A package registers each object under an
entry point of `GROUPS`.

`validate` and `compile` also read specs of strangers. So nothing comes from the folder of the project: neither the
metadata of a package nor its modules. A package that is installed from there for development is refused.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from orchestra.errors import MachineError

Sort: TypeAlias = Literal["probe", "driver", "format", "engine"]

GROUPS: Final[dict[Sort, str]] = {
    "probe": "orchestra.probes",
    "driver": "orchestra.drivers",
    "format": "orchestra.formats",
    "engine": "orchestra.engines",
}
"""The group of entry points of each sort of plug-in."""

REPORT: Final = "report it to the authors of the package"

_Kind = TypeVar("_Kind")


def rivals(package: str, owner: str) -> str:
    """Return the hint for two owners of one name: a package can be left out, orchestra cannot."""
    if owner == "orchestra":
        return f'remove "{package}" from `plugins:`, and {REPORT}'
    return f'use only one of the packages "{owner}" and "{package}"'


class PluginError(MachineError):
    """A plug-in is not installed, is another version than the plan was compiled with, or cannot be loaded."""


class Entry(NamedTuple):
    """An entry point: its sort, its name in a spec, and the object that it names, `package.module:object`."""

    sort: Sort
    name: str
    value: str


class Package(NamedTuple):
    """An installed package that adds something: its name, its version, and its entry points, sorted."""

    name: str
    version: str
    entries: tuple[Entry, ...]

    def names(self, sort: Sort) -> tuple[str, ...]:
        """Return the names that it registers in the group of a sort."""
        return tuple(entry.name for entry in self.entries if entry.sort == sort)


def find(name: str, root: str | os.PathLike[str]) -> Package | None:
    """Return an installed package by its name, None when there is none outside of the project's folder."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that a spec without plug-ins does not pay

    # The first on the path counts, as for an import.
    found = next(iter(metadata.distributions(name=name, path=_path(root))), None)
    return None if found is None else _package(found)


def installed(root: str | os.PathLike[str]) -> list[Package]:
    """Return every installed package that adds something, sorted by name."""
    from importlib import metadata  # noqa: PLC0415 - as above

    packages: dict[str, Package] = {}
    for found in metadata.distributions(path=_path(root)):
        if any(entry.group in GROUPS.values() for entry in found.entry_points):
            package = _package(found)
            packages.setdefault(package.name, package)
    return [packages[name] for name in sorted(packages)]


def _package(found: Any) -> Package:
    sorts = {group: sort for sort, group in GROUPS.items()}
    entries = sorted(
        Entry(sorts[entry.group], entry.name, entry.value) for entry in found.entry_points if entry.group in sorts
    )
    return Package(str(found.metadata["Name"]), str(found.version), tuple(entries))


def _environment() -> list[str]:
    """Return the folders of the interpreter's own packages: they can be in the project, as `.venv`."""
    import sysconfig  # noqa: PLC0415 - as above

    return [os.path.realpath(sysconfig.get_path(key)) for key in ("purelib", "platlib")]


def _is_project_code(path: str, root: str | os.PathLike[str]) -> bool:
    """Return True if a path is in the project and not in the environment of the interpreter."""
    real = os.path.realpath(path)
    return _below(real, os.path.realpath(root)) and not any(_below(real, folder) for folder in _environment())


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _path(root: str | os.PathLike[str]) -> list[str]:
    """Return where packages are looked for: the path of the interpreter without the folder of the project."""
    return [folder for folder in sys.path if not _is_project_code(folder or os.getcwd(), root)]  # noqa: PTH109 - a text


@contextlib.contextmanager
def _shielded(root: str | os.PathLike[str]) -> Iterator[None]:
    """Import without the folder of the project."""
    before = sys.path[:]
    sys.path[:] = _path(root)
    try:
        yield
    finally:
        sys.path[:] = before


def load(sort: Sort, name: str, package: str, kind: type[_Kind], root: str | os.PathLike[str]) -> _Kind:
    """Return what a package registers under a name.

    Args:
        sort: of the plug-in.
        name: as a spec writes it.
        package: the name of the package.
        kind: the type that its object must have.
        root: the project root; nothing is loaded from there.

    Raises:
        PluginError: it is not installed, registers no such name, is in the project, cannot be imported, or is of another
            type. The message names the package.
    """
    plugin = find(package, root)
    if plugin is None:
        raise PluginError(f'the plug-in "{package}" is not installed', f"pip install {package}")
    value = next((entry.value for entry in plugin.entries if (entry.sort, entry.name) == (sort, name)), None)
    title = f'the plug-in "{plugin.name}" {plugin.version}'
    if value is None:
        brought = ", ".join(f"{entry.sort} {entry.name}" for entry in plugin.entries) or "nothing"
        raise PluginError(f'{title} brings no {sort} "{name}"; it brings {brought}', "install the version that does")
    title = f'{title} ({sort} "{name}", {value})'
    provided = imported(value, title, root)
    if not isinstance(provided, kind) or getattr(provided, "name", name) != name:
        wanted = f'{kind.__module__}.{kind.__qualname__} of the name "{name}"'
        raise PluginError(f"{title} is not a {wanted}", REPORT)
    return provided


def imported(value: str, title: str, root: str | os.PathLike[str]) -> Any:
    """Return an object of a plug-in, `package.module:object`.

    Args:
        value: where it is.
        title: the plug-in, for messages.
        root: the project root; nothing is loaded from there.

    Raises:
        PluginError: it is in the project, or cannot be imported.
    """
    try:
        with _shielded(root):
            return _object(value, title, root)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{title} cannot be loaded: {type(error).__name__}: {error}", REPORT) from error


def _object(value: str, title: str, root: str | os.PathLike[str]) -> Any:
    module, _, attribute = value.partition(":")
    if places := _in_project(module, root):
        hint = "install it: `pip install FOLDER`, not `pip install -e FOLDER`"
        raise PluginError(f"{title} is in the project, whose code is never loaded: {places[0]}", hint)
    made: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        made = getattr(made, part)
    return made


def _in_project(module: str, root: str | os.PathLike[str]) -> list[str]:
    """Return the places of a module's package that are in the project; looking there runs none of its code."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return [place for place in places if _is_project_code(place, root)]


def check(wanted: Iterable[tuple[str, str]], root: str | os.PathLike[str]) -> None:
    """Check that plug-ins are installed as a plan was compiled with them.

    Args:
        wanted: name and version of each.
        root: the project root.

    Raises:
        PluginError: one is not installed, or in another version.
    """
    for name, version in wanted:
        found = find(name, root)
        if found is None:
            raise PluginError(f'the plug-in "{name}" is not installed', f"pip install {name}=={version}")
        if found.version != version:
            message = (
                f'the plug-in "{name}" is installed in version {found.version}; the plan was compiled with {version}'
            )
            hint = f"run `orchestra compile` and review the change, or pip install {name}=={version}"
            raise PluginError(message, hint)
