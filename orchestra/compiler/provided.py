"""The kinds that a spec can use: those of orchestra, and those of the packages under its `plugins:`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from orchestra import plugins
from orchestra.compiler.include import Assembled
from orchestra.diagnostic import Diagnostic
from orchestra.drivers import DRIVERS, DriverKind
from orchestra.plan import Plugin
from orchestra.plugins import Package, PluginError
from orchestra.probes.kind import ProbeKind
from orchestra.probes.table import PROBES
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS

RULES = {
    "plug-in": "a package of `plugins:` is not installed, brings nothing, brings a name that exists already, cannot be "
    "loaded, or is not used; the message names the package"
}
_RULE = "plug-in"


class Provided(NamedTuple):
    """The kinds that a spec can use.

    Attributes:
        probes: kinds of probe, by their keys.
        drivers: by their names.
        packages: where those come from that are not of orchestra, in the order of the spec.
        verbs: the kinds of step, those of the drivers of packages, too.
    """

    probes: Mapping[str, ProbeKind] = PROBES
    drivers: Mapping[str, DriverKind] = DRIVERS
    packages: tuple[Plugin, ...] = ()
    verbs: Mapping[str, Verb] = VERBS

    def package_of(self, sort: plugins.Sort, name: str) -> str:
        """Return the package that brings a kind; empty for one of orchestra."""
        return next((package.name for package in self.packages if name in getattr(package, f"{sort}s")), "")


BUILT_IN = Provided()


def provided(assembled: Assembled, root: str | os.PathLike[str]) -> tuple[Provided, list[Diagnostic]]:
    """Return the kinds that a spec can use, and every problem of its plug-ins.

    Args:
        assembled: the spec; what its schema refuses under `plugins:` is passed over.
        root: the project root, from which nothing is loaded.
    """
    data = assembled.data
    names = data.get("plugins") if isinstance(data, dict) else None
    if not names or not isinstance(names, list):
        return BUILT_IN, []
    probes, drivers = dict(PROBES), dict(DRIVERS)
    packages: list[Plugin] = []
    problems: list[Diagnostic] = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        try:
            package = _package(name, root)
            _load(package, root, probes, drivers, packages)
        except PluginError as error:
            problems.append(Diagnostic(assembled.place(("plugins", index)), _RULE, error.message, error.hint))
    own = {verb.name: verb for kind in drivers.values() for verb in kind.steps}
    return Provided(probes, drivers, tuple(packages), {**VERBS, **own}), problems


def idle(assembled: Assembled, usable: Provided) -> list[Diagnostic]:
    """Return the plug-ins of which a valid spec uses nothing. A report format is used by being there, an engine by `--engine`."""
    data: Any = assembled.data
    rows = data.get("health", {}).values()
    used = {key for row in rows for part in ("ready", "live") for key in row.get(part, ())}
    used |= {method["driver"] for method in data.get("methods", {}).values()}
    found = []
    for index, package in enumerate(usable.packages):
        names = [*(f"probe {name}" for name in package.probes), *(f"driver {name}" for name in package.drivers)]
        if not (package.formats or package.engines) and used.isdisjoint({*package.probes, *package.drivers}):
            message = f'the plug-in "{package.name}" is not used: it brings {" and ".join(names)}'
            place = assembled.place(("plugins", index))
            found.append(Diagnostic(place, _RULE, message, "use it, or remove it from `plugins:`"))
    return found


def offer(root: str | os.PathLike[str], sort: plugins.Sort, name: str) -> str:
    """Return the hint for an unknown name: the installed package that brings it; empty if there is none."""
    package = next((one for one in plugins.installed(root) if name in one.names(sort)), None)
    return "" if package is None else f"write `plugins: [{package.name}]`, which brings the {sort} {name}"


def _package(name: str, root: str | os.PathLike[str]) -> Package:
    package = plugins.find(name, root)
    if package is None:
        raise PluginError(f'the plug-in "{name}" is not installed', f"pip install {name}")
    if not package.entries:
        groups = ", ".join(plugins.GROUPS.values())
        message = f'the package "{name}" {package.version} is no plug-in: it has no entry point {groups}'
        raise PluginError(message, "remove it, or correct the name")
    return package


def _check_steps(title: str, kind: DriverKind, others: Iterable[DriverKind]) -> None:
    """Check the steps that a driver brings.

    Raises:
        PluginError: one has a name that exists, or lacks what each step of a plug-in has.
    """
    owners = {verb.name: f"the driver {other.name}" for other in others for verb in other.steps}
    for verb in kind.steps:
        owner = "orchestra" if verb.name in VERBS else owners.get(verb.name, "")
        if owner:
            raise PluginError(f'{title} brings a step "{verb.name}", as does {owner}', plugins.REPORT)
        if not verb.browser or not (verb.text or verb.method):
            raise PluginError(f'{title} brings a step "{verb.name}" that needs no page or has no text', plugins.REPORT)


def _load(
    package: Package,
    root: str | os.PathLike[str],
    probes: dict[str, ProbeKind],
    drivers: dict[str, DriverKind],
    packages: list[Plugin],
) -> None:
    """Add what a package brings. Formats and engines are only named: nothing of them is needed before a run."""
    for sort, table in (("probe", probes), ("driver", drivers)):
        for name in package.names(sort):  # type: ignore[arg-type]
            if name in table:
                owner = next((one.name for one in packages if name in getattr(one, f"{sort}s")), "orchestra")
                message = f'the plug-in "{package.name}" {package.version} brings a {sort} "{name}", as does {owner}'
                raise PluginError(message, plugins.rivals(package.name, owner))
            kind: type[Any] = ProbeKind if sort == "probe" else DriverKind
            table[name] = made = plugins.load(sort, name, package.name, kind, root)  # type: ignore[arg-type]
            if isinstance(made, DriverKind):
                others = [other for other in drivers.values() if other is not made]
                _check_steps(f'the plug-in "{package.name}" {package.version}', made, others)
    packages.append(
        Plugin(
            package.name,
            package.version,
            package.names("probe"),
            package.names("driver"),
            package.names("format"),
            package.names("engine"),
        )
    )
