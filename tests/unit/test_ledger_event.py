"""The catalogue of events, its schema, and canonical JSON."""

from typing import get_args

import jsonschema
import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from orchestra.ledger.canonical import canonical, digest, parse, scrubbed
from orchestra.ledger.event import CATALOGUE, VERDICTS, Note, Unknown, Verdict
from orchestra.ledger.state import state_schema
from orchestra.ledger.versions import body_of, event_schema, type_of
from tests.support.paths import ROOT

# All of JSON that RFC 8785 allows, with the corners of the fast writer made likely.
numbers = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e-3, 1e-3),
    st.integers(-(10**6), 10**6).map(float),
    st.sampled_from([0.0, -0.0, 1e16, 1e21, 1e-7, 1e-5, 123456789012345680.0, 5e-324]),
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from('"\\/\x00\x1f\x7f\n\r\t\b\f.0e-+1:,[]{}é\ue000\uffff\u2028😊')),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
)


@given(values)
@example({"\ue000": 1, "😊": 2})  # UTF-16 puts the second first
@example([1.0, 1e-5, 1e16, -0.0, 9007199254740991, "1.0", "1e-5", ":1234567890123456"])
@example({"a": 2.0})
@example(1.0)
def test_the_fast_writer_says_what_the_reference_says(value):
    text = canonical(value)
    assert text == rfc8785.dumps(value)
    assert parse(text) == value
    assert canonical(parse(text)) == text


@pytest.mark.parametrize(
    "value", [[float("nan")], {"a": float("inf")}, [2**53], [-(2**53)], 2**53, float("nan"), ["\ud800"], {"\udfff": 1}]
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(ValueError):
        canonical(value)


def test_an_object_that_is_not_data_is_refused():
    with pytest.raises(TypeError):
        canonical([object()])


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2.0]}) == digest({"b": [2], "a": 1})
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(st.text(st.characters(categories=["Cs", "L", "So"])))
def test_scrubbed_text_has_a_utf8_form_and_whole_text_is_kept(text):
    clean = scrubbed({text: [text, 1, None]})
    canonical(clean)
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert clean == {text: [text, 1, None]}


def test_a_surrogate_pair_becomes_its_character_and_half_of_one_the_replacement():
    assert scrubbed("\ud83d\ude0a \udc80") == "😊 \ufffd"


def test_the_words_of_a_verdict():
    assert get_args(Verdict) == VERDICTS
    assert " ".join(VERDICTS) == "passed flaky unchanged failed timeout error blocked skipped interrupted"


@pytest.mark.parametrize(
    "text, fault",
    [
        ("{}", "missing required field `message`"),
        ('{"message": 1}', r"Expected `str`, got `int` - at `\$\.message`"),
        ("[]", "Expected `object`, got `array`"),
    ],
)
def test_a_body_that_is_not_of_its_type_is_refused(text, fault):
    with pytest.raises(msgspec.ValidationError, match=fault):
        body_of("note", 1, text.encode())


def test_a_body_of_a_newer_program_is_read_as_far_as_it_is_known():
    assert body_of("note", 1, b'{"message": "x", "more": 1}') == Note(message="x")
    for kind, version in (("note", 9), ("telepathy", 1)):
        read = body_of(kind, version, b'{"more": {"large": 1152921504606846976}}')
        assert read == Unknown({"more": {"large": 2.0**60}})
    with pytest.raises(TypeError, match="no event has the body Unknown"):
        type_of(Unknown({}))


@pytest.mark.parametrize(
    "kind, more",
    [
        ("attempt_finished", {"attempt": 1, "error": None, "steps": [], "retry": False}),
        ("repeat", {"number": 1, "dir": "d"}),
    ],
)
def test_a_body_of_an_earlier_version_is_read_as_one_of_today(kind, more):
    log = {"path": "attempts/cli/a/1/output.log", "digest": "0" * 64, "bytes": 3, "kind": "log"}
    task = {"task": "cli:a", "test": "a", "method": "cli", "outcome": "passed", "seconds": 0.1}
    text = msgspec.json.encode({**task, **more, "evidence": [log]})
    newest = CATALOGUE[kind].version
    assert newest > 1
    first, *others = (body_of(kind, version, text) for version in range(1, newest + 1))
    assert all(other == first for other in others)
    assert [one.offset for one in first.evidence] == [None]
    assert isinstance(body_of(kind, newest + 1, text), Unknown)
    assert type_of(first) == (kind, newest)


def test_a_first_attempt_that_passed_is_written_without_what_is_as_usual():
    named = {"task": "cli:a", "test": "a", "method": "cli"}
    usual = {
        "attempt_started": {"attempt": 1},
        "attempt_finished": {"attempt": 1, "error": None, "steps": [], "evidence": [], "retry": False},
        "verdict": {"reason": "", "attempts": 1, "degraded": []},
    }
    own = {
        "attempt_started": {},
        "attempt_finished": {"outcome": "passed", "seconds": 0.1},
        "verdict": {"verdict": "passed", "seconds": 0.1, "speed_class": None, "inputs": None},
    }
    for kind, more in usual.items():
        whole = body_of(kind, 1, msgspec.json.encode({**named, **own[kind], **more}))
        line = msgspec.json.encode(whole)
        assert msgspec.json.decode(line) == {**named, **own[kind]}
        assert body_of(kind, CATALOGUE[kind].version, line) == whole
    begun = body_of("attempt_started", 1, msgspec.json.encode(named))
    assert begun.folder == "attempts/cli/a/1"
    assert msgspec.structs.replace(begun, dir="attempts/cli/a/1-resume1").folder == "attempts/cli/a/1-resume1"


@pytest.mark.parametrize("schema", [event_schema, state_schema])
def test_the_schema_is_valid_by_its_own_draft(schema):
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_judges_bodies_of_known_types_and_lets_newer_ones_pass():
    judge = jsonschema.Draft202012Validator(event_schema())
    envelope = {"seq": 1, "time": "2026-01-02T03:04:05.000006Z", "prev": "0" * 64, "hash": "a" * 64, "v": 1}
    assert judge.is_valid({**envelope, "type": "note", "body": {"message": "x"}})
    assert not judge.is_valid({**envelope, "type": "note", "body": {"message": 1}})
    assert judge.is_valid({**envelope, "type": "note", "body": {"message": "x", "more": 1}}), "as its reader does"
    assert not judge.is_valid({**envelope, "type": "note", "body": {}})
    assert not judge.is_valid({**envelope, "seq": 0, "type": "note", "body": {"message": "x"}})
    assert not judge.is_valid({**envelope, "time": "2026-01-02T03:04:05Z", "type": "note", "body": {"message": "x"}})
    assert judge.is_valid({**envelope, "v": 2, "type": "note", "body": {"more": 1}})
    assert judge.is_valid({**envelope, "type": "telepathy", "body": {"more": 1}})


def test_every_type_has_a_description_and_every_field_a_schema():
    definitions = event_schema()["$defs"]
    for entry in CATALOGUE.values():
        schema = definitions[entry.body.__name__]
        assert schema["description"]
        assert set(schema["properties"]) == set(entry.body.__struct_fields__)


def test_the_page_has_the_catalogue_and_the_state_as_they_are():
    page = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    assert all(f"### `{name}`" in page for name in CATALOGUE)
    assert "| **`pending`** | list of string | tasks that wait, in order |" in page
