"""Make the picture of docs/architecture.md, and measure the program.

architecture.py     print the sizes of the packages, and the largest classes
"""

from __future__ import annotations

import ast
import functools
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "orchestra"

OPENED = ("compiler", "runtime", "report")
"""The packages of the picture that are shown by their parts."""

TOP = {"cli": "cli", "dodo": "cli", "__main__": "cli", "plan": "plan"}
"""The modules at the top that are shown, with their box; many others share the rest."""

MOST_LINES_OF_A_CLASS = 350

PART = re.compile(r"(<!-- (\w+): generated[^\n]*-->\n).*?(\n<!-- end -->)", re.DOTALL)
_BLANK = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


def modules() -> dict[str, Path]:
    """Return the modules of the program by dotted name, without the first part."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    return {".".join(file.relative_to(ROOT / PACKAGE).with_suffix("").parts): file for file in files}


@dataclass(frozen=True)
class Source:
    """The modules and names of each `from … import` of a module, and the lines of its classes by name."""

    imports: tuple[tuple[str, tuple[str, ...]], ...]
    classes: dict[str, int]


@functools.cache
def source(file: Path) -> Source:
    """Return the imports and classes of a module; it is parsed once, because all of them take seconds."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    return Source(
        tuple(
            (node.module, tuple(name.name for name in node.names))
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module is not None
        ),
        {
            node.name: (node.end_lineno or node.lineno) - node.lineno + 1
            for node in nodes
            if isinstance(node, ast.ClassDef)
        },
    )


def box(module: str, entries: frozenset[str]) -> str:
    """Return the box of the picture for a module; empty for one that is shared by many and not shown."""
    parts = module.split(".")
    if parts[0] not in OPENED:
        return TOP.get(module, "") if len(parts) == 1 else parts[0]
    return ".".join(parts[:2]) if len(parts) > 2 or module in entries else ""


def imported(file: Path, known: frozenset[str]) -> Iterator[str]:
    """Yield the modules of the program that a file imports."""
    for start, names in source(file).imports:
        if start != PACKAGE and not start.startswith(f"{PACKAGE}."):
            continue
        head = start.removeprefix(PACKAGE).removeprefix(".")
        for name in names:
            for module in (f"{head}.{name}".removeprefix("."), head, f"{head}.__init__"):
                if module in known:
                    yield module
                    break


def picture() -> str:
    """Return the packages and their imports as a Mermaid graph.

    A module next to packages is shown when it imports one of them. An arrow that a longer way implies is left out.
    """
    files = {module: file for module, file in modules().items() if module.partition(".")[0] != "demo"}
    known = frozenset(files)
    imports = {module: frozenset(imported(file, known)) for module, file in files.items()}
    entries = frozenset(
        module
        for module, others in imports.items()
        if module.count(".") == 1
        and any(other.count(".") > 1 and other.split(".")[0] == module.split(".")[0] for other in others)
    )
    arrows = {(box(module, entries), box(other, entries)) for module, others in imports.items() for other in others}
    arrows = {(a, b) for a, b in arrows if a and b and a != b}
    boxes = sorted({name for arrow in arrows for name in arrow})
    lines = ["<!-- not run: a picture -->", "```mermaid", "flowchart TD"]
    for name in OPENED:
        inside = [one for one in boxes if one.partition(".")[0] == name]
        lines += [f"  subgraph {name}", *(f"    {node(one)}[{one.rpartition('.')[2]}]" for one in inside), "  end"]
    lines += [f"  {node(one)}[{one}]" for one in boxes if one.partition(".")[0] not in OPENED]
    lines += [f"  {node(a)} --> {node(b)}" for a, b in sorted(reduced(arrows))]
    return "\n".join([*lines, "```"])


def _below(module: str, package: str) -> bool:
    """Return whether a module is in a folder of a package."""
    return module.startswith(f"{package}.") and module.count(".") > 1


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows of a graph without those that a longer way implies."""
    after: dict[str, set[str]] = {}
    for a, b in arrows:
        after.setdefault(a, set()).add(b)

    def reaches(start: str, end: str) -> bool:
        seen, ahead = set[str](), [other for other in after.get(start, ()) if other != end]
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += after.get(name, ())
        return end in seen

    return {(a, b) for a, b in arrows if not reaches(a, b)}


def node(name: str) -> str:
    """Return the name of a box in the graph; some plain words are no names in Mermaid."""
    return name.replace(".", "_") + "_box"


def code_lines(text: str) -> int:
    """Return how many lines of a module are code: no blank line, comment or docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _BLANK:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            doc = node.body[0]
            lines.difference_update(range(doc.lineno, (doc.end_lineno or doc.lineno) + 1))
    return len(lines)


def classes() -> dict[str, int]:
    """Return the lines of each class of the program, by module and name."""
    return {
        f"{module}.{name}": lines for module, file in modules().items() for name, lines in source(file).classes.items()
    }


def sizes() -> str:
    """Return the sizes of the packages as a table of Markdown."""
    measured: dict[str, list[tuple[int, str]]] = {}
    for module, file in modules().items():
        top = module.partition(".")[0] if "." in module else "top level"
        measured.setdefault(top, []).append((code_lines(file.read_text(encoding="utf-8")), module.rpartition(".")[2]))
    rows = ["| package | modules | code | median | largest |", "|---|--:|--:|--:|---|"]
    order = ["top level", *sorted(measured.keys() - {"top level"})]
    every = [size for name in order for size in measured[name]]
    for name, some in (*((name, measured[name]) for name in order), ("**all**", every)):
        lines = [count for count, _ in some]
        most, module = max(some)
        rows.append(
            f"| {name} | {len(some)} | {sum(lines):,} | {round(statistics.median(lines))} | `{module}` {most} |"
        )
    return "\n".join(rows)


PARTS = {"picture": picture}


def written(page: str) -> str:
    """Return docs/architecture.md with its generated parts."""
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", page)


def main() -> None:
    """Print the sizes of the packages, and the largest classes."""
    print(sizes())
    for name, lines in sorted(classes().items(), key=lambda item: -item[1])[:10]:
        print(lines, name)


if __name__ == "__main__":
    main()
