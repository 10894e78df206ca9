"""Rules about cycles: what waits for itself never starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.rules.graph import cycles
from orchestra.yamltext.document import Path

# A group has two nodes in the graph of tests, so that its edges grow with the tests and not with their square.
_START, _END = "<", ">"
_WORDS = ("needs", "after", resolve.BEFORE_ALL, resolve.AFTER_ALL)


class _Edge(NamedTuple):
    """An edge of a cycle: where it is written, by which key, and the group that has the key; empty for the test itself."""

    path: Path
    word: str
    node: str
    target: str
    group: str = ""


@rule
def dependency_cycle(context: Context) -> Iterator[Problem]:
    """Tests wait for each other in a cycle, by `needs` and `after` of tests and of groups, so none can start.

    `before_all` and `after_all` of a group make tests wait, too. The message names the whole cycle, from the first of its
    tests in the spec, and the groups whose lists are part of it. Remove one of the entries.
    """
    tests = context.spec["tests"]
    if _in_order(context):
        return
    ids = context.test_ids
    needs = {
        test_id: [ids[need] for need in resolve.effective_needs(context.spec, test_id, test) if need in ids]
        for test_id, test in tests.items()
    }
    edges = {
        test_id: [
            *needs[test_id],
            *(ids[name] for name in test.get("after", ()) if name in ids),
            *resolve.closed_by(context.spec, test_id, test),
        ]
        for test_id, test in tests.items()
    }
    groups = context.spec.get("groups", {})
    if not any(_group_cycles(context)) and not any(_crossed(context)):
        edges |= {_END + name: [] for name in groups}
        for name, group in groups.items():
            edges[_START + name] = [_END + other for other in group.get("after", ()) if other != name]
            if group.get("group") in groups:
                edges[_START + name].append(_START + group["group"])
                edges[_END + group["group"]].append(_END + name)
        for test_id, test in tests.items():
            if test.get("group") in groups:
                edges[test_id].append(_START + test["group"])
                edges[_END + test["group"]].append(test_id)
    # A group's nodes come after every test, so that a cycle begins with a test.
    for cycle in cycles(edges, lambda node: (node not in tests, node in tests and context.place(("tests", node)))):
        edges_in = [_edge(context, node, target) for node, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        words = {edge.word for edge in edges_in}
        *most, last = (f'"{word}"' for word in _WORDS if word in words)
        shown = [_shown(node) for node in (*cycle, cycle[0]) if node[0] != _END]
        message = f"cycle in {', '.join(most)}{' and ' if most else ''}{last}: {' -> '.join(shown)}"
        by_groups = {(edge.word, edge.group): edge for edge in reversed(edges_in) if edge.group}
        for edge in (edge for edge in edges_in if edge in by_groups.values()):
            message += f'; "{edge.node}" waits for "{edge.target}" by "{edge.word}" of the group "{edge.group}"'
        yield Problem(context.place(edges_in[0].path), message, "remove one of these entries")


def _in_order(context: Context) -> bool:
    """Return True if every test comes after all that it waits for, as in most specs: then there is no cycle."""
    ids = context.test_ids
    earlier = _earlier_groups(context)
    seen: set[str] = set()
    closed: set[str] = set()  # the groups that a test before has waited for
    for test_id, test in context.spec["tests"].items():
        waits = [*resolve.effective_needs(context.spec, test_id, test), *test.get("after", ())]
        waits += resolve.closed_by(context.spec, test_id, test)
        for name, _ in resolve.groups_of(context.spec, test):
            if name in closed:
                return False
            closed |= earlier.get(name, set())
        for name in waits:
            if ids.get(name) not in seen:
                return False
        seen.add(test_id)
    return True


def _earlier_groups(context: Context) -> dict[str, set[str]]:
    """For each group that waits, all groups that end before it starts."""
    groups = context.spec.get("groups", {})
    found: dict[str, set[str]] = {}
    for name, group in groups.items():
        stack = list(group.get("after", ()))
        for other in stack:
            if other not in found.setdefault(name, set()):
                found[name].add(other)
                stack += groups.get(other, {}).get("after", ())
    return found


def _shown(node: str) -> str:
    return f'group "{node[1:]}"' if node[0] == _START else f'"{node}"'


def _edge(context: Context, node: str, target: str) -> _Edge:
    """Return where the spec makes one node of a cycle wait for the next: the lists of the test itself come first."""
    spec = context.spec
    path: Path = ("tests", node, "group")
    test = spec["tests"].get(node, {"title": ""})
    for key, names in (("needs", resolve.need_names(test.get("needs", ()))), ("after", test.get("after", []))):
        for index, name in enumerate(names):
            if context.test_ids.get(name) == target:
                return _Edge(("tests", node, key, index), key, node, target)
    for group_id, group in reversed(resolve.groups_of(spec, test)) if target in spec["tests"] else ():
        first, last = (resolve.once_in(group, key) for key in (resolve.BEFORE_ALL, resolve.AFTER_ALL))
        if target in first and node not in {*first, *last}:
            path = ("groups", group_id, resolve.BEFORE_ALL, first.index(target))
            return _Edge(path, resolve.BEFORE_ALL, node, target, group_id)
        for index, name in enumerate(resolve.need_names(group.get("needs", ()))):
            if context.test_ids.get(name) == target:
                return _Edge(("groups", group_id, "needs", index), "needs", node, target, group_id)
        if node in last:
            path = ("groups", group_id, resolve.AFTER_ALL, last.index(node))
            return _Edge(path, resolve.AFTER_ALL, node, target, group_id)
    return _Edge(path, "after", node, target)


def _group_cycles(context: Context) -> Iterator[list[str]]:
    groups = context.spec.get("groups", {})
    edges = {name: group.get("after", []) for name, group in groups.items()}
    return cycles(edges, lambda name: context.place(("groups", name)))


@rule
def group_cycle(context: Context) -> Iterator[Problem]:
    """Groups wait for each other in a cycle by `after`, so none can start. Remove one of the entries."""
    for cycle in _group_cycles(context):
        after = context.spec["groups"][cycle[0]]["after"]
        yield _plain(context, ("groups", cycle[0], "after", after.index(cycle[1])), "after", cycle)


def _nested_cycles(context: Context) -> Iterator[list[str]]:
    edges = {name: [group["group"]] for name, group in context.spec.get("groups", {}).items() if "group" in group}
    yield from ([name] for name, outer in edges.items() if outer == [name])
    yield from cycles(edges, lambda name: context.place(("groups", name)))


def _crossed(context: Context) -> Iterator[tuple[str, int, str, str]]:
    """Yield each `after` between a group and one around it: the group, the index, the other group, and where that is."""
    around = {
        name: {outer for outer, _ in resolve.group_path(context.spec, name) if outer != name}
        for name in context.spec.get("groups", {})
    }
    for name, group in context.spec.get("groups", {}).items():
        for index, other in enumerate(group.get("after", ())):
            if other in around[name]:
                yield name, index, other, "around"
            elif name in around.get(other, ()):
                yield name, index, other, "inside"


@rule
def group_nesting(context: Context) -> Iterator[Problem]:
    """A group is inside itself by `group`, or waits by `after` for a group around it or inside it, so none can start.

    A group is in the group that its `group` names, as a test is. Remove one of the entries.
    """
    found = list(_nested_cycles(context))
    for cycle in found:
        shown = " -> ".join(f'"{name}"' for name in (*cycle, cycle[0]))
        place = context.place(("groups", cycle[0], "group"))
        yield Problem(place, f"a group is inside itself: {shown}", 'remove one of these entries of "group"')
    if found:
        return
    for name, index, other, where in _crossed(context):
        message = f'"{name}" waits for "{other}", which is {where} it, so none of them can start'
        yield Problem(context.place(("groups", name, "after", index)), message, "remove the entry")


@rule
def health_cycle(context: Context) -> Iterator[Problem]:
    """Components wait for each other in a cycle by `needs`, so none can start. Remove one of the entries."""
    rows = context.spec.get("health", {})
    edges = {name: row.get("needs", []) for name, row in rows.items()}
    for cycle in cycles(edges, lambda name: context.place(("health", name))):
        index = rows[cycle[0]]["needs"].index(cycle[1])
        yield _plain(context, ("health", cycle[0], "needs", index), "needs", cycle)


@rule
def block_cycle(context: Context) -> Iterator[Problem]:
    """Blocks use each other in a cycle, or a block uses itself, so their steps never end.

    Remove one of the `use` steps, or move the shared steps into a third block.
    """
    uses: dict[str, dict[str, Path]] = {name: {} for name in context.spec.get("blocks", {})}
    for step in context.steps("use"):
        name, _ = resolve.block_use(step.body)
        if step.section[0] == "blocks":
            uses[str(step.section[1])].setdefault(name, step.path("use"))
    found = list(cycles(uses, lambda name: context.place(("blocks", name))))
    for cycle in [*found, *([name] for name, used in uses.items() if name in used)]:
        yield _plain(context, uses[cycle[0]][cycle[1 % len(cycle)]], "use", cycle)


def _plain(context: Context, path: Path, word: str, cycle: Sequence[str]) -> Problem:
    shown = " -> ".join(f'"{name}"' for name in (*cycle, cycle[0]))
    return Problem(context.place(path), f'cycle in "{word}": {shown}', "remove one of these entries")


@rule
def self_dependency(context: Context) -> Iterator[Problem]:
    """A test, group or component names itself in its own `needs` or `after`. Remove the entry."""
    lists = (("tests", "needs"), ("tests", "after"), ("groups", "after"), ("health", "needs"))
    for section, key in lists:
        for name, entry in context.spec.get(section, {}).items():  # type: ignore[attr-defined]
            for index, other in enumerate(resolve.need_names(entry.get(key, ()))):
                if (context.test_ids.get(other) if section == "tests" else other) == name:
                    place = context.place((section, name, key, index))
                    yield Problem(place, f'"{name}" names itself in "{key}"', "remove the entry")


RULES = (dependency_cycle, group_cycle, group_nesting, health_cycle, block_cycle, self_dependency)
