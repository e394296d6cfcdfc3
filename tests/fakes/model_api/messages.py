"""The Messages protocol on the wire: a reply as one JSON object or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.model_api.books import Usage
from tests.fakes.model_api.scenarios import Say

PIECE_CHARS = 20


def content_blocks(say: Say, message_id: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": say.text}] if say.text else []
    for number, tool in enumerate(say.tools):
        blocks.append(
            {
                "type": "tool_use",
                "id": f"toolu_{message_id.removeprefix('msg_')}{number}",
                "name": tool.name,
                "input": tool.input,
            }
        )
    return blocks


def stop_reason(say: Say) -> str:
    return say.stop_reason or ("tool_use" if say.tools else "end_turn")


def usage_fields(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_creation_input_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "service_tier": "standard",
    }


def whole_message(say: Say, message_id: str, model: str, usage: Usage) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content_blocks(say, message_id),
        "stop_reason": stop_reason(say),
        "stop_sequence": None,
        "usage": usage_fields(usage),
    }


def sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def opening(message_id: str, model: str, usage: Usage) -> dict[str, Any]:
    first = usage_fields(usage) | {"output_tokens": 1}
    return {
        "type": "message_start",
        "message": {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": first,
        },
    }


def stream_events(
    say: Say, message_id: str, model: str, usage: Usage
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each event and whether it is a piece of content (where pauses and cuts apply)."""
    yield opening(message_id, model, usage), False
    for index, block in enumerate(content_blocks(say, message_id)):
        yield from _block_events(index, block)
    yield (
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(say), "stop_sequence": None},
            "usage": {"output_tokens": usage.output_tokens},
        },
        False,
    )
    yield {"type": "message_stop"}, False


def _block_events(index: int, block: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    if block["type"] == "text":
        start: dict[str, Any] = {"type": "text", "text": ""}
        source, kind, key = block["text"], "text_delta", "text"
    else:
        start = block | {"input": {}}
        source, kind, key = json.dumps(block["input"]), "input_json_delta", "partial_json"
    yield {"type": "content_block_start", "index": index, "content_block": start}, False
    for at in range(0, len(source), PIECE_CHARS):
        delta = {"type": kind, key: source[at : at + PIECE_CHARS]}
        yield {"type": "content_block_delta", "index": index, "delta": delta}, True
    yield {"type": "content_block_stop", "index": index}, False
