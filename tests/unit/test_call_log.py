"""The call log of an expectation: Playwright's, and that of the questions which drivers ask themselves."""

from __future__ import annotations

from orchestra.runtime.driver.call_log import LENGTH, LINE_LENGTH, MOST, CallLog, shortened
from orchestra.runtime.driver.fault import Meaning, call_log, seen

BY_PLAYWRIGHT = """\
Locator expected to have text '5.40'
Actual value: 7.00\x20
Call log:
  - Expect "to_have_text" get_by_test_id("total") with timeout 1000ms
  - waiting for get_by_test_id("total")
    5 × locator resolved to <b data-testid="total">6.00</b>
      - unexpected value "6.00 - 7"

Aria snapshot:
- text: "7.00\""""


def test_the_log_of_playwright_is_without_its_bullets_and_the_page():
    assert call_log(BY_PLAYWRIGHT).splitlines() == [
        'Expect "to_have_text" get_by_test_id("total") with timeout 1000ms',
        'waiting for get_by_test_id("total")',
        "  5 × an element",
        '    unexpected value "6.00 - 7"',
    ]
    assert call_log("Error: no log") == ""


def test_equal_answers_after_each_other_are_one_line_with_their_first_time():
    now = [10.0]
    log = CallLog("the total to be 5", lambda: now[0])
    answers = [None, None, "6.00", [1, "a"], "6.00"]
    for answer in answers:
        log.see(seen(answer))
        now[0] += 0.5
    log.see(Meaning("blocked", "element is not enabled"))
    log.see(Meaning("other"))
    assert log.text().splitlines() == [
        "waiting for the total to be 5",
        "  0.0 s: no element, 2 times",
        '  1.0 s: "6.00"',
        '  1.5 s: [1, "a"]',
        '  2.0 s: "6.00"',
        "  2.5 s: element is not enabled",
        "  2.5 s: other",
    ]


def test_of_many_values_the_first_and_the_last_remain():
    log = CallLog("x", lambda: 0.0)
    for number in range(100):
        log.see(seen(f"value {number}"))
    lines = log.text().splitlines()
    assert len(lines) == MOST + 2
    assert (lines[1], lines[-1]) == ('  0.0 s: "value 0"', '  0.0 s: "value 99"')
    assert lines[MOST // 2 + 1] == "  … 80 other values"


def test_a_long_line_and_a_long_log_are_cut():
    assert shortened(f"a\n{'b' * 1000}\nc") == f"a\n{'b' * LINE_LENGTH} …\nc"
    assert len(shortened("x\n" * LENGTH)) == LENGTH + 2
