"""Lines of JSON from a runner: whatever it wrote, what is taken from it can be passed on."""

from __future__ import annotations

import msgspec
import pytest

from agentd.lines import json_object
from agentd.runners.codex import CodexFold
from agentd.runners.command import CommandFold
from agentd.runners.protocol import TextSaid


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (rb'{"a": "cut \ud83d"}', {"a": "cut \ufffd"}),
        (rb'{"a": "\ud83dkept"}', {"a": "\ufffdkept"}),
        (rb'{"a": "\uDE00kept"}', {"a": "\ufffdkept"}),
        (rb'{"a": "\uD83D\uDE00"}', {"a": "\U0001f600"}),
        (rb'{"a": "\ud83d\ud83d\ude00"}', {"a": "\ufffd\U0001f600"}),
        (
            rb'{"a": [{"\ud83d": ["\ude00", 1.5, null]}]}',
            {"a": [{"\ufffd": ["\ufffd", 1.5, None]}]},
        ),
        (rb'{"a": "\\ud83d"}', {"a": "\\ud83d"}),
        (b'{"a": "\xf0\x9f\x98\x80"}', {"a": "\U0001f600"}),
        (b'{"a": "cut \xf0\x9f"}', {"a": "cut \ufffd"}),
        (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd" * 3}),
    ],
)
def test_an_object_can_be_encoded_again_and_a_cut_emoji_is_marked(
    line: bytes, value: dict[str, object]
) -> None:
    assert json_object(line) == value
    assert msgspec.json.decode(msgspec.json.encode(json_object(line))) == value


@pytest.mark.parametrize(
    "line", [b"", b"text", b'{"a":', b"[1]", b'"text"', b'{"a":' * 100_000, b"\xff\xfe"]
)
def test_any_other_line_is_none(line: bytes) -> None:
    assert json_object(line) is None


def test_every_runner_reads_its_lines_so() -> None:
    codex = CodexFold(model="m", earlier=lambda _: {}, remember=lambda *_: None)
    line = rb'{"type": "item.completed", "item": {"type": "agent_message", "text": "cut \ud83d"}}'
    assert list(codex.take(line)) == [TextSaid("cut \ufffd")]
    command = CommandFold()
    assert list(command.take(rb'{"mesh": "text", "text": "cut \ud83d"}')) == [
        TextSaid("cut \ufffd")
    ]
