"""Cycles of a directed graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def cycles(edges: Mapping[str, Iterable[str]], order: Callable[[str], Any]) -> Iterator[list[str]]:
    """One shortest cycle of each knot of the graph, from its first node: `["a", "b"]` for a → b → a.

    Args:
        edges: what each node points to; what is no node itself is passed over, and so is a node that points to itself.
        order: the key by which a cycle's first node is chosen, asked only for nodes that are in a knot.
    """
    # A node that is peeled off from both sides lies on no cycle; nearly always nothing is left.
    left = _peeled(_peeled({node: [other for other in others if other != node] for node, others in edges.items()}))
    back = _reversed(left)
    for node in sorted(left, key=order):
        if node not in left:
            continue
        ahead = _reach(node, left)
        path = [node]
        if node in ahead:
            last = node
            while (last := ahead[last]) != node:
                path.insert(1, last)
            yield path
        for other in {node, *(ahead.keys() & _reach(node, back).keys())}:
            del left[other], back[other]


def _peeled(edges: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the graph turned round, without the nodes from which no cycle can be reached (Kahn, 1962)."""
    back = _reversed(edges)
    waiting = dict.fromkeys(edges, 0)
    for others in back.values():
        for other in others:
            waiting[other] += 1
    ready = [node for node, count in waiting.items() if not count]
    while ready:
        for other in back[ready.pop()]:
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return {node: [other for other in back[node] if waiting[other]] for node, count in waiting.items() if count}


def _reversed(edges: Mapping[str, list[str]]) -> dict[str, list[str]]:
    back: dict[str, list[str]] = {node: [] for node in edges}
    for node, others in edges.items():
        for other in others:
            if other in back:
                back[other].append(node)
    return back


def _reach(start: str, edges: Mapping[str, list[str]]) -> dict[str, str]:
    """Return each node that can be reached, with the node before it on a shortest way; `start` only when it is on a
    cycle.
    """
    before: dict[str, str] = {}
    wave = [start]
    while wave:
        after = []
        for node in wave:
            for other in edges[node]:
                if other in edges and other not in before:
                    before[other] = node
                    after.append(other)
        wave = after
    return before
