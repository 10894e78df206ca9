"""The table of the tools of `orchestra mcp`."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import jsonrpc_message_adapter
from pydantic import ValidationError

from orchestra import cli
from orchestra.agent import invalid, tools
from orchestra.errors import UsageError

VALUES = {"text": "-x", "texts": ["-y", "--z"], "integer": 1, "number": 1.5, "flag": True}


@pytest.mark.parametrize("tool", tools.TOOLS, ids=lambda tool: tool.name)
def test_every_argument_is_one_of_the_verb_and_no_value_an_option(tool):
    own = {"types": ["verdict", "gate"]}
    arguments = {param.name: own.get(param.name, VALUES[param.kind]) for param in tools.params_of(tool)}
    _, words, offset = tools.command(tool.name, arguments)
    verb = cli.load_verb(words[0])
    assert isinstance(verb, click.Command)
    values = verb.make_context(words[0], words[1:], resilient_parsing=False).params
    for param in tool.params:
        given = arguments[param.name]
        assert (tuple(given) if isinstance(given, list) else given) in values.values(), param.name
    assert offset == (1 if tool.paged else 0)


@given(st.text(), st.integers(0, 50))
def test_pages_are_the_whole_text(text, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "PAGE_CHARACTERS", size + 1)
        parts, offset = [], 0
        while offset is not None:
            part, offset = tools.page(text, offset)
            parts.append(part)
    assert "".join(parts) == text


@pytest.mark.parametrize("value", [1, True, {}, [1]])
def test_a_value_of_another_kind_is_refused(value):
    with pytest.raises(UsageError, match='"suite" of plan is'):
        tools.command("plan", {"suite": value})


def test_a_negative_offset_is_refused_with_the_lowest_number():
    with pytest.raises(UsageError, match="is -1; it must be a whole number from 0"):
        tools.command("show", {"offset": -1})


@pytest.mark.parametrize(
    "text, number, code",
    [
        ("{bad", None, -32700),
        ('{"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": [1]}', 7, -32602),
        ('{"id": "q", "method": "tools/list"}', "q", -32600),
        ("[]", None, -32600),
    ],
)
def test_an_invalid_message_gets_an_error(text, number, code):
    with pytest.raises(ValidationError) as refused:
        jsonrpc_message_adapter.validate_json(text, by_name=False)
    error = invalid.answer(refused.value)
    assert (error.id, error.error.code) == (number, code)


@pytest.mark.parametrize(
    "text", ["", "\n", '{"jsonrpc": "2.0", "method": "x", "params": [1]}', '{"jsonrpc": "2.0", "id": 1}']
)
def test_an_invalid_message_that_waits_for_no_answer_gets_none(text):
    with pytest.raises(ValidationError) as refused:
        jsonrpc_message_adapter.validate_json(text, by_name=False)
    assert invalid.answer(refused.value) is None
