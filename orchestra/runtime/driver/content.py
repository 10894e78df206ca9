"""Check the content of a file, a reply or a script: JSONPath, CSV, text, values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from orchestra import json_schema
from orchestra.json_schema import SchemaFaultError
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.paths import NoJsonError, PathError, values
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.driver.contract import Job, StepError, unfit, unmet
from orchestra.runtime.driver.wording import quoted, seconds_text
from orchestra.runtime.unicode import well_formed
from orchestra.steps.verbs.script import is_repeated

SHOWN_BYTES = 100_000
"""So much of a document is looked at for a message, which shows a part of it once secrets are out."""


def same(left: Any, right: Any) -> bool:
    """Return True if two JSON values are equal: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class Looked:
    """JSON of a file or a reply, with what each of some paths leads to.

    Args:
        data: as it came.
        paths: JSONPath (RFC 9535); all are followed at once.
        what: names it in messages.

    Raises:
        StepError: it is no JSON, or the limit of a path is over.
    """

    def __init__(self, data: bytes, paths: Iterable[str], what: str) -> None:
        asked = list(dict.fromkeys(paths))
        self._data, self._what = data, what
        try:
            self._values = dict(zip(asked, values(data, asked), strict=True))
        except NoJsonError as error:
            raise unmet(f"{what} is not JSON: {error}", expected="JSON", found=self._shown()) from None
        except PathError as error:
            raise unfit(f"{what}: {error.message}", hint=error.hint) from None

    def _shown(self) -> str:
        return self._data[:SHOWN_BYTES].decode(errors="replace")

    def value(self, path: str) -> Any:
        """Return the value at a path: the only match, or the list of all when there are several.

        Raises:
            StepError: the path cannot be followed, or leads nowhere.
        """
        matches = self._values[path]
        if isinstance(matches, PathError):
            raise unfit(f"{self._what}: {matches.message}", hint=matches.hint)
        if not matches:
            raise unmet(f"{self._what} has nothing at {path}", expected=f"a value at {path}", found=self._shown())
        return matches[0] if len(matches) == 1 else matches

    def all(self, path: str) -> list[Any]:
        """Return every value at a path that can be followed."""
        found = self._values[path]
        return [] if isinstance(found, PathError) else list(found)

    def check(self, match: Mapping[str, Any]) -> None:
        """Each JSONPath of `match` must lead to its value.

        Raises:
            StepError: one does not.
        """
        for path, wanted in match.items():
            found = self.value(path)
            # A path with several matches is one value too where the spec writes a list of one.
            if not same(found, wanted) and not (
                isinstance(wanted, list) and len(wanted) == 1 and same([found], wanted)
            ):
                message = f"{self._what} has another value at {path}"
                raise unmet(message, expected=quoted(wanted), found=quoted(found))


_SHOWN_VIOLATIONS = 5


def judge_schema(value: Any, schema: Any, what: str) -> None:
    """Check a value against a JSON Schema.

    Raises:
        StepError: it is not so, or the schema, in which names were replaced, is none.
    """
    try:
        json_schema.check(schema)
    except SchemaFaultError as fault:
        raise unfit(f"the schema of {what} cannot be used: {fault.reason}", hint=fault.hint) from None
    violations = list(json_schema.violations(schema, value))
    if violations:
        first, shown = violations[0], violations[:_SHOWN_VIOLATIONS]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        where = f" at {quoted(first.pointer)}" if first.pointer else ""
        raise unmet(
            f"{what} is not as its schema{where}: {first.reason}{more}",
            expected="\n".join(f"{quoted(one.pointer)}: {quoted(one.allowed)}" for one in shown),
            found="\n".join(f"{quoted(one.pointer)}: {quoted(one.value)}" for one in shown),
        )


def judge_csv(text: str, wanted: Mapping[str, Any], what: str) -> None:
    """Header, number of rows and one row that holds the given cells.

    Raises:
        StepError: one is not as wanted.
    """
    header: list[str] = []
    rows, cells = 0, wanted.get("contains") or {}
    there = not cells
    try:
        for line in csv.reader(io.StringIO(text, newline="")):  # one after the other: a table may have millions of rows
            if line and not header:
                header = line
            elif line:
                rows += 1
                record = {} if there else dict(zip(header, line, strict=False))
                there = there or all(record.get(name) == value for name, value in cells.items())
    except csv.Error as error:
        raise unmet(f"{what} is not CSV: {error}", expected="CSV", found=text) from None
    if "header" in wanted and header != wanted["header"]:
        raise unmet(f"{what} has other columns", expected=quoted(wanted["header"]), found=quoted(header))
    if "rows" in wanted and rows != wanted["rows"]:
        raise unmet(f"{what} has another number of rows", expected=str(wanted["rows"]), found=str(rows))
    if "min_rows" in wanted and rows < wanted["min_rows"]:
        raise unmet(f"{what} has too few rows", expected=f"at least {wanted['min_rows']}", found=str(rows))
    if not there:
        raise unmet(f"{what} has no such row", expected=quoted(cells), found=text)


