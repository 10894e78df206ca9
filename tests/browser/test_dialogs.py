"""The expected type, message and default text of a dialog: both browser methods check them with the same words."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.nights import at_night
from tests.support.site import page

pytestmark = pytest.mark.browser

OPENED = page("""<p data-testid=log></p><button onclick="ask()">Delete</button>
<button onclick="onbeforeunload = (event) => { event.preventDefault(); return 'x' }">Dirty</button>
<script>const ask = () => {
  document.querySelector('p').textContent = 'said ' + confirm('Delete\\n 3 rows?') + ' ' + prompt('Why?', 'no reason');
}</script>""")
DELETE, DIRTY = ({"click": {"role": "button", "name": name}} for name in ("Delete", "Dirty"))


def dialog(message=None, kind=None, **more):
    expected = {"message": message, "type": kind}
    return {"dialog": {"accept": True, **{key: value for key, value in expected.items() if value is not None}, **more}}


def logged(text):
    return {"expect": {"testid": "log", "to": {"contain": text}}}


def test_dialogs_as_expected(both):
    whole = [
        dialog("Delete 3 rows?", "confirm"),
        dialog("${saved.why}", "prompt", text="too old", default_value="no reason"),
    ]
    parts = [
        dialog({"contain": "3 rows", "match": "^Delete\\s+[0-9]+"}),
        dialog(kind="prompt", accept=False, default_value={"contain": "no", "match": "n$"}),
    ]
    leaves = [DIRTY, dialog(kind="beforeunload"), OPENED]
    steps = [{"set": {"why": "Why?"}}, OPENED, *whole, DELETE, logged("said true too old"), *leaves]
    passed(both(*steps, *parts, DELETE, logged("said true null"), opened=False))


@pytest.mark.parametrize(
    "wanted, expected",
    [
        at_night(dialog("Delete 2 rows?"), 'a dialog with the message "Delete 2 rows?"'),
        (dialog({"contain": "2"}, "confirm"), 'a confirm dialog with a message that contains "2"'),
        at_night(dialog({"match": "^3"}), 'a dialog with a message that matches "^3"'),
        (dialog("Delete 3 rows?", "alert"), 'an alert dialog with the message "Delete 3 rows?"'),
        (dialog(default_value=""), 'a prompt dialog with the default value ""'),
    ],
)
def test_a_dialog_that_is_not_as_expected_fails_the_step_that_opened_it(both, wanted, expected):
    results = failed(both(OPENED, wanted, dialog(), DELETE, logged("said"), opened=False))
    for result in results:
        assert (
            result.failure.message
            == f'expected {expected}, but a confirm dialog with the message "Delete\\n 3 rows?" opened'
        )
        assert (result.failure.section, result.failure.step) == ("steps", 3)
        assert result.failure.expected == expected


def test_the_default_text_of_a_prompt_is_shown_where_it_is_another_one(both):
    wanted = dialog({"contain": "Why"}, default_value={"contain": "too", "match": "^none"})
    for result in failed(both(OPENED, dialog(), wanted, DELETE, opened=False)):
        assert (
            result.failure.message
            == 'expected a prompt dialog with a message that contains "Why" and a default value that contains "too" and a '
            'default value that matches "^none", but a prompt dialog with the message "Why?" and the default value "no '
            'reason" opened'
        )


def test_an_expected_dialog_that_does_not_open_fails_the_test(both):
    for result in failed(both(OPENED, dialog("Sure?", "alert"), DIRTY, opened=False)):
        assert result.failure.message == 'expected an alert dialog with the message "Sure?", but no dialog opened'
        assert result.failure.pointers == ("/tests/T1/steps/1",)
    for result in passed(both(OPENED, dialog(), opened=False)):
        assert result.facts["dialogs_that_never_came"] == 1


def test_a_pattern_that_cannot_be_searched_for_is_an_error_of_the_spec(both):
    steps = [{"set": {"pattern": "("}}, OPENED, dialog({"match": "${saved.pattern}"}), DELETE]
    for result in failed(both(*steps, opened=False), "error", "setup"):
        assert 'the pattern "("' in result.failure.message
