"""What a file, a reply or a script gives, judged: JSONPath, CSV, text, values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from jsonpath_rfc9535 import JSONPathError
from jsonpath_rfc9535 import compile as compile_path

from orchestra.runtime import patterns
from orchestra.runtime.driver.contract import unfit, unmet
from orchestra.runtime.driver.wording import quoted
from orchestra.runtime.patterns import PatternError
from orchestra.runtime.unicode import well_formed


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def parse_json(text: str | bytes, what: str) -> Any:
    """The JSON of a file or reply; `what` names it in the message.

    Raises:
        StepError: it is none.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        raise unmet(f"{what} is no JSON: {error}", expected="JSON", found=shown) from None


def pick(document: Any, path: str, what: str) -> Any:
    """The value at a JSONPath (RFC 9535): the only match, or the list of all when there are several.

    Raises:
        StepError: the path cannot be read, or nothing stands there.
    """
    try:
        found = compile_path(path).find(document).values()
    except (JSONPathError, RecursionError) as error:
        raise unfit(f"{quoted(path)} is no JSONPath: {error}") from None
    if not found:
        raise unmet(f"{what} has nothing at {path}", expected=f"a value at {path}", found=quoted(document))
    return found[0] if len(found) == 1 else list(found)


def judge_json(document: Any, match: Mapping[str, Any], what: str) -> None:
    """Each JSONPath of `match` must lead to its value.

    Raises:
        StepError: one does not.
    """
    for path, wanted in match.items():
        found = pick(document, path, what)
        # A path with several matches is one value too where the spec writes a list of one.
        if not same(found, wanted) and not (isinstance(wanted, list) and len(wanted) == 1 and same([found], wanted)):
            message = f"{what} has another value at {path}"
            raise unmet(message, expected=quoted(wanted), found=quoted(found))


def judge_csv(text: str, wanted: Mapping[str, Any], what: str) -> None:
    """Header, number of rows and one row that holds the given cells.

    Raises:
        StepError: one is not as wanted.
    """
    lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    if "header" in wanted and header != wanted["header"]:
        raise unmet(f"{what} has other columns", expected=quoted(wanted["header"]), found=quoted(header))
    if "rows" in wanted and len(rows) != wanted["rows"]:
        raise unmet(f"{what} has another number of rows", expected=str(wanted["rows"]), found=str(len(rows)))
    if "min_rows" in wanted and len(rows) < wanted["min_rows"]:
        raise unmet(f"{what} has too few rows", expected=f"at least {wanted['min_rows']}", found=str(len(rows)))
    cells = wanted.get("contains")
    if cells:
        records = [dict(zip(header, row, strict=False)) for row in rows]
        if not any(all(record.get(name) == value for name, value in cells.items()) for record in records):
            raise unmet(f"{what} has no such row", expected=quoted(cells), found=text)


def judge_text(text: str, wanted: Mapping[str, Any], what: str) -> None:
    """A part, a pattern (Python's syntax) or the whole of a text.

    Raises:
        StepError: it is not there, or the pattern cannot be read.
    """
    if "contain" in wanted and wanted["contain"] not in text:
        raise unmet(f"{what} does not contain the text", expected=quoted(wanted["contain"]), found=text)
    if "match" in wanted and not _matches(wanted["match"], text):
        raise unmet(f"{what} does not match", expected=wanted["match"], found=text)
    if "equal" in wanted and wanted["equal"] != text:
        raise unmet(f"{what} is another text", expected=quoted(wanted["equal"]), found=text)


def _matches(pattern: str, text: str) -> bool:
    try:
        return patterns.groups(pattern, text) is not None
    except PatternError as error:
        raise unfit(error.message, hint=error.hint) from None


def judge_file(data: bytes, wanted: Mapping[str, Any], what: str) -> None:
    """What `expect` of a download says of its bytes.

    Raises:
        StepError: it does not hold.
    """
    if "json" in wanted:
        judge_json(parse_json(data, what), wanted["json"], what)
    if "csv" in wanted or "text" in wanted:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise unmet(f"{what} is no UTF-8: {error}", expected="UTF-8", found=repr(data[:200])) from None
        if "csv" in wanted:
            judge_csv(text, wanted["csv"], what)
        if "text" in wanted:
            judge_text(text, wanted["text"], what)


def judge_outcome(outcome: Any, args: Mapping[str, Any]) -> Any:
    """Return the value of a script, after what `equals` and `below` say of it.

    Args:
        outcome: what `page_script.evaluation` made of it.
        args: the fields of the step.

    Raises:
        StepError: the script threw, gave another value, or one that JSON has no value for.
    """
    if "error" in outcome:
        thrown = str(outcome["error"])
        raise unmet(f"evaluate failed: {thrown.splitlines()[0] if thrown else 'without a reason'}", found=thrown)
    value = well_formed(outcome.get("value"))
    if not {"equals", "below", "save"} & args.keys():
        return value
    if "odd" in outcome:
        message = f"the script gave a value that JSON has no form for: {outcome['odd']}"
        raise unmet(
            message, expected="a JSON value", found=str(outcome["odd"]), hint="give a text or a number in its place"
        )
    if "equals" in args and not same(value, args["equals"]):
        raise unmet("the script gave another value", expected=quoted(args["equals"]), found=quoted(value))
    if "below" in args:
        expected = f"a number below {args['below']:g}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise unmet("the script gave no number", expected=expected, found=quoted(value))
        if not value < args["below"]:
            message = f"the script gave {value}, which is not below {args['below']:g}"
            raise unmet(message, expected=expected, found=str(value))
    return value
