"""Lower `emulate` of defaults, method, group and test to the environment that pages of a test see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from orchestra.compiler.lower.resolve import groups_of, scalar_text
from orchestra.compiler.lower.steps import Known, fill
from orchestra.compiler.schema.pages import EmulateSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import GroupSpec, TestSpec
from orchestra.devices import devices
from orchestra.plan import PLAIN_PAGE, Emulation, Geolocation
from orchestra.yamltext.document import Path

TEXTS = ("device", "locale", "timezone", "user_agent")
"""Keys whose text can hold names; those of `extra_headers` can, too."""


def places(spec: Spec, test_id: str, method: str = "") -> Iterator[tuple[Path, EmulateSpec]]:
    """Yield each `emulate` that concerns a test, with its path, the widest first; that of a method where one is named."""
    test = spec["tests"][test_id]
    sections: tuple[tuple[Path, Mapping[str, Any]], ...] = (
        (("defaults",), spec.get("defaults", {})),
        (("methods", method), spec.get("methods", {}).get(method, {})),
        *((("groups", name), group) for name, group in groups_of(spec, test)),
        (("tests", test_id), test),
    )
    yield from (((*path, "emulate"), section["emulate"]) for path, section in sections if "emulate" in section)


def lower_emulation(
    spec: Spec, test: TestSpec, groups: Sequence[GroupSpec], methods: Iterable[str], known: Known
) -> tuple[Emulation, dict[str, Emulation]]:
    """Return the emulation of a test, and of those of its methods that differ.

    The nearest place wins, key by key: test, group, method, defaults. Headers are laid over by name.
    """
    wide = [place["emulate"] for place in (spec.get("defaults", {}),) if "emulate" in place]
    near = [place["emulate"] for place in (*groups, test) if "emulate" in place]
    common = laid((*wide, *near), known)
    declared = spec.get("methods", {})
    by = {
        name: own
        for name in methods
        if "emulate" in declared.get(name, {})
        and (own := laid((*wide, declared[name]["emulate"], *near), known)) != common
    }
    return common, by


def laid(found: Iterable[EmulateSpec], known: Known) -> Emulation:
    """Return places laid over each other, the widest first; an unknown device is passed over."""
    fields: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for place in found:
        own = _fields(place, known)
        for name, value in own.pop("extra_headers", {}).items():
            headers = {other: kept for other, kept in headers.items() if other.lower() != name.lower()}
            headers[name] = value
        fields |= own
    fields["extra_headers"] = headers
    differing = {name: value for name, value in fields.items() if value != getattr(PLAIN_PAGE, name)}
    return Emulation(**differing) if differing else PLAIN_PAGE


def _fields(place: EmulateSpec, known: Known) -> dict[str, Any]:
    """Return the fields of the plan that one place defines: those of its device, then its own."""
    own: dict[str, Any] = dict(cast("Mapping[str, Any]", place))
    for name in TEXTS:
        if name in own:
            own[name] = scalar_text(fill(own[name], known))
    if "extra_headers" in own:
        own["extra_headers"] = {name: scalar_text(fill(value, known)) for name, value in own["extra_headers"].items()}
    if "viewport" in own:
        own["viewport"] = (own["viewport"]["width"], own["viewport"]["height"])
    if "geolocation" in own:
        own["geolocation"] = Geolocation(**{name: float(value) for name, value in own["geolocation"].items()})
    if "permissions" in own:
        own["permissions"] = tuple(dict.fromkeys(own["permissions"]))
    device = devices().get(own["device"]) if "device" in own else None
    described = {} if device is None else {name: getattr(device, name) for name in device.__struct_fields__}
    return {**described, **own}
