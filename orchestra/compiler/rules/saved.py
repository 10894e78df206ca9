"""The rule about values that steps save for later ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from orchestra import names
from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, Text, rule
from orchestra.compiler.schema.key import StepSpec
from orchestra.diagnostic import Edit
from orchestra.steps.schemas import NAME
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

# By the path of a step (or of a command): the texts in it that read saved values.
_Reads: TypeAlias = Mapping[Path, Sequence[Text]]


def _reads(context: Context) -> dict[Path, list[Text]]:
    found: dict[Path, list[Text]] = {}
    for text in context.texts:
        if "${saved." in text.value and text.path[0] in ("defaults", "tests", "groups", "logins", "blocks"):
            of_step = text.path[_key_of(text.path)] in ("before", "steps", "finally")
            found.setdefault(_step_path(text.path) if of_step else text.path[:3], []).append(text)
    return found


def _key_of(path: Path) -> int:
    """Return where in a path the key is that holds steps: the defaults have no names of entries."""
    return 1 if path[0] == "defaults" else 2


def _step_path(path: Path) -> Path:
    """Return the path of the innermost step that holds a text."""
    length = _key_of(path) + 2
    while path[length : length + 2] == ("page", "opens_with"):
        length += 3
    return path[:length]


def _saves(verb: str, body: Any) -> Iterator[str]:
    """Yield the names that a step keeps values under."""
    if verb == "set":
        yield from body
    elif verb in ("http", "evaluate") and isinstance(body, dict):
        for key in ("save", "save_headers", "save_cookies"):
            save = body.get(key, ())
            yield from [save] if isinstance(save, str) else save


def _unsaved(context: Context, texts: Sequence[Text], have: set[str]) -> Iterator[Problem]:
    for text in texts:
        for reference in names.references(text.value):
            head, _, name = reference.name.partition(".")
            if head == "saved" and name not in have and re.fullmatch(NAME["pattern"], name):
                place = context.place_inside(text.path, text.value, reference.offset)
                near = did_you_mean(name, have)
                hint = "save it in an earlier step: `set`, or `save` of `http` or `evaluate`"
                edit = correction(name, have)
                edit = edit and Edit(reference.name, f"saved.{edit.new}")
                yield Problem(place, f'"${{{reference.name}}}" is not saved by an earlier step{near}', hint, edit)


def _walk(
    context: Context, reads: _Reads, steps: Sequence[StepSpec], section: Path, have: set[str], inside: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield the reads of a list of steps that come too early; `have` takes in what the steps save."""
    for index, step in enumerate(steps):
        verb, body = resolve.verb_of(step)
        opening = resolve.opening_steps(verb, body)
        yield from _walk(context, reads, opening, (*section, index, "page", "opens_with"), have, inside)
        yield from _unsaved(context, reads.get((*section, index), ()), have)
        if verb == "use":
            name, _ = resolve.block_use(body)
            block = context.spec.get("blocks", {}).get(name, {})
            if name not in inside:
                yield from _walk(
                    context, reads, block.get("steps", []), ("blocks", name, "steps"), have, (*inside, name)
                )
        else:
            have.update(_saves(verb, body))


@rule
def unsaved_name(context: Context) -> Iterator[Problem]:
    """`${saved.NAME}` is read, and no earlier step saves that name.

    A value lives until the end of its test; what a login saves, each of its tests can read. The order is the steps of the
    login, `before` of the defaults and of the groups from the outermost on, `before`, `steps` or the command, and `finally` of
    the test, `finally` of the groups from the innermost on and of the defaults, with the steps of blocks in place of their uses.
    """
    reads = _reads(context)
    if not reads:
        return
    kept: dict[str, set[str]] = {}
    for login in context.spec.get("logins", {}):
        saved = kept[login] = set[str]()
        yield from _walk(
            context, reads, resolve.login_steps(context.spec, login), ("logins", login, "steps"), saved, ()
        )
        yield from _unsaved(context, reads.get(("logins", login, "check"), ()), saved)
    shared = any(path[0] != "tests" for path in reads)
    own = {path[1] for path in reads}
    for test_id, test in context.spec["tests"].items():
        if not shared and test_id not in own:
            continue
        named = dict.fromkeys(resolve.logins_by_test(context.spec, test_id, test).values())
        by_login = [kept.get(login, set()) for login in named]
        have = set[str]().union(*by_login[:1]).intersection(*by_login)
        for path, steps in (
            *resolve.opening(context.spec, test_id, test),
            (("tests", test_id, "steps"), test.get("steps", [])),
        ):
            yield from _walk(context, reads, steps, path, have, ())
        block = next(iter(test.get("use", {})), "")
        for path in (("tests", test_id, "command"), ("tests", test_id, "use"), ("blocks", block, "command")):
            yield from _unsaved(context, reads.get(path, ()), have)
        for path, steps in resolve.closing(context.spec, test_id, test):
            yield from _walk(context, reads, steps, path, have, ())


RULES = (unsaved_name,)
