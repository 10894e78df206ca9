r"""Graph and tables as text: one source for slash commands, docs, reports and the terminal.

Text of a spec may hold anything. Each form has one function that makes it harmless and shows it as it was written:

    visible    terminal   characters that do not show become visible (`␛`, `⟨U+202E⟩`): no escape sequence of a
                          terminal, no smuggled text (of `printing`, as `one_line` and `clip`)
    markdown   Markdown   besides, what could start markup, or be acted on by a reader of slash commands, is a character
                          reference (`&#36;`) or has a backslash (`\*`); the rendered text is `visible(text)`
    label      Mermaid    besides, all but a short list of characters are references of Mermaid's own (`#34;`)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestra.plan import PLAIN_PAGE, Emulation, Plan, Test
from orchestra.printing import HIDDEN, clip, one_line, visible

__all__ = [
    "HIDDEN",
    "LABEL_LENGTH",
    "MOST_EDGES",
    "MOST_NODES",
    "After",
    "clip",
    "code",
    "code_cell",
    "codes",
    "duration",
    "emulated",
    "followed",
    "grouped",
    "label",
    "markdown",
    "markdown_table",
    "mermaid",
    "needs_of",
    "one_line",
    "plain_name",
    "terminal_graph",
    "terminal_table",
    "visible",
    "width",
]

_SPACES = "\t\n\r\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_MARKDOWN = re.compile(
    rf"[&<>`$@|\\{{}}*\[\]~#{_SPACES}]"  # markup, tables, templates, and what a reader of commands acts on
    r"|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"  # not inside of a word, where it means nothing
    r"|!(?=`)|:(?=//)|(?<=[Ww]{3})\."  # an inline shell line; addresses that would become links
    # Lists and rules at the start, spaces at the ends; a number with a sign or a point is neither.
    r"|\A[ =]|\A\+(?=\s|\Z)|\A-(?=[\s-]|\Z)|(?<=\A)[0-9]{1,9}[.)](?=\s|\Z)|\ \Z"
)
_BACKSLASH = frozenset("*[]~#_")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

# The characters that a Mermaid label must escape: ASCII punctuation except ,.()/'?- and the start of a list.
_LABEL = re.compile(r"[!\"#$%&*+:;<=>@\[\\\]^_`{|}~]|\A-|(?<=\A)[0-9]+[.)]")
# Mermaid looks for these after its references are resolved: an icon, and its own placeholder of a reference.
_LATE = re.compile(r"fa(?=[bklrs]?:fa-)|ﬂ(?=°)")
LABEL_LENGTH = 60

# Where a figure would be rounded up to the next unit.
_A_SECOND = 0.9995
_A_MINUTE = 59.95
_A_GIGABYTE = 999.5

# Readers lose the thread, and Mermaid stops at 500 edges and 50,000 characters.
MOST_NODES = 60
MOST_EDGES = 400

_PLAIN_NAME = re.compile(r"\.?[0-9A-Za-z_][0-9A-Za-z._:/-]*")
_SAFE_CODE = re.compile(r"[0-9A-Za-z._/=\[\],:-]+(?: [0-9A-Za-z._/=\[\],:-]+)*")


# ------------------------------------------------------------------------------------------------------------ Markdown
def _reference(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) > 1:  # the number of a list item
        return f"{text[:-1]}&#{ord(text[-1])};"
    return "\\" + text if text in _BACKSLASH else _NAMED.get(text) or f"&#{ord(text)};"


def markdown(text: str) -> str:
    """Return the text as inline Markdown that renders as `visible(text)`, in a line, a heading, a list item or a table
    cell.

    Nothing in it is markup (CommonMark, GFM), a template (Jinja, Liquid), or a form that Claude Code acts on in a slash
    command: an inline shell line, a placeholder of an argument or the environment, a file reference.
    """
    return _MARKDOWN.sub(_reference, visible(text))


def duration(seconds: float) -> str:
    """Return a duration for people: `412 ms`, `1.2 s`, `2 min 05 s`."""
    if seconds < _A_SECOND:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _A_MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"


def megabytes(number: float) -> str:
    """Return an amount of memory for people, of 1,000,000 bytes: `412 MB`, `20.4 GB`."""
    return f"{number:.0f} MB" if number < _A_GIGABYTE else f"{number / 1000:.1f} GB"


def emulated(emulation: Emulation) -> list[str]:
    """Return a text for each value of an emulation that is not the default: `viewport 390x664`, `offline`.

    A device implies the values of its descriptor. Headers are listed by name: their values can be secrets.
    """
    place = emulation.geolocation
    shown = {
        "device": emulation.device,
        "viewport": "x".join(map(str, emulation.viewport)),
        "locale": emulation.locale,
        "timezone": emulation.timezone,
        "geolocation": "" if place is None else f"{place.latitude:g},{place.longitude:g}",
        "permissions": " ".join(emulation.permissions),
        "color_scheme": emulation.color_scheme,
        "reduced_motion": emulation.reduced_motion,
        "offline": "yes" if emulation.offline else "",
        "user_agent": "" if emulation.device else emulation.user_agent,
        "extra_headers": " ".join(emulation.extra_headers),
    }
    usual = {"viewport": "x".join(map(str, PLAIN_PAGE.viewport)), "locale": PLAIN_PAGE.locale}
    return [f"{name} {text}" for name, text in shown.items() if text and text != usual.get(name)]


def code(text: str) -> str:
    """Return the text as code when it is plain enough for that (ids, names, paths), else as `markdown` has it."""
    return f"`{text}`" if _SAFE_CODE.fullmatch(text) else markdown(text)


def plain_name(text: str) -> str:
    """Return the text itself, an id or a path that can stand in a command line as it is.

    Raises:
        ValueError: it is not plain; ids of suites, methods and commands always are, the schema sees to that.
    """
    if not _PLAIN_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain name")
    return text


def code_cell(text: str) -> str:
    """One line of program text as code in a table cell, as it was written; as `markdown` has it where that cannot be."""
    if not text or "`" in text or one_line(text) != text:
        return markdown(text)
    return "`" + text.replace("|", r"\|") + "`"


def codes(texts: Iterable[str]) -> str:
    """Return each text as code, with commas."""
    return ", ".join(map(code, texts))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a GFM table; heads and cells are Markdown already. It ends without a line end."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------- Mermaid
def label(text: str) -> str:
    """Return the text as the quoted label of a Mermaid node: one line of at most `LABEL_LENGTH` characters as shown."""
    short = clip(one_line(text), LABEL_LENGTH)
    parted = _LATE.sub(lambda found: found[0] + " ", short)  # visibly: no reference would keep them apart
    return '"' + _LABEL.sub(_label_reference, parted) + '"'


def _label_reference(found: re.Match[str]) -> str:
    return found[0][:-1] + f"#{ord(found[0][-1])};"


def mermaid(plan: Plan) -> str:
    """Return the graph of the tests as Mermaid source: by test, or by group when there are too many tests for a
    picture.

    A solid arrow is `needs` (blocks, or has its `else` as a label), a dotted one `after` (order only). It ends without a
    line end.
    """
    number = sum(len(test.needs) + len(test.after) for test in plan.tests)
    if len(plan.tests) > MOST_NODES or number > MOST_EDGES:
        return _by_group(plan)
    lines = ["graph LR"]
    for group, title, members in grouped(plan):
        nodes = [(f"{node_name('t', test.id)}[{label(f'{test.id} {test.title}')}]", _arrows(test)) for test in members]
        if title:
            lines += [
                f"  subgraph {node_name('g', group)}[{label(title)}]",
                *(f"    {node}" for node, _ in nodes),
                "  end",
            ]
            lines += [f"  {arrow}" for _, arrows in nodes for arrow in arrows]
        else:
            lines += [f"  {line}" for node, arrows in nodes for line in (node, *arrows)]
    return "\n".join(lines)


def _arrows(test: Test) -> list[str]:
    """Return the arrows that lead to a test. They are drawn next to it, so that git merges those of two tests."""
    end = node_name("t", test.id)
    needs = ((need, f"-->|else {test.unmet[need]}|" if need in test.unmet else "-->") for need in test.needs)
    arrows = [*needs, *((prior, "-.->") for prior in test.after)]
    return [f"{node_name('t', start)} {arrow} {end}" for start, arrow in arrows]


def needs_of(test: Test) -> list[str]:
    """Return the tests that a test needs, with the effect of a failure where it is not `block`: `B002 (else run)`."""
    return [f"{need} (else {test.unmet[need]})" if need in test.unmet else need for need in test.needs]


class After(NamedTuple):
    """The tests that a test follows: all of some groups, of which it is in `after_all`, and others."""

    tests: tuple[str, ...]
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return them in one line: `B001 B002, all of orders`."""
        own = [" ".join(self.tests)] if self.tests else []
        return ", ".join([*own, *(f"all of {name}" for name in self.groups)])


