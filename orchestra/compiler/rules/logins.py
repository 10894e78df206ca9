"""Rules about the signed-in states that tests begin with."""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.rules.drivers import Casting
from orchestra.yamltext.document import Path


@rule
def login_session(context: Context) -> Iterator[Problem]:
    """A test with a login runs by a method whose pages cannot begin with it.

    A session with `reset: page` or `reset: none` hands cookies and storage from one test to the next, so that no test
    begins with its own. The pages of a driver of a plug-in belong to that. Write `reset: storage`, `login: none`, or
    other `methods` for the test.
    """
    casting = Casting(context)
    for test_id, test in context.spec["tests"].items():
        logins = resolve.logins_of(context.spec, test)
        if not logins or resolve.kind_of(context.spec, test) != "browser":
            continue
        for method in casting.methods_of(test):
            driver = casting.driver_of(method)
            reset = context.methods[method].get("session", {}).get("reset", "storage")
            if driver.own_pages:
                reason = f'the driver "{driver.name}" of the method "{method}" has pages of its own'
            elif "session" in driver.keys and reset != "storage":
                reason = f'the method "{method}" hands the storage from test to test (reset: {reset})'
            else:
                continue
            message = f'"{test_id}" cannot begin with the login {quoted(logins)}: {reason}'
            hint = "write login: none, or name other methods in its `methods`"
            yield Problem(context.place(nearest(context, test_id), key=True), message, hint)


def nearest(context: Context, test_id: str) -> Path:
    """Return where the login of a test is named."""
    test = context.spec["tests"][test_id]
    if "login" in test:
        return "tests", test_id, "login"
    for name, group in reversed(resolve.groups_of(context.spec, test)):
        if "login" in group:
            return "groups", name, "login"
    return "defaults", "login"


@rule
def idle_login(context: Context) -> Iterator[Problem]:
    """A test that is a command names a login: its program has no page and sends its own requests."""
    for test_id, test in context.spec["tests"].items():
        if "login" in test and resolve.is_command(test):
            message = f'"login" has no effect on "{test_id}", which is a command'
            yield Problem(context.place(("tests", test_id, "login"), key=True), message, "remove it")


RULES = (login_session, idle_login)
