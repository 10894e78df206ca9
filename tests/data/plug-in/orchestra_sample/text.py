"""The driver `text`: it reads pages as text, without a browser, and brings the step `words`. `session` has its steps."""

from collections.abc import Mapping
from typing import Any

from orchestra.drivers import DriverKind
from orchestra.steps.schemas import COUNT, TEXT, Field
from orchestra.steps.step import Step
from orchestra.steps.verb import Verb


def words_text(step: Step, args: Mapping[str, Any]) -> str:
    return f"assert page.words.count({args['word']!r}) >= {args['at_least']}"


WORDS = Verb(
    "words",
    "Expect a word on the page.",
    {"word": "Hello", "at_least": 2},
    fields=(
        Field("word", TEXT, "the word", "Hello", required=True),
        Field("at_least", COUNT, "how often, at least", 2, default=1),
    ),
    short="word",
    text=words_text,
)

DRIVER = DriverKind(
    "text",
    "pages as text, without a browser",
    frozenset({"browser", "http"}),
    module="orchestra_sample.session",
    browsers=(),
    verbs=frozenset({"goto", "expect"}),
    steps=(WORDS,),
)