def followed(plan: Plan) -> dict[str, After]:
    """Return, by the id of a test, the tests that it follows; those of a group that it closes are not listed one by one."""
    last = {group.id: group.after_all for group in plan.groups if group.after_all}
    if not last:
        return {test.id: After(test.after) for test in plan.tests}
    members: dict[str, set[str]] = {name: set() for name in last}
    for test in plan.tests:
        for name in members.keys() & set(test.groups):
            if test.id not in last[name]:
                members[name].add(test.id)
    found = {}
    for test in plan.tests:
        closed = [name for name, closers in last.items() if test.id in closers]
        covered = set[str]().union(*(members[name] for name in closed))
        found[test.id] = After(tuple(one for one in test.after if one not in covered), tuple(closed))
    return found


def node_name(kind: str, name: str) -> str:
    """Return the name of a node, derived only from its own test or group, so that it does not depend on other nodes.

    Letters and digits are as they are, `_` is doubled, and any other character is its number between underscores.
    """
    plain = (
        char if char.isascii() and char.isalnum() else "__" if char == "_" else f"_{ord(char):x}_" for char in name
    )
    return f"{kind}_{''.join(plain)}"


def _by_group(plan: Plan) -> str:
    groups = grouped(plan)
    shown, rest = groups[:MOST_NODES], groups[MOST_NODES:]
    home = {test.id: node_name("g", group) for group, _, tests in shown for test in tests}
    home |= {test.id: "rest" for _, _, tests in rest for test in tests}
    arrows: dict[tuple[str, str], str] = {}
    for test in plan.tests:
        for kind, others in (("-.->", test.after), ("-->", test.needs)):
            for other in others:
                pair = (home[other], home[test.id])
                if pair[0] != pair[1] and arrows.get(pair) != "-->":
                    arrows[pair] = kind
    nodes = [
        f"  {node_name('g', group)}[{label(clip(title, LABEL_LENGTH) or 'no group')}]" for group, title, _ in shown
    ]
    if rest:
        nodes.append(f"  rest[{label(f'{len(rest)} more groups')}]")
    edges = [f"  {start} {arrow} {end}" for (start, end), arrow in list(arrows.items())[:MOST_EDGES]]
    return "\n".join(["graph LR", *nodes, *edges])


