"""Provide the input of rules: the spec, the places of its lines, and views that several rules need.

The views are computed once and on demand, for speed: each list of steps and each text is walked once, and a path is
built only for a problem.
"""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

from orchestra import names
from orchestra.compiler.include import Assembled
from orchestra.compiler.lower import resolve
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.methods import MethodSpec
from orchestra.compiler.schema.pages import ErrorsSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.diagnostic import Diagnostic, Edit, Place
from orchestra.names import Reference
from orchestra.probes.kind import Args, ProbeKind
from orchestra.probes.table import probes_of
from orchestra.steps.target import STATES
from orchestra.yamltext.document import Path

Made = TypeVar("Made")
# A step: the path of its list, its number there (of a login `check` and of `har` of a method its key), and the arguments of
# its verb.
_Written: TypeAlias = tuple[Path, int | str, Any]
_STEPS = frozenset({"before", "steps", "finally"})
# Keys of a target that a rule is about, and those of a step that may hold further targets.
_NARROWED = frozenset({"role", "name", "exact", *STATES})
_NARROWED_OR_INNER = _NARROWED | {"within", "unless", "onto", "mask"}
LINE_END = re.compile(r"\r\n|\r|\n")


class Step(NamedTuple):
    """A step as it is written. `section` is the path of its list: `("tests", "B004", "steps")`, `number` its key there."""

    section: Path
    number: int | str
    body: Any

    def path(self, verb: str, *below: str | int) -> Path:
        """Return the path of the arguments of the verb, or below them."""
        if self.section[0] == "methods":  # `har` and `mock` of a method are no steps of a list
            return (*self.section, self.number, *below)
        return (*self.section, self.number, verb, *below)


class Text(NamedTuple):
    """A text with references in it. `section` is its part of a test, group or block, else empty."""

    path: Path
    value: str
    section: Path


