"""The Responses protocol (what Codex speaks) for the same scenarios: request in, events out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.model_api.books import Usage
from tests.fakes.model_api.scenarios import Fault, Say, ToolCall

PIECE_CHARS = 20
SHELL_TOOL = "exec_command"


def as_messages(body: dict[str, Any]) -> dict[str, Any]:
    """The conversation of a Responses request in the shape the scenarios read."""
    messages: list[dict[str, Any]] = []
    for item in body.get("input", []):
        match item.get("type"):
            case "message" if item.get("role") in ("user", "assistant"):
                text = "".join(part.get("text", "") for part in item.get("content", []))
                if not text.startswith("<environment_context>"):
                    messages.append({"role": item["role"], "content": text})
            case "function_call":
                messages.append({"role": "assistant", "content": item.get("name", "")})
            case "function_call_output":
                result = {"type": "tool_result", "content": str(item.get("output", ""))}
                messages.append({"role": "user", "content": [result]})
    return {"messages": messages}


def _item(say: Say, number: int) -> dict[str, Any]:
    if say.tools:
        return _call(say.tools[0], number)
    return {
        "type": "message",
        "id": f"item_{number}",
        "role": "assistant",
        "content": [{"type": "output_text", "text": say.text}],
    }


def _call(tool: ToolCall, number: int) -> dict[str, Any]:
    name, arguments = tool.name, tool.input
    if name == "Bash":
        name, arguments = SHELL_TOOL, {"cmd": tool.input["command"]}
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": json.dumps(arguments),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    cached = usage.cache_read_input_tokens
    whole = usage.input_tokens + cached + usage.cache_creation_input_tokens
    return {
        "input_tokens": whole,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": whole + usage.output_tokens,
    }


def stream_events(say: Say, number: int, usage: Usage) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each event and whether it is a piece of content (where pauses and cuts apply)."""
    response = {"id": f"resp_{number}"}
    item = _item(say, number)
    yield {"type": "response.created", "response": response}, False
    if item["type"] == "message":
        opened = item | {"content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": opened}, False
        for at in range(0, len(say.text), PIECE_CHARS):
            delta = {
                "type": "response.output_text.delta",
                "item_id": item["id"],
                "output_index": 0,
                "content_index": 0,
                "delta": say.text[at : at + PIECE_CHARS],
            }
            yield delta, True
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}, False
    completed = response | {"usage": _usage(usage)}
    yield {"type": "response.completed", "response": completed}, False


def fault_body(fault: Fault) -> dict[str, Any]:
    return {"error": {"type": fault.kind, "code": fault.kind, "message": fault.message}}