def judge_text(text: str, wanted: Mapping[str, Any], what: str) -> None:
    """Check a part, a pattern (Python syntax) or the whole of a text.

    Raises:
        StepError: it is not there, or the pattern cannot be read.
    """
    if "contain" in wanted and wanted["contain"] not in text:
        raise unmet(f"{what} does not contain the text", expected=quoted(wanted["contain"]), found=text)
    if "match" in wanted and not matches(wanted["match"], text):
        raise unmet(f"{what} does not match", expected=wanted["match"], found=text)
    if "equal" in wanted and wanted["equal"] != text:
        raise unmet(f"{what} is another text", expected=quoted(wanted["equal"]), found=text)


def matches(pattern: str, text: str) -> bool:
    """Return True if a pattern (Python syntax) is found in a text.

    Raises:
        StepError: it cannot be searched for.
    """
    try:
        return patterns.groups(pattern, text) is not None
    except PatternError as error:
        raise unfit(error.message, hint=error.hint) from None


def judge_file(data: bytes, wanted: Mapping[str, Any], what: str) -> None:
    """Check the bytes of a download against its `expect`.

    Raises:
        StepError: it does not hold.
    """
    if "json" in wanted:
        Looked(data, wanted["json"], what).check(wanted["json"])
    if "csv" in wanted or "text" in wanted:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise unmet(f"{what} is not UTF-8: {error}", expected="UTF-8", found=repr(data[:SHOWN_BYTES])) from None
        if "csv" in wanted:
            judge_csv(text, wanted["csv"], what)
        if "text" in wanted:
            judge_text(text, wanted["text"], what)


AGAIN_SECONDS = 0.1
"""The pause before a script is run again whose value is not the expected one."""


_UNSETTLED = "the script did not end: its promise did not settle"


def until_it_holds(job: Job, ask: Callable[[Job], Any], pause: Callable[[float], None]) -> Any:
    """Return the value of an `evaluate`: with `within_seconds` and an expected value it is asked for until that comes.

    Args:
        job: the step.
        ask: runs the script once and checks its value, in the time of the step that it is given.
        pause: waits for so many seconds.

    Raises:
        StepError: the value does not come in time.
    """
    if not is_repeated(job.args):
        return ask(job)
    last: StepError | None = None
    end = job.deadline.clock() + job.deadline.limit(job.own_seconds)
    while True:
        left = max(0.001, end - job.deadline.clock())
        trial = msgspec.structs.replace(job.step, args={**job.args, "within_seconds": left})
        try:
            return ask(replace(job, step=trial))
        except StepError as failed:
            left = end - job.deadline.clock()
            last = last if last is not None and failed.message == _UNSETTLED else failed
            if last.kind != "assertion" or left <= 0:
                last.message = f"{last.message}, asked for {seconds_text(job.allowed())}"
                raise last from None
        pause(min(AGAIN_SECONDS, left))


def judge_outcome(outcome: Any, args: Mapping[str, Any]) -> Any:
    """Return the value of a script, after checking `equals` and `below`.

    Args:
        outcome: what `page_script.evaluation` made of it.
        args: the fields of the step.

    Raises:
        StepError: the script threw, gave another value, or one that JSON has no value for.
    """
    if "error" in outcome:
        thrown = str(outcome["error"])
        raise unmet(f"evaluate failed: {thrown.splitlines()[0] if thrown else 'without a reason'}", found=thrown)
    if "late" in outcome:
        raise unmet(_UNSETTLED, expected="a value", found="a pending promise")
    value = well_formed(outcome.get("value"))
    if not {"equals", "below", "save"} & args.keys():
        return value
    if "odd" in outcome:
        message = f"the script returned a value without a JSON form: {outcome['odd']}"
        raise unmet(
            message, expected="a JSON value", found=str(outcome["odd"]), hint="return a text or a number instead"
        )
    if "equals" in args and not same(value, args["equals"]):
        raise unmet("the script returned another value", expected=quoted(args["equals"]), found=quoted(value))
    if "below" in args:
        expected = f"a number below {args['below']:g}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise unmet("the script did not return a number", expected=expected, found=quoted(value))
        if not value < args["below"]:
            message = f"the script gave {value}, which is not below {args['below']:g}"
            raise unmet(message, expected=expected, found=str(value))
    return value
