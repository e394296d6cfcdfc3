"""Tool calls as people read them: a line for a list, the whole call for an approval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agentd.runners.call_text import call_lines

SUMMARY_CHARS = 300
RESULT_CHARS = 2000
DETAIL_CHARS = 90_000

_TELLING = (
    "command",
    "file_path",
    "path",
    "pattern",
    "url",
    "query",
    "plan",
    "title",
    "description",
    "prompt",
)
"""The input field that best tells what a call does, the first that is there."""

_LABELS = {"Bash": ("description",)}
"""Fields that only label a call: they change nothing of what runs, and differ at a repetition."""


def summary_of(tool: str, call: Mapping[str, Any]) -> str:
    """One line that says what the call does."""
    for key in _TELLING:
        value = call.get(key)
        if isinstance(value, str) and value.strip():
            told = value.strip().partition("\n")[0] if key == "plan" else value
            return clipped(" ".join(told.split()), SUMMARY_CHARS)
    return clipped(json.dumps(call, ensure_ascii=False), SUMMARY_CHARS) if call else tool


def detail_of(tool: str, call: Mapping[str, Any]) -> str:
    """The whole call for a person, in one canonical form: equal texts mean equal calls.

    A call too long to show keeps its beginning and the hash of all of it.
    """
    bound = {key: value for key, value in call.items() if key not in _LABELS.get(tool, ())}
    text = "\n".join(call_lines(tool, bound))
    if len(text) <= DETAIL_CHARS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:DETAIL_CHARS]}\n… {len(text)} characters in all, SHA-256 {digest}"


def result_text(content: object) -> str:
    """The text of a tool result, whatever its shape."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part for part in content if isinstance(part, dict))
        return "\n".join(str(part.get("text", f"[{part.get('type')}]")) for part in parts)
    return ""


def clipped(text: str, limit: int = RESULT_CHARS) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