def grouped(plan: Plan) -> list[tuple[str, str, list[Test]]]:
    """Id, title and tests of each group that has tests, in the order of the plan; tests of no group come last."""
    members: dict[str, list[Test]] = {group.id: [] for group in plan.groups}
    members[""] = []
    for test in plan.tests:
        members[test.group].append(test)
    titles = plan.group_titles()
    return [(group, titles.get(group, ""), tests) for group, tests in members.items() if tests]


# ------------------------------------------------------------------------------------------------------------ terminal
def width(text: str) -> int:
    """Return how many columns of a terminal the text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(char) or char in "\u200c\u200d\ufe0f"
        else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def terminal_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in plain text, columns two spaces apart; cells are shown on one line each. It ends without a line
    end.
    """
    cells = [[one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def terminal_graph(plan: Plan) -> str:
    """Return the graph in plain text: the tests of each group in the order of the plan, with what each waits for."""
    blocks, after = [], followed(plan)
    for _, title, tests in grouped(plan):
        rows = [
            (test.id, test.title, " ".join(needs_of(test)), str(after[test.id]), " ".join(test.methods))
            for test in tests
        ]
        table = terminal_table(("test", "title", "needs", "after", "methods"), rows)
        blocks.append(f"{one_line(title)}\n{table}" if title else table)
    return "\n\n".join(blocks)
