"""Rules about the pages of a test and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.key import StepSpec
from orchestra.steps.verbs.pages import MAIN
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path


@rule
def page_name(context: Context) -> Iterator[Problem]:
    """A step returns to a page that no earlier step has named, closes the first page, or names another page `main`.

    `page: {as: NAME}` names a page that was opened; `main` is the first page, which stays open until the end of the
    test. The order is that of `unsaved-name`.
    """
    if not context.steps("page") and not context.steps("close_page"):
        return
    for login in context.spec.get("logins", {}):
        steps = resolve.login_steps(context.spec, login)
        yield from _walk(context, steps, ("logins", login, "steps"), {MAIN}, ())
    for test_id, test in context.spec["tests"].items():
        named = {MAIN}
        sections: tuple[resolve.Section, ...] = (
            *resolve.opening(context.spec, test_id, test),
            (("tests", test_id, "steps"), test.get("steps", [])),
            *resolve.closing(context.spec, test_id, test),
        )
        for path, steps in sections:
            yield from _walk(context, steps, path, named, ())


@rule
def page_cookies(context: Context) -> Iterator[Problem]:
    """A test without a page has an `http` step with the cookies of the page."""
    if not any(step.body.get("cookies") == "from_page" for step in context.steps("http")):
        return
    for test_id, test in context.spec["tests"].items():
        if resolve.kind_of(context.spec, test) == "browser":
            continue
        steps = (
            step
            for section in resolve.sections(context.spec, test)
            for step in resolve.all_steps(context.spec, section)
        )
        if any(verb == "http" and body.get("cookies") == "from_page" for verb, body in steps):
            message = f'"{test_id}" has no page, and a step of it sends the cookies of the page'
            hint = "remove `cookies`: a request has the cookies of earlier replies and of the login"
            yield Problem(context.place(("tests", test_id), key=True), message, hint)


def _walk(
    context: Context, steps: Sequence[StepSpec], section: Path, named: set[str], inside: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield the problems of a list of steps; `named` takes in the names that the steps give."""
    for index, step in enumerate(steps):
        verb, body = resolve.verb_of(step)
        opening = resolve.opening_steps(verb, body)
        yield from _walk(context, opening, (*section, index, "page", "opens_with"), named, inside)
        if verb == "use":
            block, _ = resolve.block_use(body)
            inner = context.spec.get("blocks", {}).get(block, {}).get("steps", [])
            if block not in inside:
                yield from _walk(context, inner, ("blocks", block, "steps"), named, (*inside, block))
        elif verb in ("page", "close_page"):
            yield from _named(context, step, (*section, index), named)


def _named(context: Context, step: StepSpec, path: Path, named: set[str]) -> Iterator[Problem]:
    verb, body = resolve.verb_of(step)
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {"name": body}
    where: Path = path if isinstance(step, str) else (*path, verb)
    if "as" in fields:
        if fields["as"] == MAIN:
            message = f'"{MAIN}" is the name of the first page'
            yield Problem(context.place((*where, "as")), message, "choose another name")
        named.add(fields["as"])
        return
    name = fields.get("name")
    place = context.place((*where, "name") if isinstance(body, dict) and "name" in body else where)
    if verb == "close_page" and (name == MAIN or (name is None and named == {MAIN})):
        message = "the first page stays open until the end of the test"
        yield Problem(place, message, "close other pages only, after `page: {as: NAME}`")
    elif name is not None and name not in named:
        near = did_you_mean(name, named)
        hint = f"name it with `page: {{as: {name}}}` before; there are {quoted(sorted(named))}"
        yield Problem(place, f'no earlier step names a page "{name}"{near}', hint, correction(name, named))


RULES = (page_name, page_cookies)
