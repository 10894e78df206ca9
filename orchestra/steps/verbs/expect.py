"""The step `expect`: conditions of an element, of the page or of its requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.steps import condition_script
from orchestra.steps.conditions import ASSERTIONS, Condition, conditions, conditions_of_target
from orchestra.steps.moment import milliseconds
from orchestra.steps.page_script import literal
from orchestra.steps.schemas import (
    ANY,
    BOOLEAN,
    HTTP_METHODS,
    NATURAL,
    REFERENCE_TARGET,
    TEXT,
    Field,
    Schema,
    described,
    object_of,
)
from orchestra.steps.step import Step
from orchestra.steps.tool_call import INSTANT_MS, IS_TIMEOUT, Asked, ToolCall, code
from orchestra.steps.verb import MESSAGE, URL_GLOB, WITHIN, Verb, python_subject

_REQUEST: Schema = object_of(
    {
        "url": described(TEXT, URL_GLOB, "**/api/orders"),
        "method": described({"enum": list(HTTP_METHODS)}, "the method (default: any)", "POST"),
        "json": described(ANY, "the whole JSON body", {"ticker": "NVDA"}),
        "count": described(NATURAL, "the number of such requests (default: one at least)", 1),
    },
    required=["url"],
)


_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_OF_LOOK = ("full_page", "mask", "max_diff_ratio", "threshold")
_SELECTORS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
_A11Y: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "include": described(_SELECTORS, "CSS selectors of the parts to check (default: the page)", ["main"]),
        "exclude": described(_SELECTORS, "CSS selectors of parts to leave out", [".advert"]),
        "standard": described(
            {"enum": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], "default": "wcag22aa"},
            "the rules to check, those of the standards before it included",
            "wcag21aa",
        ),
        "impact": described(
            {"enum": ["minor", "moderate", "serious", "critical"], "default": "minor"},
            "the least impact of a violation that fails the step",
            "serious",
        ),
    },
}


_SIGNS = {"above": ">", "below": "<", "at_least": ">=", "at_most": "<="}


def _bounds(value: str, wanted: Mapping[str, Any]) -> str:
    """Return the comparison of a number with the bounds of a condition."""
    low, high = wanted.get("between", (None, None))
    parts = [
        f"{low!r} <= {value} <= {high!r}" if "between" in wanted else "",
        *(f"{value} {sign} {wanted[key]!r}" for key, sign in _SIGNS.items() if key in wanted),
    ]
    return " and ".join(filter(None, parts))


def _checked(here: str, name: str, wanted: Any) -> str:
    """Return the expression for a condition that Playwright has no assertion for; empty if it has one."""
    if name == "have_number":
        pattern = f", {wanted['pattern']!r}" if "pattern" in wanted else ""
        return _bounds(f"number({here}.text_content(){pattern})", wanted)
    if name == "have_count" and isinstance(wanted, dict):
        return _bounds(f"{here}.count()", wanted)
    if name == "have_class" and isinstance(wanted, dict) and "set" in wanted:
        return f"set({here}.get_attribute('class').split()) == set({wanted['set']!r})"
    if name == "have_attribute" and None in wanted.values():
        return f"{here}.get_attribute({next(iter(wanted))!r}) is None"
    return ""


def _assertion(here: str, name: str, wanted: Any, timeout: str, *, negated: bool) -> str:
    """Return a condition as an assertion."""
    checked = _checked(here, name, wanted)
    if checked:
        return f"assert {'not ' if negated else ''}({checked})"
    if name == "be":
        method, value = f"to_be_{wanted}", ""
    elif name in ("have_attribute", "have_css"):
        ((key, text),) = wanted.items()
        method, value = f"to_{name}", f"{key!r}, {text!r}"
    elif name == "match":
        method, value = ASSERTIONS[name], f"re.compile({wanted!r})"
    elif isinstance(wanted, dict):
        method, value = "to_have_class", repr(wanted["exact"])
    else:
        method, value = ASSERTIONS[name], repr(wanted)
    given = ", ".join(filter(None, [value, timeout]))
    return f"expect({here}).{'not_' if negated else ''}{method}({given})"


def _quantified(here: str, asked: Condition, timeout: str) -> str:
    call = _assertion("one", asked.name, asked.wanted, timeout, negated=asked.negated).removeprefix("assert ")
    return f"assert {asked.of}(holds(lambda one: {call}, one) for one in {here}.all())"


# state: (the method that asks Playwright, what yes means, what no means)
_STATES: dict[str, tuple[str, str, str]] = {
    "enabled": ("isEnabled", "enabled", "disabled"),
    "disabled": ("isEnabled", "enabled", "disabled"),
    "checked": ("isChecked", "checked", "unchecked"),
    "editable": ("isEditable", "editable", "readOnly"),
}


_ARIA = """const snapshot = await target.ariaSnapshot({ timeout: LIMIT }).catch(TIMELESS);
if (snapshot === null) return { ok: false, found: null };
const key = snapshot.split('\\n')[0].replace(/^- /, '');
const head = /^([a-z]+)(?: ("(?:[^"\\\\]|\\\\.)*"))?/.exec(key[0] === "'" ? key.slice(1).replace(/''/g, "'") : key);
const has = async (role) => await target.and(page.getByRole(role, { includeHidden: true })).count() > 0;
const [role, name] = head && await has(head[1]) ? [head[1], head[2] ? JSON.parse(head[2]) : ''] : ['', ''];"""


def _aria_lines(the: Asked, condition: str, wanted: str) -> Iterator[str]:
    """Yield the lines that find the role or the accessible name of an element, by the ARIA snapshot that begins with it."""
    yield f"const target = page.{the.target()}, wanted = {literal(wanted)};"
    yield "if (!await target.count()) return { ok: false, found: null };"
    yield _ARIA.replace("LIMIT", str(INSTANT_MS)).replace("TIMELESS", _TIMELESS)
    if condition == "have_role":
        yield "const ok = await has(wanted), found = ok ? wanted : role;"
    else:
        yield r"const found = name, ok = found === wanted.trim().replace(/\s+/g, ' ');"


def _expect_element(the: Asked, name: str, wanted: Any, *, negated: bool) -> Iterator[ToolCall]:
    wish = "!" if negated else ""
    if name == "have_count":
        found = f"const found = await page.{the.target()}.count();"
        return code(found, f"return {{ ok: {wish}(found === {literal(wanted)}), found }};", kind="ask")
    if name == "be" and wanted in _STATES:
        method, yes, no = _STATES[wanted]
        return code(
            f"const target = page.{the.target()};",
            "if (!await target.count()) return { ok: false, found: null };",
            f"const state = await target.{method}({{ timeout: {INSTANT_MS} }}).catch({_TIMELESS});",
            "if (state === null) return { ok: false, found: null };",
            f"const found = state ? {literal(yes)} : {literal(no)};",
            f"return {{ ok: {wish}(found === {literal(wanted)}), found }};",
            kind="ask",
        )
    if name in ("have_role", "have_accessible_name"):
        return code(*_aria_lines(the, name, wanted), f"return {{ ok: {wish}ok, found }};", kind="ask")
    if name == "aria":
        return code(
            f"const asked = {{ expectedValue: {literal(wanted)}, isNot: {literal(negated)}, timeout: 1 }};",
            f"const seen = await page.{the.target()}._expect('to.match.aria', asked);",
            f"if (seen.errorMessage && {_IS_WRONG}) throw new Error(seen.errorMessage.replace('Error: ', ''));",
            f"return {{ ok: seen.matches !== {literal(negated)}, found: seen.received?.value?.raw ?? null }};",
            kind="ask",
        )
    function = condition_script.element_question(name, wanted, negated=negated)
    absent_ok = name == "be" and wanted == ("visible" if negated else "hidden")
    return iter([ToolCall("browser_evaluate", {"target": the.target(), "function": function}, "ask", absent_ok)])


_IS_WRONG = "!seen.errorMessage.includes('element(s) not found')"
_TIMELESS = f"(error) => {{ if ({IS_TIMEOUT}) return null; throw error; }}"


def _expect_text(step: Step, args: Mapping[str, Any]) -> str:
    timeout = f"timeout={milliseconds(args['within_seconds'])}"
    calls = []
    for part, wanted_of in args["page"].items() if "page" in args else ():
        for name, wanted, negated in conditions(wanted_of):
            pattern = {"contain": re.escape(wanted), "match": wanted}.get(name)
            value = repr(wanted) if pattern is None else f"re.compile({pattern!r})"
            calls.append(f"expect(page).{'not_' if negated else ''}to_have_{part}({value}, {timeout})")
    if "a11y" in args:
        calls.append(f"assert accessible(page, {args['a11y']!r}, {timeout})")
    if "look" in args:
        given = {key: args[key] for key in _OF_LOOK if key in args}
        shown = ", ".join([repr(args["look"]), *(f"{key}={value!r}" for key, value in given.items()), timeout])
        calls.append(f"expect({python_subject(step)}).to_have_screenshot({shown})")
    if "request" in args:
        calls.append(f"assert sent(context, {args['request']!r}, {timeout})")
    for one in conditions_of_target(args):
        if one.of in ("all", "any"):
            calls.append(_quantified(python_subject(step), one, timeout))
        else:
            calls.append(_assertion(python_subject(step), one.name, one.wanted, timeout, negated=one.negated))
    return "; ".join(calls)


def _expect_calls(the: Asked) -> Iterator[ToolCall]:
    for part, wanted_of in the.args.get("page", {}).items():
        for name, wanted, negated in conditions(wanted_of):
            function = condition_script.page_question(part, name, wanted, negated=negated)
            yield ToolCall("browser_evaluate", {"function": function}, "ask")
    for condition in conditions_of_target(the.args):
        if condition.of == "one":
            yield from _expect_element(the, condition.name, condition.wanted, negated=condition.negated)
        else:
            question = condition_script.set_question(condition)
            yield from code(f"return await page.{the.target()}.evaluateAll({question});", kind="ask")


VERBS: tuple[Verb, ...] = (
    Verb(
        "expect",
        "Wait until an element, or the page, meets conditions; fail otherwise.",
        {"role": "heading", "name": "Market Parser", "to": {"be": "visible"}},
        target="optional",
        fields=(
            Field("to", {"$ref": "#/$defs/Conditions"}, "the conditions for the target", {"be": "visible"}),
            Field(
                "all",
                {"$ref": "#/$defs/EachConditions"},
                "the conditions for each match of the target; one match at least",
                {"contain": "NVDA"},
            ),
            Field(
                "any",
                {"$ref": "#/$defs/EachConditions"},
                "conditions, each of which at least one match of the target meets: not always the same one",
                {"have_class": "active"},
            ),
            Field(
                "page",
                {"$ref": "#/$defs/PageConditions"},
                "the conditions for the page, in place of a target",
                {"title": {"contain": "Market"}},
            ),
            Field(
                "request",
                _REQUEST,
                "a request that the pages of the test have sent, in place of a target",
                {"url": "**/api/orders", "method": "POST", "json": {"ticker": "NVDA"}},
            ),
            Field(
                "a11y",
                _A11Y,
                "accessibility rules that the page keeps, in place of a target",
                {"standard": "wcag22aa", "impact": "serious"},
            ),
            Field("look", TEXT, "the name of a picture with which the page, or the target, is compared", "dashboard"),
            Field("full_page", BOOLEAN, "of `look`: the whole page, not only the visible part", True),
            Field(
                "mask",
                {"type": "array", "items": REFERENCE_TARGET, "minItems": 1},
                "of `look`: elements that are painted over",
                [{"testid": "clock"}],
            ),
            Field("max_diff_ratio", _SHARE, "of `look`: the share of pixels that may differ (default: 0)", 0.01),
            Field(
                "threshold",
                _SHARE,
                "of `look`: the difference of colour below which a pixel is the same (default: 0.2)",
                0.1,
            ),
            MESSAGE,
            WITHIN,
        ),
        rules={
            "dependentRequired": {"name": ["role"], **{key: ["look"] for key in _OF_LOOK}},
        },
        idempotent=True,
        playwright="expect(locator)",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="`to` is about one element, except `have_count` and lists, which are about all matches at one moment, as are\n"
        "`all` and `any`. Each condition is checked until it holds, one after the other. If no element matches, a condition\n"
        "and its `not` both fail, except `be: hidden`, `not: {be: visible}` and `have_count`.\n"
        "\n"
        "`request` is about all requests of pages since the test began, those that a [`mock`](#mock) has answered, too.\n"
        "`count: 0` holds at once, so write it after a step that shows that the page is done.\n"
        "\n"
        "`a11y` checks the page and its frames with axe-core, which the package carries. A failure lists each violated rule\n"
        "with its elements. Such rules find a part of what keeps people from using a page.\n"
        "\n"
        "`look` compares with `specs/looks/SUITE/TEST/NAME-BROWSER-PLATFORM.png` as `toHaveScreenshot` of Playwright Test does:\n"
        "animations stop, carets are hidden, masks are painted, and two pictures in a row must be the same.\n"
        "Both methods share a picture. Without one the step fails; `orchestra run TEST --update-looks` writes it\n"
        "([cli.md](cli.md#orchestra-run)), and the report marks a test that wrote one. Expected, actual and difference are\n"
        "evidence, and `report.html` shows them. Names other than letters, digits, `.`, `_` and `-` get a digest.",
        text=_expect_text,
        calls=_expect_calls,
    ),
)