@dataclass(frozen=True)
class Context:
    """One spec for the rules.

    Attributes:
        spec: what the schema has passed.
        source: the same with the place of every key and value.
        provided: the kinds that it can use.
    """

    spec: Spec
    source: Assembled
    provided: Provided = BUILT_IN
    _made: dict[Callable[[Context], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, view: Callable[[Context], Made]) -> Made:
        """Return the result of `view` for this context, computed once."""
        if view not in self._made:
            self._made[view] = view(self)
        made: Made = self._made[view]
        return made

    @functools.cached_property
    def sections(self) -> list[tuple[Path, Sequence[StepSpec]]]:
        """Every list of steps that is written, with its path."""
        defaults: Mapping[str, Any] = self.spec.get("defaults", {})
        found: list[tuple[Path, Sequence[StepSpec]]] = [
            (("defaults", key), defaults[key]) for key in ("before", "finally") if key in defaults
        ]
        for where in ("groups", "logins", "blocks", "tests"):
            named: Mapping[str, Any] = self.spec.get(where, {})  # type: ignore[assignment]
            for name, entry in named.items():
                for key in ("before", "steps", "finally"):
                    if key in entry:
                        found.append(((where, name, key), entry[key]))  # noqa: PERF401  (a list for each test costs more)
        return found

    @functools.cached_property
    def _walked(self) -> tuple[dict[str, list[_Written]], list[Text]]:
        """The steps by verb, and the texts with references, of one walk: it is the longest part of all rules together."""
        by_verb: defaultdict[str, list[_Written]] = defaultdict(list, _substitutes(self.spec.get("methods", {})))
        texts: list[Text] = []
        for name, value in self.spec.items():
            if name in ("tests", "groups", "logins", "blocks"):
                entries: Mapping[str, Any] = value  # type: ignore[assignment]
                for entry_id, entry in entries.items():
                    for key, part in entry.items():
                        section = (name, entry_id, key)
                        if key in _STEPS:
                            _walk_steps(part, section, by_verb, texts)
                        elif name == "logins" and key == "check":
                            by_verb["http"].append((section[:2], key, part["http"]))
                            _collect(part, section, section, texts)
                        elif part.__class__ is not int:
                            _collect(part, section, section, texts)
            elif name == "defaults":
                for key, part in self.spec["defaults"].items():
                    if key in _STEPS:
                        _walk_steps(part, (name, key), by_verb, texts)  # type: ignore[arg-type]
                    else:
                        _collect(part, (name, key), (), texts)
            elif name != "profiles":
                _collect(value, (name,), (), texts)
        return by_verb, texts

    def steps(self, verb: str) -> list[Step]:
        """Return every step with this verb that is written, in the order of the spec."""
        known = self._steps.get(verb)
        if known is None:
            known = self._steps[verb] = [Step(*written) for written in self._walked[0].get(verb, ())]
        return known

    @functools.cached_property
    def narrowed_targets(self) -> list[tuple[str, Path, Mapping[str, Any]]]:
        """Every target with a role, a name, a state or `exact`: the verb of its step, its path, and itself."""
        return [
            (verb, path, target)
            for verb, steps in self._walked[0].items()
            for section, number, body in steps
            if body.__class__ is dict and not _NARROWED_OR_INNER.isdisjoint(body)
            for path, target in targets(body, Step(section, number, body).path(verb))
            if not _NARROWED.isdisjoint(target)
        ]

    @functools.cached_property
    def _steps(self) -> dict[str, list[Step]]:
        return {}

    @property
    def texts(self) -> list[Text]:
        """Return every text of the spec that holds `${`, except those of profiles, which are checked where they apply."""
        return self._walked[1]

    @functools.cached_property
    def references(self) -> list[tuple[Text, tuple[Reference, ...]]]:
        """The references of each text."""
        known: dict[str, tuple[Reference, ...]] = {}
        found = []
        for text in self.texts:
            references = known.get(text.value)
            if references is None:
                references = known[text.value] = tuple(names.references(text.value))
            found.append((text, references))
        return found

    def probes(self) -> Iterator[tuple[Path, ProbeKind, Args]]:
        """Yield every probe of the health matrix: its path, its kind and its keys."""
        for name, row in self.spec.get("health", {}).items():
            for part in ("ready", "live"):
                for kind, args in probes_of(row, part, self.provided.probes):
                    yield ("health", name, part, kind.name), kind, args

    @functools.cached_property
    def commands(self) -> list[tuple[Path, Mapping[str, Any], str]]:
        """Every command with options: its path, its mapping, and the key under which its items stand."""
        found: list[tuple[Path, Mapping[str, Any], str]] = []
        rows: Mapping[str, Any] = self.spec.get("health", {})
        for name, row in rows.items():
            found += [
                (("health", name, key), row[key], "run") for key in ("job", "service", "failover") if row.get(key)
            ]
        for where in ("blocks", "tests"):
            named: Mapping[str, Any] = self.spec.get(where, {})  # type: ignore[assignment]
            found += [
                ((where, name, "command"), entry["command"], "argv")
                for name, entry in named.items()
                if "command" in entry
            ]
        return found

    @functools.cached_property
    def methods(self) -> dict[str, MethodSpec]:
        """The methods, as declared or by default."""
        return resolve.methods(self.spec)

    @functools.cached_property
    def test_ids(self) -> dict[str, str]:
        """Every id that a list of tests may name, and the entry that makes it: `B001[chromium]` is made by `B001`."""
        known = {test_id: test_id for test_id in self.spec["tests"]}
        for test_id, test in self.spec["tests"].items():
            if resolve.dimensions(test):
                known.update((one, test_id) for one, _ in resolve.matrix_tests(test_id, test))
        return known

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of a value, or of its key."""
        return self.source.place(path, key=key)

    def rewritten(self, *values: tuple[Path, object, object]) -> tuple[Edit, ...]:
        """Return the edit of each value: its path, its value, the new value. Where none is written, no text is found later."""
        texts = ((path, json.dumps(old), json.dumps(new).removesuffix(".0")) for path, old, new in values)
        return tuple(Edit(old, new, value=True, place=self.place(path)) for path, old, new in texts)

    def place_inside(self, path: Path, value: str, offset: int) -> Place:
        """Return the place of a character of a text; the start of the text if its spelling hides the column (escapes,
        folding).
        """
        place = self.source.place(path)
        text = next(document.marks.text for document in self.source.documents if document.file == place.file)
        tail = LINE_END.split(text, place.line)[place.line - 1][place.column - 1 :]
        for quote, written in (("", value), ("'", value.replace("'", "''")), ('"', value)):
            if tail.startswith(quote + written):
                doubled = value.count("'", 0, offset) if quote == "'" else 0
                return place._replace(column=place.column + len(quote) + offset + doubled)
        return place


def errors_of(context: Context) -> Iterator[tuple[Path, ErrorsSpec]]:
    """Yield every `errors:` of the spec, with its path."""
    if "errors" in context.spec:
        yield ("errors",), context.spec["errors"]
    for section in ("methods", "groups", "tests"):
        entries: Mapping[str, Any] = context.spec.get(section, {})  # type: ignore[assignment]
        yield from (((section, name, "errors"), one["errors"]) for name, one in entries.items() if "errors" in one)


class Problem(NamedTuple):
    """A problem that a rule found: place, message, hint, and the edit that fixes it, or several of which one does."""

    place: Place
    message: str
    hint: str = ""
    edit: Edit | None = None
    edits: tuple[Edit, ...] = ()


Check: TypeAlias = Callable[[Context], Iterator[Problem]]
Rule: TypeAlias = Callable[[Context], Iterator[Diagnostic]]


def rule(check: Check) -> Rule:
    """Make a rule of a function: its name is the id, its docstring the page of the manual."""
    name = rule_id(check)

    @functools.wraps(check)
    def checked(context: Context) -> Iterator[Diagnostic]:
        for place, message, hint, edit, edits in check(context):
            yield Diagnostic(place, name, message, hint, edit, edits)

    return checked


def rule_id(check: Callable[..., Any]) -> str:
    """Return the id of a rule: the name of its function, with dashes."""
    return check.__name__.replace("_", "-")


def _walk_steps(
    steps: Sequence[StepSpec], section: Path, by_verb: defaultdict[str, list[_Written]], texts: list[Text]
) -> None:
    """Take in a list of steps. A step is nearly always a verb with a text, or with a mapping of texts."""
    for number, step in enumerate(steps):
        if isinstance(step, str):
            by_verb[step].append((section, number, {}))
            continue
        for verb, body in step.items():
            by_verb[verb].append((section, number, body))
            if body.__class__ is dict:
                for key, item in body.items():
                    if key == "opens_with" and verb == "page":
                        _walk_steps(item, (*section, number, verb, key), by_verb, texts)
                    elif item.__class__ is str:
                        if "${" in item:
                            texts.append(Text((*section, number, verb, key), item, section))
                    elif item.__class__ is dict or item.__class__ is list:
                        _collect(item, (*section, number, verb, key), section, texts)
            else:
                _collect(body, (*section, number, verb), section, texts)


def _collect(value: Any, path: Path, section: Path, texts: list[Text]) -> None:
    """Add every text with a reference below `value`, in order."""
    if value.__class__ is str:
        if "${" in value:
            texts.append(Text(path, value, section))
    elif value.__class__ is dict or value.__class__ is list:
        for key, item in value.items() if value.__class__ is dict else enumerate(value):
            kind = item.__class__
            if kind is str:
                if "${" in item:
                    texts.append(Text((*path, key), item, section))
            elif kind is dict or kind is list:
                _collect(item, (*path, key), section, texts)


def scalar(value: Any) -> str:
    """Return a value as a message quotes it."""
    return f'"{value}"' if isinstance(value, str) else resolve.scalar_text(value)


def quoted(names: Sequence[str], *, most: int = 8) -> str:
    """Names for a message: `"a", "b" and 3 more`."""
    shown = ", ".join(f'"{name}"' for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def mapping_of(body: Any) -> Mapping[str, Any]:
    """Return the arguments of a step; none of one that is a text."""
    return body if isinstance(body, dict) else {}


def targets(body: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the targets in the arguments of a step, with their places."""
    arguments = mapping_of(body)
    yield path, arguments
    for key in ("within", "unless", "onto"):
        if isinstance(arguments.get(key), dict):
            yield from targets(arguments[key], (*path, key))
    for index, one in enumerate(arguments.get("mask", ())):
        yield from targets(one, (*path, "mask", index))


def _substitutes(methods: Mapping[str, MethodSpec]) -> dict[str, list[_Written]]:
    """Return `har` and `mock` of methods by verb, without a verb that none has."""
    found: dict[str, list[_Written]] = {
        "har": [(("methods", name), "har", method["har"]) for name, method in methods.items() if "har" in method],
        "mock": [
            (("methods", name, "mock"), number, body)
            for name, method in methods.items()
            for number, body in enumerate(method.get("mock", ()))
        ],
    }
    return {verb: written for verb, written in found.items() if written}
