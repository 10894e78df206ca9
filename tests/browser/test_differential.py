"""Both browser methods and plain Playwright do the same with generated programs; a difference is seen and made small.

A few programs here, the same in each run, and more each night; `python -m bench.differential` searches for as long as it
is given.
"""

from __future__ import annotations

import pytest

from bench import differential
from bench.differential import METHODS, PLAIN, DifferenceError, search, trio
from orchestra.runtime.driver.mcp import verbs
from tests.support.nights import by_day
from tests.support.programs import SECONDS, Program

pytestmark = pytest.mark.browser

WITHIN = {"within_seconds": SECONDS}
SAMPLE = Program(
    '<p id=out>out</p><label>Name <input id=w0 value=abc></label><a href=/file download=kept.txt id=w1>File</a>'
    '<iframe id=f2 srcdoc="<button data-testid=w2>Go</button>"></iframe><button id=w3 onclick="out.textContent = prompt()">Ask</button>',
    [
        {"fill": {"label": "Name", "value": "ü"}},
        {"press": {"label": "Name", "key": "X"}},
        {"click": {"testid": "w2", "frame": "#f2", **WITHIN}},
        {"download": {"css": "#w1", "as": "kept.txt", "expect": {"text": {"contain": "kept"}}}},
        {"dialog": {"accept": True, "text": "said"}},
        {"click": {"role": "button", "name": "Ask", **WITHIN}},
        {"viewport": {"width": 400, "height": 300}},
        {"expect": {"css": "#out", "to": {"have_text": "other"}, **WITHIN}},
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def three(chromium):
    with trio(chromium) as warm:
        yield warm


@pytest.fixture(scope="module")
def sample(three):
    """The outcomes of the sample by each: they are the same."""
    return three.outcomes(SAMPLE)


@pytest.fixture
def lazy(monkeypatch):
    """Let the driver `mcp` do nothing for one verb."""
    return lambda verb: monkeypatch.setitem(verbs.VERBS, verb, lambda _sender, _job: None)


@pytest.mark.parametrize("programs", [3, pytest.param(25, marks=pytest.mark.nightly)])
def test_generated_programs_come_to_the_same(three, programs):
    three.tally.clear()
    search(three, programs)
    assert three.tally["programs"] >= programs // 2


def agree(outcomes):
    """Return whether a program came to the same by each, as the search compares it."""
    ours, theirs, plain = (outcomes[name] for name in (*METHODS, PLAIN))
    return ours == theirs and ours.against(plain)


def test_the_states_of_a_page_are_compared(sample):
    assert {name: outcome.step for name, outcome in sample.items()} == dict.fromkeys((*METHODS, PLAIN), 7)
    (state,) = {outcome.state for outcome in sample.values()}
    for part in ('"texts":["said"]', '"size":[400,300]', '["w0","üX",'):
        assert part in state


# What the state of the page shows; at night also what the outcome of the program shows, size, files and dialogs.
@pytest.mark.parametrize("verb", by_day(["fill", "viewport", "expect", "download", "dialog"], "fill"))
def test_a_method_that_does_nothing_differs(three, sample, lazy, verb, monkeypatch):
    assert agree(sample), sample
    monkeypatch.setattr(differential, "ROUNDS", 1)  # a difference by chance is looked for thrice; this one is certain
    lazy(verb)
    assert three.differs(SAMPLE._replace(body=f"{SAMPLE.body}<!-- {verb} -->"))


class Seeing:
    """Stands for the three: a program with a certain step differs."""

    def __init__(self, verb):
        self._verb = verb

    def differs(self, program):
        return "they differ" if any(self._verb in step for step in program.steps) else ""


@pytest.mark.parametrize("verb", by_day(["upload", "dialog", "wait"], "dialog"))
def test_what_differs_is_made_small(verb):
    with pytest.raises(DifferenceError) as difference:
        search(Seeing(verb), 2000)
    body, steps, words = str(difference.value).rsplit("\n", 2)
    assert steps.count("{") <= 3, steps
    assert verb in steps
    assert len(body) < 400, body
    assert words == "they differ"
