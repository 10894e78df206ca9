"""YAML to data with positions: what is refused, to the character, and the two parsers against each other."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import types

import pytest
import ruamel.yaml.events
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from orchestra.diagnostic import Place
from orchestra.errors import SpecError
from orchestra.yamltext import decoding
from orchestra.yamltext import event as source_event
from orchestra.yamltext.digest import digest_files
from orchestra.yamltext.document import Trap, locate
from orchestra.yamltext.fault import Fault, diagnose
from orchestra.yamltext.parse import parse
from tests.support.golden import check
from tests.support.paths import DATA

ERR = DATA / "err" / "source"
NAMES = sorted(path.stem for path in ERR.glob("*.yaml"))


def refusal(text, *, pure=False):
    with pytest.raises(SpecError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "f.yaml", pure=pure)
    return caught.value.diagnostics


def every_path(data, path=()):
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from every_path(value, (*path, key))


def places(document):
    paths = list(every_path(document.data))
    return [(path, document.place(path), document.place(path, key=True)) for path in paths]


@pytest.mark.parametrize("name", NAMES)
def test_refusal_to_the_character(name):
    with pytest.raises(SpecError) as caught:
        parse((ERR / f"{name}.yaml").read_bytes(), f"{name}.yaml")
    check(ERR / f"{name}.out", f"{caught.value}\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_pure_parser_refuses_for_the_same_rules_on_the_same_lines(name):
    raw = (ERR / f"{name}.yaml").read_bytes()
    assert [(problem.rule, problem.place.line) for problem in refusal(raw)] == [
        (problem.rule, problem.place.line) for problem in refusal(raw, pure=True)
    ]


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize(
    "text, value",
    [
        ("yes", "yes"),
        ("off", "off"),
        ("2024-01-31", "2024-01-31"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("012", 12),
        ("-08", -8),
        ("0o14", 12),
        ("0xC", 12),
        ("+12", 12),
        ("0", 0),
        ("9007199254740992", 2**53),
        ("1.", 1.0),
        (".5e1", 5.0),
        ("-1.5E-3", -0.0015),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("0b1", "0b1"),
        ("tRue", "tRue"),
        ("TRUE", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'null'", "null"),
        ("!!str null", "null"),
        ("! 12", "12"),
        ('!!int "3"', 3),
        ("!!float 1", 1.0),
        ("!!bool true", True),
        ("!!null ~", None),
        ("!!null", None),
        ("!!map {}", {}),
        ("! []", []),
        ("<<", "<<"),
        ("http://x:1/y", "http://x:1/y"),
        ("|\n  a\n\tb", None),
    ],
)
def test_scalars_are_what_yaml_1_2_says(text, value, pure):
    if "\t" in text:
        assert refusal(f"a: {text}", pure=pure)[0].rule == "yaml-tab"
        return
    data = parse(f"a: {text}\n".encode(), "f.yaml", pure=pure).data["a"]
    assert (data, type(data)) == (value, type(value))


def test_traps_have_path_text_place_and_kind_and_only_plain_values_count():
    text = "on: 1\na: [yes, 'no', {b: 012}]\nc: &c Off\nd: *c\ne: !!str y\nf: yes\ng: {h: *c, i: +07}\n"
    assert parse(text.encode(), "f.yaml").traps == (
        Trap(("a", 0), "yes", Place("f.yaml", 2, 5), "boolean-word"),
        Trap(("a", 2, "b"), "012", Place("f.yaml", 2, 20), "octal"),
        Trap(("c",), "Off", Place("f.yaml", 3, 4), "boolean-word"),
        Trap(("f",), "yes", Place("f.yaml", 6, 4), "boolean-word"),
        Trap(("g", "i"), "+07", Place("f.yaml", 7, 15), "octal"),
    )


def test_a_colon_in_brackets_is_a_text_as_yaml_1_2_says():
    document = parse(b"a: [http://x:80/y, b::c]\n", "f.yaml")
    assert document.data == {"a": ["http://x:80/y", "b::c"]}
    assert document.place(("a", 1)) == ("f.yaml", 1, 20)


@pytest.mark.parametrize("pure", [False, True])
def test_a_question_mark_in_brackets_is_a_text_or_refused_and_never_a_mapping(pure):
    assert parse(b"a: [what?, b ?c, '?d', ? e]\n? f\n: {g?: 1}\n", "f.yaml", pure=pure).data == {
        "a": ["what?", "b ?c", "?d", {"e": None}],
        "f": {"g?": 1},
    }
    assert refusal("a: [b, ?c]", pure=pure)[0].text() == (
        "f.yaml:1:9: found an unquoted text that begins with a question mark inside [ ] or { }"
        ' in "a: [b, ?c]" [yaml-syntax]\n    hint: put the text in quotes'
    )
    assert refusal("{?c: 1}", pure=pure)[0].rule == "yaml-syntax"


def test_problems_before_a_colon_in_brackets_are_told_once():
    assert [problem.rule for problem in refusal("a: 1\na: 2\nb: [c://d]\n")] == ["yaml-duplicate-key"]


@pytest.mark.parametrize("pure", [False, True])
def test_columns_count_code_points_whatever_the_line_ends_and_the_mark_at_the_start(pure):
    text = "\ufeffé😀: {b: '😀', c: [x, 'é', y]}\r\nd:\r  - é: 1\n    😀😀: 2\n"
    document = parse(text.encode(), "f.yaml", pure=pure)
    found = {path: document.place(path)[1:] for path in every_path(document.data)}
    keys = {path: document.place(path, key=True)[1:] for path in every_path(document.data)}
    assert found[("é😀", "b")] == (1, 9)
    assert found[("é😀", "c", 2)] == (1, 26)
    assert keys[("é😀",)] == (1, 1)
    assert keys[("d", 0, "😀😀")] == (4, 5)
    assert found[("d", 0, "😀😀")] == (4, 9)
    assert keys[("d", 0)] == found[("d", 0)] == (3, 5)


@pytest.mark.parametrize("pure", [False, True])
def test_an_absent_path_gives_its_nearest_ancestor_and_an_empty_value_its_key(pure):
    document = parse(b"a:\n  b: [1]\n  c:  # nothing\nd: x\n", "f.yaml", pure=pure)
    assert document.place(("a", "zz", "y"), key=True) == ("f.yaml", 1, 1)
    assert document.place(("a", "b", 5)) == ("f.yaml", 2, 6)
    assert document.place(("a", "b", "x")) == ("f.yaml", 2, 6)
    assert document.place(("a", "c")) == ("f.yaml", 3, 3)
    assert document.place(("d", 0)) == ("f.yaml", 4, 4)
    assert document.place((0,)) == ("f.yaml", 1, 1)
    assert document.has(("a", "b", 0))
    assert not document.has(("a", "b", -1))


@pytest.mark.parametrize("pure", [False, True])
def test_an_alias_stands_where_it_is_used_and_its_content_where_it_is_written(pure):
    text = b"a: &a {x: [1, 2]}\nb: *a\nc: &s text\n*s : *s\nd: [*a, *a]\na2: &a 7\ne: *a\n"
    document = parse(text, "f.yaml", pure=pure)
    assert document.data["b"] == document.data["a"] == document.data["d"][1]
    assert document.data["text"] == "text"
    assert document.data["e"] == 7
    assert document.place(("b",)) == ("f.yaml", 2, 4)
    assert document.place(("d", 1)) == ("f.yaml", 5, 9)
    assert document.place(("d", 1, "x", 1)) == document.place(("a", "x", 1)) == ("f.yaml", 1, 15)
    assert document.place(("text",), key=True) == ("f.yaml", 4, 1)


def test_a_text_that_begins_with_a_colon_in_brackets_is_never_misread():
    assert parse(b"[:x]", "f.yaml").data == [":x"]
    assert parse(b"{a: :x}", "f.yaml").data == {"a": ":x"}
    assert {problem.rule for problem in refusal("{:x: 1}")} == {"yaml-syntax", "yaml-key"}


def test_many_aliases_of_a_small_block_are_no_bomb():
    uses = "".join(f"k{order}: *a\n" for order in range(5000))
    assert len(parse(f"a: &a {{x: 1, y: [2]}}\n{uses}".encode(), "f.yaml").data) == 5001


def test_a_file_may_be_any_json_and_64_levels_deep():
    value = {"a": [1, -2.5, "x\ny", True, None, {"": {}}], "b\t\"'": "\u00e9\U0001f600"}
    assert parse(json.dumps(value, ensure_ascii=False).encode(), "f.yaml").data == value
    assert parse(b"[" * 64 + b"]" * 64, "f.yaml").data is not None
    assert parse(b"- x", "f.yaml").data == ["x"]
    assert parse(b"null", "f.yaml").data is None
    assert parse(b"''", "f.yaml").data == ""


def test_the_version_directive_of_yaml_1_2_is_accepted():
    document = parse(b"# c\n%YAML 1.2 # why not\n---\na: 1\n...\n", "f.yaml")
    assert document.data == {"a": 1}
    assert document.place(("a",)) == ("f.yaml", 4, 4)


def test_a_file_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    assert parse(b"a: 1234567", "f.yaml").data == {"a": 1234567}
    assert refusal("a: 12345678")[0].text() == (
        "f.yaml:1:1: the file has 11 bytes; at most 10 are read [yaml-size]\n    hint: split the spec with `include:`"
    )


def test_a_fault_that_is_not_known_still_has_a_place():
    place = Place("f", 1, 1)
    problem = diagnose(Fault("a new kind of trouble", 99, "", None), "a: 1\n", lambda _: place)
    assert problem.text() == "f:1:1: found text that is not YAML at the end of the file [yaml-syntax]"


def test_the_pure_parser_stands_in_when_the_c_part_is_missing(monkeypatch):
    monkeypatch.setattr(source_event, "c_part", None)
    assert parse(b"a: [x, 1]", "f.yaml").data == {"a": ["x", 1]}


def test_a_c_part_that_takes_no_structs_is_translated(monkeypatch):
    """What another version may do: bind the classes of events where nobody can exchange them."""

    class Parser:
        def __init__(self, text):
            self.get_event = YAML(typ="safe", pure=True).parse(text).__next__

    monkeypatch.setattr(source_event, "c_part", types.SimpleNamespace(CParser=Parser))
    text = b"a: [&x 1, !!str 2, {b: *x}]\n? c\n: 'd'\n"
    assert places(parse(text, "f.yaml")) == places(parse(text, "f.yaml", pure=True))


def test_the_pure_parser_ends_with_the_stream():
    names = [type(event).__name__ for event in source_event._pure_events("x")]
    assert names[-2:] == ["DocumentEndEvent", "StreamEndEvent"]


def test_both_parsers_give_the_same_kinds_of_events():
    def kinds(pure):
        with source_event.reading("a: [&x 1, *x, {b: c}]", pure=pure) as next_event:
            while not found or found[-1] is not source_event.StreamEndEvent:
                found.append(type(next_event()))
        return found

    found = []
    by_c = kinds(pure=False)
    found = []
    pure = kinds(pure=True)
    assert [kind for kind in pure if kind is not source_event.StreamStartEvent] == by_c
    assert set(pure) == set(source_event._Event.__subclasses__())


def test_the_classes_of_the_c_part_stand_in_their_place_afterwards():
    for text in (b"a: 1", b"a: ["):
        with contextlib.suppress(SpecError):
            parse(text, "f.yaml")
        assert source_event.c_part.ScalarEvent is ruamel.yaml.events.ScalarEvent


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("text", [b"a: 1", b"a: [", b"a: [b:c]"])
def test_the_collector_is_left_as_it_was(state, text):
    was = gc.isenabled()
    (gc.enable if state else gc.disable)()
    try:
        try:
            parse(text, "f.yaml")
        except SpecError:
            assert text == b"a: ["
        assert gc.isenabled() == state
    finally:
        (gc.enable if was else gc.disable)()


def test_locate_takes_the_first_document_that_has_the_path():
    one, two = parse(b"a: {b: 1}", "one.yaml"), parse(b"a: {c: 1}\n", "two.yaml")
    assert locate(("a", "c"), [one, two]) == ("two.yaml", 1, 8)
    assert locate(("a",), [one, two]) == ("one.yaml", 1, 4)
    assert locate(("z",), [one, two]) is None


def test_the_digest_reads_line_ends_alike_and_frames_its_files(tmp_path):
    (tmp_path / "a").write_bytes(b"x: 1\ny: 2\n")
    (tmp_path / "b").write_bytes(b"x: 1\r\ny: 2\r\n")
    unix = digest_files(tmp_path, ["a"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", unix)
    (tmp_path / "a").write_bytes(b"x: 1\r\ny: 2\r\n")
    assert digest_files(tmp_path, ["a"]) == unix
    assert digest_files(tmp_path, ["b"]) != unix
    assert digest_files(tmp_path, ["a", "b"]) != digest_files(tmp_path, ["b", "a"])
    (tmp_path / "out").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="outside the project"):
        digest_files(tmp_path, ["out"])
    with pytest.raises(FileNotFoundError):
        digest_files(tmp_path, ["gone"])


# ------------------------------------------------------------------------------------------------ the two parsers agree
TEXTS = st.text(
    st.characters(
        codec="utf-8", exclude_characters="?\u2028\u2029\ufeff\ufffe\uffff\x85", exclude_categories=("Cc", "Cs")
    ),
    max_size=12,
).filter(lambda text: not text.startswith(":"))  # `{:x: 1}` is refused, though YAML 1.2 allows it
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from(
        ["yes", "off", "012", "null", "1.5", "<<", "- a", "a: b", "# x", "x\ny\n", " ", "é😀", "2024-01-31"]
    ),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=15
)


@given(st.dictionaries(TEXTS, TREES, max_size=4), st.booleans(), st.booleans())
def test_what_ruamel_writes_both_parsers_read_back_at_the_same_places(tree, flow, crlf):
    from io import StringIO

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.allow_unicode = True
    out = StringIO()
    yaml.dump(tree, out)
    raw = out.getvalue().replace("\n", "\r\n" if crlf else "\n").encode()
    fast, slow = parse(raw, "f"), parse(raw, "f", pure=True)
    assert fast == slow
    assert json.dumps(fast.data, sort_keys=True) == json.dumps(tree, sort_keys=True)
    assert places(fast) == places(slow)


WORDS = "a b: c - [ ] { } , : ? & * ! | > ' \" % @ ` # \\ ~ 012 yes .inf << !!str !x &a *a --- ... é 😀"
SPACES = (" ", "  ", "\n", "\n  ", "\n    ", "\t", "\r\n", ": ", "- ", "? ", ", ", "a: ", "b: ", "\n- ")
PIECES = st.sampled_from([*WORDS.split(), *SPACES, '"\\uD800"', '"\\UFFFFFFFF"', '"\\x0'])


@pytest.mark.parametrize("escape", ["\\uD800", "\\UFFFFFFFF", "\\U00110000"])
@pytest.mark.parametrize("pure", [False, True])
def test_an_escape_that_names_no_character_is_refused(escape, pure):
    with pytest.raises(SpecError) as caught:
        parse(f'a: "{escape}"'.encode(), "f", pure=pure)
    assert [problem.place.line for problem in caught.value.diagnostics] == [1]


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_gives_data_or_diagnostics_and_never_a_traceback(text):
    for pure in (False, True):
        try:
            document = parse(text.encode(), "f", pure=pure)
        except SpecError as error:
            lines = {problem.place.line for problem in error.diagnostics}
            columns = {problem.place.column for problem in error.diagnostics}
            assert lines <= set(range(1, len(re.split("\r\n|\r|\n", text)) + 1))
            assert columns
            assert min(columns) >= 1
        else:
            json.dumps(document.data, allow_nan=False)
            assert len(places(document)) >= 1


@given(st.binary(max_size=40))
def test_any_bytes_give_data_or_diagnostics(raw):
    try:
        parse(raw, "f")
    except SpecError as error:
        assert error.diagnostics  # noqa: PT017
